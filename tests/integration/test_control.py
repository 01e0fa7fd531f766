"""What backends and operators have done to connections through tg:control, on all nodes (docs/control.md)."""

import json
import sys
import time

import pytest

from harness import tokens
from harness.gateway import ROOT, run
from harness.wait import until
from harness.websocket import Closed, Refused

sys.path.insert(0, str(ROOT / "tests/fault"))
from tcp_proxy import TcpProxy  # noqa: E402  # pylint: disable=wrong-import-position

CHANNEL = "tg:control"
ISSUER = tokens.Issuer()
CONFIG = f"""
token_secret: {ISSUER.secret}
routes:
  - {{path: /ws/cards, channel: cards, auth: optional}}
  - {{path: "/ws/items/{{id}}", channel: "items:{{id}}", auth: optional, subscribe: none}}
"""
PROTOCOL = "Sec-WebSocket-Protocol"


def say(redis, prefix="", **command):
    """Gives a command as docs/control.md says, and returns the answers of the nodes if it asks for some."""
    text = json.dumps(command) if "text" not in command else command["text"]
    channel = prefix + CHANNEL
    return redis.client.fcall("tidegate_publish", 2, f"tg:s:{{{channel}}}", f"tg:m:{{{channel}}}",
                              text, channel, "publish", 1001, 3600000, "abcdefgh")


def gather(redis, nodes, prefix="", **command):
    """Gives a command and waits for the answers of so many nodes: {node: answer}."""
    channel = "tg:c:a-test"
    with redis.client.pubsub(ignore_subscribe_messages=True) as pubsub:
        pubsub.subscribe(prefix + channel)
        until("we hear the answers", lambda: redis.client.pubsub_numsub(prefix + channel)[0][1])
        say(redis, prefix, **command, reply=channel)
        answers = {}

        def look():
            message = pubsub.get_message(timeout=0.01)
            if message:
                answer = json.loads(message["data"])
                answers[answer.pop("node")] = answer
            return len(answers) == nodes

        until("all nodes have answered", look)
        return answers


def counts(answers):
    return sorted(answer["n"] for answer in answers.values())


def peer(gateway, path="/ws/cards", speaks=True, user=None, **claims):
    offered = ["tidegate.v1"] if speaks else []
    headers = [("Authorization", "Bearer " + ISSUER.token(sub=user, **claims))] if user else []
    if offered:
        headers.append((PROTOCOL, ", ".join(offered)))
    return gateway.connect(path, headers)


def end_of(socket):
    """(code, reason) of the close frame, past all messages."""
    try:
        while True:
            socket.receive_text()
    except Closed as closed:
        if closed.code is not None:
            socket.close(closed.code)
        return closed.code, closed.reason.decode()


@pytest.fixture
def pair(start, own_redis, tmp_path):
    file = tmp_path / "tidegate.yaml"
    file.write_text(CONFIG, encoding="utf-8")
    gateways = [start("--config", file, redis=own_redis) for _ in range(2)]
    for gateway in gateways:
        until("it follows", lambda gateway=gateway: "control" not in gateway.get("/ready").json()["missing"])
    return gateways


def node_of(gateway):
    return gateway.get("/ready").json()["node"]


def connection_of(gateway):
    """The one that is open."""
    (connection,) = [one for one in gateway.api("/connections")["connections"] if one["state"] == "open"]
    return connection["id"]


def test_all_of_a_users_connections_are_closed_on_all_nodes_and_no_others(pair, own_redis):
    his = [peer(gateway, user="42") for gateway in pair for _ in range(2)]
    others = [peer(pair[0], user="43"), peer(pair[1])]
    assert counts(gather(own_redis, 2, do="disconnect", user="42")) == [2, 2]
    for socket in his:
        assert end_of(socket) == (4010, "disconnected by the operator")
    for socket in others:
        assert socket.ask({"type": "ping"})["type"] == "pong"
    for gateway in pair:
        assert gateway.metric('tidegate_control_commands_total{do="disconnect"}') == 1
        until("they are gone", lambda gateway=gateway: gateway.metric('tidegate_connections_closed_total{code="4010"}') == 2)
    assert counts(gather(own_redis, 2, do="disconnect", user="42")) == [0, 0]


def test_who_was_disconnected_and_is_back_at_once_stays(pair, own_redis):
    """A command is for those who are there when it comes, on each node; who is to stay away is revoked."""
    socket = peer(pair[0], user="42")
    say(own_redis, do="disconnect", user="42")
    assert end_of(socket)[0] == 4010
    assert counts(gather(own_redis, 2, do="disconnect", user="nobody")) == [0, 0]
    back = [peer(gateway, user="42") for gateway in pair]
    assert counts(gather(own_redis, 2, do="disconnect", user="nobody")) == [0, 0]
    for socket in back:
        assert socket.ask({"type": "ping"})["type"] == "pong"


def test_a_connection_a_token_a_channel_and_a_route_are_told_apart(pair, own_redis):
    one, two = pair
    first, second = peer(one, user="42", jti="a"), peer(one, user="42", jti="b")
    third, fourth = peer(two, "/ws/items/7"), peer(two, "/ws/items/8")
    fifth = peer(two)
    assert counts(gather(own_redis, 2, do="disconnect", token="b", code=4242, reason="pay first")) == [0, 1]
    assert end_of(second) == (4242, "pay first")
    assert counts(gather(own_redis, 2, do="disconnect", channel="items:7")) == [0, 1]
    assert end_of(third)[0] == 4010
    assert counts(gather(own_redis, 2, do="disconnect", route="/ws/items/{id}")) == [0, 1]
    assert end_of(fourth)[0] == 4010
    assert counts(gather(own_redis, 2, do="disconnect", conn=f"{node_of(two)}.{connection_of(two)}")) == [0, 1]
    assert end_of(fifth)[0] == 4010
    assert first.ask({"type": "ping"})["type"] == "pong"
    assert counts(gather(own_redis, 2, do="disconnect", conn="0123456789abcdef.1")) == [0, 0]
    one.wait_for_line("client disconnected", code="4242", reason="pay first")


def test_a_channel_is_given_and_taken_whatever_the_rights(pair, own_redis):
    socket = peer(pair[1], "/ws/items/7", user="42")
    assert socket.ask({"type": "subscribe", "data": {"channel": "cards"}})["data"]["code"] == "forbidden"
    assert counts(gather(own_redis, 2, do="subscribe", user="42", channel="cards")) == [0, 1]
    told = socket.receive()
    assert (told["type"], told["data"], "id" in told) == ("subscribed", {"channel": "cards"}, False)
    own_redis.publish("cards", '{"n":1}')
    assert socket.receive()["data"] == {"n": 1}
    # A newer token takes what its rights do not give, but not what a backend gave.
    socket.send({"type": "auth", "data": {"token": ISSUER.token(sub="42")}, "id": 1})
    assert socket.receive()["type"] == "authenticated"
    own_redis.publish("cards", '{"n":2}')
    assert socket.receive()["data"] == {"n": 2}
    assert counts(gather(own_redis, 2, do="unsubscribe", user="42", channel="cards")) == [0, 1]
    told = socket.receive()
    assert (told["type"], told["data"], "id" in told) == ("unsubscribed", {"channel": "cards"}, False)
    assert counts(gather(own_redis, 2, do="unsubscribe", user="42", channel="cards")) == [0, 0]
    assert socket.ask({"type": "subscribe", "data": {"channel": "cards"}})["data"]["code"] == "forbidden"


def test_a_fresh_token_is_asked_for(pair, own_redis):
    with peer(pair[0], user="42", iat=int(time.time()) - 300) as socket:
        assert counts(gather(own_redis, 2, do="refresh", user="42")) == [0, 1]
        told = socket.receive()
        assert told["type"] == "refresh" and told.keys() == {"type", "timestamp"}
        socket.send({"type": "auth", "data": {"token": ISSUER.token(sub="42", iat=int(time.time()))}})
        assert socket.receive()["type"] == "authenticated"


BAD = {
    "no object": '["disconnect"]',
    "no do": '{"user":"42"}',
    "unknown do": '{"do":"reboot","user":"42"}',
    "both": '{"do":"disconnect","user":"42","conn":"a.1"}',
    "neither": '{"do":"disconnect"}',
    "a code of the protocol's": '{"do":"disconnect","user":"42","code":1000}',
    "a long reason": json.dumps({"do": "disconnect", "user": "42", "reason": "x" * 1000}),
    "half a pair": '{"do":"disconnect","user":"42","reason":"\\ud800"}',
    "a NUL": '{"do":"disconnect","user":"4\\u00002"}',
    "a member that narrows": '{"do":"disconnect","user":"42","node":"a"}',
    "twice": '{"do":"disconnect","user":"42","user":"43"}',
    "ours": '{"do":"subscribe","user":"42","channel":"tg:control"}',
    "no channel": '{"do":"disconnect","channel":"a b"}',
    "a type": '{"type":"x","do":"disconnect","user":"42"}',
    "milliseconds": '{"do":"revoke","user":"42","issued_before":1767225600000,"until":1767225600}',
    "a token's time": '{"do":"revoke","token":"a","issued_before":1,"until":2}',
    "no time": '{"do":"revoke","user":"42","until":2}',
    "long": '{"do":"disconnect","user":"42"' + " " * 1_000_000 + "}",
}


def test_what_makes_no_sense_is_counted_logged_and_passed_over(pair, own_redis):
    with peer(pair[0], user="42") as socket:
        for text in BAD.values():
            say(own_redis, text=text)
        answers = gather(own_redis, 2, do="disconnect", user="42", code=1000)
        assert all(answer["n"] == 0 and "4000 to 4999" in answer["error"] for answer in answers.values())
        assert socket.ask({"type": "ping"})["type"] == "pong"
    for gateway in pair:
        assert gateway.metric("tidegate_control_commands_refused_total") == len(BAD) + 1
        assert 1 <= len(gateway.lines("control command refused")) <= 5


@pytest.mark.plain
def test_an_answer_goes_to_no_channel_of_ours(pair, own_redis):
    say(own_redis, do="disconnect", user="42", reply="tg:control")
    until("it was refused", lambda: pair[0].metric("tidegate_control_commands_refused_total") == 1)
    assert pair[1].metric('tidegate_control_commands_total{do="disconnect"}') == 0


@pytest.mark.plain
def test_no_client_hears_a_command_or_gives_one(pair, own_redis):
    with peer(pair[0]) as socket:
        for name in ("tg:control", "tg:c:a-test", f"tg:r:{node_of(pair[0])}"):
            assert socket.ask({"type": "subscribe", "data": {"channel": name}})["data"]["code"] == "forbidden"
    answer = pair[0].post("/publish", {"channel": CHANNEL, "payload": {"do": "disconnect", "user": "42"}})
    assert answer.status == 400
    assert own_redis.client.exists(f"tg:s:{{{CHANNEL}}}") == 0


@pytest.mark.plain
def test_commands_given_before_a_node_started_are_not_carried_out(pair, own_redis, start, tmp_path):
    gather(own_redis, 2, do="disconnect", user="42")
    late = start("--config", tmp_path / "tidegate.yaml", redis=own_redis)
    with peer(late, user="42") as socket:
        assert counts(gather(own_redis, 3, do="disconnect", user="nobody")) == [0, 0, 0]
        assert socket.ask({"type": "ping"})["type"] == "pong"


def refused(gateway, **claims):
    """(status, code) of a handshake with such a token; None: it was let in."""
    try:
        peer(gateway, speaks=False, **claims).abandon()
    except Refused as refusal:
        return refusal.status, json.loads(refusal.response.body)["data"]["code"]
    return None


def now():
    return int(time.time())


def test_a_users_tokens_are_taken_back_on_all_nodes_at_once(pair, own_redis, figure):
    old, new = now() - 100, now()
    his = [peer(gateway, user="42", iat=old) for gateway in pair for _ in range(2)]
    undated, newer, other = peer(pair[0], user="42"), peer(pair[0], user="42", iat=new), peer(pair[1], user="43", iat=old)
    began = time.monotonic()
    say(own_redis, do="revoke", user="42", issued_before=new - 50, until=new + 600)
    for socket in his:
        assert end_of(socket) == (4001, "token_revoked")
    took = time.monotonic() - began
    figure("a user's sockets on two nodes, closed after the command", f"{took * 1000:.0f} ms")
    assert took < 5  # a second, on a machine that does nothing else
    assert end_of(undated)[0] == 4001
    for socket in (newer, other):
        assert socket.ask({"type": "ping"})["type"] == "pong"
    for gateway in pair:
        assert refused(gateway, user="42", iat=old) == refused(gateway, user="42") == (401, "token_revoked")
        assert refused(gateway, user="42", iat=new) is refused(gateway, user="43", iat=old) is None
        assert gateway.metric("tidegate_revocations") == 1
        assert gateway.metric('tidegate_handshakes_refused_total{reason="token_revoked"}') == 2
    with peer(pair[0], user="42", iat=old) as told:
        assert end_of(told) == (4001, "token_revoked")
    newer.send({"type": "auth", "data": {"token": ISSUER.token(sub="42", iat=old)}})
    assert end_of(newer)[0] == 4001


def test_a_token_is_taken_back_by_its_name_until_its_end(pair, own_redis):
    stolen, own = peer(pair[0], user="42", jti="stolen"), peer(pair[0], user="42", jti="own")
    assert counts(gather(own_redis, 2, do="revoke", token="stolen", until=now() + 600)) == [0, 1]
    assert end_of(stolen)[0] == 4001
    assert refused(pair[1], user="42", jti="stolen") == (401, "token_revoked")
    assert own.ask({"type": "ping"})["type"] == "pong"
    # What is over is taken back, by hand or by time.
    assert counts(gather(own_redis, 2, do="revoke", token="stolen", until=0)) == [0, 0]
    for gateway in pair:  # by the answer the handshakes know it
        assert refused(gateway, user="42", jti="stolen") is None
    assert own_redis.client.zcard("tg:{revoked}") == 0
    gather(own_redis, 2, do="revoke", token="stolen", until=now() + 4)
    assert refused(pair[0], user="42", jti="stolen") == (401, "token_revoked")
    until("its time is over", lambda: refused(pair[0], user="42", jti="stolen") is None)


@pytest.mark.plain
def test_what_was_revoked_is_known_after_a_restart_and_by_who_comes_later(pair, own_redis, start, tmp_path):
    gather(own_redis, 2, do="revoke", user="42", issued_before=now() + 1, until=now() + 600)
    until("it is in the set", lambda: own_redis.client.zcard("tg:{revoked}") == 1)
    own_redis.client.delete(f"tg:s:{{{CHANNEL}}}", f"tg:m:{{{CHANNEL}}}")  # the log is gone after an hour
    for gateway in pair:
        gateway.stop()
    assert refused(start("--config", tmp_path / "tidegate.yaml", redis=own_redis), user="42") == (401, "token_revoked")
    # The control run: it is the set that says so.
    own_redis.client.delete("tg:{revoked}")
    assert refused(start("--config", tmp_path / "tidegate.yaml", "--control", "false", redis=own_redis), user="42") is None
    assert own_redis.client.client_kill_filter(_type="normal", skipme=True)
    until("it is put back by who knows it", lambda: own_redis.client.zcard("tg:{revoked}") == 1)


def test_a_gateway_that_was_cut_off_knows_it_before_it_is_ready(start, own_redis, tmp_path):
    """Its own connection too. The log is gone by then, so it is the set that says it: without that it gets in."""
    file = tmp_path / "tidegate.yaml"
    file.write_text(CONFIG, encoding="utf-8")
    proxy = TcpProxy(own_redis.port)
    try:
        start("--config", file, redis=own_redis)
        cut = start("--config", file, redis=f"redis://127.0.0.1:{proxy.port}")
        socket = peer(cut, user="42", iat=now() - 9)
        for user, lost in (("42", ()), ("44", ("tg:{revoked}",))):
            proxy.refuse()
            until("it is cut off", lambda: cut.get("/ready").status == 503)
            assert refused(cut, user="43") is None
            assert counts(gather(own_redis, 1, do="revoke", user=user, issued_before=now() + 1, until=now() + 600)) == [0]
            until("it is in the set", lambda user=user: [text for text in own_redis.client.zrange("tg:{revoked}", 0, -1)
                                                         if text.endswith(user.encode())])
            own_redis.client.delete(f"tg:s:{{{CHANNEL}}}", f"tg:m:{{{CHANNEL}}}", *lost)
            proxy.listen()
            cut.wait_until_ready()
            assert refused(cut, user=user) == (None if lost else (401, "token_revoked"))
        assert end_of(socket)[0] == 4001
    finally:
        proxy.stop()


def test_a_gateway_that_was_cut_off_carries_out_what_it_missed(start, own_redis, tmp_path):
    file = tmp_path / "tidegate.yaml"
    file.write_text(CONFIG, encoding="utf-8")
    proxy = TcpProxy(own_redis.port)
    try:
        cut = start("--config", file, redis=f"redis://127.0.0.1:{proxy.port}")
        with peer(cut, user="42") as his, peer(cut, user="43") as other:
            proxy.refuse()
            until("it is cut off", lambda: cut.get("/ready").status == 503)
            for user in ("42", "nobody"):
                say(own_redis, do="disconnect", user=user, code=4100, reason="paid too late")
            proxy.listen()
            assert end_of(his) == (4100, "paid too late")
            assert other.ask({"type": "ping"})["type"] == "pong"
        until("both are done", lambda: cut.metric('tidegate_control_commands_total{do="disconnect"}') == 2)
    finally:
        proxy.stop()


@pytest.mark.plain
def test_what_was_revoked_while_no_gateway_was_there_is_known_from_the_log(own_redis, start, tmp_path, pair):
    for gateway in pair:
        gateway.stop()
    say(own_redis, do="revoke", user="42", issued_before=now() + 1, until=now() + 600)
    say(own_redis, do="disconnect", user="43")
    assert own_redis.client.zcard("tg:{revoked}") == 0
    late = start("--config", tmp_path / "tidegate.yaml", redis=own_redis)
    assert refused(late, user="42") == (401, "token_revoked")
    until("it is in the set", lambda: own_redis.client.zcard("tg:{revoked}") == 1)
    assert late.metric('tidegate_control_commands_total{do="disconnect"}') == 0


def test_the_admin_port_of_any_node_gathers_what_all_have_done(pair, own_redis):
    until("both are announced", lambda: len(pair[0].api("/nodes")["nodes"]) == 2)
    his = [peer(gateway, user="42") for gateway in pair]
    told = pair[0].post("/control", {"do": "disconnect", "user": "42", "code": 4102, "reason": "moved"})
    assert told.status == 200, told.body
    told = told.json()
    assert (told["do"], told["state"], told["n"], told["silent"]) == ("disconnect", "complete", 2, [])
    assert sorted(one["node"] for one in told["nodes"]) == sorted(map(node_of, pair))
    for socket in his:
        assert end_of(socket) == (4102, "moved")
    assert pair[0].wait_for_line("the operator gives a command", do="disconnect")
    for wrong in ({"do": "disconnect"}, {"do": "refresh", "user": "42", "reply": "a"}, [1]):
        refused_with = pair[0].post("/control", wrong)
        assert (refused_with.status, refused_with.json()["error"]["code"]) == (400, "bad_command")
    own_redis.client.delete("tg:{nodes}:" + node_of(pair[1]))


def test_one_connection_is_closed_whichever_node_is_asked(pair):
    one, two = pair
    with peer(two) as socket:
        name = f"{node_of(two)}.{connection_of(two)}"
        assert one.post("/disconnect", {"connection": name[:-1] + "999"}).status == 404
        told = one.post("/disconnect", {"connection": name})
        assert (told.status, told.json()) == (200, {"connection": name, "disconnected": True})
        assert end_of(socket)[0] == 4010
    with peer(two) as socket:
        until("the first is gone", lambda: len(two.api("/connections")["connections"]) == 1)
        number = connection_of(two)
        assert two.post("/disconnect", {"connection": number}).json() == {"connection": number, "disconnected": True}
        assert end_of(socket)[0] == 4010
    silent = one.post("/disconnect", {"connection": "0123456789abcdef.1"})
    assert (silent.status, silent.json()["error"]["code"]) == (503, "silent")


@pytest.mark.plain
def test_a_node_that_does_not_answer_is_named(pair, own_redis):
    until("both are announced", lambda: len(pair[0].api("/nodes")["nodes"]) == 2)
    own_redis.client.set("tg:{nodes}:gone", '{"node":"gone"}', px=15000)
    own_redis.client.sadd("tg:{nodes}", "gone")
    told = pair[0].post("/control", {"do": "refresh", "user": "42"}).json()
    assert (told["n"], told["silent"], len(told["nodes"])) == (0, ["gone"], 2)
    done = command(pair[0], "refresh", "--user", "42")
    assert (done.returncode, done.stdout) == (1, "refresh: 0 connections, 2 of 3 nodes\n")
    assert 'tidegate: control: "gone" does not answer' in done.stderr


def command(gateway, *words):
    return run("control", "--admin", gateway.admin, *words)


@pytest.mark.plain
def test_the_command_line_gives_commands(pair):
    until("both are announced", lambda: len(pair[0].api("/nodes")["nodes"]) == 2)
    first, second, third = peer(pair[0], user="42", jti="a"), peer(pair[1], user="42"), peer(pair[1], user="43")
    done = command(pair[0], "disconnect", "--token", "a", "--code", "4999", "--reason", "pay \"first\"")
    assert (done.returncode, done.stdout, done.stderr) == (0, "disconnect: 1 connections, 2 of 2 nodes\n", "")
    assert end_of(first) == (4999, 'pay "first"')
    assert json.loads(command(pair[0], "subscribe", "--user", "43", "--channel", "secret", "--json").stdout)["n"] == 1
    assert third.receive()["data"] == {"channel": "secret"}
    assert command(pair[1], "revoke", "--user", "42", "--for", "1h").stdout == "revoke: 1 connections, 2 of 2 nodes\n"
    assert end_of(second)[0] == 4001
    assert refused(pair[0], user="42") == (401, "token_revoked")
    assert command(pair[1], "revoke", "--user", "42", "--for", "0").returncode == 0
    until("it counts again", lambda: refused(pair[0], user="42") is None)
    for wrong, sentence in ((("reboot", "--user", "42"), "do is one of"), (("disconnect",), "disconnect takes one of"),
                            (("revoke", "--user", "42"), "revoke takes"), (("revoke", "--user", "42", "--for", "soon"), "--for"),
                            (("disconnect", "--user", "42", "--code", "x"), "a command is a JSON object")):
        done = command(pair[0], *wrong)
        assert (done.returncode, done.stdout) == (2, "") and sentence in done.stderr, done


def test_in_memory_it_is_this_node_alone(start, tmp_path):
    file = tmp_path / "tidegate.yaml"
    file.write_text(CONFIG, encoding="utf-8")
    node = start("--config", file)
    with peer(node, user="42") as socket:
        told = node.post("/control", {"do": "revoke", "user": "42", "issued_before": now() + 1, "until": now() + 600}).json()
        assert (told["state"], told["n"], told["silent"]) == ("alone", 1, [])
        assert end_of(socket)[0] == 4001
    assert refused(node, user="42") == (401, "token_revoked")


@pytest.mark.plain
def test_without_redis_a_command_is_refused_and_one_connection_here_is_closed(start, own_redis, tmp_path):
    file = tmp_path / "tidegate.yaml"
    file.write_text(CONFIG, encoding="utf-8")
    node = start("--config", file, redis=own_redis)
    with peer(node, user="42") as socket:
        own_redis.kill()
        until("it is away", lambda: node.get("/ready").status == 503)
        told = node.post("/control", {"do": "disconnect", "user": "42"})
        assert (told.status, told.json()["error"]["code"]) == (503, "unavailable")
        assert node.post("/disconnect", {"connection": connection_of(node)}).status == 200
        assert end_of(socket)[0] == 4010


@pytest.mark.plain
def test_where_control_is_off_no_command_counts(start, own_redis, tmp_path):
    file = tmp_path / "tidegate.yaml"
    file.write_text(CONFIG, encoding="utf-8")
    node = start("--config", file, "--control", "false", redis=own_redis)
    assert own_redis.client.pubsub_numsub(CHANNEL)[0][1] == 0
    assert (node.post("/control", {"do": "refresh", "user": "42"}).status, own_redis.client.keys("tg:*control*")) == (409, [])
    assert own_redis.client.function_list() == []

"""docs/redis.md: these rights are enough, and each one that is missing is named where it is noticed."""

import itertools
import json
import re
import sys
import threading
import time

import pytest

from harness.gateway import ROOT, run
from harness.wait import until

sys.path.insert(0, str(ROOT / "src/clients/python"))

from tidegate import Presence, Worker  # noqa: E402  pylint: disable=wrong-import-position

PAGE = (ROOT / "docs/redis.md").read_text(encoding="utf-8")
RULES = re.findall(r"^ACL SETUSER (\w+) on >SECRET (.*)$", PAGE, re.MULTILINE)
ALL, PLAIN, PUBLISHER = [rules for name, rules in RULES if name != "gateway"]  # which is a user in sentinels

ROUTES = """
routes:
  - {path: /ws/kept, channel: kept, history: on}
  - {path: /ws/cards, channel: cards}
"""
UNAVAILABLE_SECONDS = 5


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "kept.yaml"
    path.write_text(ROUTES, encoding="ascii")
    return path


@pytest.fixture(autouse=True)
def empty(redis):
    redis.client.flushall()
    redis.client.function_flush()
    yield
    redis.client.acl_deluser("lean")


def set_user(redis, rules):
    redis.client.execute_command("ACL", "SETUSER", "lean", "reset", "on", ">secret", *rules.split())


def url(redis):
    return f"redis://lean:secret@127.0.0.1:{redis.port}"


def without(*rights):
    words = ALL.split()
    assert set(rights) <= set(words)
    return " ".join(word for word in words if word not in rights)


def publish_entry(client, number):
    return client.fcall("tidegate_publish", 2, "tg:s:{kept}", "tg:m:{kept}", json.dumps({"type": "n", "data": number}),
                        "kept", "publish", 1001, 86400000, "abcdefgh")


def load(redis):
    """The library, as another gateway would."""
    redis.client.function_load(run("functions").stdout, replace=True)


def hears(peer, kind, *others):
    while (message := peer.receive())["type"] != kind:
        assert message["type"] in ("degraded", "restored", "subscribed", "n", *others), message
    return message


def test_these_rights_are_enough(start, redis, config):
    set_user(redis, ALL)
    node = start("--config", config, redis=url(redis))
    until("it loads the library", lambda: redis.client.function_list("tidegate"))
    with node.connect("/ws/kept?since=now") as peer:
        assert peer.receive()["type"] == "subscribed"
        publish_entry(redis.client, 1)
        assert hears(peer, "n")["data"] == 1
        for key in ("k", "k"):
            told = node.post("/publish", {"channel": "kept", "payload": {"type": "m"}, "idempotency_key": key})
            assert told.status == 200, told.body
        peer.ask({"type": "subscribe", "data": {"channel": "cards"}})
        peer.ask({"type": "unsubscribe", "data": {"channel": "cards"}})
    until("it leaves the channel", lambda: redis.subscribers("cards") == 0)
    until("it is announced", lambda: redis.client.scard("tg:{nodes}") == 1)
    assert node.api("/nodes")["state"] == "complete"
    assert not [line for line in node.log() if line.level in ("warn", "error")]
    assert node.get("/ready").json()["missing"] == []
    node.stop()
    assert redis.client.scard("tg:{nodes}") == 0


def test_without_histories_and_nodes_these_are_enough(start, redis):
    set_user(redis, PLAIN)
    node = start(redis=url(redis))
    with node.connect("/ws/cards") as peer:
        redis.publish("cards", '{"type":"hello"}')
        assert peer.receive()["type"] == "hello"
        assert peer.ask({"type": "subscribe", "data": {"channel": "items:1"}})["type"] == "subscribed"
    until("it leaves the channels", lambda: redis.subscribers("cards") == 0)
    assert node.metric("tidegate_redis_reconnects_total") == 0


def test_a_publisher_needs_these(redis):
    load(redis)
    set_user(redis, PUBLISHER.replace("{cards}", "{kept}").replace("&cards", "&kept"))
    client = type(redis.client)(port=redis.port, username="lean", password="secret")
    try:
        publish_entry(client, 1)
        assert redis.client.xlen("tg:s:{kept}") == 1
    finally:
        client.close()


def test_presence_needs_these_more(start, redis, tmp_path):
    (more,) = re.findall(r"^Routes with `presence` need `(.*?)` besides", PAGE, re.MULTILINE)
    file = tmp_path / "presence.yaml"
    file.write_text("routes: [{path: /ws/cards, channel: cards, presence: {grace: 0s}}]\n", encoding="ascii")
    set_user(redis, f"{ALL} {more}")
    one, two = (start("--config", file, "--node-lease", "1500ms", redis=url(redis)) for _ in range(2))
    with one.connect("/ws/cards") as peer, two.connect("/ws/cards"):
        until("both are there", lambda: redis.client.hget("tg:q:{cards}", "") == b"2 ")
        two.process.ended = True
        two.process.kill()
        until("it is cleared up", lambda: redis.client.hget("tg:q:{cards}", "") == b"1 ")
        peer.send({"type": "presence", "id": 1, "data": {"channel": "cards"}})
        while (answer := peer.receive())["type"] != "presence":
            pass
        assert answer["data"] == {"channel": "cards", "n_users": 0, "n_anonymous": 1, "users": []}
    assert not one.lines("refused a call")


def test_who_follows_presence_in_python_needs_these(start, redis, tmp_path, monkeypatch):
    page = (ROOT / "src/clients/python/README.md").read_text(encoding="utf-8")
    (ask, follow), = re.findall(r"It wants\n`(~tg:q.*?)`, and `(.*?)` with the channel", page)
    file = tmp_path / "presence.yaml"
    file.write_text("routes: [{path: /ws/cards, channel: cards, presence: {grace: 0s}}]\n", encoding="ascii")
    monkeypatch.setattr("tidegate.presence.QUIET_SECONDS", 0.1)
    node = start("--config", file, redis=redis)
    set_user(redis, f"resetchannels -@all {ask} {follow} &cards")
    client = type(redis.client)(port=redis.port, username="lean", password="secret")
    heard = []

    def hear():
        try:
            heard.extend(itertools.islice(Presence(client).follow("cards"), 1))
        except Exception as error:  # pylint: disable=broad-except
            heard.append(error)

    def has_asked():
        return any((one["user"], one["sub"], one["cmd"]) == ("lean", "1", "ping") for one in redis.client.client_list())

    try:
        thread = threading.Thread(target=hear, daemon=True)
        thread.start()
        until("it has asked for a sign of life", lambda: heard or has_asked())
        with node.connect("/ws/cards"):
            until("it has heard, or has failed", lambda: heard)
            assert [getattr(one, "n_anonymous", one) for one in heard] == [1]
            assert Presence(client).roll("cards").n_anonymous == 1
    finally:
        client.close()


def test_actions_need_these_more_and_a_worker_these(start, redis, tmp_path):
    page = (ROOT / "docs/actions.md").read_text(encoding="utf-8")
    (_, more), = re.findall(r"^A gateway (needs) (.*) for the stream besides", page, re.MULTILINE)
    (_, worker), = re.findall(r"^ACL SETUSER (worker) on >SECRET (.*)$", page, re.MULTILINE)
    file = tmp_path / "actions.yaml"
    file.write_text("routes: [{path: /ws/cards, channel: cards, actions: cards-actions}]\n", encoding="ascii")
    set_user(redis, f"{ALL} {more.replace('`', '').replace(' and', '')}")
    node = start("--config", file, redis=url(redis))
    until("it hears answers", lambda: any(name.startswith(b"tg:r:") for name in redis.client.pubsub_channels()))
    redis.client.execute_command("ACL", "SETUSER", "worker", "reset", "on", ">secret", *worker.split())
    client = type(redis.client)(port=redis.port, username="worker", password="secret")
    try:
        client.xgroup_create("cards-actions", "tidegate", id="0", mkstream=True)
        with node.connect("/ws/cards") as peer:
            peer.send({"type": "action", "id": 7, "data": 1})
            (_, ((entry, raw),)), = client.xreadgroup("tidegate", "one", {"cards-actions": ">"}, block=5000)
            channel = raw[b"reply"].decode()
            client.fcall("tidegate_publish", 2, f"tg:s:{{{channel}}}", f"tg:m:{{{channel}}}",
                         json.dumps({"action": raw[b"id"].decode(), "data": 2}), channel, "publish", 1001, 60000, "abcdefgh")
            assert peer.receive()["data"] == 2
        with client.pipeline() as pipeline:
            assert pipeline.xack("cards-actions", "tidegate", entry).xdel("cards-actions", entry).execute() == [1, 1]
        client.xautoclaim("cards-actions", "tidegate", "two", 0)
        worker = Worker(client, "cards-actions", claim_seconds=0.5)
        worker.action("*")(lambda action: action.data)
        thread = threading.Thread(target=worker.run, args=(False,), daemon=True)
        thread.start()
        with node.connect("/ws/cards") as peer:
            for key in ("k", "k"):
                peer.send({"type": "action", "id": 7, "key": key, "data": 3})
                assert peer.receive()["data"] == 3
        worker.stop()
        thread.join()
    finally:
        client.close()
        redis.client.acl_deluser("worker")
    set_user(redis, f"{ALL} ~cards-actions")
    node.stop()
    node = start("--config", file, redis=url(redis), name="lacks")
    with node.connect("/ws/cards") as peer:
        def refused():
            peer.send({"type": "action", "data": 1})
            return "its log says why" in peer.receive()["data"]["message"]
        until("it is refused", refused)
    line = node.wait_for_line("redis refused a call of our library", function="tidegate_action")
    assert "+xlen" in line.fields["needs"]


def test_who_gives_commands_needs_these(start, redis):
    page = (ROOT / "docs/control.md").read_text(encoding="utf-8")
    (_, rules), = re.findall(r"^ACL SETUSER (operator) on >SECRET (.*)$", page, re.MULTILINE)
    set_user(redis, rules)
    node = start(redis=redis)
    client = type(redis.client)(port=redis.port, username="lean", password="secret")
    with client.pubsub(ignore_subscribe_messages=True) as pubsub:
        pubsub.subscribe("tg:c:mine")
        until("we hear the answer", lambda: redis.client.pubsub_numsub("tg:c:mine")[0][1])
        until("the node hears commands", lambda: redis.client.pubsub_numsub("tg:control")[0][1])
        client.fcall("tidegate_publish", 2, "tg:s:{tg:control}", "tg:m:{tg:control}",
                     '{"do":"refresh","user":"42","reply":"tg:c:mine"}', "tg:control", "publish", 1001, 3600000, "abcdefgh")
        message = until("it is answered", lambda: pubsub.get_message(timeout=0.01))
    assert json.loads(message["data"]) == {"node": node.get("/ready").json()["node"], "n": 0}
    with pytest.raises(Exception, match="(?i)no permissions"):
        client.publish("cards", "{}")


@pytest.mark.parametrize("right, reason", [
    ("+subscribe", "Redis refuses SUBSCRIBE tidegate:probe:"),
    ("+publish", "Redis refuses PUBLISH tidegate:probe:"),
    ("&*", "Redis refuses"),
])
def test_without_what_it_needs_to_hear_it_is_not_ready_and_says_why(start, redis, config, right, reason):
    set_user(redis, without(right))
    node = start("--config", config, redis=url(redis), ready=False)
    line = node.wait_for_line("redis cannot be reached, trying on")
    assert reason in line.fields["reason"] and "tidegate:probe:" in line.fields["reason"] and "NOPERM" in line.fields["reason"]
    told = node.get("/ready")
    assert (told.status, told.json()["missing"]) == (503, ["broker"])
    assert reason in told.json()["broker"]["reason"]


def test_a_forbidden_channel_is_named(start, redis, config):
    set_user(redis, without("&*") + " &tidegate:probe:* &kept")
    node = start("--config", config, redis=url(redis))
    with node.connect("/ws/kept") as peer:
        redis.publish("kept", '{"type":"hello"}')
        peer.send({"type": "subscribe", "id": 1, "data": {"channel": "cards"}})
        line = node.wait_for_line("redis does not let us subscribe to a channel", channel="cards")
        assert line.fields["command"] == "SUBSCRIBE"
        assert hears(peer, "hello")
        assert node.post("/publish", {"channel": "cards", "payload": {}}).status == 502
        assert node.wait_for_line("redis refused a publication", channel="cards").fields["command"] == "PUBLISH"


def test_without_the_right_to_leave_a_channel_that_is_said_and_the_link_stays(start, redis, config):
    set_user(redis, without("+unsubscribe"))
    node = start("--config", config, redis=url(redis))
    with node.connect("/ws/kept") as peer:
        node.connect("/ws/cards").close()
        line = node.wait_for_line("redis does not let us leave channels")
        assert line.fields["command"] == "UNSUBSCRIBE" and "NOPERM" in line.fields["reason"]
        redis.publish("kept", '{"type":"still"}')
        hears(peer, "still")
    with node.connect("/ws/cards") as peer:
        redis.publish("cards", '{"type":"again"}')
        hears(peer, "again")
    assert node.metric("tidegate_redis_reconnects_total") == 0


# What is missing, and where that is noticed: the log's line and its fields.
REFUSED_READS = [
    ("+fcall", "redis does not let us call functions, history does not work", {"command": "FCALL tidegate_version"}),
    ("+hmget", "redis refused a call of our library", {"function": "tidegate_read", "key": "tg:s:{kept}"}),
    ("+hset", "redis refused a call of our library", {"function": "tidegate_read", "key": "tg:s:{kept}"}),
    ("+del", "redis refused a call of our library", {"function": "tidegate_read", "key": "tg:s:{kept}"}),
    ("+pexpire", "redis refused a call of our library", {"function": "tidegate_read", "key": "tg:s:{kept}"}),
    ("~tg:*", "redis refused a call of our library", {"function": "tidegate_read", "key": "tg:s:{kept}"}),
]


@pytest.mark.plain  # instrumented builds read refused calls below
@pytest.mark.parametrize("right, line, fields", REFUSED_READS, ids=lambda value: value[:8] if isinstance(value, str) else "")
def test_what_a_history_needs_is_named_in_the_log_and_by_ready(start, redis, config, right, line, fields):
    load(redis)
    set_user(redis, without(right))
    node = start("--config", config, redis=url(redis))
    with node.connect("/ws/kept?since=now"):
        said = node.wait_for_line(line, **fields)  # the log of commands is refused as well
        if right.startswith("+"):
            assert right in said.fields["needs"]
        ready = node.get("/ready")
        assert (ready.status, ready.json()["missing"]) == (200, ["history", "control"])
        assert ready.json()["broker"]["history_refused"]


@pytest.mark.parametrize("right", ["+get", *(pytest.param(right, marks=pytest.mark.plain) for right in ("+set", "+xadd", "+time"))])
def test_what_a_publication_needs_is_named_in_the_log(start, redis, config, right):
    load(redis)
    set_user(redis, without(right))
    node = start("--config", config, redis=url(redis))
    told = node.post("/publish", {"channel": "kept", "payload": {}, "idempotency_key": "k"})
    assert (told.status, told.json()["error"]["code"]) == (502, "refused")
    said = node.wait_for_line("redis refused a call of our library", function="tidegate_publish")
    assert right in said.fields["needs"]


def test_a_refused_log_is_told_to_clients_and_looked_for_with_patience(start, redis, config):
    load(redis)
    set_user(redis, without("+fcall"))
    node = start("--config", config, "--control", "false", redis=url(redis))
    with node.connect("/ws/kept?since=now") as by_url, node.connect("/ws/cards") as by_verb:
        began = time.monotonic()
        by_verb.send({"type": "subscribe", "id": 1, "data": {"channel": "kept", "since": "now"}})
        for peer, id_ in ((by_url, None), (by_verb, 1)):
            told = hears(peer, "error")
            assert (told["data"]["code"], told["data"]["channel"], told.get("id")) == ("unavailable", "kept", id_)
            assert told["data"]["retry_after_ms"] > 0
        assert time.monotonic() - began < 3 * UNAVAILABLE_SECONDS
        # What is in no log goes on, for those who asked for more and for those who did not.
        redis.publish("kept", '{"type":"plain"}')
        assert "pos" not in hears(by_url, "plain")
        with node.connect("/ws/kept") as other:
            redis.publish("kept", '{"type":"again"}')
            hears(other, "again")
        hears(by_url, "again")
        assert node.metric("tidegate_log_reads_total") <= 8, "it was twice a second"
        assert len([one for one in node.log() if one.level == "warn"]) <= 6
        for line in node.lines("redis refused a call of our library"):
            assert line.fields["needs"].startswith("+fcall"), "more rights within the function would not help"
        set_user(redis, ALL)
        publish_entry(redis.client, 1)
        assert hears(by_url, "subscribed")["data"]["recovered"]
        publish_entry(redis.client, 2)
        assert hears(by_url, "n")["data"] in (1, 2)
        until("nothing is missing", lambda: node.get("/ready").json()["missing"] == [])


@pytest.mark.plain
def test_who_was_told_unavailable_may_ask_anew(start, redis, config):
    load(redis)
    set_user(redis, without("+fcall"))
    node = start("--config", config, redis=url(redis))
    with node.connect("/ws/kept?since=now") as peer:
        assert hears(peer, "error")["data"]["code"] == "unavailable"
        set_user(redis, ALL)
        peer.send({"type": "subscribe", "id": 7, "data": {"channel": "kept", "since": "start"}})
        told = hears(peer, "subscribed")
        while told.get("id") != 7:
            told = hears(peer, "subscribed")
        assert told["data"]["recovered"]


def test_a_library_that_was_deleted_is_loaded_again_without_a_call(start, redis, config):
    set_user(redis, ALL)
    node = start("--config", config, redis=url(redis))
    until("it is there", lambda: redis.client.function_list("tidegate"))
    redis.client.function_flush()
    until("it is there again", lambda: redis.client.function_list("tidegate"), 30)
    node.wait_for_line("redis has our library again")


def test_what_may_not_be_loaded_is_loaded_by_hand(start, redis, config):
    set_user(redis, without("+function|load"))
    node = start("--config", config, redis=url(redis))
    said = node.wait_for_line("redis does not let us load our library, history needs it loaded by hand")
    assert said.fields["command"] == "FUNCTION LOAD"
    assert said.fields["remedy"] in PAGE
    assert node.get("/ready").json()["missing"] == ["history", "control"]
    with node.connect("/ws/kept?since=now") as peer:
        load(redis)
        # It is looked for every few seconds; by then the peer may have been told that this takes long.
        assert hears(peer, "subscribed", "error")["data"]["recovered"]
    until("nothing is missing", lambda: node.get("/ready").json()["missing"] == [])


def test_lifecycle_needs_these_more(start, redis, tmp_path):
    (more,) = re.findall(r"^Routes with `lifecycle` need `(.*?)` and the key", PAGE, re.MULTILINE)
    file = tmp_path / "lifecycle.yaml"
    file.write_text("routes: [{path: /ws/cards, channel: cards, lifecycle: sessions}]\n", encoding="ascii")
    set_user(redis, f"{ALL} {more} ~sessions")
    one, two = (start("--config", file, "--node-lease", "1500ms", redis=url(redis)) for _ in range(2))
    with one.connect("/ws/cards"), two.connect("/ws/cards"):
        until("both are there", lambda: redis.client.hget("tg:o:{sessions}", "cards") == b"2")
        two.process.ended = True
        two.process.kill()
        until("it is cleared up", lambda: one.metric("tidegate_lifecycle_lost_total") == 1)
    until("all is said", lambda: redis.client.xlen("sessions") == 6)
    assert not one.lines("refused a call")

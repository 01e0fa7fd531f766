"""Tickets: a backend without tokens puts one into Redis, and whoever brings it first is who it says."""

import json
import secrets
import signal
import threading

import pytest

from harness.event_stream import request
from harness.gateway import run
from harness.wait import SANITIZER, sized, until
from harness.websocket import TEXT, Closed, Refused, WebSocket, exchange, frame, handshake

SHARED_ROUTES = """
tickets: true
default_routes: false
routes:
  - {path: /ws/me, channels: ["user:{token.sub}"]}
  - {path: "/ws/execution/{id}", channel: "execution:{id}", access: token}
  - {path: /ws/desk, channel: desk}
  - {path: /ws/cards, channel: cards, auth: none}
"""
IN_FLIGHT_MAX = 1024   # docs/limits.md, a worker
DEADLINE_SECONDS = 5
RACES = 20


def put(redis, content=None, seconds=30, prefix=""):
    ticket = secrets.token_urlsafe(32)
    content = {"sub": "42"} if content is None else content
    redis.client.set(f"tg:t:{prefix}{ticket}", content if isinstance(content, (bytes, str)) else json.dumps(content), ex=seconds)
    return ticket


def asked(redis):
    """How often Redis was asked for a ticket."""
    return redis.client.info("commandstats").get("cmdstat_getdel", {}).get("calls", 0)


def refusal(gateway, path):
    answer = exchange(gateway.address, handshake(path))
    return answer.status, json.loads(answer.body)["data"]["code"]


def test_a_ticket_lets_in_once_and_once_only(gateway, redis):
    ticket = put(redis, {"sub": "7"})
    with gateway.connect(f"/ws/me?ticket={ticket}") as peer:
        redis.publish("user:7", '{"type":"hello"}')
        assert peer.receive()["type"] == "hello"
    assert refusal(gateway, f"/ws/me?ticket={ticket}") == (401, "ticket_invalid")


def test_it_says_what_its_client_may_hear(gateway, redis):
    claims = {"sub": "42", "channels": ["execution:7", "team:*"]}
    with gateway.connect(f"/ws/execution/7?ticket={put(redis, claims)}") as peer:
        redis.publish("execution:7", '{"type":"step"}')
        assert peer.receive()["type"] == "step"
        assert peer.ask({"type": "subscribe", "id": 1, "data": {"channel": "team:blue"}})["type"] == "subscribed"
        assert peer.ask({"type": "subscribe", "id": 2, "data": {"channel": "user:43"}})["type"] == "error"
    assert refusal(gateway, f"/ws/execution/8?ticket={put(redis, claims)}") == (403, "forbidden")


def test_without_a_ticket_only_open_routes_let_in(gateway):
    assert refusal(gateway, "/ws/desk") == (401, "token_missing")
    with gateway.connect("/ws/cards"):
        pass


def test_where_no_credential_is_wanted_a_ticket_is_not_used_up(gateway, redis):
    ticket = put(redis)
    with gateway.connect(f"/ws/cards?ticket={ticket}"):
        assert redis.client.exists(f"tg:t:{ticket}")


def test_a_head_uses_up_no_ticket(gateway, redis):
    """RFC 9110 section 9.2.1: it is safe."""
    path, before = f"/sse/me?ticket={put(redis, {'sub': '7'})}", asked(redis)
    head = exchange(gateway.address, request(path, method="HEAD"))
    assert (head.status, head.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    assert exchange(gateway.address, request("/sse/me?ticket=short", method="HEAD")).status == 401
    assert asked(redis) == before
    with gateway.stream(path) as stream:
        redis.publish("user:7", '{"type":"hello"}')
        assert stream.receive()["type"] == "hello"
    with pytest.raises(Refused):
        gateway.stream(path)


def test_a_late_ticket_is_none(gateway, redis):
    ticket = put(redis)
    redis.client.pexpire(f"tg:t:{ticket}", 1)
    until("it has expired", lambda: not redis.client.exists(f"tg:t:{ticket}"))
    assert refusal(gateway, f"/ws/desk?ticket={ticket}") == (401, "ticket_invalid")


def test_its_own_exp_counts_if_it_has_one(gateway, redis):
    assert refusal(gateway, f"/ws/desk?ticket={put(redis, {'sub': '42', 'exp': 1})}") == (401, "ticket_invalid")
    with gateway.connect(f"/ws/desk?ticket={put(redis, {'sub': '42', 'exp': 4000000000})}"):
        pass


@pytest.mark.parametrize("ticket", ["", "short", "a" * 31, "a" * 129, "a" * 32 + "%20", "a" * 32 + "%00", "a" * 16 + "*" + "a" * 16,
                                    "a" * 32 + "%0d%0a", "%c3%a9" * 20, "a" * 32 + ":", "a" * 32 + "/../x"])
def test_what_is_no_ticket_is_refused_and_redis_is_not_asked(gateway, redis, ticket):
    before = asked(redis)
    assert refusal(gateway, f"/ws/desk?ticket={ticket}") == (401, "ticket_invalid")
    assert asked(redis) == before


def test_a_guessed_ticket_is_refused(gateway):
    assert refusal(gateway, f"/ws/desk?ticket={secrets.token_urlsafe(32)}") == (401, "ticket_invalid")


@pytest.mark.parametrize("content", [
    "", "42", "null", "[]", "{}", '{"sub":""}', '{"sub":"1"', '{"sub":"1"}x', '{"sub":"1","sub":"2"}', '{"sub":["1"]}', '{"sub":{}}',
    '{"sub":"1","exp":"tomorrow"}', '{"sub":"1","channels":"execution:7"}', b'{"sub":"\xff"}', '{"sub":"1","x":"' + "y" * 9000 + '"}',
], ids=range(15))
def test_a_ticket_with_nonsense_lets_nobody_in(gateway, redis, content):
    assert refusal(gateway, f"/ws/desk?ticket={put(redis, content)}") == (401, "ticket_invalid")


def test_a_key_of_another_kind_is_no_ticket_and_stays(gateway, redis):
    ticket = secrets.token_urlsafe(32)
    redis.client.rpush(f"tg:t:{ticket}", "x")
    assert refusal(gateway, f"/ws/desk?ticket={ticket}") == (401, "ticket_invalid")
    assert redis.client.exists(f"tg:t:{ticket}")


def test_two_tickets_are_as_good_as_none(gateway, redis):
    first, second = put(redis), put(redis)
    status, _ = refusal(gateway, f"/ws/desk?ticket={first}&ticket={second}")
    assert status in (400, 401)
    assert redis.client.exists(f"tg:t:{first}", f"tg:t:{second}") == 2


def test_pages_see_why(gateway):
    offer = [("Sec-WebSocket-Protocol", "tidegate.v1")]
    with gateway.connect("/ws/desk?ticket=" + "x" * 40, offer) as peer:
        with pytest.raises(Closed) as closed:
            peer.receive()
    assert (closed.value.code, closed.value.reason) == (4001, b"ticket_invalid")


def test_of_two_who_race_with_one_ticket_one_wins(start, gateway, redis, config):
    other = start("--config", config, redis=redis)
    for _ in range(RACES):
        ticket, outcomes = put(redis), []

        def come(node):
            try:
                with node.connect(f"/ws/desk?ticket={ticket}"):
                    outcomes.append(101)
            except Refused as refused:
                outcomes.append(refused.status)

        racers = [threading.Thread(target=come, args=(node,)) for node in (gateway, other)]
        for racer in racers:
            racer.start()
        for racer in racers:
            racer.join()
        assert sorted(outcomes) == [101, 401]


def test_frames_that_came_with_the_request_are_kept_for_who_is_let_in(gateway, redis):
    early = frame(TEXT, b'{"type":"ping","id":1}')
    with WebSocket(gateway.address) as peer:
        peer.send_raw(handshake(f"/ws/desk?ticket={put(redis)}") + early)
        response = peer.read_response()
        assert response.status == 101
        peer.pending, response.body = response.body, b""
        assert peer.receive()["type"] == "pong"
    answer = exchange(gateway.address, handshake("/ws/desk?ticket=" + "x" * 40) + early)
    assert answer.status == 401


def test_a_request_in_pieces_is_one(gateway, redis):
    request = handshake(f"/ws/desk?ticket={put(redis)}")
    with WebSocket(gateway.address) as peer:
        for at in range(0, len(request), 20):
            peer.send_raw(request[at:at + 20])
        assert peer.read_response().status == 101


# Redis is away, slow, old, or does not let us

def test_without_redis_clients_are_told_to_come_again(start, own_redis, config):
    node = start("--config", config, redis=own_redis)
    own_redis.kill()
    until("it is noticed", lambda: node.get("/ready").status == 503)
    answer = exchange(node.address, handshake("/ws/desk?ticket=" + "x" * 40))
    assert (answer.status, json.loads(answer.body)["data"]["code"]) == (503, "unavailable")
    assert 1 <= int(answer.headers["retry-after"]) <= 5
    own_redis.start()
    node.wait_until_ready()
    with node.connect(f"/ws/desk?ticket={put(own_redis)}"):
        pass


def stopped(own_redis):
    own_redis.process.signal(signal.SIGSTOP)


def test_a_redis_that_hangs_is_waited_for_and_no_longer_than_it_may(start, own_redis, config):
    node = start("--config", config, "--workers", "1", redis=own_redis)
    ticket = put(own_redis)
    stopped(own_redis)
    try:
        with WebSocket(node.address) as leaver:
            leaver.send_raw(handshake("/ws/desk?ticket=" + "y" * 40))
        answer = exchange(node.address, handshake(f"/ws/desk?ticket={ticket}"))
        assert (answer.status, json.loads(answer.body)["data"]["code"]) == (503, "unavailable")
    finally:
        own_redis.process.signal(signal.SIGCONT)
    node.wait_until_ready()
    until("the connections are gone", lambda: node.metric("tidegate_connections") == 0)
    with node.connect(f"/ws/desk?ticket={put(own_redis)}"):
        pass


def test_one_who_leaves_while_it_is_asked_leaves_nothing_behind(start, own_redis, config):
    node = start("--config", config, "--workers", "1", redis=own_redis)
    stopped(own_redis)
    try:
        for _ in range(sized(50, 10)):
            with WebSocket(node.address) as peer:
                peer.send_raw(handshake("/ws/desk?ticket=" + "y" * 40))
    finally:
        own_redis.process.signal(signal.SIGCONT)
    with node.connect(f"/ws/desk?ticket={put(own_redis)}"):
        pass


def test_a_gateway_may_end_while_it_asks(start, own_redis, config):
    node = start("--config", config, redis=own_redis)
    stopped(own_redis)
    peers = []
    try:
        for _ in range(10):
            peers.append(WebSocket(node.address))
            peers[-1].send_raw(handshake("/ws/desk?ticket=" + "y" * 40))
        node.stop()
    finally:
        own_redis.process.signal(signal.SIGCONT)
        for peer in peers:
            peer.abandon()


@pytest.mark.skipif(SANITIZER != "none", reason="more connections than an instrumented binary carries in the time")
def test_only_so_many_are_asked_for_at_one_time(start, own_redis, config):
    node = start("--config", config, "--workers", "1", redis=own_redis)
    stopped(own_redis)
    peers = []
    try:
        for _ in range(IN_FLIGHT_MAX + 1):
            peers.append(WebSocket(node.address))
            peers[-1].send_raw(handshake("/ws/desk?ticket=" + "y" * 40))
        answer = peers[-1].read_response()
        assert (answer.status, json.loads(answer.body)["data"]["code"]) == (503, "unavailable")
    finally:
        own_redis.process.signal(signal.SIGCONT)
        for peer in peers:
            peer.abandon()
    with node.connect(f"/ws/desk?ticket={put(own_redis)}"):
        pass


def test_a_redis_that_is_too_old_is_named_and_the_ticket_is_not(start, tmp_path, own_redis, config):
    own_redis.kill()
    own_redis.options = ("--rename-command", "GETDEL", "")
    own_redis.start()
    node = start("--config", config, "--log-level", "debug", redis=own_redis)
    ticket = put(own_redis)
    assert refusal(node, f"/ws/desk?ticket={ticket}") == (503, "unavailable")
    line = node.wait_for_line("redis refused to look up a ticket")
    assert "6.2" in line.fields["remedy"]
    assert not [line for line in node.log() if ticket in line.text]


def test_a_right_that_is_missing_is_named(start, redis, config):
    redis.client.execute_command(
        "ACL", "SETUSER", "lean", "reset", "on", ">secret", "resetchannels", "&*", "~tg:*", "+@all", "-getdel")
    node = start("--config", config, redis=f"redis://lean:secret@127.0.0.1:{redis.port}")
    assert refusal(node, f"/ws/desk?ticket={put(redis)}") == (503, "unavailable")
    assert "+getdel" in node.wait_for_line("redis refused to look up a ticket").fields["remedy"]
    redis.client.acl_setuser("lean", commands=["+getdel"])
    with node.connect(f"/ws/desk?ticket={put(redis)}"):
        pass
    redis.client.acl_deluser("lean")


def test_the_prefix_of_channels_stands_before_tickets_too(start, redis, config):
    node = start("--config", config, "--channel-prefix", "app:", redis=redis)
    assert refusal(node, f"/ws/desk?ticket={put(redis)}") == (401, "ticket_invalid")
    with node.connect(f"/ws/desk?ticket={put(redis, prefix='app:')}"):
        pass


def test_tickets_need_a_redis(config):
    told = run("check", "--config", config)
    assert told.returncode == 2 and "tickets" in told.stderr and "redis" in told.stderr


def test_no_ticket_is_in_the_log(start, redis, config):
    node = start("--config", config, "--log-level", "debug", redis=redis)
    good, bad, malformed = put(redis), secrets.token_urlsafe(32), "secret-but-malformed*"
    with node.connect(f"/ws/desk?ticket={good}"):
        pass
    for ticket in (good, bad, malformed):
        assert refusal(node, f"/ws/desk?ticket={ticket}") == (401, "ticket_invalid")
    node.stop()
    text = "".join(line.text for line in node.log())
    assert "ticket_invalid" in text
    for ticket in (good, bad, malformed):
        assert ticket not in text

"""Redis goes away and comes back: clients stay, the operator is told, events flow again within two seconds."""

import json
import random
import signal
import time

import pytest

from harness.gateway import TALKATIVE
from harness.redis_server import RedisServer
from harness.wait import sized, until
from harness.websocket import WebSocket

BACK_WITHIN_SECONDS = 2  # of Redis answering again: the promise
NOTICED_WITHIN_SECONDS = 9  # a Redis that hangs, by the probe: docs/testing.md F2
BUSY_SECONDS = 5  # that we may see it later, on a busy machine


@pytest.fixture
def gateway(start, own_redis):
    return start(redis=own_redis)


def redis_lines(gateway):
    """What the log says about Redis at the levels that an operator reads."""
    return [line for line in gateway.log() if "redis" in line.message.lower() and line.level in ("info", "warn", "error")]


def not_ready(gateway):
    return gateway.get("/ready").status == 503


def first_event_after_return(redis, peer, deadline):
    """Publishes a number now and then until one arrives: the seconds since Redis answered."""
    peer.socket.settimeout(0.05)
    began = time.monotonic()
    number = 0
    while True:
        redis.publish("cards", json.dumps({"type": "n", "data": number}))
        number += 1
        try:
            peer.receive()
            return time.monotonic() - began
        except AssertionError:  # nothing yet
            assert time.monotonic() - began < deadline, "events do not flow again"


def test_clients_stay_connected_and_events_flow_within_two_seconds(gateway, own_redis, figure):
    with gateway.connect("/ws/cards") as peer, gateway.connect("/ws/execution/e") as other:
        own_redis.kill()
        until("/ready says 503", lambda: not_ready(gateway))
        assert peer.ask({"type": "ping"})["type"] == "pong"
        own_redis.start()
        seconds = first_event_after_return(own_redis, peer, 10)
        figure("events flow after Redis is back", f"{seconds:.2f} s")
        assert seconds <= BACK_WITHIN_SECONDS
        own_redis.publish("execution:e", '{"type":"other"}')
        assert other.receive()["type"] == "other"
        gateway.wait_until_ready()


def test_the_log_says_it_in_two_lines(gateway, own_redis):
    with gateway.connect("/ws/cards"):
        before = len(redis_lines(gateway))
        own_redis.kill()
        until("/ready says 503", lambda: not_ready(gateway))
        until("several attempts were made", lambda: gateway.api("/status")["broker"]["n_attempts"] >= 5)
        own_redis.start()
        gateway.wait_until_ready()
    lines = redis_lines(gateway)[before:]
    assert [line.level for line in lines] == ["warn", "info"], lines


def test_many_channels_are_all_back(gateway, own_redis):
    count = sized(2000, 300)
    with gateway.connect("/ws/cards") as peer:
        peers = [gateway.connect(f"/ws/items/{number}") for number in range(count)]
        own_redis.kill()
        until("/ready says 503", lambda: not_ready(gateway))
        own_redis.start()
        first_event_after_return(own_redis, peer, 10)
        names = [f"items:{number}" for number in range(count)]
        until("all are subscribed", lambda: all(n for _, n in own_redis.client.pubsub_numsub(*names)))
        for number in range(count):
            assert own_redis.publish(f"items:{number}", json.dumps({"type": "n", "data": number})) == 1
        for number, other in enumerate(peers):
            assert other.receive()["data"] == number
            other.abandon()


def test_ready_names_redis_and_live_stays_green(gateway, own_redis):
    assert gateway.get("/live").status == 200
    own_redis.kill()
    until("/ready says 503", lambda: not_ready(gateway))
    answer = gateway.get("/ready")
    assert "redis" in json.dumps(answer.json()).lower()
    assert str(own_redis.port) in answer.body.decode()
    assert gateway.get("/live").status == 200


def test_a_publish_through_the_gateway_meanwhile_is_refused_not_lost(gateway, own_redis):
    own_redis.kill()
    until("/ready says 503", lambda: not_ready(gateway))
    result = gateway.publish("cards", "{}")
    assert result.returncode not in (0, 2)
    assert "redis" in result.stderr.lower()
    assert len(result.stderr.splitlines()) == 1


def test_a_gateway_started_before_redis_becomes_ready(start, own_redis):
    own_redis.kill()
    gateway = start(redis=own_redis, ready=False)
    assert gateway.get("/live").status == 200
    assert gateway.get("/ready").status == 503
    own_redis.start()
    gateway.wait_until_ready()
    with gateway.connect() as peer:
        own_redis.publish("cards", '{"type":"hello"}')
        assert peer.receive()["type"] == "hello"


def test_a_subscribe_while_redis_is_away_is_kept(gateway, own_redis):
    with gateway.connect("/ws/cards") as peer:
        own_redis.kill()
        until("/ready says 503", lambda: not_ready(gateway))
        peer.send({"type": "subscribe", "id": 1, "data": {"channel": "items:later"}})
        own_redis.start()
        answer = peer.receive()
        if answer["type"] == "error":  # told so at once, and free to ask again
            assert answer["data"]["code"] == "unavailable"
            gateway.wait_until_ready()
            answer = peer.ask({"type": "subscribe", "id": 1, "data": {"channel": "items:later"}})
        assert (answer["type"], answer["id"]) == ("subscribed", 1)
        own_redis.publish("items:later", '{"type":"hello"}')
        assert peer.receive()["type"] == "hello"


def test_a_redis_that_hangs_is_noticed_and_its_return_too(gateway, own_redis):
    with gateway.connect("/ws/cards") as peer:
        own_redis.process.signal(signal.SIGSTOP)
        try:
            until("/ready says 503", lambda: not_ready(gateway), NOTICED_WITHIN_SECONDS + BUSY_SECONDS)
            assert gateway.get("/live").status == 200
        finally:
            own_redis.process.signal(signal.SIGCONT)
        gateway.wait_until_ready()
        own_redis.publish("cards", '{"type":"hello"}')
        assert peer.receive()["type"] == "hello"


@pytest.mark.plain  # a Redis that hangs is given up after 2 s, and 20 MiB take longer under a sanitizer
def test_who_publishes_more_than_redis_takes_is_told_that(gateway, own_redis):
    body = json.dumps({"channel": "cards", "payload": "x" * 1_000_000}).encode()
    head = b"POST /publish HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
    own_redis.process.signal(signal.SIGSTOP)
    peers = [WebSocket(gateway.admin_address) for _ in range(20)]
    try:
        for peer in peers:
            peer.send_raw(head + body)
        answer = peers[-1].read_response()
        assert answer.status == 503 and b"does not keep up" in answer.body
    finally:
        own_redis.process.signal(signal.SIGCONT)
        for peer in peers:
            peer.abandon()


def test_a_killed_connection_is_redialled(gateway, own_redis):
    with gateway.connect("/ws/cards") as peer:
        for _ in range(5):
            own_redis.client.client_kill_filter(_type="pubsub", skipme=True)
            own_redis.client.client_kill_filter(_type="normal", skipme=True)
            first_event_after_return(own_redis, peer, 10)
            peer.socket.settimeout(10)
            own_redis.publish("cards", '{"type":"end"}')
            while peer.receive()["type"] != "end":
                pass


def say_and_hear(peers, commands):
    """Each (peer, type, channel) is said; returns when each is answered."""
    for number, (peer, kind, channel) in enumerate(commands):
        peer.send({"type": kind, "id": number, "data": {"channel": channel}})
    owed = {number: peer for number, (peer, _, _) in enumerate(commands)}
    for peer in peers:
        while peer in owed.values():
            answer = peer.receive()
            assert answer["type"] != "error" or answer["data"]["code"] == "unavailable", answer
            owed.pop(answer["id"])


def test_subscriptions_are_as_asked_whatever_became_of_the_links_meanwhile(start, own_redis):
    """Last ones leave, and first ones come, while links die. (StackExchange.Redis 1110, centrifugal/centrifuge 77, node-redis 467)"""
    gateway, chance, channels = start(*TALKATIVE, redis=own_redis), random.Random(1), [f"items:{n}" for n in range(12)]
    peers = [gateway.connect("/ws/cards") for _ in range(6)]
    for _ in range(8):
        commands = [(chance.choice(peers), chance.choice(["subscribe", "unsubscribe"]), chance.choice(channels)) for _ in range(100)]
        own_redis.client.client_kill_filter(_type=chance.choice(["pubsub", "normal"]), skipme=True)
        say_and_hear(peers, commands)
    gateway.wait_until_ready()
    wanted = {peer: set(chance.sample(channels, 2)) for peer in peers}
    say_and_hear(peers, [(peer, "subscribe" if channel in wanted[peer] else "unsubscribe", channel) for peer in peers for channel in channels])
    until("Redis has what is wanted, and no more", lambda: set(own_redis.client.pubsub_channels("items:*"))
          == {channel.encode() for channel in set.union(*wanted.values())})
    for channel in channels:
        own_redis.publish(channel, json.dumps({"type": "n", "data": channel}))
    own_redis.publish("cards", '{"type":"end"}')
    for peer in peers:
        heard = []
        while (message := peer.receive())["type"] != "end":
            heard.append(message["data"])
        assert sorted(heard) == sorted(wanted[peer])
        peer.abandon()


def test_a_unix_socket_will_do(start, own_redis):
    gateway = start(redis=f"unix://{own_redis.socket_path}")
    with gateway.connect() as peer:
        own_redis.publish("cards", '{"type":"hello"}')
        assert peer.receive()["type"] == "hello"


def test_a_password_and_an_acl_user_will_do_and_are_never_logged(start, tmp_path):
    directory = tmp_path / "secret"
    directory.mkdir()
    server = RedisServer(directory, password="s3cret-of-default")
    try:
        server.client.acl_setuser("gate", enabled=True, passwords=["+s3cret-of-gate"], categories=["+@all"],
                                  keys=["*"], channels=["*"])
        users = [server.url, f"redis://gate:s3cret-of-gate@127.0.0.1:{server.port}/0"]
        for gateway in [start(redis=url) for url in users]:
            with gateway.connect() as peer:
                server.publish("cards", '{"type":"hello"}')
                assert peer.receive()["type"] == "hello"
            told = gateway.process.stderr() + gateway.get("/ready").body.decode()
            assert "s3cret" not in told
    finally:
        server.stop()


def test_a_wrong_password_is_said_and_not_hammered(start, tmp_path):
    directory = tmp_path / "secret"
    directory.mkdir()
    server = RedisServer(directory, password="right")
    try:
        gateway = start(redis=f"redis://:wr0ng@127.0.0.1:{server.port}", ready=False)
        answer = until("the reason is in /ready",
                       lambda: "WRONGPASS" in gateway.get("/ready").body.decode() and gateway.get("/ready"))
        assert answer.status == 503
        assert len(redis_lines(gateway)) <= 3
        assert "wr0ng" not in gateway.process.stderr() + answer.body.decode()
    finally:
        server.stop()


# Of a key, in microseconds: Redis then takes ten seconds for a file of a thousand, and answers in between.
LOADS_SLOWLY = ["--key-load-delay", "10000", "--loading-process-events-interval-bytes", "1024"]


def test_a_redis_that_still_reads_its_files_is_not_ready(gateway, own_redis):
    gateway.wait_until_ready()
    own_redis.client.mset({f"key-{i}": "x" * 100 for i in range(1000)})
    own_redis.client.save()
    own_redis.kill()
    until("/ready says 503", lambda: not_ready(gateway))
    own_redis.options = LOADS_SLOWLY
    own_redis.launch()
    until("/ready says why", lambda: "LOADING" in gateway.get("/ready").json()["broker"].get("reason", ""))
    assert own_redis.client.info("persistence")["loading"] == 1
    own_redis.client.config_set("key-load-delay", 0)
    gateway.wait_until_ready()
    assert own_redis.client.info("persistence")["loading"] == 0


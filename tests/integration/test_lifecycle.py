"""Who comes and goes, as entries of a stream: each once, whatever dies."""

import json
import signal
import sys

import pytest

from harness.gateway import ROOT, TALKATIVE
from harness.tokens import SECRET, Issuer
from harness.wait import until
from harness.websocket import CLOSE

sys.path.insert(0, str(ROOT / "src/clients/python"))

# pylint: disable=wrong-import-position
from tidegate import shard_of  # noqa: E402

CONFIG = """
routes:
  - path: /ws/cards
    channel: cards
    auth: optional
    lifecycle: sessions
  - path: "/ws/rooms/{room}"
    channel: "room:{room}"
    auth: optional
    lifecycle: {stream: sessions, events: [connected, disconnected, occupied, vacated]}
  - path: /ws/ends
    channel: ends
    auth: optional
    lifecycle: {stream: ends, events: [disconnected]}
  - path: /ws/plain
    channel: plain
    auth: optional
"""
LEASE = ("--node-lease", "1500ms")


@pytest.fixture
def issuer():
    return Issuer()


@pytest.fixture
def gateways(start, own_redis, tmp_path):
    """gateways(n, …options) are running."""

    def start_some(count=1, *options, redis=own_redis, config=CONFIG):
        file = tmp_path / "tidegate.yaml"
        file.write_text(config, encoding="utf-8")
        return [start("--config", file, "--token-secret", SECRET, *TALKATIVE, *LEASE, *options, redis=redis) for _ in range(count)]

    return start_some


def connect(gateway, issuer=None, user=None, path="/ws/cards", **options):
    headers = [("Authorization", f"Bearer {issuer.token(sub=user)}")] if user else []
    return gateway.connect(path, headers, **options)


def entries(redis, *events, stream="sessions"):
    """The fields of the stream's entries, as texts; only those of these events."""
    found = [{name.decode(): value.decode() for name, value in fields.items()} for _, fields in redis.client.xrange(stream)]
    return [entry for entry in found if not events or entry["event"] in events]


def said(redis, stream="sessions"):
    """Event and reason, by connection."""
    by_connection = {}
    for entry in entries(redis, "connected", "disconnected", stream=stream):
        by_connection.setdefault(entry["conn"], []).append((entry["event"], entry.get("reason")))
    return by_connection


def channels(redis):
    return [(entry["event"], entry["channel"]) for entry in entries(redis, "occupied", "vacated")]


def open_now(redis):
    """How many connections count as open, by what was said."""
    return sum(events[-1][0] == "connected" for events in said(redis).values())


def die(gateway):
    """Without a word."""
    gateway.process.ended = True
    gateway.process.kill()


def ends(reason):
    return [("connected", None), ("disconnected", reason)]


def test_who_comes_and_goes_is_an_entry_each(gateways, issuer, own_redis):
    (gateway,) = gateways()
    with connect(gateway, issuer, "Zoë 1", path="/ws/rooms/7") as peer:
        until("it is said", lambda: len(entries(own_redis, "connected")) == 1)
        peer.close(4321)
    until("it has gone", lambda: len(entries(own_redis)) == 4)
    came, went = entries(own_redis, "connected", "disconnected")
    at = int(came["at"])
    node, number = came["conn"].split(".")
    assert number.isdigit()
    assert came == {"event": "connected", "conn": f"{node}.{number}", "user": "Zoë 1", "route": "/ws/rooms/{room}", "vars": '{"room":"7"}',
                    "at": str(at), "node": node}
    assert went == {**came, "event": "disconnected", "at": went["at"], "code": "4321", "reason": "peer"}
    occupied, vacated = entries(own_redis, "occupied", "vacated")
    assert occupied == {"event": "occupied", "channel": "room:7", "at": occupied["at"], "node": node}
    assert vacated == {**occupied, "event": "vacated", "at": vacated["at"]}
    seconds, micros = own_redis.client.time()
    assert seconds * 1000 + micros / 1000 - 60000 < at <= int(went["at"]) <= int(vacated["at"]) + 2000
    assert not entries(own_redis, stream="ends")


@pytest.mark.plain
def test_a_route_says_only_what_it_lists_and_others_nothing(gateways, own_redis):
    (gateway,) = gateways()
    with connect(gateway, path="/ws/plain"), connect(gateway, path="/ws/ends"):
        until("both are there", lambda: gateway.metric("tidegate_connections") == 2)
    until("one has gone", lambda: len(entries(own_redis, stream="ends")) == 1)
    (went,) = entries(own_redis, stream="ends")
    assert (went["event"], went["reason"]) == ("disconnected", "gone") or went["reason"] == "peer"
    assert not entries(own_redis)


@pytest.mark.plain
def test_each_end_has_its_reason(gateways, own_redis):
    one, two = gateways(2)
    closed, kicked = connect(one), connect(two)
    until("both are said", lambda: open_now(own_redis) == 2)
    names = {entry["node"]: entry["conn"] for entry in entries(own_redis, "connected")}
    closed.close(1000)
    closed.abandon()
    until("it has gone", lambda: open_now(own_redis) == 1)
    (left,) = [conn for conn in names.values() if said(own_redis)[conn] == [("connected", None)]]
    assert two.get("/control", "POST", json.dumps({"do": "disconnect", "conn": left, "code": 4222, "reason": "enough"}).encode()).status == 200
    assert kicked.close_code() == 4222
    kicked.socket.close()
    until("all have gone", lambda: open_now(own_redis) == 0)
    assert sorted(said(own_redis).values()) == sorted([ends("peer"), ends("disconnected")])
    (kick,) = [entry for entry in entries(own_redis, "disconnected") if entry["reason"] == "disconnected"]
    assert kick["code"] == "4222"


def test_a_gateway_that_ends_says_why_its_connections_ended_before_it_does(gateways, own_redis):
    (gateway,) = gateways()
    peers = [connect(gateway) for _ in range(20)]
    until("all are said", lambda: open_now(own_redis) == 20)
    gateway.process.signal(signal.SIGTERM)
    for peer in peers:
        assert peer.close_code() == 1012
        peer.abandon()
    gateway.stop()
    assert list(said(own_redis).values()) == [ends("restart")] * 20


def test_a_gateway_that_is_killed_leaves_no_connection_open_and_each_is_said_once(gateways, own_redis):
    one, two, three = gateways(3)
    with connect(one), connect(three, path="/ws/rooms/1"):
        peers = [connect(two, path=f"/ws/rooms/{number}") for number in range(40)]
        until("all are said", lambda: open_now(own_redis) == 42)
        until("all are occupied", lambda: len(channels(own_redis)) == 41)
        die(two)
        until("they are lost", lambda: open_now(own_redis) == 2)
        until("it is cleared up", lambda: one.metric("tidegate_dead_nodes_cleared_total") +
              three.metric("tidegate_dead_nodes_cleared_total") == 1)
        for peer in peers:
            peer.socket.close()
        events = list(said(own_redis).values())
        assert events.count(ends("node_lost")) == 40 and len(events) == 42
        assert sorted(name for event, name in channels(own_redis) if event == "vacated") == \
            sorted(f"room:{number}" for number in range(40) if number != 1)
        assert one.metric("tidegate_lifecycle_lost_total") + three.metric("tidegate_lifecycle_lost_total") == 40


@pytest.mark.plain
def test_a_gateway_that_was_away_for_longer_than_its_lease_puts_back_what_is_alive(gateways, own_redis):
    one, two = gateways(2)
    with connect(one), connect(two) as stays, connect(two) as leaves:
        until("all are said", lambda: open_now(own_redis) == 3)
        two.process.signal(signal.SIGSTOP)
        try:
            until("they are lost", lambda: open_now(own_redis) == 1)
            leaves.socket.close()
        finally:
            two.process.signal(signal.SIGCONT)
        until("one is there again", lambda: open_now(own_redis) == 2)
        assert stays.ask({"type": "ping"})["type"] == "pong"
        until("the other has gone", lambda: two.metric("tidegate_connections") == 1)
    until("all have gone", lambda: open_now(own_redis) == 0)
    events = sorted(said(own_redis).values(), key=len)
    assert [len(some) for some in events] == [2, 2, 4]
    assert events[2][1] == ("disconnected", "node_lost") and events[2][2] == ("connected", None)
    assert channels(own_redis) == [("occupied", "cards"), ("vacated", "cards")] or len(channels(own_redis)) == 1


@pytest.mark.plain
def test_what_happened_while_redis_was_away_is_said_when_it_is_back(gateways, own_redis):
    (gateway,) = gateways(1)
    own_redis.client.config_set("save", "")
    stays, leaves = connect(gateway), connect(gateway)
    until("both are said", lambda: open_now(own_redis) == 2)
    own_redis.client.save()
    own_redis.kill()
    until("it is away", lambda: gateway.get("/ready").status == 503)
    leaves.close()
    connect(gateway).close()
    until("they have gone", lambda: gateway.metric("tidegate_connections") == 1)
    with stays, connect(gateway):
        own_redis.start()
        gateway.wait_until_ready()
        until("the truth", lambda: len(said(own_redis)) == 4 and open_now(own_redis) == 2)
        assert sorted(said(own_redis).values(), key=len) == [[("connected", None)]] * 2 + [ends("peer")] * 2
    until("all have gone", lambda: open_now(own_redis) == 0)
    assert all(len(events) == 2 and events[1][1] != "node_lost" for events in said(own_redis).values())


@pytest.mark.plain
def test_a_redis_that_lost_its_data_is_told_again(gateways, own_redis):
    one, two = gateways(2)
    stays, leaves = connect(one), connect(one)
    with stays, connect(two):
        until("all are said", lambda: open_now(own_redis) == 3)
        own_redis.kill()
        for gateway in (one, two):
            until("it is away", lambda gateway=gateway: gateway.get("/ready").status == 503)
        leaves.close()
        until("it has gone", lambda: one.metric("tidegate_connections") == 1)
        own_redis.start()  # empty
        until("it is said again", lambda: len(said(own_redis)) == 3 and open_now(own_redis) == 2)
        assert sorted(said(own_redis).values(), key=str) == sorted([[("connected", None)]] * 2 + [[("disconnected", "peer")]], key=str)
        assert channels(own_redis) == [("occupied", "cards")]
    until("all have gone", lambda: open_now(own_redis) == 0)
    until("nobody listens", lambda: channels(own_redis) == [("occupied", "cards"), ("vacated", "cards")])


@pytest.mark.plain
def test_a_channel_is_occupied_once_over_all_gateways(gateways, own_redis):
    one, two = gateways(2)
    with connect(one, path="/ws/rooms/1"):
        until("it is said", lambda: channels(own_redis) == [("occupied", "room:1")])
        with connect(two, path="/ws/rooms/1"), connect(two, path="/ws/plain") as guest:
            guest.ask({"type": "subscribe", "data": {"channel": "room:1"}})
            until("both count", lambda: own_redis.client.hget("tg:o:{sessions}", "room:1") == b"2")
    until("nobody listens", lambda: channels(own_redis) == [("occupied", "room:1"), ("vacated", "room:1")])
    assert not own_redis.client.exists("tg:o:{sessions}")


@pytest.mark.plain
def test_a_stream_of_another_kind_is_said_in_the_log_and_filled_once_it_is_gone(gateways, own_redis):
    own_redis.client.set("sessions", "text")
    (gateway,) = gateways()
    with connect(gateway):
        until("the log says so", lambda: gateway.lines("redis refused a call of our library", function="tidegate_session"))
        own_redis.client.delete("sessions")
        until("it is said", lambda: open_now(own_redis) == 1)
    until("it has gone", lambda: open_now(own_redis) == 0)
    assert len(said(own_redis)) == 1


@pytest.mark.plain
def test_a_crowd_that_came_while_redis_was_slow_is_one_call(gateways, issuer, own_redis):
    """Of presence as well: both say what has gathered while a call is under way."""
    (gateway,) = gateways(1, config=CONFIG.replace("lifecycle: sessions", "lifecycle: sessions, presence: {grace: 0s}".replace(", ", "\n    ")))
    with connect(gateway, issuer, "first"):
        until("it is said", lambda: open_now(own_redis) == 1)
        own_redis.process.signal(signal.SIGSTOP)
        try:
            peers = [connect(gateway, issuer, f"user-{number}") for number in range(230)]
        finally:
            own_redis.process.signal(signal.SIGCONT)
        until("all are said", lambda: open_now(own_redis) == 231)
        until("all are there", lambda: own_redis.client.hlen("tg:q:{cards}") == 231)
        for peer in peers:
            peer.socket.close()
    until("all have gone", lambda: open_now(own_redis) == 0)
    assert len(said(own_redis)) == 231


@pytest.mark.plain
def test_a_peer_that_falls_silent_is_said_to_be_gone(gateways, own_redis):
    (gateway,) = gateways(1, "--ping-interval", "300ms", "--pong-timeout", "300ms")
    silent = connect(gateway)
    while silent.receive_bits()[0] & 0x0F != CLOSE:  # it answers no ping
        pass
    silent.abandon()
    until("it is said", lambda: list(said(own_redis).values()) == [ends("no_pong")])


def test_who_is_back_at_once_is_another_connection_and_the_former_has_ended_before(gateways, issuer, own_redis):
    (gateway,) = gateways()
    for _ in range(10):
        connect(gateway, issuer, "42").abandon()
        until("it has gone", lambda: gateway.metric("tidegate_connections") == 0)
    until("all is said", lambda: len(entries(own_redis, "disconnected")) == 10)
    told = entries(own_redis, "connected", "disconnected")
    assert [entry["event"] for entry in told] == ["connected", "disconnected"] * 10
    assert [one["conn"] for one in told[::2]] == [one["conn"] for one in told[1::2]] and len(said(own_redis)) == 10


@pytest.mark.plain
def test_what_the_last_gateway_left_is_said_by_the_next(gateways, own_redis):
    (one,) = gateways()
    with connect(one):
        until("it is said", lambda: open_now(own_redis) == 1)
        die(one)
    (left,) = own_redis.client.keys("tg:l:{sessions}:*")
    gateways()
    until("it is lost", lambda: list(said(own_redis).values()) == [ends("node_lost")])
    until("nobody listens", lambda: channels(own_redis) == [("occupied", "cards"), ("vacated", "cards")])
    until("its last call is remembered for a day, for it may only be cut off", lambda: 86000 < own_redis.client.ttl(left) <= 86400)


@pytest.mark.plain
def test_who_died_before_the_server_of_the_leases_forgot_them_is_said_to_be_lost(gateways, own_redis, second_redis):
    """The leases are on the first server, the stream is on the other."""
    leases, stream = own_redis, second_redis
    name = next(name for name in (f"sessions{n}" for n in range(64)) if shard_of(name, 2) == 1)
    config = CONFIG.replace("sessions", name)
    stay, dies = gateways(2, redis=f"{leases.url},{stream.url}", config=config)
    with connect(stay) as peer, connect(stay, path="/ws/rooms/a"), connect(dies, path="/ws/rooms/b"):
        until("all are said", lambda: len(entries(stream, "connected", "occupied", stream=name)) == 6)
        leases.kill()
        die(dies)
        until("it is away", lambda: stay.get("/ready").json()["broker"]["state"] == "partial")
        leases.start()  # empty
        until("who died is lost", lambda: [entry["reason"] for entry in entries(stream, "disconnected", stream=name)] == ["node_lost"])
        until("and its channel", lambda: [entry["channel"] for entry in entries(stream, "vacated", stream=name)] == ["room:b"])
        peer.close()
        until("who left has left", lambda: len(entries(stream, "disconnected", stream=name)) == 2)
        assert len(entries(stream, "connected", stream=name)) == 3


@pytest.mark.plain
def test_an_event_stream_is_a_connection(gateways, own_redis):
    (gateway,) = gateways()
    with gateway.stream("/sse/cards"):
        until("it is said", lambda: open_now(own_redis) == 1)
    until("it has gone", lambda: open_now(own_redis) == 0)
    ((_, (_, reason)),) = said(own_redis).values()
    assert reason in ("gone", "peer")


@pytest.mark.plain
def test_what_is_said_of_channels_follows_a_reload_and_connections_keep_what_they_came_with(gateways, own_redis, tmp_path):
    (gateway,) = gateways()
    file = tmp_path / "tidegate.yaml"
    with connect(gateway):
        until("it is occupied", lambda: channels(own_redis) == [("occupied", "cards")])
        file.write_text(CONFIG.replace("lifecycle: sessions", "lifecycle: off").replace("    lifecycle: off\n", ""), encoding="utf-8")
        assert gateway.get("/reload", "POST").status == 200
        until("it is vacated", lambda: channels(own_redis) == [("occupied", "cards"), ("vacated", "cards")])
        with connect(gateway):
            until("both are there", lambda: gateway.metric("tidegate_connections") == 2)
        assert open_now(own_redis) == 1
        file.write_text(CONFIG, encoding="utf-8")
        assert gateway.get("/reload", "POST").status == 200
        until("it is occupied again", lambda: channels(own_redis)[2:] == [("occupied", "cards")])
    until("it has gone", lambda: list(said(own_redis).values()) == [ends("gone")])


@pytest.mark.plain
def test_a_channel_follows_its_route_to_another_stream_and_ends_with_the_last_lifecycle(gateways, own_redis, tmp_path):
    one_route = "routes:\n  - path: /ws/cards\n    channel: cards\n    auth: optional\n"
    (gateway,) = gateways(1, config=one_route + "    lifecycle: {stream: sessions, events: [occupied, vacated]}\n")
    file = tmp_path / "tidegate.yaml"

    def there():
        return [entry["event"] for entry in entries(own_redis, stream="elsewhere")]

    with connect(gateway):
        until("it is occupied", lambda: channels(own_redis) == [("occupied", "cards")])
        file.write_text(one_route + "    lifecycle: {stream: elsewhere, events: [occupied, vacated]}\n", encoding="utf-8")
        assert gateway.get("/reload", "POST").status == 200
        until("it has moved", lambda: there() == ["occupied"])
        assert channels(own_redis) == [("occupied", "cards"), ("vacated", "cards")]
        file.write_text(one_route, encoding="utf-8")
        assert gateway.get("/reload", "POST").status == 200
        until("it is vacated", lambda: there() == ["occupied", "vacated"])

"""History and recovery: who comes back gets what was missed, or is told that it cannot be had. Never silence."""

import http.client
import json
import sys
import threading
import time

import pytest
import redis as redis_py

from harness.gateway import ROOT, Gateway, run
from harness.redis_server import DurableRedis
from harness.wait import PATIENCE_SECONDS, sized, until
from harness.websocket import Closed

sys.path.insert(0, str(ROOT / "src/clients/python"))

# pylint: disable=wrong-import-position
from tidegate import NotPublished, Publisher  # noqa: E402

RECOVER_WAIT_SECONDS = 5  # how long a subscribe with a position is held while Redis is away
DEGRADED_AFTER_SECONDS = 3
BUSY_SECONDS = 5  # that we may see something later, on a busy machine
TAIL_LOOK_SECONDS = 8  # between two looks at the tail of a channel
TAIL_CHECK_SECONDS = 10  # within this a lost last event is found
RING = 256  # entries that a node remembers without asking Redis

SHARED_ROUTES = """
routes:
  - {path: "/ws/kept/{id}", channel: "kept:{id}", history: {size: 1000}}
  - {path: "/ws/few/{id}", channel: "few:{id}", history: {size: 10}}
  - {path: "/ws/many/{id}", channel: "many:{id}", history: {size: 5000}}
  - {path: "/ws/dropping/{id}", channel: "dropping:{id}", history: {size: 1000}, slow: {policy: drop_oldest, bytes: 64KiB}}
  - {path: "/ws/pair/{id}", channels: ["left:{id}", "right:{id}"], history: {size: 1000}}
  - {path: "/ws/strict/{id}", channel: "strict:{id}", history: {on_gap: close}}
"""


@pytest.fixture(scope="module")
def other_gateway(tmp_path_factory, redis, config):
    gateway = Gateway(tmp_path_factory.mktemp("other"), "--config", config, redis=redis)
    yield gateway
    gateway.check()
    gateway.stop()


@pytest.fixture
def publish(redis, gateway):
    """publish("kept:a", 7) is one entry in the log with this number; several numbers are several entries."""
    return publisher_of(redis)


def publisher_of(server, size=1000):
    helper = Publisher(server.client, size=size)

    def one(channel, *numbers):
        for number in numbers:
            entry = helper.publish(channel, {"type": "n", "data": number})
        return entry

    return one


def fill(server, channel, count, size=1000, filler=""):
    """So many entries at once, numbered from 1, the way of the helper but without its waiting."""
    pipe = server.client.pipeline(transaction=False)
    for number in range(1, count + 1):
        pipe.execute_command("FCALL", "tidegate_publish", 2, f"tg:s:{{{channel}}}", f"tg:m:{{{channel}}}",
                             json.dumps({"type": "n", "data": number, "filler": filler}), channel, "publish", size + 1,
                             86400000, "abcdefgh")
    return [answer[0].decode() for answer in pipe.execute()]


def keys(channel):
    return f"tg:s:{{{channel}}}", f"tg:m:{{{channel}}}"


def position(server, channel, entry):
    """What a client of this entry has as `pos`."""
    return ".".join([server.client.hget(keys(channel)[1], "e").decode(), *entry.split("-")])


def offset(message):
    return int(message["pos"].split(".")[1])


def numbers(peer, count):
    """The data of the next events, which must be events with positions that follow one another."""
    events = [peer.receive() for _ in range(count)]
    assert all(event["type"] == "n" for event in events), events
    offsets = [offset(event) for event in events]
    assert offsets == list(range(offsets[0], offsets[0] + count)) if offsets else True
    return [event["data"] for event in events]


def back(gateway, path, since):
    """A client that returns: the connection, and the answer about its channel."""
    peer = gateway.connect(f"{path}?since={since}")
    answer = peer.receive()
    assert answer["type"] == "subscribed", answer
    return peer, answer["data"]


def subscribe(peer, channel, **data):
    return peer.ask({"type": "subscribe", "id": 1, "data": {"channel": channel, **data}})


# --- positions ------------------------------------------------------------------------------------


def test_each_event_of_the_log_carries_where_it_stands(gateway, publish):
    with gateway.connect("/ws/kept/positions") as peer:
        entry = publish("kept:positions", 1, 2, 3)
        events = [peer.receive() for _ in range(3)]
    assert [offset(event) for event in events] == [1, 2, 3]
    assert events[2]["pos"].split(".", 1)[1] == entry.replace("-", ".")
    assert len({event["pos"].split(".")[0] for event in events}) == 1, "one epoch"


def test_an_entry_with_forty_thousand_fields_costs_nobody_the_link(gateway, publish, redis):
    channel, reconnects = "kept:fields", gateway.metric("tidegate_redis_reconnects_total")
    first = position(redis, channel, publish(channel, 1))
    stream, place = keys(channel)
    redis.client.xadd(stream, {f"field-{i}": "v" for i in range(40000)}, id="2-7")  # by somebody who writes there himself
    redis.client.hset(place, mapping={"n": 2, "t": 7})
    peer, answer = back(gateway, "/ws/kept/fields", first)
    with peer:
        assert answer["recovered"] and answer["count"] == 0, "it is an entry, and nothing that can be heard"
        assert peer.receive()["data"]["reason"] == "dropped"
        publish(channel, 3)
        assert peer.receive()["data"] == 3
    assert gateway.metric("tidegate_redis_reconnects_total") == reconnects


def test_an_entry_that_cannot_be_sent_is_told_in_its_place(gateway, publish, redis):
    """It was acknowledged, so it is missed: not JSON, as a backend publishes that calls the function itself."""
    channel = "kept:dropped"
    first = position(redis, channel, publish(channel, 1))
    with gateway.connect("/ws/kept/dropped") as unaware, back(gateway, "/ws/kept/dropped", first)[0] as aware:
        redis.client.fcall("tidegate_publish", 2, *keys(channel), "no JSON", channel, "publish", 1001, 86400000, "abcdefgh")
        publish(channel, 3)
        told, after = aware.receive(), aware.receive()
        assert (told["type"], told["data"]["reason"], told["data"]["continuous"]) == ("resync", "dropped", False)
        assert (offset(told["data"]), offset(after), after["data"]) == (2, 3, 3)
        assert unaware.receive()["data"] == 3
    peer, answer = back(gateway, "/ws/kept/dropped", first)
    with peer:
        assert answer["recovered"] and answer["count"] == 1, "one event, and what is told of the other"
        assert peer.receive() == told
        assert numbers(peer, 1) == [3]


def test_the_bound_on_events_is_about_what_was_published(start, redis, config):
    bound = 4096
    gateway = start("--config", config, "--event-bytes-max", bound, redis=redis)
    helper = Publisher(redis.client)
    with gateway.connect("/ws/kept/bound") as peer:
        for size, arrives in ((bound, True), (bound + 1, False), (bound, True)):
            text = '{"type":"n","data":"%s"}' % ("x" * (size - 22))
            helper.publish("kept:bound", text)
            if arrives:
                assert len(peer.receive()["data"]) == size - 22
    assert gateway.metric('tidegate_events_dropped_total{reason="too_big"}') == 1


def test_a_page_that_knows_nothing_hears_events_and_nothing_else(gateway, publish, redis):
    with gateway.connect("/ws/kept/unaware") as peer, gateway.connect("/ws/kept/unaware?since=now") as aware:
        assert aware.receive()["type"] == "subscribed"
        publish("kept:unaware", 1)
        event = peer.receive()
        assert sorted(event) == ["channel", "data", "pos", "timestamp", "type"]
        redis.client.delete(*keys("kept:unaware"))
        publish("kept:unaware", 2)
        assert [aware.receive()["type"] for _ in range(2)] == ["n", "resync"]
        publish("kept:unaware", 3)
        assert numbers(peer, 1) == [3]
        assert peer.ask({"type": "ping"})["type"] == "pong"


def test_a_page_that_knows_nothing_may_ask_to_be_closed_where_events_are_lost(gateway, publish, redis):
    with gateway.connect("/ws/strict/a") as peer:
        publish("strict:a", 1)
        assert peer.receive()["data"] == 1
        redis.client.delete(*keys("strict:a"))
        publish("strict:a", 2)
        with pytest.raises(Closed) as closed:
            while True:
                peer.receive()
        assert closed.value.code == 1012


def test_a_plain_publish_arrives_without_a_position(gateway, publish, redis):
    with gateway.connect("/ws/kept/plain?since=now") as peer:
        assert peer.receive()["type"] == "subscribed"
        publish("kept:plain", 1)
        redis.publish("kept:plain", '{"type":"plain"}')
        publish("kept:plain", 2)
        events = [peer.receive() for _ in range(3)]
    assert [event["type"] for event in events] == ["n", "plain", "n"]
    assert ["pos" in event for event in events] == [True, False, True]


# --- recovered ------------------------------------------------------------------------------------


def test_who_comes_back_gets_what_was_missed_and_then_what_is_new(gateway, publish):
    with gateway.connect("/ws/kept/back") as peer:
        publish("kept:back", 1, 2)
        assert numbers(peer, 1) == [1]
        since = peer.receive()["pos"]
    with gateway.connect("/ws/kept/back") as other:  # what it hears, the node knows
        publish("kept:back", 3, 4, 5)
        assert numbers(other, 3) == [3, 4, 5]
    peer, told = back(gateway, "/ws/kept/back", since)
    with peer:
        assert told == {"channel": "kept:back", "recoverable": True, "recovered": True, "pos": since, "count": 3}
        publish("kept:back", 6)
        assert numbers(peer, 4) == [3, 4, 5, 6]


def test_a_replay_is_no_slow_reader(gateway, redis):
    """It used to give way to itself where it was more than the bound: 1,000 were said to follow, and 228 came."""
    first = position(redis, "dropping:replay", fill(redis, "dropping:replay", 1001, filler="x" * 700)[0])
    with gateway.connect(f"/ws/dropping/replay?since={first}", receive_buffer=4096) as peer:
        answer = peer.receive()["data"]
        assert (answer["recovered"], answer["count"]) == (True, 1000)
        fill(redis, "dropping:replay", 200)
        assert numbers(peer, 1000) == list(range(2, 1002))


def test_an_endpoint_of_several_channels_takes_a_position_of_each(gateway, publish, redis):
    channels = ("left:both", "right:both")
    since = [position(redis, channel, publish(channel, 1, 2)) for channel in channels]
    publish("left:both", 3)
    publish("right:both", 3, 4)
    with gateway.connect("/ws/pair/both?" + "&".join(f"since={one}" for one in reversed(since))) as peer:
        heard = [peer.receive() for _ in range(5)]
    told = {one["data"]["channel"]: one["data"] for one in heard if one["type"] == "subscribed"}
    assert [(told[channel]["recovered"], told[channel]["count"]) for channel in channels] == [(True, 1), (True, 2)]
    assert [one["data"] for one in heard if one.get("channel") == "left:both"] == [3]
    assert [one["data"] for one in heard if one.get("channel") == "right:both"] == [3, 4]


def test_who_was_in_the_middle_of_several_of_one_call_gets_the_others(gateway, redis):
    helper = Publisher(redis.client)
    with gateway.connect("/ws/kept/several?since=now") as peer:
        assert peer.receive()["type"] == "subscribed"
        ids = helper.publish_all("kept:several", [{"type": "n", "data": number} for number in range(1, 301)])
        assert numbers(peer, 300) == list(range(1, 301))
    for known in (2, 299):  # older than the ring, and in it
        peer, answer = back(gateway, "/ws/kept/several", position(redis, "kept:several", ids[known - 1]))
        with peer:
            assert answer["recovered"] and answer["count"] == 300 - known
            assert numbers(peer, 300 - known) == list(range(known + 1, 301))


def test_who_comes_back_again_gets_nothing_again(gateway, publish):
    """Each event of a replay has its own position: with the last of them nothing is missed."""
    publish("kept:again", 1)
    with gateway.connect("/ws/kept/again?since=start") as peer:
        assert peer.receive()["data"]["count"] == 1
        first = peer.receive()["pos"]
    publish("kept:again", 2, 3)
    peer, answer = back(gateway, "/ws/kept/again", first)
    with peer:
        assert answer["recovered"]
        missed = [peer.receive() for _ in range(2)]  # the last of them may come live, and is not counted then
        assert [event["data"] for event in missed] == [2, 3]
        last = missed[-1]["pos"]
    for _ in range(2):
        peer, answer = back(gateway, "/ws/kept/again", last)
        with peer:
            assert (answer["recovered"], answer["count"], answer["pos"]) == (True, 0, last)


def test_a_log_that_somebody_listens_to_does_not_expire(gateway, publish, redis):
    publish("kept:life", 1)
    with gateway.connect("/ws/kept/life?since=now") as peer:
        assert peer.receive()["data"]["recovered"]
        for key in keys("kept:life"):
            redis.client.pexpire(key, (TAIL_CHECK_SECONDS + 5) * 1000)  # nearly
        until("it is kept", lambda: redis.client.pttl(keys("kept:life")[0]) > 3600_000)
        publish("kept:life", 2)
        assert numbers(peer, 1) == [2]


def test_nobody_misses_or_doubles_an_event_while_it_is_published(gateway, redis, publish):
    """Clients come back again and again while a backend publishes without pause."""
    count, since, heard = sized(2000, 400), "start", []
    publish("kept:busy", 0)

    def backend():
        client = redis_py.Redis(port=redis.port)
        helper = Publisher(client, size=5000)
        for number in range(1, count):
            helper.publish("kept:busy", {"type": "n", "data": number})
        client.close()

    thread = threading.Thread(target=backend)
    thread.start()
    visits = 0
    while len(heard) < count:
        peer, told = back(gateway, "/ws/kept/busy", since)
        visits += 1
        with peer:
            assert told["recovered"], told
            for _ in range(min(told["count"] + 20, count - len(heard))):
                event = peer.receive()
                heard.append(event["data"])
                since = event["pos"]
    thread.join()
    assert heard == list(range(count))
    assert visits > 3


def test_subscribe_recovers_as_the_query_does(gateway, publish):
    with gateway.connect("/ws/items/none") as peer:
        publish("kept:verb", 1, 2)
        answer = subscribe(peer, "kept:verb", since="start")
        assert (answer["type"], answer["id"]) == ("subscribed", 1)
        assert answer["data"]["recovered"] and answer["data"]["count"] == 2
        publish("kept:verb", 3)
        assert numbers(peer, 3) == [1, 2, 3]


def test_start_is_all_and_now_is_nothing(gateway, publish):
    publish("kept:ends", 1, 2, 3)
    peer, told = back(gateway, "/ws/kept/ends", "start")
    with peer:
        assert (told["recovered"], told["count"]) == (True, 3)
        assert numbers(peer, 3) == [1, 2, 3]
    peer, told = back(gateway, "/ws/kept/ends", "now")
    with peer:
        assert (told["recovered"], told["count"]) == (True, 0)
        publish("kept:ends", 4)
        assert numbers(peer, 1) == [4]


def test_recover_alone_asks_where_the_channel_stands(gateway, publish, redis):
    entry = publish("kept:where", 1, 2)
    with gateway.connect("/ws/items/where") as peer:
        told = subscribe(peer, "kept:where", recover=True)["data"]
        assert (told["pos"], told["count"]) == (position(redis, "kept:where", entry), 0)


def test_the_position_of_an_empty_log_is_one_to_come_back_with(gateway, publish):
    peer, told = back(gateway, "/ws/kept/empty", "now")
    peer.abandon()
    publish("kept:empty", 1, 2)
    peer, told = back(gateway, "/ws/kept/empty", told["pos"])
    with peer:
        assert told["recovered"]
        assert numbers(peer, 2) == [1, 2]


def test_a_channel_without_history_says_so(gateway):
    peer, told = back(gateway, "/ws/items/forgetful", "now")
    with peer:
        assert told == {"channel": "items:forgetful", "recoverable": False}


def test_the_other_gateway_will_do(gateway, other_gateway, publish):
    with gateway.connect("/ws/kept/moved") as peer:
        publish("kept:moved", 1)
        since = peer.receive()["pos"]
    publish("kept:moved", 2, 3)
    peer, told = back(other_gateway, "/ws/kept/moved", since)
    with peer:
        assert (told["recovered"], told["pos"]) == (True, since)
        publish("kept:moved", 4)
        assert numbers(peer, 3) == [2, 3, 4]


def test_what_the_node_remembers_costs_redis_nothing(gateway, publish):
    with gateway.connect("/ws/kept/ring") as peer:
        publish("kept:ring", *range(10))
        since = peer.receive()["pos"]
        assert numbers(peer, 9) == list(range(1, 10))
        before = calls(gateway)
        clients = [back(gateway, "/ws/kept/ring", since) for _ in range(50)]
        assert all(told["recovered"] and told["count"] == 9 for _, told in clients)
        assert calls(gateway) - before <= 5, "looks at the tails of this file's channels at most"
    for client, _ in clients:
        client.abandon()


def calls(gateway):
    return gateway.metric("tidegate_log_reads_total")


def test_fifty_who_are_far_behind_share_one_read(start, own_redis, config, figure):
    gateway = start("--config", config, redis=own_redis)
    channel, count, behind = "kept:far", 50, RING + 300
    entries = fill(own_redis, channel, 20 + behind)
    since = position(own_redis, channel, entries[19])
    peers = [gateway.connect("/ws/items/crowd") for _ in range(count)]
    with gateway.connect("/ws/kept/far?since=now") as keeper:  # the channel is live, its ring too short
        assert keeper.receive()["data"]["recovered"]
        before, began = gateway.metric("tidegate_log_reads_total"), time.monotonic()
        for peer in peers:
            peer.send({"type": "subscribe", "data": {"channel": channel, "since": since}})
        for peer in peers:
            told = peer.receive()["data"]
            assert (told["recovered"], told["count"]) == (True, behind)
        reads = gateway.metric("tidegate_log_reads_total") - before
        looks = 1 + int((time.monotonic() - began) / TAIL_LOOK_SECONDS)
        for peer in peers:
            assert numbers(peer, behind) == list(range(21, 21 + behind))
    figure("reads of the log for 50 clients behind its memory", int(reads))
    assert reads <= 1 + looks, "one, and a look at the tail now and then"
    for peer in peers:
        peer.abandon()


# --- not recovered --------------------------------------------------------------------------------


def refused(gateway, path, since, reason):
    """Told so with the reason, and where to go on from."""
    peer, told = back(gateway, path, since)
    assert (told["recovered"], told.get("reason")) == (False, reason), told
    assert "count" not in told
    return peer, told["pos"]


def test_older_than_what_is_kept_is_trimmed(gateway, redis):
    entries = fill(redis, "few:a", 900, size=10)  # no more than a replay may have: who is further behind may be told that
    peer, pos = refused(gateway, "/ws/few/a", position(redis, "few:a", entries[0]), "trimmed")
    with peer:
        assert pos == position(redis, "few:a", entries[-1])
        publisher_of(redis, size=10)("few:a", 7)
        assert numbers(peer, 1) == [7], "from the position that it was told"


def test_another_log_under_the_same_name_is_an_epoch(gateway, publish, redis):
    since = position(redis, "kept:flushed", publish("kept:flushed", 1, 2))
    redis.client.flushall()
    publish("kept:flushed", 1, 2, 3)
    peer, pos = refused(gateway, "/ws/kept/flushed", since, "epoch")
    with peer:
        assert pos.split(".")[0] != since.split(".")[0]
        publish("kept:flushed", 4)
        assert numbers(peer, 1) == [4]


def test_an_entry_that_redis_lost_is_a_fork(gateway, publish, redis):
    since = position(redis, "kept:fork", publish("kept:fork", 1, 2, 3))
    cut_back(redis, "kept:fork", 2)
    publish("kept:fork", 30, 40)
    refused(gateway, "/ws/kept/fork", since, "fork")[0].abandon()


def test_a_position_that_the_log_has_not_reached_is_a_fork(gateway, publish, redis):
    since = position(redis, "kept:ahead", publish("kept:ahead", 1, 2, 3))
    cut_back(redis, "kept:ahead", 1)
    refused(gateway, "/ws/kept/ahead", since, "fork")[0].abandon()


def cut_back(server, channel, kept):
    """The log as an older copy of it has it: its first `kept` entries."""
    stream, meta = keys(channel)
    entries = server.client.xrange(stream)[:kept]
    last, tag = entries[-1][0].decode().split("-")
    with server.client.pipeline() as at_once:  # no look of a gateway falls between
        at_once.delete(stream)
        for entry, fields in entries:
            at_once.xadd(stream, fields, id=entry)
        at_once.hset(meta, mapping={"n": last, "t": tag}).execute()


def test_too_much_to_replay_is_a_limit(gateway, redis):
    entries = fill(redis, "many:a", 3000, size=5000)
    refused(gateway, "/ws/many/a", position(redis, "many:a", entries[0]), "limit")[0].abandon()
    peer, told = back(gateway, "/ws/many/a", position(redis, "many:a", entries[2500]))
    with peer:
        assert (told["recovered"], told["count"]) == (True, 499)


@pytest.mark.parametrize("since", ["nonsense", "", "abcdefgh.1", "abcdefgh.x.1", "abcdefgh.1.2.3", "a" * 300])
def test_what_is_no_position_is_a_format(gateway, publish, since):
    publish("kept:format", 1)
    refused(gateway, "/ws/kept/format", since, "format")[0].abandon()


@pytest.mark.parametrize("since", [None, 7, {"a": 1}])
def test_what_is_no_text_is_a_format_or_an_error(gateway, publish, since):
    publish("kept:types", 1)
    with gateway.connect("/ws/items/types") as peer:
        answer = subscribe(peer, "kept:types", since=since)
    assert answer["type"] == "error" or answer["data"]["reason"] == "format", answer


# --- while connected ------------------------------------------------------------------------------


def test_retracted_entries_are_announced_and_the_new_ones_arrive(gateway, publish, redis):
    peer, _ = back(gateway, "/ws/kept/retracted", "now")
    with peer:
        publish("kept:retracted", 1, 2, 3)
        first = peer.receive()
        assert numbers(peer, 2) == [2, 3]
        cut_back(redis, "kept:retracted", 1)
        publish("kept:retracted", 20, 30)
        resync = peer.receive()
        assert resync["type"] == "resync"
        assert {"reason": "fork", "continuous": True, "retracted": 2, "pos": first["pos"]}.items() <= resync["data"].items()
        assert numbers(peer, 2) == [20, 30]


def test_a_new_epoch_is_announced_as_a_break(gateway, publish, redis):
    peer, _ = back(gateway, "/ws/kept/replaced", "now")
    with peer:
        publish("kept:replaced", 1)
        assert numbers(peer, 1) == [1]
        redis.client.delete(*keys("kept:replaced"))
        entry = publish("kept:replaced", 2)
        resync = peer.receive()
        assert (resync["type"], resync["data"]["reason"], resync["data"]["continuous"]) == ("resync", "epoch", False)
        assert resync["data"]["pos"] == position(redis, "kept:replaced", entry)
        publish("kept:replaced", 3)
        assert numbers(peer, 1) == [3]
        until("nothing waits", lambda: gateway.metric("tidegate_worker_backlog_bytes") == 0)


def test_a_lost_push_is_repaired_before_anything_follows_it(gateway, redis, publish):
    """The subscriber's connection is cut under a stream of entries: each arrives all the same, once."""
    count, cuts = sized(900, 300), 5  # fewer than are kept: nothing may be missing
    peer, _ = back(gateway, "/ws/kept/cut", "now")
    with peer:
        for number in range(count):
            publish("kept:cut", number)
            if number % (count // cuts) == count // cuts // 2:
                redis.client.client_kill_filter(_type="pubsub")
        assert numbers(peer, count) == list(range(count))


def test_the_last_push_may_be_lost_and_the_look_at_the_tail_finds_it(gateway, redis, publish):
    """As if Redis had appended and nobody had heard the push: an entry published to a channel of another name."""
    peer, _ = back(gateway, "/ws/kept/tail", "now")
    with peer:
        publish("kept:tail", 1)
        assert numbers(peer, 1) == [1]
        redis.client.execute_command("FCALL", "tidegate_publish", 2, *keys("kept:tail"), '{"type":"n","data":2}',
                                     "kept:nobody", "publish", 1001, 86400000, "abcdefgh")
        peer.socket.settimeout(TAIL_CHECK_SECONDS + 2 * BUSY_SECONDS)
        assert numbers(peer, 1) == [2]


# --- while Redis is away --------------------------------------------------------------------------


@pytest.fixture
def lasting(tmp_path):
    directory = tmp_path / "lasting"
    directory.mkdir()
    server = DurableRedis(directory)
    yield server
    server.stop()


@pytest.fixture
def on_lasting(start, lasting, config):
    return start("--config", config, redis=lasting)


def away(gateway, server):
    server.kill()
    until("/ready says 503", lambda: gateway.get("/ready").status == 503)


def test_who_stays_connected_misses_nothing_that_was_published_right_after_the_return(on_lasting, lasting):
    publish = publisher_of(lasting)
    with on_lasting.connect("/ws/kept/stay") as unaware, on_lasting.connect("/ws/kept/stay?since=now") as aware:
        assert aware.receive()["type"] == "subscribed"
        publish("kept:stay", 1)
        assert numbers(unaware, 1) == numbers(aware, 1) == [1]
        away(on_lasting, lasting)
        lasting.start()
        publisher_of(lasting)("kept:stay", 2, 3)  # most likely before the gateway is back
        assert numbers(unaware, 2) == [2, 3]
        event = aware.receive()
        while event["type"] in ("degraded", "restored"):
            event = aware.receive()
        assert event["data"] == 2


def test_who_knows_is_told_that_redis_is_away_and_that_it_is_back(on_lasting, lasting):
    with on_lasting.connect("/ws/kept/told") as unaware, on_lasting.connect("/ws/kept/told?since=now") as aware:
        assert aware.receive()["type"] == "subscribed"
        began = time.monotonic()
        away(on_lasting, lasting)
        degraded = aware.receive()
        seconds = time.monotonic() - began
        assert (degraded["type"], degraded["data"]["reason"]) == ("degraded", "upstream")
        assert DEGRADED_AFTER_SECONDS - 0.5 <= seconds <= DEGRADED_AFTER_SECONDS + BUSY_SECONDS
        lasting.start()
        assert aware.receive()["type"] == "restored"
        publisher_of(lasting)("kept:told", 1)
        assert numbers(aware, 1) == [1]
        assert numbers(unaware, 1) == [1], "and who does not know hears nothing of it"


def test_a_subscribe_with_a_position_is_told_to_come_again_after_five_seconds(on_lasting, lasting):
    since = position(lasting, "kept:held", publisher_of(lasting)("kept:held", 1))
    with on_lasting.connect("/ws/items/held") as peer:
        away(on_lasting, lasting)
        began = time.monotonic()
        answer = subscribe(peer, "kept:held", since=since)
        while answer["type"] == "degraded":
            answer = peer.receive()
        seconds = time.monotonic() - began
        assert (answer["type"], answer["id"]) == ("error", 1)
        assert (answer["data"]["code"], answer["data"]["channel"]) == ("unavailable", "kept:held")
        assert answer["data"]["retry_after_ms"] > 0
        assert seconds <= RECOVER_WAIT_SECONDS + BUSY_SECONDS
        lasting.start()
        on_lasting.wait_until_ready()
        publisher_of(lasting)("kept:held", 2)
        told = subscribe(peer, "kept:held", since=since)
        while told["type"] == "restored":
            told = peer.receive()
        assert told["data"]["recovered"]
        assert numbers(peer, 1) == [2]


def test_an_endpoint_with_a_position_is_answered_when_redis_is_back(on_lasting, lasting):
    since = position(lasting, "kept:wait", publisher_of(lasting)("kept:wait", 1, 2))
    away(on_lasting, lasting)
    with on_lasting.connect(f"/ws/kept/wait?since={since}") as peer:
        lasting.start()
        publisher_of(lasting)("kept:wait", 3)
        answer = peer.receive()
        while answer["type"] in ("degraded", "restored"):
            answer = peer.receive()
        assert (answer["type"], answer["data"]["recovered"]) == ("subscribed", True)
        assert numbers(peer, 1) == [3]


# --- what backends do -----------------------------------------------------------------------------


def test_a_redis_that_has_become_a_replica_is_dialled_again(on_lasting, lasting):
    """Its name may lead to another one by now."""
    with on_lasting.connect("/ws/kept/replica?since=now") as peer:
        assert peer.receive()["type"] == "subscribed"
        lasting.client.replicaof("127.0.0.1", 1)
        until("it is dialled again", lambda: on_lasting.lines("redis is lost, dialling again"))
        lasting.client.replicaof("NO", "ONE")
        publisher_of(lasting)("kept:replica", 1)
        assert numbers(peer, 1) == [1]


def test_the_python_helper_answers_with_the_id_of_the_entry(publish, redis):
    entry = publish("kept:helper", 1)
    assert redis.client.xrevrange(keys("kept:helper")[0], count=1)[0][0].decode() == entry


def test_the_python_helper_publishes_once_under_one_key(gateway, redis):
    helper = Publisher(redis.client)
    with gateway.connect("/ws/kept/once") as peer:
        entries = {helper.publish("kept:once", {"type": "n", "data": 1}, key="order-7") for _ in range(3)}
        helper.publish("kept:once", {"type": "n", "data": 2})
        assert numbers(peer, 2) == [1, 2]
    assert len(entries) == 1


def test_the_python_helper_tries_until_redis_is_back(on_lasting, lasting):
    with on_lasting.connect("/ws/kept/retry") as peer:
        publisher_of(lasting)("kept:retry", 1)
        assert numbers(peer, 1) == [1]
        away(on_lasting, lasting)
        done = []
        thread = threading.Thread(target=lambda: done.append(publisher_of(lasting)("kept:retry", 2)))
        thread.start()
        lasting.start()
        thread.join()
        assert done
        assert numbers(peer, 1) == [2]


def test_the_python_helper_says_when_it_gave_up(lasting):
    lasting.kill()
    with pytest.raises(NotPublished):
        Publisher(lasting.client, deadline_seconds=0.2).publish("kept:lost", {})
    lasting.start()


def test_the_admin_port_publishes_to_the_log_and_knows_the_key(gateway):
    with gateway.connect("/ws/kept/posted") as peer:
        answers = [post(gateway, {"channel": "kept:posted", "payload": {"type": "n", "data": 1}, "idempotency_key": "a"})
                   for _ in range(2)]
        assert [answer["duplicate"] for answer in answers] == [False, True]
        post(gateway, {"channel": "kept:posted", "payload": {"type": "n", "data": 2}})
        event = peer.receive()
        assert (event["data"], event["pos"]) == (1, answers[0]["pos"])
        assert numbers(peer, 1) == [2]


def test_the_command_publishes_to_the_log_where_no_route_of_its_own_keeps_one(gateway, redis):
    with gateway.connect("/ws/kept/said") as peer:
        first, again = [run("publish", "--redis", redis.url, "--key", "k", "kept:said", '{"type":"n","data":1}')
                        for _ in range(2)]
        last = run("publish", "--redis", redis.url, "--history", "kept:said", '{"type":"n","data":2}')
        assert numbers(peer, 2) == [1, 2]
    assert (first.returncode, again.returncode, last.returncode) == (0, 0, 0)
    pos = first.stdout.removeprefix("published to the channel's log: ")
    assert again.stdout == "was in the channel's log already, under this key: " + pos
    assert int(last.stdout.rsplit(".", 2)[1]) == 2


def test_the_command_through_the_admin_port_asks_for_the_log_or_fails(gateway):
    def say(*words):
        return run("publish", "--admin", gateway.admin, *words)

    with gateway.connect("/ws/kept/asked") as peer, gateway.connect("/ws/cards") as forgetful:
        assert [say("--key", "k", "kept:asked", '{"type":"n","data":1}').returncode for _ in range(2)] == [0, 0]
        assert say("--history", "kept:asked", '{"type":"n","data":2}').returncode == 0
        assert numbers(peer, 2) == [1, 2]
        refusal = say("--history", "cards", '{"type":"never"}')
        assert (refusal.returncode, refusal.stderr) == (1, "tidegate: publish: the channel keeps no history\n")
        assert say("cards", '{"type":"plain"}').returncode == 0
        assert forgetful.receive()["type"] == "plain"


def post(gateway, body):
    connection = http.client.HTTPConnection(*gateway.admin_address, timeout=PATIENCE_SECONDS)
    connection.request("POST", "/publish", json.dumps(body))
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    assert answer.status == 200, text
    return json.loads(text)


# --- without Redis --------------------------------------------------------------------------------


def test_one_gateway_alone_keeps_a_history_while_it_runs(start, config):
    alone = start("--config", config)
    with alone.connect("/ws/kept/alone") as peer:
        for number in range(3):
            post(alone, {"channel": "kept:alone", "payload": {"type": "n", "data": number}})
        assert numbers(peer, 1) == [0]
        since = peer.receive()["pos"]
    peer, told = back(alone, "/ws/kept/alone", since)
    with peer:
        assert (told["recovered"], told["count"]) == (True, 1)
        post(alone, {"channel": "kept:alone", "payload": {"type": "n", "data": 3}})
        assert numbers(peer, 2) == [2, 3]
    refused(alone, "/ws/kept/alone", "abcdefgh.1.1", "epoch")[0].abandon()

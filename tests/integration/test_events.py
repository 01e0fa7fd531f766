"""What becomes of an event: published in Redis by a backend, read on a WebSocket."""

import json
import re

import pytest

from harness.wait import until

TIMESTAMP = r'"timestamp":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"'


@pytest.fixture
def peer(gateway):
    with gateway.connect("/ws/cards") as socket:
        yield socket


def test_arrives_byte_for_byte_with_timestamp_and_channel_spliced_in(redis, peer):
    payload = '{ "type" : "card_updated",\n "data":{"id":"card-123", "n":1.50e+3, "s":"\\u00e9é\\/"}, "extra":[ ] }'
    redis.publish("cards", payload)
    text = peer.receive_text()
    kept = payload.rstrip("}").rstrip()
    assert text.startswith(kept)
    assert re.fullmatch(r'\s*,(?:%s|"channel":"cards"),(?:%s|"channel":"cards")\s*}' % (TIMESTAMP, TIMESTAMP),
                        text[len(kept):])
    assert json.loads(text)["channel"] == "cards"


def test_half_a_surrogate_pair_passes_as_it_is(redis, peer):
    """What json.dumps and JSON.stringify write for a text that was cut in the middle of an emoji."""
    payload = json.dumps({"type": "card_updated", "data": {"title": "\ud83d"}}, separators=(",", ":"))
    redis.publish("cards", payload)
    assert peer.receive_text().startswith(payload[:-1])


@pytest.mark.parametrize("payload, renamed", [
    ({"type": "card_moved", "pos": 3}, {"payload_pos": 3}),
    ({"type": "card_moved", "pos": "k3JdQaXw.102.1795394760620802"}, {"payload_pos": "k3JdQaXw.102.1795394760620802"}),
    ({"type": "message", "channel": "general"}, {"payload_channel": "general"}),
    ({"type": "both", "channel": None, "pos": None}, {"payload_channel": None, "payload_pos": None}),
], ids=["a card's pos", "a pos like ours", "a channel", "both"])
def test_a_payloads_own_channel_and_pos_arrive_under_another_name(gateway, redis, peer, payload, renamed):
    before = gateway.metric("tidegate_events_renamed_total")
    redis.publish("cards", json.dumps(payload))
    pairs = json.loads(peer.receive_text(), object_pairs_hook=list)
    names = [name for name, _ in pairs]
    assert len(names) == len(set(names)), "a member twice"
    event = dict(pairs)
    assert event.pop("timestamp")
    assert event == {"type": payload["type"], "channel": "cards", **renamed}
    assert gateway.metric("tidegate_events_renamed_total") == before + 1


@pytest.mark.parametrize("channels", [["general", "cards"], ["cards", "general"], ["cards", "cards"]], ids="-".join)
def test_of_a_channel_said_twice_the_gateways_alone_remains(redis, peer, channels):
    """A client takes the first or the last, as its parser likes."""
    redis.publish("cards", '{"type":"twice","channel":"%s","ch\\u0061nnel":"%s"}' % tuple(channels))
    pairs = json.loads(peer.receive_text(), object_pairs_hook=list)
    assert [value for name, value in pairs if name == "channel"] == ["cards"]
    assert [value for name, value in pairs if name == "payload_channel"] == channels


def test_warns_of_reserved_names_at_a_bounded_rate(start, own_redis):
    gateway = start(redis=own_redis)
    with gateway.connect() as peer:
        for _ in range(100):
            own_redis.publish("cards", '{"type":"card_moved","pos":1}')
        for _ in range(100):
            assert peer.receive()["payload_pos"] == 1
    told = [line for line in gateway.log() if line.message == "event has a reserved name"]
    assert 1 <= len(told) <= 20
    assert told[0].fields["channel"] == "cards" and "data" in told[0].fields["remedy"]


CONTROL_TYPES = ["subscribed", "unsubscribed", "pong", "error", "resync", "degraded", "restored", "reconnect", "update"]


@pytest.mark.parametrize("kind", CONTROL_TYPES)
def test_a_payload_cannot_speak_as_the_gateway(redis, peer, kind):
    """Events have `channel` at their top level whatever the payload says; the gateway's own messages never have."""
    for forged in ({}, {"channel": None}, {"channel": "other"}, {"channel": {}}):
        redis.publish("cards", json.dumps({"type": kind, "data": {"channel": "cards", "pos": "x.1.1"}, **forged}))
        assert peer.receive()["channel"] == "cards"


def test_messages_of_the_gateway_have_no_channel_at_their_top(gateway):
    with gateway.connect("/ws/cards?since=now") as peer:
        said = [peer.receive()]
        for command in ({"type": "ping"}, {"type": "subscribe", "data": {"channel": "items"}},
                        {"type": "unsubscribe", "data": {"channel": "items"}}, {"type": "nonsense"},
                        {"type": "subscribe", "data": {"channel": "no such channel"}}):
            said.append(peer.ask(command))
    assert [message["type"] for message in said] == ["subscribed", "pong", "subscribed", "unsubscribed", "error", "error"]
    assert not any("channel" in message or "pos" in message for message in said)


def test_keeps_a_timestamp_that_is_there(redis, peer):
    redis.publish("cards", '{"type":"t","timestamp":"yesterday"}')
    text = peer.receive_text()
    assert text.count("timestamp") == 1
    assert json.loads(text) == {"type": "t", "timestamp": "yesterday", "channel": "cards"}


@pytest.mark.parametrize("payload", ["{}", '{"id":1}', "[1,2]", '"text"', "17", "true", "null", '{"type":7}'])
def test_wraps_json_that_has_no_type(redis, peer, payload):
    redis.publish("cards", payload)
    text = peer.receive_text()
    event = json.loads(text)
    assert f'"data":{payload}' in text
    assert (event["type"], event["data"], event["channel"]) == ("update", json.loads(payload), "cards")
    assert re.search(TIMESTAMP, text)


@pytest.mark.parametrize("payload", [
    b"", b"hello", b"{", b'{"type":"x"', b'{"type":"x",}', b'{"type":"x"}}', b"{'type':'x'}", b"\xff\xfe",
    b'{"type":"\xc3\x28"}', b'{"type":"a\x00b"}', b"NaN", b"\xef\xbb\xbf{}", b"[" * 100000, b"\x01" * 1000,
], ids=lambda payload: repr(payload[:16]))
def test_drops_and_counts_what_is_not_json(gateway, redis, peer, payload):
    counter = 'tidegate_events_dropped_total{reason="not_json"}'
    before = gateway.metric(counter)
    redis.publish("cards", payload)
    redis.publish("cards", '{"type":"next"}')
    assert peer.receive()["type"] == "next"
    assert gateway.metric(counter) == before + 1


def test_logs_dropped_events_at_a_bounded_rate(start, own_redis):
    gateway = start(redis=own_redis)
    with gateway.connect() as peer:
        for _ in range(1000):
            own_redis.publish("cards", "not json")
        own_redis.publish("cards", '{"type":"next"}')
        assert peer.receive()["type"] == "next"
    told = [line for line in gateway.log() if line.fields.get("channel") == "cards" and line.level == "warn"]
    assert 1 <= len(told) <= 20


def test_keeps_the_order_of_redis(redis, peer):
    pipeline = redis.client.pipeline(transaction=False)
    for number in range(500):
        pipeline.publish("cards", json.dumps({"type": "n", "data": number}))
    pipeline.execute()
    assert [peer.receive()["data"] for _ in range(500)] == list(range(500))


def test_a_payload_of_one_mebibyte_is_delivered_whole_or_dropped_and_counted(gateway, redis, peer):
    text = json.dumps({"type": "big", "data": "x" * (1 << 20)})
    dropped = gateway.metric('tidegate_events_dropped_total{reason="not_json"}')
    redis.publish("cards", text)
    redis.publish("cards", '{"type":"next"}')
    event = peer.receive()
    if event["type"] == "big":
        assert len(event["data"]) == 1 << 20
        event = peer.receive()
    else:
        until("the drop is counted", lambda: dropped_events(gateway) > dropped)
    assert event["type"] == "next"


def dropped_events(gateway):
    lines = gateway.get("/metrics").body.decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith("tidegate_events_dropped_total"))


def test_a_payload_just_below_one_mebibyte_is_delivered(redis, peer):
    text = json.dumps({"type": "big", "data": "x" * ((1 << 20) - 2000)})
    redis.publish("cards", text)
    assert len(peer.receive()["data"]) == (1 << 20) - 2000


def test_everything_published_after_the_handshake_arrives(gateway, redis):
    for number in range(100):
        with gateway.connect(f"/ws/items/open-{number}") as peer:
            assert redis.publish(f"items:open-{number}", '{"type":"first"}') == 1
            assert peer.receive()["type"] == "first"


def test_a_wider_channel_does_not_hear_an_items_events(gateway, redis):
    with gateway.connect("/ws/items") as everything, gateway.connect("/ws/items/7") as one:
        redis.publish("items:7", '{"type":"seven"}')
        redis.publish("items", '{"type":"all"}')
        assert everything.receive()["type"] == "all"
        assert one.receive()["type"] == "seven"
        assert one.ask({"type": "ping"})["type"] == "pong"

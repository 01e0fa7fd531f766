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

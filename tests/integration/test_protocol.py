"""What a client may ask and what it is told: docs/protocol.md, one promise each."""

import json
import re

import pytest

from harness.wait import until

TIMESTAMP = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")


def error_code(answer):
    assert answer["type"] == "error", answer
    assert answer["data"]["message"]
    assert TIMESTAMP.match(answer["timestamp"])
    return answer["data"]["code"]


def test_half_a_surrogate_pair_is_json(gateway):
    with gateway.connect() as peer:
        peer.send_text('{"type":"ping","id":"\\ud83d","data":{"\\ud83d":1,"\\ud83e":2}}')
        assert '"id":"\\ud83d"' in peer.receive_text()
        assert peer.ask({"type": "subscribe", "data": {"channel": "\ud83d"}})["data"]["code"] == "forbidden"


def test_answers_ping_with_pong(gateway):
    with gateway.connect() as peer:
        answer = peer.ask({"type": "ping"})
    assert TIMESTAMP.match(answer.pop("timestamp"))
    assert answer == {"type": "pong"}


@pytest.mark.parametrize("identity", ['"a-1"', '"with \\"quotes\\" and \\u00e9"', "7", "-1", "9007199254740993"])
def test_echoes_the_id_as_it_stands(gateway, identity):
    with gateway.connect() as peer:
        peer.send_text('{"type":"ping","id":%s}' % identity)
        text = peer.receive_text()
    assert f'"id":{identity}' in text
    assert json.loads(text)["id"] == json.loads(identity)


def test_echoes_the_id_in_every_kind_of_answer(gateway):
    with gateway.connect() as peer:
        for number, message in enumerate([
            {"type": "subscribe", "data": {"channel": "items:echo"}},
            {"type": "unsubscribe", "data": {"channel": "items:echo"}},
            {"type": "nonsense"},
            {"type": "subscribe", "data": {"channel": "no such:channel"}},
        ]):
            assert peer.ask({**message, "id": number})["id"] == number


def test_answers_without_an_id_when_none_was_given(gateway):
    with gateway.connect() as peer:
        assert "id" not in peer.ask({"type": "ping"})


def test_ignores_members_that_it_does_not_know(gateway):
    with gateway.connect() as peer:
        assert peer.ask({"type": "ping", "colour": "red", "data": {"deep": [1, {"er": None}]}})["type"] == "pong"


def test_subscribe_is_answered_and_delivers(gateway, redis):
    with gateway.connect() as peer:
        answer = peer.ask({"type": "subscribe", "data": {"channel": "items:s1"}})
        assert TIMESTAMP.match(answer.pop("timestamp"))
        assert answer == {"type": "subscribed", "data": {"channel": "items:s1"}}
        redis.publish("items:s1", '{"type":"hello","data":1}')
        assert peer.receive()["channel"] == "items:s1"


def test_all_that_is_published_after_subscribed_arrives(gateway, redis):
    for i in range(100):
        with gateway.connect() as peer:
            channel = f"items:promise-{i}"
            assert peer.ask({"type": "subscribe", "data": {"channel": channel}})["type"] == "subscribed"
            assert redis.publish(channel, '{"type":"first"}') == 1
            assert peer.receive()["type"] == "first"


def test_a_second_subscribe_is_answered_and_never_doubled(gateway, redis):
    with gateway.connect() as peer:
        for _ in range(3):
            assert peer.ask({"type": "subscribe", "data": {"channel": "items:twice"}})["type"] == "subscribed"
        # cards is the route's own channel: joined already, so subscribing to it must not double it either
        assert peer.ask({"type": "subscribe", "data": {"channel": "cards"}})["type"] == "subscribed"
        for number in range(5):
            redis.publish("items:twice", json.dumps({"type": "item", "data": number}))
            redis.publish("cards", json.dumps({"type": "card", "data": number}))
        got = [(event["type"], event["data"]) for event in (peer.receive() for _ in range(10))]
    assert got == [(kind, number) for number in range(5) for kind in ("item", "card")]


def test_unsubscribe_is_answered_and_stops_delivery(gateway, redis):
    with gateway.connect() as peer, gateway.connect("/ws/items/u1") as other:
        peer.ask({"type": "subscribe", "data": {"channel": "items:u1"}})
        redis.publish("items:u1", '{"type":"before"}')
        assert peer.receive()["type"] == "before"
        answer = peer.ask({"type": "unsubscribe", "data": {"channel": "items:u1"}})
        assert (answer["type"], answer["data"]) == ("unsubscribed", {"channel": "items:u1"})
        redis.publish("items:u1", '{"type":"after"}')
        redis.publish("cards", '{"type":"marker"}')
        assert peer.receive()["type"] == "marker"  # the order of one Redis: "after" would have come first
        assert [other.receive()["type"] for _ in range(2)] == ["before", "after"]


def test_unsubscribe_from_the_routes_own_channel_stops_it_too(gateway, redis):
    with gateway.connect("/ws/cards") as peer:
        peer.ask({"type": "subscribe", "data": {"channel": "items:own"}})
        assert peer.ask({"type": "unsubscribe", "data": {"channel": "cards"}})["type"] == "unsubscribed"
        redis.publish("cards", '{"type":"after"}')
        redis.publish("items:own", '{"type":"marker"}')
        assert peer.receive()["type"] == "marker"


def test_unsubscribe_from_a_channel_never_joined_is_answered(gateway):
    with gateway.connect() as peer:
        assert peer.ask({"type": "unsubscribe", "data": {"channel": "items:never"}})["type"] == "unsubscribed"


def test_quick_flips_of_a_subscription_end_as_last_said(gateway, redis):
    with gateway.connect() as peer:
        asked = ["subscribe", "unsubscribe"] * 20 + ["subscribe"]
        for number, verb in enumerate(asked):
            peer.send({"type": verb, "id": number, "data": {"channel": "items:flip"}})
        answers = {answer["id"]: answer["type"] for answer in (peer.receive() for _ in asked)}
        assert answers == {number: verb + "d" for number, verb in enumerate(asked)}
        redis.publish("items:flip", '{"type":"now"}')
        assert peer.receive()["type"] == "now"


def test_redis_forgets_a_channel_after_its_last_subscriber(gateway, redis):
    with gateway.connect("/ws/items/linger") as first, gateway.connect("/ws/items/linger") as second:
        assert redis.subscribers("items:linger") == 1, "one subscription per node, however many clients"
        first.close()
        assert first.close_code() == 1000
        assert second.ask({"type": "ping"})["type"] == "pong"
        assert redis.subscribers("items:linger") == 1
    until("the subscription is gone from Redis", lambda: redis.subscribers("items:linger") == 0)


@pytest.mark.parametrize("text, code", [
    ("", "bad_json"),
    ("{", "bad_json"),
    ("nonsense", "bad_json"),
    ('{"type":"ping"', "bad_json"),
    ('{"type":"ping"}}', "bad_json"),
    ('{"type":"ping"} {"type":"ping"}', "bad_json"),
    ('{"type":"ping",}', "bad_json"),
    ('{"type":"ping","data":tru}', "bad_json"),
    ('{"type":"ping","data":{"a":01}}', "bad_json"),
    ('{"type":"pi\nng"}', "bad_json"),
    ("{'type':'ping'}", "bad_json"),
    ('[{"type":"ping"}]', "bad_json"),
    ('"ping"', "bad_json"),
    ("[" * 10000, "bad_json"),
    ('{"type":"ping","data":' + '{"a":' * 1000 + "1" + "}" * 1001, "bad_json"),
    ('{"type":"ping","data":{"a":[' + ",".join("1" * 1000) + "]}}", "bad_json"),
    ("{}", "missing_type"),
    ('{"data":{}}', "missing_type"),
    ('{"type":7}', "missing_type"),
    ('{"type":null}', "missing_type"),
    ('{"type":"nonsense"}', "unknown_type"),
    ('{"type":"PING"}', "unknown_type"),
    ('{"type":""}', "unknown_type"),
    ('{"type":"ping","id":1.5}', "bad_id"),
    ('{"type":"ping","id":{}}', "bad_id"),
    ('{"type":"ping","id":true}', "bad_id"),
    ('{"type":"ping","id":"%s"}' % ("x" * 200), "bad_id"),
    ('{"type":"subscribe","data":[]}', "bad_data"),
    ('{"type":"subscribe","data":"cards"}', "bad_data"),
    ('{"type":"unsubscribe"}', "missing_channel"),
    ('{"type":"unsubscribe","data":{}}', "missing_channel"),
    ('{"type":"subscribe","data":{"channel":7}}', "missing_channel"),
    ('{"type":"subscribe","data":{"channel":"items:a b"}}', "forbidden"),
    ('{"type":"subscribe","data":{"channel":"*"}}', "forbidden"),
    ('{"type":"subscribe","data":{"channel":"items:*"}}', "forbidden"),
    ('{"type":"subscribe","data":{"channel":"items:a\\r\\nPUBLISH x y"}}', "forbidden"),
    ('{"type":"subscribe","data":{"channel":"items:a\\u0000b"}}', "forbidden"),
    ('{"type":"subscribe","data":{"channel":""}}', "missing_channel"),
    ('{"type":"subscribe","data":{"channel":"secret"}}', "forbidden"),
    ('{"type":"subscribe","data":{"channel":"tg:m:cards"}}', "forbidden"),
    ('{"type":"subscribe","data":{"channel":"%s"}}' % ("x" * 500), "forbidden"),
], ids=lambda value: value[:40] if isinstance(value, str) else None)
def test_names_the_fault_and_stays_open(gateway, text, code):
    with gateway.connect() as peer:
        peer.send_text(text)
        assert error_code(peer.receive()) == code
        assert peer.ask({"type": "ping"})["type"] == "pong"


@pytest.mark.parametrize("text", [
    '{"type":"subscribe"}', '{"type":"subscribe","data":null}', '{"type":"subscribe","data":{}}',
    '{"type":"subscribe","id":null,"data":{"channel":null}}',
])
def test_a_bare_subscribe_means_what_the_route_joins(gateway, redis, text):
    with gateway.connect("/ws/items/bare") as peer:
        peer.ask({"type": "unsubscribe", "data": {"channel": "items:bare"}})
        peer.send_text(text)
        answer = peer.receive()
        assert (answer["type"], answer["data"]["channel"]) == ("subscribed", "items:bare")
        assert "id" not in answer
        redis.publish("items:bare", '{"type":"heard"}')
        assert peer.receive()["type"] == "heard"


def test_a_bare_subscribe_is_answered_for_each_channel_that_the_route_joins(start, own_redis, tmp_path):
    config = tmp_path / "routes.yaml"
    config.write_text('''
routes:
  - {path: "/ws/user/{user}/{room}", channels: ["user:{user}", news, "room:{room}:{user}"]}
  - {path: /ws/none, channels: [], subscribe: [news]}
''')
    gateway = start("--config", str(config), redis=own_redis)
    with gateway.connect("/ws/user/7/hall") as peer:
        peer.send_text('{"type":"subscribe","id":5}')
        answers = [peer.receive() for _ in range(3)]
        assert [(answer["type"], answer["id"], answer["data"]["channel"]) for answer in answers] == [
            ("subscribed", 5, name) for name in ("user:7", "news", "room:hall:7")]
    with gateway.connect("/ws/none") as peer:
        assert error_code(peer.ask({"type": "subscribe"})) == "missing_channel"


def test_null_is_as_if_absent(gateway):
    with gateway.connect() as peer:
        peer.send_text('{"type":"ping","id":null,"data":null}')
        answer = peer.receive()
        assert answer["type"] == "pong" and "id" not in answer
        assert error_code(peer.ask({"type": None})) == "missing_type"


def test_bounds_the_subscriptions_of_one_connection(start):
    gateway = start("--subscriptions-max", "5")
    with gateway.connect() as peer:
        answers = [peer.ask({"type": "subscribe", "data": {"channel": f"items:{i}"}}) for i in range(6)]
        assert [answer["type"] for answer in answers] == ["subscribed"] * 4 + ["error"] * 2
        assert peer.ask({"type": "ping"})["type"] == "pong"

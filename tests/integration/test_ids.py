"""Ids: what FastAPI takes for {item_id} is an id where a route says so, and names of channels stay one part, told apart."""

import itertools
import json
import signal
from urllib.parse import quote

import pytest

from harness.gateway import BINARY, run
from harness.process import Process
from harness.wait import until
from harness.websocket import Refused

WIDE = ["a b", "user@example.com", "\u00e9", "a/b", "50%", "a%20b", "a:b", "*", "{id}", "\u65e5\u672c", "O'Brien", "\U0001f600", "a+b",
        "~7E", "a\\b", '"', "?x", "#x", "a&b=c"]
SHARED_ROUTES = """
routes:
  - {path: "/ws/items/{item_id}", channel: "items:{item_id}", ids: any, history: on}
  - {path: "/ws/pairs/{a}/{b}", channel: "pairs:{a}:{b}", ids: any}
  - {path: "/ws/plain/{item_id}", channel: "items:{item_id}"}
"""


def name_of(item_id):
    """What a backend in Python writes; docs/configuration.md says so."""
    return "items:" + quote(item_id, safe="")


def test_each_id_hears_its_own_events_and_no_others(gateway, redis):
    peers = {item_id: gateway.connect("/ws/items/" + quote(item_id, safe="")) for item_id in [*WIDE, "7", "a~b"]}
    for item_id in peers:
        redis.client.publish(name_of(item_id), json.dumps({"type": "for", "data": item_id}))
    for item_id, peer in peers.items():
        event = peer.receive()
        assert (event["data"], event["channel"]) == (item_id, name_of(item_id))
        assert peer.ask({"type": "ping"})["type"] == "pong", "nothing of another id came between"
        peer.abandon()


def test_what_need_not_be_escaped_in_a_path_is_the_same_id(gateway, redis):
    with gateway.connect("/ws/items/who@example.com") as raw, gateway.connect("/ws/items/who%40example%2ecom") as escaped:
        redis.client.publish(name_of("who@example.com"), '{"type":"x"}')
        assert raw.receive() == escaped.receive()


def test_two_pairs_of_ids_never_make_one_name(gateway):
    names = set()
    pairs = list(itertools.product(["a", "a:b", "a/b", "a%3Ab", "b", "%", "~"], repeat=2))
    for pair in pairs:
        with gateway.connect("/ws/pairs/" + "/".join(quote(part, safe="") for part in pair)) as peer:
            own = "pairs:" + ":".join(quote(part, safe="") for part in pair)
            assert peer.ask({"type": "subscribe", "data": {"channel": own}})["type"] == "subscribed"
            names.add(own)
    assert len(names) == len(pairs)


@pytest.mark.parametrize("path", ["/ws/plain/a%20b", "/ws/plain/%C3%A9", "/ws/items/%", "/ws/items/%ff", "/ws/items/%00", "/ws/items/a%0Ab",
                                  "/ws/items/%2e%2e", "/ws/items/" + "%20" * 43])
def test_what_is_no_id_is_refused(gateway, path):
    with pytest.raises(Refused) as refused:
        gateway.connect(path)
    assert refused.value.response.status == 400


def test_a_channel_with_such_an_id_can_be_subscribed_to_in_its_one_spelling(gateway, redis):
    with gateway.connect("/ws/plain/7") as peer:
        assert peer.ask({"type": "subscribe", "data": {"channel": name_of("a b")}})["type"] == "subscribed"
        redis.client.publish(name_of("a b"), '{"type":"x"}')
        assert peer.receive()["channel"] == "items:a%20b"
        for other in ("items:a b", "items:%61", "items:%c3%a9", "items:%2E%2E"):
            assert peer.ask({"type": "subscribe", "data": {"channel": other}})["type"] == "error"
        assert peer.ask({"type": "unsubscribe", "data": {"channel": name_of("a b")}})["type"] == "unsubscribed"


def test_its_history_is_recovered(gateway, redis):
    name = name_of("a b/\u00e9")
    with gateway.connect("/ws/items/" + quote("a b/\u00e9", safe="")) as peer:
        published = run("publish", "--history", "--redis", redis.url, name, '{"type":"x","data":1}')
        assert published.returncode == 0, published.stderr
        pos = peer.receive()["pos"]
    assert run("publish", "--history", "--redis", redis.url, name, '{"type":"x","data":2}').returncode == 0
    with gateway.connect(f"/ws/items/{quote('a b/' + chr(0xe9), safe='')}?since={quote(pos)}") as peer:
        heard = [peer.receive(), peer.receive()]
    assert {message["type"] for message in heard} >= {"x"}
    assert [message["data"] for message in heard if message["type"] == "x"] == [2]


def test_operators_see_it(gateway, redis, tmp_path):
    """/channels, /channels/NAME, /publish, and `tidegate tail` through Redis and through the admin port."""
    name = name_of("seen by all")
    tails = [Process([BINARY, "tail", *words, name], tmp_path, f"tail-{number}")
             for number, words in enumerate((["--admin", gateway.admin], ["--redis", redis.url]))]
    with gateway.connect("/ws/items/seen%20by%20all") as peer:
        assert name in [channel["channel"] for channel in gateway.api("/channels?match=items:seen")["channels"]]
        assert gateway.api(f"/channels/{quote(name)}")["subscribers"] == 1

        def both_heard():
            assert gateway.post("/publish", {"channel": name, "payload": {"type": "hello"}}).status == 200
            assert all(tail.alive() for tail in tails)
            return all("hello" in tail.stdout() for tail in tails)

        until("both tails print the event", both_heard)
        assert peer.receive()["channel"] == name
    for tail in tails:
        assert json.loads(tail.stdout().splitlines()[0])["channel"] == name
        tail.signal(signal.SIGINT)
        assert tail.wait() in (0, 130, -signal.SIGINT)

"""No Redis at all: one gateway alone on a laptop, published to through its admin port."""

import json
import signal
import subprocess

import pytest

from harness.gateway import BINARY, Gateway, run
from harness.process import Process
from harness.wait import until


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    gateway = Gateway(tmp_path_factory.mktemp("alone"))
    yield gateway
    gateway.check()
    gateway.stop()


def test_it_says_that_it_is_alone(alone):
    """In its first lines, in /status and in what `tidegate status` prints."""
    assert alone.lines("tidegate starts", broker="memory")
    assert alone.lines("no redis is set: events stay in this process")
    broker = alone.api("/status")["broker"]
    assert broker["kind"] == "memory" and "events stay in this process" in broker["note"]
    assert "memory ready (no redis is set" in run("status", "--admin", alone.admin).stdout


def test_publish_reaches_a_client(alone):
    with alone.connect("/ws/cards") as peer:
        result = alone.publish("cards", '{"type":"card_updated","data":{"id":"card-123"}}')
        assert result.returncode == 0, result.stderr
        event = peer.receive()
    assert (event["type"], event["data"], event["channel"]) == ("card_updated", {"id": "card-123"}, "cards")


def test_publish_reaches_the_clients_of_every_worker(alone):
    peers = [alone.connect("/ws/items/all") for _ in range(20)]
    assert alone.publish("items:all", '{"type":"hello"}').returncode == 0
    for peer in peers:
        assert peer.receive()["type"] == "hello"
        peer.abandon()


def test_everything_published_after_the_handshake_arrives(alone):
    for number in range(10):
        with alone.connect(f"/ws/items/{number}") as peer:
            alone.publish(f"items:{number}", '{"type":"hello"}')
            assert peer.receive()["type"] == "hello"


def test_subscribe_and_unsubscribe_work_alike(alone):
    with alone.connect("/ws/cards") as peer:
        assert peer.ask({"type": "subscribe", "data": {"channel": "items:m"}})["type"] == "subscribed"
        alone.publish("items:m", '{"type":"one"}')
        assert peer.receive()["type"] == "one"
        assert peer.ask({"type": "unsubscribe", "data": {"channel": "items:m"}})["type"] == "unsubscribed"
        alone.publish("items:m", '{"type":"two"}')
        alone.publish("cards", '{"type":"marker"}')
        assert peer.receive()["type"] == "marker"


def test_publish_of_what_is_not_json_is_refused_with_a_reason(alone):
    result = alone.publish("cards", "{not json")
    assert result.returncode != 0
    assert "JSON" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_publish_to_a_name_that_is_no_channel_is_refused(alone):
    for name in ("a b", "", "*", "a\r\nb"):
        result = alone.publish(name, "{}")
        assert result.returncode != 0, name
        assert len(result.stderr.splitlines()) == 1


def test_publish_says_where_nobody_answers(alone):
    result = run("publish", "--admin", "127.0.0.1:1", "cards", "{}")
    assert result.returncode not in (0, 2)
    assert "127.0.0.1:1" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_publish_reaches_redis_where_the_gateway_has_one(gateway, redis):
    listener = redis.client.pubsub()
    listener.subscribe("cards")
    assert listener.get_message(timeout=5)["type"] == "subscribe"
    with gateway.connect("/ws/cards") as peer:
        assert gateway.publish("cards", '{"type":"hello"}').returncode == 0
        assert peer.receive()["type"] == "hello"
    assert json.loads(listener.get_message(timeout=5)["data"]) == {"type": "hello"}
    listener.close()


def test_ready_says_that_memory_is_the_broker(alone):
    answer = alone.get("/ready")
    assert answer.status == 200
    assert "memory" in json.dumps(answer.json())


def test_tail_prints_what_a_subscriber_would_see(alone, tmp_path):
    tail = Process([BINARY, "tail", "--admin", alone.admin, "cards", "items:t"], tmp_path, "tail")
    try:
        def seen():
            tail.check_reports()
            assert tail.alive(), tail.describe()
            alone.publish("items:t", '{"type":"hello","data":[1, 2]}')
            return "hello" in tail.stdout()

        until("tail prints the event", seen)
        event = json.loads(tail.stdout().splitlines()[0])
        assert (event["type"], event["data"], event["channel"]) == ("hello", [1, 2], "items:t")
        assert "timestamp" in event
        tail.signal(signal.SIGINT)
        assert tail.wait() in (0, 130, -signal.SIGINT)
        tail.check_reports()
    finally:
        tail.kill()


def test_tail_ends_quietly_when_its_reader_does(alone, tmp_path):
    tail = subprocess.Popen([BINARY, "tail", "--admin", alone.admin, "items:p"], stdout=subprocess.PIPE,
                            stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    try:
        tail.stdout.close()

        def ended():
            alone.publish("items:p", '{"type":"hello"}')
            return tail.poll() is not None

        until("tail ends", ended)
    finally:
        tail.kill()
        tail.wait()

"""Workers and clients that mean no good, or know no better: a clear error each, and nobody else notices."""

import json
import threading
import time

import pytest

from harness.gateway import TALKATIVE
from harness.wait import sized, until
from test_actions import CONFIG, STREAM, Backend, act, echo, reply

RUNS = "/ws/execution/1/2"  # carried by another stream
MIB = 1 << 20
SLOW = 4100


@pytest.fixture
def gateway(start, own_redis, tmp_path):
    file = tmp_path / "tidegate.yaml"
    file.write_text(CONFIG.replace("backlog: 5", "backlog: 200"), encoding="utf-8")
    gateway = start("--config", file, *TALKATIVE, redis=own_redis)
    until("it hears answers", lambda: b"tg:r:" in b" ".join(own_redis.client.pubsub_channels()))
    return gateway


@pytest.fixture
def others(gateway, own_redis):
    """Somebody else acts all the while, through a backend of good will: others() fails where he was not answered rightly."""
    backend = Backend(own_redis, echo, "run-actions")
    ending, troubles, n = threading.Event(), [], [0]

    def run():
        with gateway.connect(RUNS) as peer:
            while not ending.is_set():
                act(peer, n[0], id=n[0])
                answer = peer.receive()
                if (answer["type"], answer["id"], answer["data"]) != ("reply", n[0], n[0]):
                    troubles.append(answer)
                n[0] += 1

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    until("he acts", lambda: n[0] > 0)

    def look():
        before = n[0]
        until("he is still answered", lambda: n[0] > before + 2)
        assert not troubles

    yield look
    look()
    ending.set()
    thread.join()
    backend.stop()


def entries(redis, n):
    until(f"{n} are in the stream", lambda: redis.client.xlen(STREAM) >= n)
    return [{key.decode(): value.decode() for key, value in raw.items()} for _, raw in redis.client.xrange(STREAM)]


def test_answers_for_others_reach_nobody(gateway, own_redis, others):
    """A worker that answers whatever it likes: other connections, other numbers, other nodes' names, his own twice."""
    with gateway.connect("/ws/cards") as peer, gateway.connect("/ws/cards") as other:
        act(peer, 1, id=1)
        act(other, 2, id=2)
        mine, his = sorted(entries(own_redis, 2), key=lambda fields: fields["data"])
        node, conn, number = mine["id"].split(".")
        for odd in (f"{node}.{conn}.{his['id'].split('.')[2]}9", f"{his['conn']}.{int(number) + 1000}", f"{node}.{10 ** 18}.{number}",
                    f"{node}.0.0", f"{node}.{conn}", "", node, "f" * 16 + f".{conn}.{number}", f"{node}.{conn}.{number}\u0000"):
            reply(own_redis, {**mine, "id": odd}, {"data": "not yours"})
        reply(own_redis, mine, {"data": "mine"})
        reply(own_redis, his, {"data": "his"})
        assert (peer.receive()["data"], other.receive()["data"]) == ("mine", "his")
    assert gateway.metric("tidegate_action_answers_dropped_total") == 9


def test_malformed_answers_end_nothing(gateway, own_redis, others):
    with gateway.connect("/ws/cards") as peer:
        act(peer, 1, id=1)
        fields, = entries(own_redis, 1)
        for odd in (b"", b"{", b"\xff\xfe", b'{"action":}', b"null", b"[" * 60_000, json.dumps({"action": fields["id"], "error": []}).encode(),
                    b'{"action":"' + fields["id"].encode() + b'","data":' + b"[" * 200 + b"]" * 200 + b"}"):
            own_redis.publish(fields["reply"], odd)
        reply(own_redis, fields, {"data": "well"})
        assert peer.receive()["data"] == "well"


def test_an_answer_of_two_megabytes_is_dropped_and_its_client_told(gateway, own_redis, others):
    with gateway.connect("/ws/cards") as peer:
        act(peer, 1, id=1)
        fields, = entries(own_redis, 1)
        before = gateway.resident_kib()
        reply(own_redis, fields, {"data": "x" * (2 * MIB)})
        assert peer.receive()["data"]["code"] == "timeout"
        gateway.wait_for_line("dropped")
    assert gateway.resident_kib() - before < sized(32, 200) * 1024


@pytest.mark.plain
def test_parts_for_ever_are_ended_and_then_nobody_listens(gateway, own_redis, others):
    """The bound is a count: 10,000 parts. Bytes are bounded by the client's outbox, as all that it is sent is."""
    with gateway.connect("/ws/cards") as peer:
        act(peer, 1, id=1)
        fields, = entries(own_redis, 1)
        part = json.dumps({"action": fields["id"], "more": True})
        heard = []

        def listen():
            while True:
                message = peer.receive()
                heard.append(message)
                if message["type"] == "error":
                    return

        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        for _ in range(21):
            with own_redis.client.pipeline(transaction=False) as pipeline:
                for _ in range(500):
                    pipeline.publish(fields["reply"], part)
                pipeline.execute()
        thread.join(60)
        assert len(heard) == 10_001 and heard[-1]["data"]["code"] == "too_long"
        until("the rest is dropped", lambda: gateway.metric("tidegate_action_answers_dropped_total") == 499)


@pytest.mark.plain
def test_who_does_not_read_his_parts_is_closed_and_bounded(gateway, own_redis, others):
    with gateway.connect("/ws/cards", receive_buffer=4096) as peer:
        act(peer, 1, id=1)
        fields, = entries(own_redis, 1)
        part = json.dumps({"action": fields["id"], "data": "x" * 500_000, "more": True})
        for _ in range(30):
            own_redis.publish(fields["reply"], part)
        until("nobody waits for the rest", lambda: gateway.metric("tidegate_action_answers_dropped_total") > 0)
        assert peer.close_code() == SLOW


@pytest.mark.plain
def test_ten_thousand_actions_of_one_client_are_refused_above_what_he_may(gateway, own_redis, others):
    """He never listens for an answer before he asks again. Three are carried, the others refused at once."""
    n = sized(10_000, 2_000)
    with gateway.connect("/ws/cards") as peer:
        codes = {}

        def listen():
            for _ in range(n):
                code = peer.receive()["data"]["code"]
                codes[code] = codes.get(code, 0) + 1

        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        began = time.monotonic()
        for number in range(n):
            act(peer, 0, id=number)
        others()
        thread.join(60)
        carried_max = 3 * (1 + (time.monotonic() - began) // 2)
    assert set(codes) == {"too_many_actions", "timeout"} and sum(codes.values()) == n
    assert own_redis.client.xlen(STREAM) == codes["timeout"] <= carried_max, "three at a time, each for two seconds"


@pytest.mark.plain
def test_a_full_stream_is_busy_at_once_and_costs_no_memory(gateway, own_redis, others):
    for _ in range(200):
        own_redis.client.xadd(STREAM, {"id": "of nobody"})
    with gateway.connect("/ws/cards") as peer:
        act(peer, 0)
        assert peer.receive()["data"]["code"] == "busy"
        before = gateway.resident_kib()
        for number in range(sized(1000, 200)):
            act(peer, "x" * 1000, id=number)
            assert peer.receive()["data"]["code"] == "busy"
    assert own_redis.client.xlen(STREAM) == 200
    assert gateway.resident_kib() - before < sized(8, 100) * 1024


@pytest.mark.plain
def test_a_stream_of_another_type_is_unavailable_and_alone(gateway, own_redis, others):
    own_redis.client.rpush(STREAM, "a list")
    with gateway.connect("/ws/cards") as peer:
        for number in range(5):
            act(peer, 0, id=number)
            answer = peer.receive()
            assert answer["data"]["code"] == "unavailable" and "log says why" in answer["data"]["message"]
        line = gateway.wait_for_line("redis refused a call of our library", function="tidegate_action")
        assert "WRONGTYPE" in line.fields["reason"]
        own_redis.client.delete(STREAM)
        act(peer, 0, id=9)
        entries(own_redis, 1)

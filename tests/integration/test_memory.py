"""Where memory runs out, newcomers are sent elsewhere, then the largest queues go: everybody else is served, and the process lives."""

import json
import time

import pytest

from harness.crowd import Crowd
from harness.wait import until
from harness.websocket import exchange, handshake

# Memory is what they look at, and sanitizers keep what was freed.
pytestmark = pytest.mark.plain

MAX = 48 << 20
SLOW_PEERS = 8
EVENT_BYTES = 256 << 10
FLOOD_BYTES_A_SECOND = 30 << 20  # 7 MiB between two looks
PAUSE_SECONDS_MAX = 0.05
KERNEL_BYTES = SLOW_PEERS * (4 << 20)  # that its buffers take before anything waits in the gateway
TOLD = 'tidegate_handshakes_refused_total{reason="memory"}'
CONFIG = """
{bound}
event_bytes_max: 512KiB
routes:
  - {{path: "/ws/slow/{{n}}", channel: "slow:{{n}}", slow: {{bytes: 256MiB, age: none}}}}
  - {{path: "/ws/kept", channel: kept, history: {{size: 100}}}}
"""


@pytest.fixture
def begin(start, own_redis, tmp_path):
    """A gateway with a bound, which a reload may change."""
    path = tmp_path / "tidegate.yaml"

    def write(bound):
        path.write_text(CONFIG.format(bound=f"memory_max: {bound}" if bound else ""), encoding="utf-8")

    def begin(bound):
        own_redis.client.config_set("client-output-buffer-limit", "pubsub 0 0 0")
        write(bound)
        gateway = start("--config", path, redis=own_redis)

        def bound_is(bound):
            write(bound)
            assert gateway.get("/reload", "POST").status == 200

        gateway.bound_is = bound_is
        return gateway

    return begin


def answer(gateway, path="/ws/cards"):
    return exchange(gateway.address, handshake(path))


class Flood:
    """Events for peers that read nothing, at a steady rate."""

    def __init__(self, gateway, redis):
        self.redis, self.sent, self.due, self.at = redis, 0, 0, time.monotonic()
        self.peers = [gateway.connect(f"/ws/slow/{n}", receive_buffer=4096) for n in range(SLOW_PEERS)]
        self.filler = "x" * EVENT_BYTES

    def go_on(self):
        """What is due. Where we stood still, it does not come all at once."""
        now = time.monotonic()
        self.due += min(now - self.at, PAUSE_SECONDS_MAX) * FLOOD_BYTES_A_SECOND
        self.at = now
        while self.sent < self.due:
            for n in range(SLOW_PEERS):
                self.redis.publish(f"slow:{n}", json.dumps({"type": "n", "data": self.filler}))
            self.sent += SLOW_PEERS * EVENT_BYTES

    def until(self, what, look):
        def turn():
            self.go_on()
            return look()

        return until(what, turn)

    def leave(self):
        for peer in self.peers:
            peer.abandon()


def test_peers_that_do_not_read_cost_their_connections_and_not_the_process(begin, own_redis, figure):
    gateway = begin("48MiB")
    reader = gateway.connect("/ws/cards")
    flood = Flood(gateway, own_redis)
    flood.until("newcomers are told", lambda: gateway.metric("tidegate_memory_stage") >= 1 and answer(gateway).status == 503)
    refused = flood.until("newcomers are told why", lambda: (told := answer(gateway)).status == 503 and told)
    assert json.loads(refused.body)["data"]["code"] == "memory" and int(refused.headers["retry-after"]) > 0
    flood.until("the largest queues go", lambda: gateway.metric('tidegate_connections_closed_total{code="4100"}') > 0)
    flood.until("twice the bound was published", lambda: flood.sent > KERNEL_BYTES + 2 * MAX)
    assert gateway.get("/live").status == 200
    own_redis.publish("cards", '{"type":"heard"}')
    assert reader.receive()["type"] == "heard"
    figure("peak of a gateway with memory_max 48 MiB", f"{gateway.peak_kib() >> 10} MiB")
    assert gateway.peak_kib() << 10 < 1.75 * MAX, "twice as much was published to it"
    flood.leave()
    until("memory is plenty again", lambda: gateway.metric("tidegate_memory_stage") == 0)
    gateway.wait_for_line("memory is there again", stage="plenty")
    assert gateway.lines("memory runs short", stage="tight") or gateway.lines("memory runs short", stage="short")
    with gateway.connect("/ws/cards") as newcomer:
        assert newcomer.ask({"type": "ping"})["type"] == "pong"
    assert gateway.get("/ready").status == 200
    reader.close()


def test_without_the_bound_they_cost_more(begin, own_redis):
    """The control: the same flood."""
    gateway = begin("1GiB")
    flood = Flood(gateway, own_redis)
    flood.until("it grows past what the bound was", lambda: gateway.resident_kib() << 10 > 1.5 * MAX)
    assert gateway.metric(TOLD) == 0
    flood.leave()


def test_a_node_without_memory_says_so_and_serves_who_is_there(begin):
    gateway = begin("")
    peer = gateway.connect("/ws/cards")
    gateway.bound_is("1MiB")  # less than it has
    until("it is not ready", lambda: gateway.get("/ready").status == 503)
    assert gateway.get("/ready").json()["missing"] == ["memory"]
    assert gateway.get("/live").status == 200
    status = gateway.get("/status").json()
    assert status["memory"]["stage"] == "out" and status["memory"]["max_bytes"] == 1 << 20 and not status["ready"]
    assert answer(gateway).status == 503
    assert gateway.metric(TOLD) == 1
    assert peer.ask({"type": "ping"})["type"] == "pong"
    line = gateway.wait_for_line("memory runs short", stage="out")
    assert line.level == "warn" and int(line.fields["bytes"]) > int(line.fields["memory_max"])
    gateway.bound_is("0")
    until("it is ready", lambda: gateway.get("/ready").status == 200)
    gateway.connect("/ws/cards").close()
    peer.close()


def test_when_memory_is_out_histories_are_forgotten_and_read_again_later(begin, own_redis):
    gateway = begin("")
    peer = gateway.connect("/ws/kept")
    for _ in range(3):
        gateway.publish("kept", '{"type":"n"}')
    pos = [peer.receive() for _ in range(3)][0]["pos"]
    gateway.bound_is("1MiB")
    until("memory is out", lambda: gateway.metric("tidegate_memory_stage") == 3)
    peer.send({"type": "unsubscribe", "data": {"channel": "kept"}})
    peer.send({"type": "subscribe", "data": {"channel": "kept", "since": pos}})
    answers = [peer.receive() for _ in range(2)]
    assert answers[0]["type"] == "unsubscribed" and answers[1]["data"]["code"] == "unavailable", answers
    gateway.bound_is("0")
    until("memory is plenty", lambda: gateway.metric("tidegate_memory_stage") == 0)
    peer.send({"type": "subscribe", "data": {"channel": "kept", "since": pos}})
    answered = peer.receive()
    assert answered["type"] == "subscribed" and answered["data"]["recovered"], answered
    assert gateway.metric('tidegate_recovery_source_total{source="log"}') == 1
    peer.close()


# websockets/ws 667, nodejs/help 2771: what slow clients had stays with the process when they are gone.
def test_what_a_crowd_had_goes_back_to_the_system_when_it_left(start, figure):
    gateway = start("--workers", "1")
    before = gateway.resident_kib()
    crowd = Crowd(gateway, 3000)
    full = gateway.resident_kib()
    crowd.leave()
    until("all are gone", lambda: gateway.metric("tidegate_connections") == 0)
    until("memory went back", lambda: gateway.resident_kib() < full - (full - before) / 4)
    figure("memory of 3,000 clients that left", f"{full - before} KiB, of which {gateway.resident_kib() - before} stay")


# cluesmith/codev 1125: closing somebody for each newcomer who finds no room keeps a herd going; refusing ends it.
def test_who_comes_while_memory_is_out_is_answered_and_closes_nobody(begin):
    gateway = begin("")
    peer = gateway.connect("/ws/cards")
    gateway.bound_is("1MiB")
    until("memory is out", lambda: gateway.metric("tidegate_memory_stage") == 3)
    assert {answer(gateway).status for _ in range(60)} == {503}
    assert gateway.metric("tidegate_connections") == 1
    assert peer.ask({"type": "ping"})["type"] == "pong"
    peer.close()

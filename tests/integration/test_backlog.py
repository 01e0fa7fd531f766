"""
A publisher that is faster than a worker: what waits between the bus and the worker is bounded, and clients hear what gives
way as their routes say.

Deflating what does not deflate well makes the worker slow, and nothing else. Where the machine is busy the publisher is slow,
too: so in overrun() a worker gets no more of the machine than others leave.
"""

import base64
import contextlib
import json
import os
import pathlib
import threading
import time

import pytest

from harness.wait import until
from harness.websocket import Closed

# Memory is what they look at, and sanitizers keep what was freed.
pytestmark = pytest.mark.plain

BACKLOG = 64 << 20  # WORKER_BACKLOG_BYTES; at one and a half times as much, the last word of a key gives way, too
EVENT_BYTES = 100_000
PIPELINE = 40  # events: 4 MB, which Redis holds for a gateway without giving it up
COUNT = 3200  # events: 320 MB, two floods of whole pipelines
KEYS = 8
NEWCOMERS = 10
CATCH_UP_SECONDS = 120  # a worker that goes last on a busy machine, until it is let go
DROPPED = "tidegate_messages_dropped_total"
DEFLATE = [("Sec-WebSocket-Extensions", "permessage-deflate")]
PASSED = "events passed over: this worker cannot keep up"
CONFIG = """
routes:
  - path: /ws/dropping
    channel: cards
    compression: on
    slow: {policy: drop_oldest, bytes: 1MiB, age: none}
  - path: /ws/strict
    channel: cards
    slow: {bytes: 16MiB, age: none}
  - path: /ws/quiet
    channel: quiet
  - path: /ws/kept
    channel: kept
    history: {size: 1000}
    slow: {policy: drop_oldest}
  - path: /ws/latest
    channel: prices
    compression: on
    slow: {policy: latest_by_key, key: data.key, bytes: 4MiB}
"""


class Returning(threading.Thread):
    """Knows recovery: comes back with its position however often it is closed, before the answer or after, until it has the last."""

    def __init__(self, gateway, path):
        super().__init__(daemon=True)
        self.gateway, self.path, self.last = gateway, path, None
        self.peer, self.pos, self.numbers, self.answers, self.codes = None, "now", [], [], []
        self.come()
        self.hear(self.peer.receive())
        self.start()

    def come(self):
        self.peer = self.gateway.connect(f"{self.path}?since={self.pos}")
        self.peer.socket.settimeout(CATCH_UP_SECONDS)  # as long as its worker goes last

    def hear(self, message):
        if "channel" in message:
            self.numbers.append(message["data"])
            self.pos = message["pos"]
        elif message["type"] != "error":  # unavailable: its log could not be read for 5 s, and it is answered later
            self.answers.append(message)
            self.pos = message["data"]["pos"]

    def run(self):
        while self.last is None or self.last not in self.numbers[-1:]:
            try:
                self.hear(self.peer.receive())
            except Closed as closed:
                self.codes.append(closed.code)
                self.peer.close(closed.code)
                self.come()


class Reader(threading.Thread):
    """Reads all that comes; keeps the numbers, and the code that the connection ends with."""

    def __init__(self, peer):
        super().__init__(daemon=True)
        self.peer, self.numbers, self.code = peer, [], None
        self.peer.socket.settimeout(CATCH_UP_SECONDS)  # as long as its worker goes last
        self.start()

    def run(self):
        try:
            while True:
                self.numbers.append(self.peer.receive()["data"]["n"])
        except Closed as closed:
            self.code = closed.code
            self.peer.close(closed.code)
        except OSError:
            pass  # the test is over


@pytest.fixture
def gateway(start, own_redis, tmp_path):
    own_redis.client.config_set("client-output-buffer-limit", "pubsub 0 0 0")
    file = tmp_path / "tidegate.yaml"
    file.write_text(CONFIG, encoding="utf-8")
    return start("--config", file, "--workers", "1", redis=own_redis)


def flood(redis, channel, count=PIPELINE, first=0):
    filler = base64.b64encode(os.urandom(EVENT_BYTES * 3 // 4)).decode()
    for start in range(first, first + count, PIPELINE):
        pipeline = redis.client.pipeline(transaction=False)
        for number in range(start, start + PIPELINE):
            data = {"n": number, "key": number % KEYS, "filler": filler}
            pipeline.publish(channel, json.dumps({"type": "n", "data": data}))
        pipeline.execute()


class Flooding(threading.Thread):
    """Floods a channel until it is stopped."""

    def __init__(self, redis, channel):
        super().__init__(daemon=True)
        self.redis, self.channel, self.ending = redis, channel, threading.Event()
        self.start()

    def run(self):
        while not self.ending.is_set():
            flood(self.redis, self.channel)

    def stop(self):
        self.ending.set()
        self.join()


def threads_of_workers(gateway):
    for task in pathlib.Path(f"/proc/{gateway.process.pid}/task").glob("*"):
        if (task / "comm").read_text(encoding="ascii").startswith("tg-worker"):
            yield int(task.name)


def schedule_workers(gateway, policy):
    for thread in threads_of_workers(gateway):
        os.sched_setscheduler(thread, policy, os.sched_param(0))


@contextlib.contextmanager
def workers_go_last(gateway):
    schedule_workers(gateway, os.SCHED_IDLE)
    try:
        yield
    finally:
        schedule_workers(gateway, os.SCHED_OTHER)


def overrun(redis, gateway, channel, beside=lambda: None):
    """Floods the channel until the worker passes over events, and calls beside() between two pipelines. How many it published."""
    count = 0
    with workers_go_last(gateway):
        while not gateway.lines(PASSED) and gateway.metric("tidegate_worker_backlog_bytes") < BACKLOG:
            beside()
            flood(redis, channel, first=count)
            count += PIPELINE
    gateway.wait_for_line(PASSED)
    return count


def all_taken(gateway, count):
    until("all have come", lambda: gateway.metric("tidegate_events_total") >= count, seconds=CATCH_UP_SECONDS)
    until("nothing waits", lambda: gateway.metric("tidegate_worker_backlog_bytes") == 0, seconds=CATCH_UP_SECONDS)


def test_what_waits_for_a_worker_is_bounded_and_clients_are_told_as_their_routes_say(own_redis, gateway, figure):
    crowd = [gateway.connect("/ws/dropping", headers=DEFLATE, receive_buffer=4096) for _ in range(10)]
    strict = Reader(gateway.connect("/ws/strict"))
    flood(own_redis, "cards")
    all_taken(gateway, PIPELINE)
    before = gateway.resident_kib()
    flood(own_redis, "cards", COUNT)
    all_taken(gateway, PIPELINE + COUNT)
    grown = gateway.peak_kib() - before
    figure("memory of 320 MB that a worker could not take in time", f"{grown} KiB")
    assert grown * 1024 < 2 * BACKLOG
    line = gateway.wait_for_line(PASSED, channel="cards")
    assert int(line.fields["n"]) > 0
    strict.join(30)
    assert strict.code == 4100
    assert gateway.metric(f'{DROPPED}{{policy="drop_oldest"}}') >= 10
    until("nobody else was closed", lambda: gateway.metric("tidegate_connections") == len(crowd))
    for peer in crowd:
        peer.abandon()


def test_a_quiet_channel_loses_nothing_beside_a_flood(own_redis, gateway):
    crowd = [gateway.connect("/ws/dropping", headers=DEFLATE, receive_buffer=4096) for _ in range(10)]
    quiet = Reader(gateway.connect("/ws/quiet"))
    said = []

    def say_once():
        if not said:
            said.append(0)
            own_redis.publish("quiet", json.dumps({"type": "n", "data": {"n": 0}}))

    overrun(own_redis, gateway, "cards", say_once)
    own_redis.publish("quiet", json.dumps({"type": "n", "data": {"n": 1}}))
    until("it heard both", lambda: quiet.numbers == [0, 1], seconds=CATCH_UP_SECONDS)
    for peer in [*crowd, quiet.peer]:
        peer.abandon()


def test_newcomers_get_in_while_a_worker_has_more_mail_than_time(own_redis, gateway, figure):
    """Mail goes before sockets, but not always."""
    crowd = [gateway.connect("/ws/dropping", headers=DEFLATE, receive_buffer=4096) for _ in range(10)]
    seconds = []
    with workers_go_last(gateway):
        while gateway.metric("tidegate_worker_backlog_bytes") <= BACKLOG // 2:
            flood(own_redis, "cards")  # by this thread: beside another one that asks, a worker that goes last may keep up
        flooding = Flooding(own_redis, "cards")
    while len(seconds) < NEWCOMERS:
        began = time.monotonic()
        gateway.connect("/ws/quiet").abandon()
        seconds.append(time.monotonic() - began)
    flooding.stop()
    figure("the slowest handshake beside a flood of events", f"{max(seconds) * 1000:.0f} ms")
    assert max(seconds) < 10  # 2 s it may be held back for its subscription
    for peer in crowd:
        peer.abandon()


def test_the_last_word_of_each_key_is_heard_and_in_order(own_redis, gateway):
    reader = Reader(gateway.connect("/ws/latest"))
    slowing = gateway.connect("/ws/latest", headers=DEFLATE, receive_buffer=4096)
    count = overrun(own_redis, gateway, "prices")
    all_taken(gateway, count)
    until("it hears the last", lambda: reader.numbers and reader.numbers[-1] == count - 1, seconds=CATCH_UP_SECONDS)
    assert reader.numbers == sorted(set(reader.numbers)) and len(reader.numbers) < count
    assert set(range(count - KEYS, count)) <= set(reader.numbers)
    reader.peer.abandon()
    slowing.abandon()


def test_who_lost_an_event_of_a_history_is_closed_comes_back_and_has_everything(own_redis, gateway, figure):
    crowd = [gateway.connect("/ws/dropping", headers=DEFLATE, receive_buffer=4096) for _ in range(10)]
    reader = Returning(gateway, "/ws/kept")
    count = 0

    def keep(entries=5):
        nonlocal count
        for number in range(count, count + entries):
            own_redis.client.fcall("tidegate_publish", 2, "tg:s:{kept}", "tg:m:{kept}",
                                   json.dumps({"type": "n", "data": number}), "kept", "publish", 1001, 86400000, "abcdefgh")
        count += entries

    try:
        overrun(own_redis, gateway, "cards", keep)
        reader.last = count
        keep(1)
        reader.join(CATCH_UP_SECONDS)
        assert reader.numbers == [*range(count)], "each once, in order"
        assert reader.codes and set(reader.codes) == {4100}
        assert {(answer["type"], answer["data"].get("recovered")) for answer in reader.answers} == {("subscribed", True)}
        figure("a history beside a flood", f"{count} events, all heard; closed {len(reader.codes)} times")
    finally:
        for peer in [*crowd, reader.peer]:
            peer.abandon()

"""What one connection asks of the node does not hold up what others ask: subscribes that nobody could need, as fast as they go."""

import contextlib
import json
import select
import threading
import time

import pytest

from harness.wait import until
from harness.websocket import TEXT, frame

FLOODERS = 4
NEWCOMERS = 20
FLOOD_BYTES = 4 << 20
HELD_BACK_SECONDS = 2  # so long the answer to a handshake waits for its subscription, and no longer
CHANNELS_MAX = 3000  # in Redis, for the flood of a test; it was some 40,000 a second

HISTORY = """
routes:
  - path: /ws/log/{id}
    channel: log:{id}
    history: {size: 1000, ttl: 1h}
"""


def words(number, verb, **data):
    return frame(TEXT, json.dumps({"type": verb, "id": number, "data": data}).encode())


class Flood:
    """A connection that says what `say` makes of each number, and reads along, until it is told to end."""

    def __init__(self, peer, say):
        self.peer, self.say, self.said, self.heard = peer, say, 0, b""
        self.ends = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        number, left = 0, b""
        self.peer.socket.setblocking(False)
        while not self.ends.is_set():
            if not left:
                left = b"".join(self.say(n) for n in range(number, number + 100))
                number += 100
            readable, writable, _ = select.select([self.peer.socket], [self.peer.socket], [], 0.1)
            if readable:
                self.heard = self.heard[-4096:] + self.peer.socket.recv(1 << 20)
            if writable:
                n = self.peer.socket.send(left)
                self.said, left = self.said + n, left[n:]

    def end(self):
        self.ends.set()
        self.thread.join()


@contextlib.contextmanager
def floods(gateway, path, say):
    with contextlib.ExitStack() as stack:
        running = []
        for index in range(FLOODERS):
            peer = stack.enter_context(gateway.connect(path))
            running.append(Flood(peer, lambda number, index=index: say(f"{index}-{number}")))
            stack.callback(running[-1].end)
        yield running


def subscribe_and_leave(name):
    return words(name, "subscribe", channel=f"items:{name}") + words(name, "unsubscribe", channel=f"items:{name}")


def test_a_handshake_does_not_wait_behind_a_flood_of_subscribes(start, own_redis, figure):
    """What is published once it is open is heard: it was let in unconfirmed when it had waited too long."""
    gateway = start("--workers", "1", redis=own_redis)
    slowest = 0
    with floods(gateway, "/ws/cards", subscribe_and_leave):
        for number in range(NEWCOMERS):
            began = time.monotonic()
            with gateway.connect(f"/ws/execution/{number}") as peer:
                slowest = max(slowest, time.monotonic() - began)
                own_redis.publish(f"execution:{number}", '{"type":"heard"}')
                assert peer.receive()["type"] == "heard"
    figure(f"slowest handshake beside {FLOODERS} floods of subscribes", f"{slowest * 1000:.0f} ms")
    assert slowest < HELD_BACK_SECONDS
    gateway.check()


def test_who_subscribes_too_often_is_told_and_holds_no_channels(start, own_redis, figure):
    gateway = start("--workers", "1", redis=own_redis)
    with floods(gateway, "/ws/cards", subscribe_and_leave) as running:
        until("each is told", lambda: all(b'"code":"rate"' in one.heard for one in running))
        channels = len(own_redis.client.pubsub_channels())
    figure(f"channels in Redis of {FLOODERS} connections that hold none", channels)
    assert channels < CHANNELS_MAX


@pytest.mark.plain
def test_a_recovery_does_not_wait_behind_joins_that_nobody_waits_for(start, own_redis, tmp_path, figure):
    file = tmp_path / "tidegate.yaml"
    file.write_text(HISTORY, encoding="utf-8")
    gateway = start("--config", file, "--workers", "1", redis=own_redis)
    gateway.publish("log:good", '{"type":"kept"}')

    def ask_and_leave(name):
        return words(name, "subscribe", channel="log:other", since="start") + words(
            name, "unsubscribe", channel="log:other")

    with floods(gateway, "/ws/log/bad", ask_and_leave) as running:
        until("each has asked for long", lambda: min(one.said for one in running) > FLOOD_BYTES)
        began = time.monotonic()
        with gateway.connect("/ws/log/good?since=start") as peer:
            answer = peer.receive()
            took = time.monotonic() - began
            assert (answer["data"]["recovered"], answer["data"]["count"]) == (True, 1)
    figure(f"a recovery beside {FLOODERS} floods of joins", f"{took * 1000:.0f} ms")
    assert took < HELD_BACK_SECONDS

#!/usr/bin/env python3
"""
Measures what clients that say as much as they can cost the others on their worker: the 99th percentile of the latency of
200 listeners, 50 events a second, with nobody else there, beside clients who say as much as they may, and beside some who
say as much as they can; the last also without limits, which is the control.

usage: tests/bench/blast.py [SECONDS] [REPETITIONS]     of each measurement (4), of all of them in turn (5)

One worker, pinned to a CPU; everything else on another. With neighbours on the machine the figures say little, and neither nice
nor chrt helps: what carries the packets (ksoftirqd) has the ordinary priority. Figures are medians. Ends with 1 if those who keep to the limits, or
are held to them, move the figure by more than half.
"""

import json
import multiprocessing
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
import zlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/integration"))

from harness.flood import Passersby, command  # noqa: E402  pylint: disable=wrong-import-position
from harness.gateway import BINARY, TALKATIVE, Gateway  # noqa: E402  pylint: disable=wrong-import-position
from harness.redis_server import RedisServer  # noqa: E402  pylint: disable=wrong-import-position

TALKERS = 20
RATE = 50  # messages a second that each may say
TICK_SECONDS = 0.1
FACTOR = 1.5
SERVER_CPU, CLIENT_CPU = 0, 1


def words(index):
    """What costs the node most: names that nobody used, subscribed and left."""
    return [command(verb, channel=f"items:{index}-{number}") for number in range(2000) for verb in ("subscribe", "unsubscribe")]


def keep_to_the_rate(gateway):
    """So many connections, each of which says its burst and then as much as it may."""
    peers = [gateway.connect("/ws/cards").socket for _ in range(TALKERS)]
    said = [words(index) for index in range(TALKERS)]
    for peer, mine in zip(peers, said):
        peer.sendall(b"".join(mine[:200]))
    at, began = 200, time.monotonic()
    while True:
        for peer, mine in zip(peers, said):
            peer.sendall(b"".join(mine[(at + n) % len(mine)] for n in range(int(RATE * TICK_SECONDS))))
            peer.setblocking(False)
            try:
                while peer.recv(1 << 16):
                    pass
            except BlockingIOError:
                peer.setblocking(True)
        at += int(RATE * TICK_SECONDS)
        time.sleep(max(0, began + (at - 200) / RATE - time.monotonic()))


class Keeping:
    def __init__(self, gateway):
        self.processes = [multiprocessing.get_context("fork").Process(target=keep_to_the_rate, args=(gateway,), daemon=True)]

    def __enter__(self):
        self.processes[0].start()
        return self

    def __exit__(self, *_):
        self.processes[0].kill()
        self.processes[0].join()


class Nobody:
    def __init__(self, gateway):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


def blasting(gateway):
    return Passersby(gateway, "/ws/cards", [b"".join(words(index)) * 10 for index in range(4)])


def deflating(gateway):
    """Messages of 16 KiB that are some fifty bytes on the wire: they cost by far the most of all that a client can say."""
    text = b'{"type":"ping","data":{"a":"' + b"x" * 16000 + b'"}}'
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    payload = (deflater.compress(text) + deflater.flush(zlib.Z_SYNC_FLUSH))[:-4]
    offer = [("Sec-WebSocket-Extensions", "permessage-deflate; client_no_context_takeover")]
    one = bytes([0xc1, 0x80 | len(payload)]) + bytes(4) + payload  # masked with zeros, as `command` is
    return Passersby(gateway, "/ws/deflated", [one * 20000 for _ in range(4)], offer)


def pinging(gateway):
    return Passersby(gateway, "/ws/cards", [command("ping") * 40000 for _ in range(4)])


CASES = (
    ("nobody else", Nobody, ()),
    (f"{TALKERS} that say {RATE} a second", Keeping, ()),
    ("4 that subscribe as fast as they can", blasting, ()),
    ("4 that ping as fast as they can", pinging, ()),
    ("4 that deflate as fast as they can", deflating, ()),
    ("control: 4 that subscribe, no limits", blasting, TALKATIVE),
    ("control: 4 that ping, no limits", pinging, TALKATIVE),
    ("control: 4 that deflate, no limits", deflating, TALKATIVE),
)


def measure(redis, others, options, seconds):
    with tempfile.TemporaryDirectory() as directory:
        file = pathlib.Path(directory) / "tidegate.yaml"
        file.write_text("routes: [{path: /ws/deflated, channel: deflated, compression: on}]\n", encoding="utf-8")
        gateway = Gateway(pathlib.Path(directory), "--config", file, "--workers", "1", *options, redis=redis)
        try:
            for task in pathlib.Path(f"/proc/{gateway.process.pid}/task").iterdir():
                os.sched_setaffinity(int(task.name), {SERVER_CPU})
            with others(gateway) as talkers:
                # They share a CPU with the listeners, whom they must not hold up there.
                for process in getattr(talkers, "processes", []):
                    os.setpriority(os.PRIO_PROCESS, process.pid, 19)
                bench = subprocess.run(
                    [BINARY, "bench", "--url", gateway.url(""), "--redis", redis.url, "--connections", "200", "--rate", "50",
                     "--duration", str(seconds), "--warmup", "1.5", "--json", "--path", "/ws/items/bench", "--channel", "items:bench"],
                    capture_output=True, text=True, timeout=60 + 3 * seconds, check=False)
            return json.loads(bench.stdout.splitlines()[-1])
        finally:
            gateway.process.kill()


def main():
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 4
    repetitions = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    os.sched_setaffinity(0, {CLIENT_CPU})
    found = {name: [] for name, _, _ in CASES}
    with tempfile.TemporaryDirectory() as directory:
        redis = RedisServer(pathlib.Path(directory))
        try:
            for _ in range(repetitions):
                for name, others, options in CASES:
                    found[name].append(measure(redis, others, options, seconds))
        finally:
            redis.stop()
    alone = statistics.median(one["latency_p99_us"] for one in found["nobody else"])
    too_much = False
    print(f"{'beside':40} {'p50 ms':>8} {'p99 ms':>8} {'times':>6}")
    for name, runs in found.items():
        p50, p99 = (statistics.median(one[f"latency_{of}_us"] for one in runs) for of in ("p50", "p99"))
        print(f"{name:40} {p50 / 1000:8.2f} {p99 / 1000:8.2f} {p99 / alone:6.2f}")
        too_much |= not name.startswith("control") and p99 > FACTOR * alone
    return int(too_much)


if __name__ == "__main__":
    sys.exit(main())

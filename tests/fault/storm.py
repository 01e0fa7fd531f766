"""
F16: everybody connects at once, beside clients that listen.

All of it is one worker's. The listeners are `tidegate bench`, which measures their latency; the crowd is more of it, one after
the other for as long as the listeners are measured, each with all its handshakes under way at once.
"""

import json
import time

import harness.gateway
from fault import Control, Fault
from harness.process import Process

N_LISTENERS, RATE, N_CROWD = 100, 50, 2000
WARMUP_SECONDS = 1
P99_MS = 25


class Benches:
    """Runs of `tidegate bench` against one gateway."""

    def __init__(self, bench, gateway, server):
        self.bench, self.gateway, self.server = bench, gateway, server
        self.n = 0

    def start(self, *words):
        self.n += 1
        process = Process([harness.gateway.BINARY, "bench", "--url", self.gateway.url(""), "--redis", self.server.url, "--json",
                           *words], self.bench.directory, f"bench-{self.n}")
        self.bench.ends.append(process.kill)
        return process

    def listeners(self, seconds):
        return self.start("--connections", N_LISTENERS, "--rate", RATE, "--duration", seconds, "--warmup", WARMUP_SECONDS)

    def crowd(self, n):
        return self.start("--connections", n, "--opening", n, "--open-only", "--sources", 8)

    @staticmethod
    def result(process):
        """Ends with 1 if it lost anything."""
        process.end()
        return json.loads(process.stdout().splitlines()[-1])


def f16(bench):
    """2,000 connect at once, again and again, while 100 others listen"""
    server = bench.redis()
    gateway = bench.gateway(server, "gateway", "--workers", 1)
    benches, n_crowd = Benches(bench, gateway, server), bench.sized(N_CROWD, 2 * N_CROWD)
    quiet = benches.result(benches.listeners(bench.sized(5, 2)))
    hygiene = bench.watch(gateway)
    hygiene.begin()
    listeners, began, n_storms = benches.listeners(bench.sized(10, 4)), time.monotonic(), 0
    while listeners.alive():
        opened = benches.result(benches.crowd(n_crowd))
        n_storms += 1
        assert opened["connections"] == n_crowd, opened
    hygiene.over()
    storm = benches.result(listeners)
    before, after = quiet["latency_p99_us"] / 1000, storm["latency_p99_us"] / 1000
    bench.row(f"storms in {time.monotonic() - began:.0f} s", "2 or more", f"{n_storms}", n_storms >= 2)
    bench.at_most(f"p99 of the others, {before:.1f} ms before", P99_MS if not bench.short else 2 * P99_MS, after, " ms")
    bench.at_most("lost, doubled or out of order", 0, storm["lost"] + storm["doubled"] + storm["reordered"])
    hygiene.settled()
    bench.hygienic()


FAULTS = (Fault("f16", f16, Control("no priorities", "p99 of the others", off="priorities")),)

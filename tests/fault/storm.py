"""
F16: everybody connects at once, beside clients that listen.

All of it is one worker's. The listeners are `tidegate bench`, which measures their latency; the crowd is more of it, one after
the other for as long as the listeners are measured, each with all its handshakes under way at once. F16b: over TLS. F16c: each with a
token, signed with RS256. F16d: the worker has no thread of its own.
"""

import contextlib
import json
import time

import harness.gateway
from fault import Control, Fault
from harness.gateway import over_tls
from harness.process import Process
from harness.tokens import Issuer
from harness.wait import Timeout, until

N_LISTENERS, RATE, N_CROWD = 100, 50, 2000
WARMUP_SECONDS = 1
P99_MS, P99_TLS_MS = 25, 50
# 2,000 handshakes at once hold some 50 KiB each, most of it OpenSSL's, and the heap keeps that for the next crowd: 113 MiB.
# It goes back five seconds after the last has left (app/memory_stage.h), but for 9 MiB.
GROWTH_KIB_MAX, GIVES_BACK_SECONDS = 16 << 10, 12


class Benches:
    """Runs of `tidegate bench` against one gateway."""

    def __init__(self, bench, url, server, *more):
        self.bench, self.url, self.server, self.more = bench, url, server, more
        self.n = 0

    def start(self, *words):
        self.n += 1
        process = Process([harness.gateway.BINARY, "bench", "--url", self.url, "--redis", self.server.url, "--json",
                           *self.more, *words], self.bench.directory, f"bench-{self.n}")
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


def guarded(bench):
    """Options of a gateway that wants tokens, and of a bench that shows one."""
    issuer, keys, token = Issuer("RS256"), bench.directory / "keys.pem", bench.directory / "token"
    keys.write_text(issuer.public(), encoding="ascii")
    token.write_text(issuer.token(), encoding="ascii")
    return ("--token-keys", keys), ("--token", token)


def f16(bench, tls=False, tokens=False, single_thread=False):
    """2,000 connect at once, again and again, while 100 others listen"""
    server, n_crowd = bench.redis(), bench.sized(N_CROWD, 2 * N_CROWD)
    wants, shows = guarded(bench) if tokens else ((), ())
    gateway = bench.gateway(server, "gateway", "--workers", 1, "--single-thread", single_thread, "--connections-per-address", 0, *wants, *(over_tls() if tls else ()))
    address = f"{gateway.address[0]}:{gateway.address[1]}"
    benches = Benches(bench, f"{'wss' if tls else 'ws'}://{address}", server, *shows)
    bound = P99_TLS_MS if tls else P99_MS
    quiet = benches.result(benches.listeners(bench.sized(5, 2)))
    hygiene = bench.watch(gateway)
    hygiene.growth_kib_max = GROWTH_KIB_MAX
    hygiene.begin()
    kib = gateway.resident_kib()
    listeners, began, n_storms = benches.listeners(bench.sized(10, 4)), time.monotonic(), 0
    while listeners.alive():
        opened = benches.result(benches.crowd(n_crowd))
        n_storms += 1
        assert opened["connections"] == n_crowd, opened
    hygiene.over()
    storm = benches.result(listeners)
    before, after = quiet["latency_p99_us"] / 1000, storm["latency_p99_us"] / 1000
    bench.row(f"storms in {time.monotonic() - began:.0f} s", "2 or more", f"{n_storms}", n_storms >= 2)
    bench.at_most(f"p99 of the others, {before:.1f} ms before", bench.sized(bound, 2 * bound), after, " ms")
    bench.at_most("lost, doubled or out of order", 0, storm["lost"] + storm["doubled"] + storm["reordered"])
    hygiene.settled()
    with contextlib.suppress(Timeout):  # the next row tells
        until("its memory is given back", lambda: gateway.resident_kib() - kib < GROWTH_KIB_MAX, GIVES_BACK_SECONDS)
    bench.hygienic()


WITHOUT = Control("no priorities", "p99 of the others", off="priorities")
FAULTS = (
    Fault("f16", f16, WITHOUT),
    Fault("f16b TLS", f16, WITHOUT, full_only=True, tls=True),
    Fault("f16c RS256", f16, WITHOUT, full_only=True, tokens=True),
    Fault("f16d one thread", f16, WITHOUT, full_only=True, single_thread=True),
)

"""
F7: clients that do not read, beside clients that do.

The others are `tidegate bench`: 900 that read, and their latency. The slow ones are ours: they are fed from a log, stop reading,
are cut, and come back with where they were. The others are measured in turns, while our hundred read and while they do not,
because a machine that is shared is never the same twice.
"""

import json
import statistics
import time

import harness.gateway
from bench import SETTLE_SECONDS
from common import names, reached, settled, tops
from fault import Control, Fault
from harness.process import Process
from seqpub import send
from verify import read_logs, verify

N_QUICK, N_SLOW, N_CHANNELS = 900, 100, 2
EVENT_BYTES, RATE = 8192, 150  # for the slow ones: the kernel takes 2 to 3 MiB of a connection before anything waits
BOUND_BYTES = 256 << 10        # less than one replay may have: whoever is cut can come back
SLOW = "{policy: disconnect, bytes: 256KiB, age: 10s}"
NEVER = "{policy: disconnect, bytes: 1GiB, age: none}"
CUT_SECONDS = 10
GIVE_UP_SECONDS = 15
RECEIVE_BYTES, AWAKE_BYTES = 2048, 1 << 20
ROUTES = """topics: []
routes:
  - {path: "/ws/fault/{id}", channel: "fault:{id}", history: {size: 1000000}, slow: %s}
  - {path: "/ws/quick/{n}", channel: "quick:{n}"}
"""


class Feed:
    """Publishes to the slow ones' log at a steady rate, from the turns of the crowd."""

    def __init__(self, server, channels):
        self.server, self.channels = server, channels
        self.n = 0
        self.began = None

    def __call__(self, last=None):
        """What is due, and nothing after the number `last`."""
        self.began = self.began or time.monotonic() - self.n / RATE
        due = range(self.n, min(int((time.monotonic() - self.began) * RATE), last or 1 << 60))
        self.n += len(due)
        if due:
            send(self.server.client, [(self.channels[i % len(self.channels)], i // len(self.channels) + 1) for i in due],
                 EVENT_BYTES)

    def pause(self):
        self.began = None


class Others:
    """One run of `tidegate bench` against the gateway."""

    def __init__(self, bench, gateway, server, seconds):
        words = ["bench", "--url", gateway.url(""), "--path", "/ws/quick/{n}", "--channel", "quick:{n}", "--redis", server.url,
                 "--connections", N_QUICK, "--channels", 20, "--rate", 200, "--duration", seconds, "--warmup", 1, "--json"]
        self.process = Process([harness.gateway.BINARY, *words], bench.directory, f"bench-{time.monotonic_ns()}")
        bench.ends.append(self.process.kill)

    def running(self):
        return self.process.alive()

    def result(self):
        self.process.end()  # with 1 if it lost anything
        return json.loads(self.process.stdout().splitlines()[-1])


class Run:
    def __init__(self, bench, slow):
        bench.routes(ROUTES % slow)
        self.bench, self.server, self.channels = bench, bench.redis(), names(N_CHANNELS)
        self.gateway = bench.gateway(self.server)
        self.crowd = bench.crowd(self.gateway)
        self.slow = self.crowd.add(N_SLOW, self.channels)
        assert self.crowd.run_until(settled(self.crowd), SETTLE_SECONDS) is not None, "the crowd does not get in"
        self.hygiene = bench.watch(self.gateway)
        self.feed = Feed(self.server, self.channels)
        self.crowd.run_for(2)
        self.hygiene.begin()
        self.most_kib = 0
        self.p99_us = {"read": [], "do not": []}
        self.late_seconds = []
        self.n_cut = self.n_back = 0

    def others_while(self, what, n_fed, enough):
        """
        Measures the others while this is so. The slow ones are fed n_fed events, or (None) until enough() or for too long:
        who was cut is not to find more than a replay when he comes back. When it was enough.
        """
        others, began, when = Others(self.bench, self.gateway, self.server, self.bench.sized(5, 3)), time.monotonic(), []
        last = n_fed and self.feed.n + n_fed

        def turn():
            if not when:
                self.feed(last)
            if not when and enough():
                when.append(time.time())

        def over():
            return not others.running() and (when or time.monotonic() > began + GIVE_UP_SECONDS)

        self.crowd.run_until(over, 2 * GIVE_UP_SECONDS, turn)
        self.feed.pause()
        self.p99_us[what].append(others.result()["latency_p99_us"])
        return when[0] if when else None

    def n_dropped(self):
        return self.gateway.metric('tidegate_messages_dropped_total{policy="disconnect"}')

    def round_trip(self):
        """They do not read, and are cut; they come back; they read as much."""
        self._connect_anew(RECEIVE_BYTES)
        before, before_kib, peers = self.n_dropped(), self.gateway.resident_kib(), [client.n_disconnects for client in self.slow]
        self.crowd.pause(self.slow)

        def all_cut():
            self.most_kib = max(self.most_kib, self.gateway.resident_kib() - before_kib)
            return self.n_dropped() - before >= N_SLOW * (BOUND_BYTES // (EVENT_BYTES + 200) - 1)

        n_before = self.feed.n
        cut_at = self.others_while("do not", None, all_cut)
        n_fed = self.feed.n - n_before
        recovered = self.n_recovered()
        for client in self.slow:
            client.receive_bytes = None
        self.crowd.resume(self.slow, AWAKE_BYTES, self._note)
        self.stood_at = {}
        cut = self.crowd.run_until(lambda: all(c.n_disconnects > n for c, n in zip(self.slow, peers)),
                                   SETTLE_SECONDS if cut_at else 2)
        self.n_cut += sum(client.n_disconnects > n for client, n in zip(self.slow, peers))
        if cut is not None and cut_at:
            self.late_seconds.append(cut_at - max(map(self._limit_at, self.slow)))
        self.crowd.run_until(settled(self.crowd), SETTLE_SECONDS)
        self.crowd.run_until(reached(self.slow, tops(self.server, self.channels)), SETTLE_SECONDS)
        self.n_back += self.n_recovered() - recovered
        last = self.feed.n + n_fed
        self.others_while("read", n_fed, lambda: self.feed.n >= last)
        self.crowd.run_until(reached(self.slow, tops(self.server, self.channels)), SETTLE_SECONDS)

    def _connect_anew(self, receive_bytes):
        """The kernel believes a buffer's size at the handshake; reading through a small one all the time would be its own load."""
        for client in self.slow:
            client.receive_bytes = receive_bytes
        self.crowd.leave(self.slow)
        self.crowd.come_back(self.slow)
        assert self.crowd.run_until(settled(self.crowd), SETTLE_SECONDS) is not None, "the slow ones do not get in"

    def n_recovered(self):
        return sum(client.told.count(("recovered", None)) for client in self.slow)

    def _note(self, client):
        """It was cut here: what came before had gone to the kernel."""
        self.stood_at[client] = client.pos

    def _limit_at(self, client):
        """When so much was published behind it that the bound was reached."""
        offset = self.stood_at[client][1] + BOUND_BYTES // (EVENT_BYTES + 200)
        found = self.server.client.xrange(f"tg:s:{{{client.channel}}}", f"{offset}-0", "+", 1)
        return int(found[0][0].split(b"-")[1]) / 1e6 if found else time.time()


def f7(bench, slow=SLOW):
    """100 of 1,000 clients stop reading"""
    run = Run(bench, slow)
    n_rounds = 1 if bench.is_control else bench.sized(5, 1)
    for _ in range(n_rounds):
        run.round_trip()
    run.hygiene.over()
    run.hygiene.settled()
    n_expected = n_rounds * N_SLOW
    bench.row("cut", f"{n_expected}", f"{run.n_cut}", run.n_cut == n_expected)
    bench.at_most("the last of them, after its bound was reached", CUT_SECONDS, max(run.late_seconds, default=None), " s")
    read, do_not = (statistics.median(run.p99_us[what]) for what in ("read", "do not"))
    bench.at_most(f"p99 of the others, {read / 1000:.1f} → {do_not / 1000:.1f} ms", bench.sized(1.2, 10), do_not / read, "×")
    bench.at_most("memory for them, in MiB", N_SLOW, run.most_kib / 1024)
    bench.hygienic(run.crowd.run_until)
    bench.row("came back and were told: recovered", f"{n_expected}", f"{run.n_back}", run.n_back == n_expected)
    bench.verified("slow ones", verify(run.slow, read_logs(run.server.client, run.channels)))


FAULTS = (Fault("f7", f7, Control("no bound", "cut", slow=NEVER)),)

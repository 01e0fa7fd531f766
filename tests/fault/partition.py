"""
F6: nothing passes between gateways and Redis, while both live. F6b: some packets are lost. (To a cluster: cluster_bus.py.)

F6c: single pushes do not pass: a proxy takes them out. How a real cluster loses them is in cluster_bus.py.
"""

import time

from bench import SETTLE_SECONDS
from common import Listening, names, p99, publish_each, reached, settled, tops
from fault import Control, Fault
from netns import NamespaceRedis
from resp_filter import Thinner
from verify import read_logs, verify

NOTICE_SECONDS = 9
CAUGHT_UP_SECONDS = 10  # 3 s at most for the next attempt; then the crowd has to take in all that was missed
REPAIR_SECONDS = 12
LOSSY_RATE = 1000
LATE_SECONDS, LATE_PERCENT = 1.5, 5  # p99, where so many of a hundred packets are lost


def f6(bench, how, seconds):
    """no packet passes between the gateways and Redis"""
    server = bench.redis(kind=NamespaceRedis)
    run = Listening(bench, server=server)
    noticed = {}
    began = time.monotonic()

    def look():
        for watched in run.hygiene.watched:
            if watched.answers and watched.answers[-1][2] == 503 and watched not in noticed:
                noticed[watched] = watched.answers[-1][0] - began

    run.hygiene.begin(NOTICE_SECONDS)
    server.wire.cut(how)
    try:
        run.crowd.run_for(seconds, look)
    finally:
        run.hygiene.over()
        server.wire.mend(how)
    if seconds > NOTICE_SECONDS:
        late = max(noticed.values()) if len(noticed) == len(run.gateways) else None
        bench.at_most("noticed by both gateways", NOTICE_SECONDS, late, " s")
    bench.at_most("caught up after it is mended", CAUGHT_UP_SECONDS, run.catch_up(), " s")
    run.end()


def f6_reset(bench):
    """RST on both of a gateway's connections, again and again"""
    server = bench.redis()
    line = bench.proxy(server.port)
    run = Listening(bench, n_gateways=1, server=server, url=f"redis://127.0.0.1:{line.port}")
    gateway, n_cycles = run.gateways[0], bench.sized(50, 6)
    run.hygiene.begin(SETTLE_SECONDS * n_cycles)  # it comes and goes: only the ends are looked at

    def lost():
        return gateway.metric("tidegate_redis_reconnects_total")

    for cycle in range(n_cycles):
        line.reset()
        back = run.crowd.run_until(lambda n=cycle + 1: lost() >= n and gateway.get("/ready").status == 200, SETTLE_SECONDS)
        assert back is not None, f"not back after reset {cycle + 1}"
    bench.at_most(f"caught up after the last of {n_cycles}", CAUGHT_UP_SECONDS, run.catch_up(), " s")
    run.end()


def f6b(bench, percent):
    """packets are lost between a gateway and Redis, in both directions, for 20 s"""
    server = bench.redis(kind=NamespaceRedis)
    run = Listening(bench, n_gateways=1, n_channels=60, n_clients=bench.sized(600, 120), rate=LOSSY_RATE, server=server)
    run.hygiene.begin(SETTLE_SECONDS)  # a probe may be among them
    server.wire.thin(percent)
    try:
        lossy(bench, run.crowd, percent)
    finally:
        run.hygiene.over()
        server.wire.mend()
    bench.at_most("caught up after it is mended", CAUGHT_UP_SECONDS, run.catch_up(), " s")
    run.end()


def lossy(bench, crowd, percent):
    """The time of it, and how long entries were on their way then."""
    crowd.on_way = heard = []
    crowd.run_for(bench.sized(20, 4))
    crowd.on_way = None
    late = p99([seconds for _, seconds in heard])
    if percent <= LATE_PERCENT:
        bench.at_most("p99 until an entry is heard", LATE_SECONDS, late, " s")
    else:
        bench.row("p99 until an entry is heard", "", f"{late:.2f} s" if late else "never", None)


def f6c(bench):
    """pushes of all channels are lost for 20 s, the connections stand"""
    n_channels = 50
    server, channels, thinner = bench.redis(), names(n_channels), Thinner(b"fault:")
    line = bench.proxy(server.port, thinner.filter)
    gateway = bench.gateway(f"redis://127.0.0.1:{line.port}")
    crowd, hygiene = bench.crowd(gateway), bench.watch(gateway)
    crowd.add(2 * n_channels, channels)
    assert crowd.run_until(settled(crowd), SETTLE_SECONDS) is not None, "the crowd does not get in"
    publish_each(server, channels, range(1, 4))
    assert crowd.run_until(reached(crowd.clients, tops(server, channels)), SETTLE_SECONDS) is not None
    crowd.run_for(bench.sized(2, 2))
    hygiene.begin()
    thinner.swallows = True
    began, number, worst = time.monotonic(), 4, 0.0
    while worst is not None and (number == 4 or time.monotonic() < began + bench.sized(20, 0)):
        publish_each(server, channels, [number])
        number += 1
        repaired = crowd.run_until(reached(crowd.clients, tops(server, channels)), REPAIR_SECONDS + 3)
        worst = None if repaired is None else max(worst, repaired)
    n_swallowed, thinner.swallows = thinner.n_swallowed, False
    hygiene.over()
    hygiene.settled()
    bench.row("pushes lost", f"≥ {n_channels}", str(n_swallowed), n_swallowed >= n_channels)
    bench.at_most("the last one repaired, without a successor", REPAIR_SECONDS, worst, " s")
    publish_each(server, channels, [number])
    crowd.run_until(reached(crowd.clients, tops(server, channels)), SETTLE_SECONDS)
    bench.hygienic(crowd.run_until)
    bench.verified(f"{2 * n_channels} clients", verify(crowd.clients, read_logs(server.client, channels)))


NO_PROBE = Control("no probe", "noticed", off="probe", seconds=12)

FAULTS = (
    Fault("f6 both 5 s", f6, how="both", seconds=5),
    Fault("f6 both 30 s", f6, NO_PROBE, full_only=True, how="both", seconds=30),
    Fault("f6 to Redis 30 s", f6, NO_PROBE, full_only=True, how="to Redis", seconds=30),
    Fault("f6 to us 30 s", f6, NO_PROBE, full_only=True, how="to the gateway", seconds=30),
    Fault("f6 blackhole 30 s", f6, NO_PROBE, full_only=True, how="blackhole", seconds=30),
    Fault("f6 both 120 s", f6, NO_PROBE, full_only=True, how="both", seconds=120),
    Fault("f6 RST", f6_reset, Control("no catch-up", "lost", off="catch_up")),
    *[Fault(f"f6b {percent} %", f6b, full_only=True, percent=percent) for percent in (1, 5, 20)],
    Fault("f6c", f6c, Control("no tail check", "repaired", off="tail_check")),
)

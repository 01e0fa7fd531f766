"""
A gateway goes away: F3 it is killed, F3b it freezes and Redis gives it up.
"""

import signal
import time

from bench import SETTLE_SECONDS, end_by_kill, thaw
from common import Listening, reads_of_ranges, reached, settled, tops
from fault import Control, Fault

LOOK_SECONDS = 0.03
MIB = 1 << 20


def f3(bench, resumes=True):
    """kill -9 of one of two gateways"""
    run = Listening(bench, unaware=0, half_streams=True)
    crowd = run.crowd
    crowd.resumes = resumes
    before = reads_of_ranges(run.server)
    cut = [client for client in crowd.clients if client.socket.getpeername() == run.gateways[0].address]
    run.hygiene.begin()
    end_by_kill(run.gateways[0])
    del crowd.addresses[0]
    run.hygiene.over()
    seconds = crowd.run_until(
        lambda: all(client.n_disconnects for client in cut) and settled(crowd)(), SETTLE_SECONDS)
    run.hygiene.settled()
    bench.at_most(f"all {len(cut)} clients of the killed one are back", 10, seconds, " s")
    bench.at_most("reads of the log meanwhile", 200, reads_of_ranges(run.server) - before)
    run.end(disconnects=False, what=f"resumed, {run.n_streams} by SSE")


class Held:
    """What Redis keeps for the subscribers among the gateways, looked at now and then."""

    def __init__(self, server):
        self.server = server
        self.looked, self.most_bytes, self.n_least = 0, 0, 99

    def __call__(self):
        if time.monotonic() - self.looked < LOOK_SECONDS:
            return
        self.looked = time.monotonic()
        links = [link for link in self.server.client.client_list()
                 if link["name"].startswith("tidegate-") and link["sub"] != "0"]
        self.most_bytes = max([self.most_bytes, *(int(link["omem"]) for link in links)])
        self.n_least = min(self.n_least, len(links))


def f3b(bench):
    """SIGSTOP of one of two gateways: Redis cuts it, half of its clients go to the other one"""
    limit = bench.sized(MIB, MIB // 4)
    server = bench.redis()
    server.client.config_set("client-output-buffer-limit", f"pubsub {limit} 0 0")
    # What the kernel takes for the frozen one, some 10 MiB, is nothing that Redis could notice.
    run = Listening(bench, server=server, payload_bytes=4096, rate=bench.sized(1000, 1500))
    crowd, frozen, held = run.crowd, run.gateways[0], Held(server)
    there = [client for client in crowd.clients if client.socket.getpeername() == frozen.address]
    impatient = [client for client in there if client.aware][::2]
    run.hygiene.begin(SETTLE_SECONDS)  # whoever was cut is not ready when it goes on, and says so
    run.hygiene.freeze(frozen, True)
    frozen.process.signal(signal.SIGSTOP)
    try:
        crowd.run_for(bench.sized(10, 2), held)
        addresses, crowd.addresses = crowd.addresses, [run.gateways[1].address]
        crowd.leave(impatient)
        crowd.come_back(impatient)
        back = crowd.run_until(settled(crowd, impatient), SETTLE_SECONDS, held)
        at_other = crowd.run_until(reached(impatient, tops(server, run.channels)), SETTLE_SECONDS, held)
        crowd.run_for(bench.sized(20, 3), held)
    finally:
        run.hygiene.over()
        thaw(frozen.process)
        run.hygiene.freeze(frozen, False)
    crowd.addresses = addresses
    bench.row("cut by Redis while frozen", "yes", "yes" if held.n_least == 1 else "no", held.n_least == 1)
    bench.at_most("kept for it by Redis", limit + limit // 4, held.most_bytes, " B")
    bench.at_most(f"all {len(impatient)} who went to the other gateway caught up", 10,
                  None if None in (back, at_other) else back + at_other, " s")
    bench.at_most("caught up after it goes on", 10, run.catch_up(), " s")
    run.end(disconnects=False)
    stayed = [client for client in there if client not in set(impatient)]
    bench.at_most(f"of {len(stayed)} who waited disconnected", 0, sum(client.n_disconnects for client in stayed))


FAULTS = (
    Fault("f3", f3, Control("clients do not say where they were", "lost", resumes=False)),
    Fault("f3b", f3b, Control("no catch-up", "lost", off="catch_up")),
)

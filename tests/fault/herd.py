"""
F12: everybody comes at once.
"""

import pathlib
import re

from bench import SETTLE_SECONDS, end_by_kill
from common import false_alarms, names, publish_each, reached, reads_of_ranges, settled, tops
from fault import Control, Fault
from harness.wait import SANITIZER
from verify import read_logs, verify

N_CHANNELS, BEHIND = 200, 50
RETURN_SECONDS = 20


def peak_kib(gateway):
    status = pathlib.Path(f"/proc/{gateway.process.pid}/status").read_text(encoding="ascii")
    return int(re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)[1])


def f12(bench):
    """all clients cut at once, back 50 entries behind at gateways that know nothing"""
    n_clients = bench.sized(10000, 1000)
    server, channels = bench.redis(), names(N_CHANNELS)
    gateways = [bench.gateway(server, f"gateway-{i}") for i in range(2)]
    crowd = bench.crowd(*gateways)
    crowd.add(n_clients, channels, half_streams=True)
    assert crowd.run_until(settled(crowd), 2 * SETTLE_SECONDS) is not None, "the crowd does not get in"
    publish_each(server, channels, range(1, 3))
    assert crowd.run_until(reached(crowd.clients, tops(server, channels)), SETTLE_SECONDS) is not None
    before_kib = sum(gateway.resident_kib() for gateway in gateways)
    for gateway in gateways:
        end_by_kill(gateway)
    publish_each(server, channels, range(3, 3 + BEHIND))
    new = [bench.gateway(server, f"gateway-new-{i}") for i in range(2)]
    crowd.addresses[:] = [gateway.address for gateway in new]
    hygiene = bench.watch(*new)
    hygiene.begin()
    before, wanted, n_refused = reads_of_ranges(server), tops(server, channels), crowd.n_refused

    def back():
        return not crowd.away and settled(crowd)() and reached(crowd.clients, wanted)()

    hygiene.over()
    seconds = crowd.run_until(back, 2 * SETTLE_SECONDS)
    hygiene.settled()
    bench.at_most(f"{n_clients} clients recovered, {BEHIND} entries each", RETURN_SECONDS, seconds, " s")
    bench.at_most("reads of the log (channels × gateways)", N_CHANNELS * 2, reads_of_ranges(server) - before)
    bench.at_most("handshakes refused", 0, crowd.n_refused - n_refused)
    if SANITIZER == "none" and not bench.short:  # of a small crowd the rings are the larger part
        bench.at_most("memory at its peak, of what it was", 1.5, sum(map(peak_kib, new)) / before_kib, "×")
    crowd.run_for(0.3)
    bench.verified("recovered, half by SSE", verify(crowd.clients, read_logs(server.client, channels)))
    bench.at_most("false alarms", 0, false_alarms(crowd.clients))
    bench.at_most("cut again", n_clients, sum(client.n_disconnects for client in crowd.clients))
    bench.hygienic(crowd.run_until)


FAULTS = (Fault("f12", f12, Control("no single flight", "reads of the log", off="single_flight")),)

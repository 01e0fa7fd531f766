"""
The faults: what is broken, what must come of it, and what did.

Each fault is one function that takes a Bench, and adds rows to its table. A row is a figure to reach and the figure that was
reached. Where a control run is made, it is the same fault with the mechanism left out, and must be found wanting.
"""

import argparse
import json
import pathlib
import shutil
import signal
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))

# pylint: disable=wrong-import-position
import redis  # noqa: E402

from harness.gateway import Gateway  # noqa: E402
from harness.process import Process  # noqa: E402
from harness.redis_server import RedisServer  # noqa: E402
from harness.wait import until  # noqa: E402
from seqcheck import Client, Crowd, allow_descriptors  # noqa: E402
from seqpub import channel_name, send  # noqa: E402
from tcp_proxy import TcpProxy  # noqa: E402
from verify import read_logs, verify  # noqa: E402

ROUTES = 'topics: []\nroutes:\n  - {path: "/ws/fault/{id}", channel: "fault:{id}", history: {size: 1000000}}\n'
SETTLE_SECONDS = 60  # long after a promise was broken: then the run goes on to be verified
RATE = 2000
OUTAGE_SECONDS = 2


class DurableRedis(RedisServer):
    """Has what it acknowledged after `kill -9`."""

    def _run(self, port):
        self.client = redis.Redis(port=port)
        self.wanted_port = port
        return Process([shutil.which("redis-server"), "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly",
                        "yes", "--appendfsync", "everysec", "--dir", self.directory], self.directory, "redis")


class Bench:
    """What one fault needs: servers in a folder of its own, a crowd, rows for the table."""

    def __init__(self, name, short):
        self.name, self.short = name, short
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="tidegate-fault-"))
        self.rows = []
        self.ends = []
        (self.directory / "tidegate.yaml").write_text(ROUTES, encoding="utf-8")

    def sized(self, full, short):
        return short if self.short else full

    def redis(self, name="redis", kind=DurableRedis):
        folder = self.directory / name
        folder.mkdir()
        server = kind(folder)
        self.ends.append(server.stop)
        return server

    def gateway(self, url, name="gateway"):
        gateway = Gateway(self.directory, "--config", self.directory / "tidegate.yaml", redis=url, name=name)
        self.ends.append(lambda: gateway.process.ended or gateway.stop())
        return gateway

    def proxy(self, port):
        proxy = TcpProxy(port)
        self.ends.append(proxy.stop)
        return proxy

    def crowd(self, *gateways):
        crowd = Crowd([gateway.address for gateway in gateways])
        self.ends.append(crowd.stop)
        return crowd

    def publisher(self, server, n_channels, rate=RATE):
        journal = self.directory / "journal.json"
        script = pathlib.Path(__file__).with_name("seqpub.py")
        command = ["/usr/bin/python3", "-B", script, server.port, n_channels, rate, journal]
        process = Process(command, self.directory, "seqpub")
        self.ends.append(lambda: process.ended or process.stop())
        return process, journal

    def row(self, what, wanted, reached, good):
        self.rows.append((self.name, what, wanted, reached, good))
        print(f"  {'ok  ' if good else 'FAIL'} {self.name}: {what}: {reached} (to reach: {wanted})", flush=True)

    def at_most(self, what, wanted, reached, unit=""):
        shown = "never" if reached is None else f"{reached:.2f}" if isinstance(reached, float) else str(reached)
        good = reached is not None and reached <= wanted
        self.row(what, f"≤ {wanted}{unit}" if wanted else f"0{unit}", shown + unit, good)

    def verified(self, what, verdict):
        self.at_most(f"{what}: lost, of {verdict.n_compared}", 0, verdict.lost)
        self.at_most(f"{what}: doubled", 0, verdict.doubled)
        self.at_most(f"{what}: wrong, or out of order", 0, verdict.wrong + verdict.wrong_base)
        if verdict.n_acked:
            self.at_most(f"{what}: of {verdict.n_acked} acknowledged not in the log once", 0, verdict.unacked)

    def close(self):
        failed = None
        for end in reversed(self.ends):
            try:
                end()
            except AssertionError as failure:
                failed = failed or failure
        if failed:
            self.row("servers end as they should", "yes", str(failed)[:300], False)
        shutil.rmtree(self.directory)


# --- what faults share ----------------------------------------------------------------------------


def names(n):
    return [channel_name(i) for i in range(n)]


def tops(server, channels):
    pipe = server.client.pipeline(transaction=False)
    for channel in channels:
        pipe.hget(f"tg:m:{{{channel}}}", "n")
    return {channel: int(top or 0) for channel, top in zip(channels, pipe.execute())}


def one_more(offsets):
    """Who has these has heard of something that was published since."""
    return {channel: top + 1 for channel, top in offsets.items()}


def settled(crowd, clients=None):
    return lambda: all(client.open and client.settled for client in clients or crowd.clients)


def reached(clients, wanted):
    """All of them have what was in the logs then."""
    def look():
        return all(client.pos and client.pos[1] >= wanted[client.channel] for client in clients)
    return look


def reads_of_ranges(server):
    """Entries were asked for so often; looks at a tail do not count."""
    return server.client.info("commandstats").get("cmdstat_xrange", {}).get("calls", 0)


def finish_publishing(bench, crowd, server, publisher, channels, clients):
    """The publisher ends, everybody gets the rest; what was acknowledged."""
    process, journal = publisher
    process.signal(signal.SIGTERM)
    crowd.run_until(lambda: not process.alive(), SETTLE_SECONDS)
    process.end()
    wanted = tops(server, channels)
    if crowd.run_until(reached(clients, wanted), SETTLE_SECONDS) is None:
        bench.row("everybody reaches the tops in the end", "yes", "no", False)
    crowd.run_for(0.3)  # what comes twice comes late
    return json.loads(journal.read_text(encoding="utf-8"))["acked"]


def publish_each(server, channels, numbers):
    """These numbers to each channel, through the keys of the publisher."""
    pending = [(channel, number) for number in numbers for channel in channels]
    while pending:
        acked, again = send(server.client, pending[:500])
        pending = again + pending[500:]
        assert acked, "Redis refuses"


def told(clients, *whats):
    return sum(one in whats for client in clients for one in client.told)


def false_alarms(clients):
    return sum(kind in ("not_recovered", "resync") for client in clients for kind, _ in client.told)


def listening(bench, n_gateways, n_clients, n_channels, unaware=0.3, kind=DurableRedis):
    """Redis, gateways, and a crowd that listens and is being published to."""
    server = bench.redis(kind=kind)
    gateways = [bench.gateway(server, f"gateway-{i}") for i in range(n_gateways)]
    crowd, channels = bench.crowd(*gateways), names(n_channels)
    n_unaware = int(n_clients * unaware)
    crowd.add(n_clients - n_unaware, channels)
    crowd.add(n_unaware, channels, aware=False)
    assert crowd.run_until(settled(crowd), SETTLE_SECONDS) is not None, "the crowd does not get in"
    publisher = bench.publisher(server, n_channels)
    crowd.run_for(bench.sized(8, 3))
    return server, gateways, crowd, channels, publisher


# --- the faults -----------------------------------------------------------------------------------


def f1(bench):
    """Redis is killed and comes back with its data."""
    server, _, crowd, channels, publisher = listening(bench, 2, bench.sized(1000, 300), 200)
    server.kill()
    crowd.run_for(OUTAGE_SECONDS)
    server.start()
    wanted = one_more(tops(server, channels))
    seconds = crowd.run_until(reached(crowd.clients, wanted), SETTLE_SECONDS)
    bench.at_most("caught up after Redis is back", 2, seconds, " s")
    crowd.run_for(bench.sized(8, 2))
    acked = finish_publishing(bench, crowd, server, publisher, channels, crowd.clients)
    bench.verified(f"{len(crowd.clients)} clients",
                   verify(crowd.clients, read_logs(server.client, channels), acked))
    bench.at_most("disconnected", 0, sum(client.n_disconnects for client in crowd.clients))
    bench.at_most("false alarms", 0, false_alarms(crowd.clients))


def f1b(bench):
    """Redis is killed and comes back empty."""
    server, _, crowd, channels, publisher = listening(bench, 2, bench.sized(1000, 300), 200, kind=RedisServer)
    aware = [client for client in crowd.clients if client.aware]
    server.kill()
    crowd.run_for(OUTAGE_SECONDS)
    server.start()
    seconds = crowd.run_until(lambda: told(aware, ("resync", "epoch")) >= len(aware), SETTLE_SECONDS)
    bench.at_most(f"all {len(aware)} who know are told: epoch", 3, seconds, " s")
    crowd.run_for(bench.sized(5, 1))
    finish_publishing(bench, crowd, server, publisher, channels, aware)
    bench.verified("of the new log", verify(aware, read_logs(server.client, channels)))
    bench.at_most("told more than once", 0, false_alarms(aware) - len(aware))
    bench.at_most("disconnected", 0, sum(client.n_disconnects for client in crowd.clients))


def f2(bench):
    """Redis hangs for ten seconds."""
    server, gateways, crowd, channels, publisher = listening(bench, 1, bench.sized(1000, 300), 200)
    gateway, began, noticed = gateways[0], time.monotonic(), []

    def look():
        if not noticed and gateway.get("/ready").status == 503:
            noticed.append(time.monotonic() - began)

    server.process.signal(signal.SIGSTOP)
    try:
        crowd.run_for(10, look)
    finally:
        server.process.signal(signal.SIGCONT)
    seconds = crowd.run_until(reached(crowd.clients, one_more(tops(server, channels))), SETTLE_SECONDS)
    bench.at_most("noticed", 9, noticed[0] if noticed else None, " s")
    bench.at_most("caught up after it goes on", 2, seconds, " s")
    bench.at_most("links lost", 5, int(gateway.metric("tidegate_redis_reconnects_total")))
    crowd.run_for(bench.sized(5, 1))
    acked = finish_publishing(bench, crowd, server, publisher, channels, crowd.clients)
    bench.verified(f"{len(crowd.clients)} clients", verify(crowd.clients, read_logs(server.client, channels), acked))
    bench.at_most("disconnected", 0, sum(client.n_disconnects for client in crowd.clients))
    bench.at_most("false alarms", 0, false_alarms(crowd.clients))


def f3_run(bench, resumes):
    server, gateways, crowd, channels, publisher = listening(bench, 2, bench.sized(1000, 300), 200, unaware=0)
    crowd.resumes = resumes
    before = reads_of_ranges(server)
    cut = [client for client in crowd.clients if client.socket.getpeername() == gateways[0].address]
    gateways[0].process.kill()
    gateways[0].process.ended = True
    del crowd.addresses[0]
    seconds = crowd.run_until(
        lambda: all(client.n_disconnects for client in cut) and settled(crowd)(), SETTLE_SECONDS)
    reads = reads_of_ranges(server) - before
    crowd.run_for(bench.sized(5, 1))
    acked = finish_publishing(bench, crowd, server, publisher, channels, crowd.clients)
    verdict = verify(crowd.clients, read_logs(server.client, channels), acked)
    return len(cut), seconds, reads, verdict, crowd


def f3(bench):
    """One of two gateways is killed; its clients resume on the other."""
    n_cut, seconds, reads, verdict, crowd = f3_run(bench, True)
    bench.at_most(f"all {n_cut} clients of the killed one are back", 10, seconds, " s")
    bench.at_most("reads of the log meanwhile", 200, reads)
    bench.verified("resumed", verdict)
    bench.at_most("false alarms", 0, false_alarms(crowd.clients))


def f3_control(bench):
    """The same, and the clients do not say where they were: the verifier must find what they miss."""
    _, _, _, verdict, _ = f3_run(bench, False)
    bench.row("control, no resume: losses found", "> 0", str(verdict.lost), verdict.lost > 0)


def stale_failover(bench, forgets_tags):
    """A replica that is behind is promoted, and the log goes on from there. Half of the crowd was away meanwhile."""
    n_channels, n_clients = 50, bench.sized(400, 200)
    primary, replica, channels = bench.redis("primary"), bench.redis("replica"), names(n_channels)
    replication, front = bench.proxy(primary.port), bench.proxy(primary.port)
    replica.client.replicaof("127.0.0.1", replication.port)
    until("the replica follows", lambda: replica.client.info("replication").get("master_link_status") == "up")
    gateway = bench.gateway(f"redis://127.0.0.1:{front.port}")
    crowd = bench.crowd(gateway)
    crowd.add(n_clients, channels)
    stay, ahead = crowd.clients[:n_clients // 2], crowd.clients[n_clients // 2:]
    assert crowd.run_until(settled(crowd), SETTLE_SECONDS) is not None
    publish_each(primary, channels, range(1, 11))
    assert primary.client.wait(1, 5000) == 1, "the replica has not got it"
    replication.stall()
    publish_each(primary, channels, range(11, 14))
    assert crowd.run_until(reached(crowd.clients, tops(primary, channels)), SETTLE_SECONDS) is not None
    crowd.leave(ahead)
    primary.kill()
    crowd.run_for(0.5)
    replica.client.replicaof("NO", "ONE")
    publish_each(replica, channels, range(101, 106))
    front.lead_to(replica.port)
    if forgets_tags:
        logs = read_logs(replica.client, channels)
        tags = {(channel, offset): tag for channel, log in logs.items() for offset, tag, _ in log}
        crowd.position_of = lambda client: ".".join(
            map(str, (client.pos[0], client.pos[1], tags[client.channel, client.pos[1]])))
    crowd.come_back(ahead)
    crowd.run_until(settled(crowd), SETTLE_SECONDS)
    publish_each(replica, channels, range(106, 111))
    in_time = crowd.run_until(reached(crowd.clients, tops(replica, channels)), SETTLE_SECONDS)
    crowd.run_for(0.3)
    crowd.position_of = Client.since
    return crowd, stay, ahead, read_logs(replica.client, channels), in_time


def f4b(bench):
    """A stale replica becomes the primary, and gives offsets that clients have heard to other entries."""
    _, stay, ahead, logs, in_time = stale_failover(bench, False)
    bench.at_most("everybody reaches the top of the new branch", SETTLE_SECONDS, in_time, " s")
    n_fork = told(ahead, ("not_recovered", "fork"))
    bench.row("returning clients that were ahead are told: fork", f"{len(ahead)}", str(n_fork), n_fork == len(ahead))
    bench.at_most("told recovered, wrongly", 0, told(ahead, ("recovered", None)))
    n_resync = told(stay, ("resync", "fork"))
    bench.row("clients that stayed are told of retracted entries", f"{len(stay)}", str(n_resync), n_resync == len(stay))
    bench.at_most("clients that stayed with another count than 3 retracted", 0,
                  sum(client.n_retracted != 3 for client in stay))
    bench.verified("all of the new branch", verify(stay + ahead, logs))


def f4b_control(bench):
    """The same with a counter alone: who was ahead is told `recovered` and misses what took the offsets."""
    crowd, _, ahead, logs, _ = stale_failover(bench, True)
    verdict = verify(crowd.clients, logs)
    n_misled = told(ahead, ("recovered", None))
    bench.row("control, no tags: losses found", "> 0", f"{verdict.lost}, {n_misled} told recovered", verdict.lost > 0)


def f12(bench):
    """Every client of both gateways is cut at once, and comes back 50 entries behind to gateways that know nothing."""
    n_clients, n_channels, behind = bench.sized(10000, 2000), 200, 50
    server, channels = bench.redis(), names(n_channels)
    gateways = [bench.gateway(server, f"gateway-{i}") for i in range(2)]
    crowd = bench.crowd(*gateways)
    crowd.add(n_clients, channels)
    assert crowd.run_until(settled(crowd), 2 * SETTLE_SECONDS) is not None, "the crowd does not get in"
    publish_each(server, channels, range(1, 3))
    assert crowd.run_until(reached(crowd.clients, tops(server, channels)), SETTLE_SECONDS) is not None
    for gateway in gateways:
        gateway.process.kill()
        gateway.process.ended = True
    publish_each(server, channels, range(3, 3 + behind))
    new = [bench.gateway(server, f"gateway-new-{i}") for i in range(2)]
    crowd.addresses[:] = [gateway.address for gateway in new]
    before = reads_of_ranges(server)
    wanted = tops(server, channels)

    def back():
        return not crowd.away and settled(crowd)() and reached(crowd.clients, wanted)()

    seconds = crowd.run_until(back, 2 * SETTLE_SECONDS)
    bench.at_most(f"{n_clients} clients recovered, {behind} entries each", 20, seconds, " s")
    bench.at_most("reads of the log (channels × gateways)", n_channels * 2, reads_of_ranges(server) - before)
    crowd.run_for(0.3)
    bench.verified("recovered", verify(crowd.clients, read_logs(server.client, channels)))
    bench.at_most("false alarms", 0, false_alarms(crowd.clients))
    bench.at_most("cut again", n_clients, sum(client.n_disconnects for client in crowd.clients))


def f14(bench):
    """The functions are deleted in Redis."""
    server, _, crowd, channels, publisher = listening(bench, 2, bench.sized(1000, 300), 200)
    server.client.function_flush()
    seconds = crowd.run_until(reached(crowd.clients, one_more(tops(server, channels))), SETTLE_SECONDS)
    bench.at_most("events flow again", 2, seconds, " s")
    acked = finish_publishing(bench, crowd, server, publisher, channels, crowd.clients)
    bench.verified(f"{len(crowd.clients)} clients", verify(crowd.clients, read_logs(server.client, channels), acked))
    bench.at_most("disconnected", 0, sum(client.n_disconnects for client in crowd.clients))
    bench.at_most("false alarms", 0, false_alarms(crowd.clients))


FAULTS = {
    "f1": (f1,),
    "f1b": (f1b,),
    "f2": (f2,),
    "f3": (f3, f3_control),
    "f4b": (f4b, f4b_control),
    "f12": (f12,),
    "f14": (f14,),
}


# --- the command ----------------------------------------------------------------------------------


def table(rows):
    rows = [("fault", "figure", "to reach", "reached", True), *rows]
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    print()
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths)]
        print("  ".join(cells) + ("" if row[4] else "  NOT REACHED"))


def run_one(name, fault, short):
    print(f"{name}: {fault.__doc__}", flush=True)
    bench = Bench(name, short)
    try:
        fault(bench)
    except AssertionError as failure:
        bench.row("the run comes to its end", "yes", str(failure)[:200], False)
    finally:
        bench.close()
    return bench.rows


def main():
    parser = argparse.ArgumentParser(prog="tests/fault/run.sh", description="Breaks things and looks what comes of it.")
    parser.add_argument("--short", action="store_true", help="smaller crowds, shorter runs")
    parser.add_argument("name", nargs="*", help=f"of {', '.join(FAULTS)}; all of them if none is named")
    options = parser.parse_args()
    unknown = [name for name in options.name if name not in FAULTS]
    if unknown:
        parser.error(f"unknown fault {unknown[0]}; there are {', '.join(FAULTS)}")
    allow_descriptors()
    rows = []
    for name in options.name or FAULTS:
        for fault in FAULTS[name]:
            rows += run_one(name, fault, options.short)
    table(rows)
    n_failed = sum(not row[4] for row in rows)
    print(f"{len(rows) - n_failed} reached, {n_failed} not")
    return 1 if n_failed else 0


if __name__ == "__main__":
    sys.exit(main())

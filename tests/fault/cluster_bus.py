"""
F6b, F6c in a cluster. F6b: packets are lost on the way to it. F6c: what is published at one server does not reach another one, and no
connection of a gateway ends.

`PUBLISH` travels over the cluster's bus to the server at which a gateway hears it. Either that server freezes for longer than its
neighbours wait (they hang up, and what they had for it is gone), or the bus leads to it through a proxy, which holds it up: then the
server answers everybody, sends, and does not hear what others publish.
"""

import signal
import time

from bench import SETTLE_SECONDS
from common import names, publish_each, reached, settled, tops
from cluster import Stage as Flowing
from fault import Control, Fault
from harness.cluster import NODE_TIMEOUT_MS, Cluster, ClusterRedis
from harness.wait import until
from netns import NamespaceCluster
from partition import CAUGHT_UP_SECONDS, lossy
from tcp_proxy import TcpProxy
from verify import read_logs, verify

REPAIR_SECONDS = 12
FROZEN_SECONDS = 1.5 * NODE_TIMEOUT_MS / 1000
N_CHANNELS = 20
FILL_BYTES, N_FILL = 100_000, 300  # more than the kernel keeps of a connection: what comes behind waits in the server, and goes with it


class FrontedRedis(ClusterRedis):
    """Its neighbours reach it through a proxy; it reaches them without."""

    def _announces(self):
        self.front = TcpProxy(self.bus_port)
        return "--cluster-announce-bus-port", str(self.front.port)

    def stop(self):
        super().stop()
        self.front.stop()


class Stage:
    """Channels that are heard at one server, and have their slots, with their logs, at another: they moved after they were subscribed to."""

    def __init__(self, bench):
        folder = bench.directory / "cluster"
        folder.mkdir()
        self.bench, self.cluster = bench, Cluster(folder, 3, make=FrontedRedis)
        bench.ends.append(self.cluster.stop)
        self.gateway = bench.gateway(self.cluster.url)
        self.ear, self.mouth = self.cluster.primaries[2], self.cluster.primaries[0]
        self.channels = [name for name in names(10 * N_CHANNELS) if self.cluster.owner(name) is self.ear][:N_CHANNELS]
        self.crowd, self.hygiene = bench.crowd(self.gateway), bench.watch(self.gateway)
        self.crowd.add(5 * N_CHANNELS, self.channels)
        assert self.crowd.run_until(settled(self.crowd), SETTLE_SECONDS) is not None, "the crowd does not get in"
        for slot in {self.cluster.slot(name) for name in self.channels}:
            self.cluster.move(slot, self.mouth, self.ear)
        for name in self.channels:
            until("its shard is the new one", lambda name=name: self.n_sharded(name) == 1)
        assert all(self.ear.subscribers(name) == 1 for name in self.channels), "they are not heard where they were"
        self.number = 0
        assert self.publish(SETTLE_SECONDS) is not None, "nothing comes over the bus"
        self.crowd.run_for(bench.sized(2, 2))
        self.hygiene.begin()

    def n_sharded(self, name):
        return self.mouth.client.execute_command("PUBSUB", "SHARDNUMSUB", name)[1]

    def publish(self, seconds):
        """To each log, with PUBLISH: how long until everybody has it."""
        self.number += 1
        publish_each(self.mouth, self.channels, [self.number])
        return self.caught_up(seconds)

    def caught_up(self, seconds):
        return self.crowd.run_until(reached(self.crowd.clients, tops(self.mouth, self.channels)), seconds)

    def fill(self):
        """The bus, with events that nobody hears."""
        pipe = self.mouth.client.pipeline(transaction=False)
        for _ in range(N_FILL):
            pipe.publish("unheard", "x" * FILL_BYTES)
        pipe.execute()

    def end(self, repaired):
        bench = self.bench
        bench.at_most("the last one repaired, without a successor", REPAIR_SECONDS, repaired, " s")
        bench.at_most("heard again by itself", REPAIR_SECONDS, self.publish(SETTLE_SECONDS), " s")
        self.hygiene.settled()
        bench.hygienic(self.crowd.run_until)
        bench.verified(f"{len(self.crowd.clients)} clients", verify(self.crowd.clients, read_logs(self.mouth.client, self.channels)))
        bench.at_most("disconnected", 0, sum(client.n_disconnects for client in self.crowd.clients))


def f6c_bus(bench):
    """what is published at one server of a cluster does not reach the one at which it is heard, for 20 s"""
    stage = Stage(bench)
    stage.ear.front.stall()
    began, worst = time.monotonic(), 0.0
    while worst is not None and (not worst or time.monotonic() < began + bench.sized(20, 0)):
        repaired = stage.publish(REPAIR_SECONDS + 3)
        worst = None if repaired is None else max(worst, repaired)
    stage.hygiene.over()
    stage.ear.front.reset()
    stage.crowd.run_for(2)
    stage.end(worst)


def f6c_frozen(bench):
    """the server of a cluster at which channels are heard freezes for 1.5 times node-timeout"""
    stage = Stage(bench)
    stage.ear.process.signal(signal.SIGSTOP)
    frozen = time.monotonic()
    try:
        stage.fill()
        published = time.monotonic()
        repaired = stage.publish(FROZEN_SECONDS)
        stage.crowd.run_for(max(0, frozen + FROZEN_SECONDS - time.monotonic()))
    finally:
        stage.hygiene.over()
        stage.ear.process.signal(signal.SIGCONT)
    if repaired is None and stage.caught_up(REPAIR_SECONDS + 3) is not None:
        repaired = time.monotonic() - published
    stage.end(repaired)


def f6b(bench, percent):
    """packets are lost between a gateway and a cluster, in both directions, for 20 s"""
    stage = Flowing(bench, make=NamespaceCluster)
    stage.cluster.wire.thin(percent)
    try:
        lossy(bench, stage.crowd, percent)
    finally:
        stage.cluster.wire.mend()
    bench.at_most("caught up after it is mended", CAUGHT_UP_SECONDS, stage.catch_up(), " s")
    lost, n = stage.end()
    for kind in lost:
        bench.row(f"{kind.upper()}: lost, of {n[kind]}", "", str(lost[kind]), None)
    bench.at_most("disconnected", 0, sum(client.n_disconnects for client in stage.crowd.clients))


FAULTS = (
    *[Fault(f"f6b cluster, {percent} %", f6b, full_only=True, percent=percent) for percent in (1, 5, 20)],
    Fault("f6c bus", f6c_bus, Control("no tail check", "repaired", off="tail_check")),
    Fault("f6c frozen", f6c_frozen, Control("neither a tail check nor another server", "repaired", off="tail_check,classic_moves")),
)

"""
A Redis Cluster under load: F5 slots move while events flow, F5b the owner of some is killed or frozen, F5c the owner of many channels is.
"""

import json
import pathlib
import re
import signal
import threading
import time

import redis
from bench import SETTLE_SECONDS
from common import names, one_more, p99, reached, settled
from fault import Control, Fault
from harness.cluster import Cluster
from harness.gateway import TALKATIVE
from harness.wait import until
from seqcheck import Crowd
from verify import read_logs, verify

ROUTES = """
topics: []
routes:
  - {path: "/ws/fault/{id}", channel: "fault:{id}", history: {size: 1000000}}
  - {path: "/ws/publish/{id}", channel: "publish:{id}"}
  - {path: "/ws/spublish/{id}", channel: "spublish:{id}"}
"""
RATE = 1000            # entries of logs a second
PLAIN_RATE = 200       # events of each kind without a log
BEHIND_SECONDS = 1     # for us, after the new owner takes publications
LOST_BY_KILL = 10      # PUBLISH: what Redis' own bus loses with a server
MOVED_SECONDS = 2      # p99 of an entry's way while slots move, of the publisher's as of the client's
WORSE = 2              # times: what the channels of other servers may notice
LOOK_SECONDS = 0.05    # between two looks: the clients are of this process, and their p99 is looked at
MANY = 10_000
CONFIRMED_SECONDS = 1  # for that many, from when their new owner is known


class MixedCrowd(Crowd):
    """Clients of logs, as rules for clients say, and others that note what they hear."""

    def _message(self, client, message):
        if message["type"] == "plain":
            client.heard.append(message["data"]["number"])
        elif not client.channel.startswith(("publish", "spublish")):
            super()._message(client, message)


class Stage:
    def __init__(self, bench, n_replicas=0, make=Cluster):
        bench.routes(ROUTES)
        folder = bench.directory / "cluster"
        folder.mkdir()
        self.bench = bench
        self.cluster = make(folder, 3, n_replicas)
        bench.ends.append(self.cluster.stop)
        self.gateway = bench.gateway(self.cluster.url)
        self.channels = names(60)
        self.slots = {channel: self.cluster.slot(channel) for channel in self.channels}
        self.plain_slots = [self.cluster.slot(f"{kind}:{i}") for kind in ("publish", "spublish") for i in range(20)]
        self.crowd = MixedCrowd([self.gateway.address])
        bench.ends.append(self.crowd.stop)
        self.clients = self.crowd.add(bench.sized(600, 120), self.channels)
        self.plain = {kind: self.crowd.add(20, [f"{kind}:{i}" for i in range(20)], aware=False) for kind in ("publish", "spublish")}
        assert self.crowd.run_until(lambda: all(client.open for client in self.crowd.clients) and
                                    settled(self.crowd, self.clients)(), SETTLE_SECONDS) is not None, "the crowd does not get in"
        self.publishers = {kind: self._publisher(kind, *sizes) for kind, sizes in
                           {"log": (60, RATE), "publish": (20, PLAIN_RATE), "spublish": (20, PLAIN_RATE)}.items()}
        self.crowd.run_for(bench.sized(4, 0.5))

    def _publisher(self, kind, n_channels, rate):
        journal = self.bench.directory / f"{kind}.json"
        servers = ",".join(f"{server.port}={server.socket_path}" for server in self.cluster.servers)
        command = ["/usr/bin/python3", "-B", pathlib.Path(__file__).with_name("clusterpub.py"), servers, kind, n_channels, rate, journal]
        return self.bench.program(command, f"pub-{kind}"), journal

    def owners(self):
        """The server of each channel of a log."""
        owners = self.cluster.owners()
        return {channel: owners[slot] for channel, slot in self.slots.items()}

    def of_logs(self, read):
        """What read(client, channel) finds of each channel of a log. Who has a slot that has just moved is said by who had it."""
        return {channel: self._read(server, read, channel) for channel, server in self.owners().items()}

    def _read(self, server, read, channel):
        for _ in self.cluster.servers:
            try:
                return read(server.client, channel)
            except redis.ResponseError as error:
                moved = re.fullmatch(r"(?:MOVED )?\d+ [\d.]*:(\d+)", str(error))
                if not moved:
                    raise
                server = next(one for one in self.cluster.servers if one.port == int(moved[1]))
        raise AssertionError(f"no server has {channel}")

    def tops(self):
        return self.of_logs(lambda client, channel: int(client.hget(f"tg:m:{{{channel}}}", "n") or 0))

    def catch_up(self):
        """The fault is over: how long until everybody has what is published from now on."""
        return self.crowd.run_until(reached(self.clients, one_more(self.tops())), SETTLE_SECONDS)

    def finish(self, kind):
        process, journal = self.publishers[kind]
        process.signal(signal.SIGTERM)
        self.crowd.run_until(lambda: not process.alive(), SETTLE_SECONDS)
        process.end()
        return json.loads(journal.read_text(encoding="utf-8"))

    def on_way(self, seconds):
        """(channel, seconds) of each entry that clients hear in this time. seconds: that many, or what does something for so long."""
        self.crowd.on_way = heard = []
        try:
            if callable(seconds):
                seconds()
            else:
                self.crowd.run_for(seconds)
        finally:
            self.crowd.on_way = None
        return heard

    def end(self):
        """Acknowledged and heard of what has no log: how many events each kind lacks."""
        journal = self.finish("log")
        acked, self.seconds = journal["acked"], journal["seconds"]
        wanted = self.tops()
        if self.crowd.run_until(reached(self.clients, wanted), SETTLE_SECONDS) is None:
            self.bench.row("everybody reaches the tops in the end", "yes", "no", False)
        plain = {kind: self.finish(kind)["acked"] for kind in self.plain}
        self.crowd.run_for(0.3)
        logs = self.of_logs(lambda client, channel: read_logs(client, [channel])[channel])
        self.bench.verified(f"{len(self.clients)} clients of logs", verify(self.clients, logs, acked))
        lost, doubled = {}, 0
        for kind, clients in self.plain.items():
            heard = {(client.channel, number) for client in clients for number in client.heard}
            lost[kind] = sum((channel, number) not in heard for channel, number, _ in plain[kind])
            doubled += sum(len(client.heard) - len(set(client.heard)) for client in clients)
        self.bench.at_most("events without a log that came twice", 0, doubled)
        return lost, {kind: len(entries) for kind, entries in plain.items()}


def move_all(cluster, places, n_rounds):
    """Each slot to the next primary, again and again. places: slot to the primary that has it."""
    for _ in range(n_rounds):
        for slot, at in places.items():
            places[slot] = (at + 1) % len(cluster.primaries)
            cluster.move(slot, cluster.primaries[places[slot]], cluster.primaries[at])


def f5(bench):
    """slots move to and fro while events flow"""
    stage = Stage(bench)
    cluster, crowd = stage.cluster, stage.crowd
    n_rounds, owners = bench.sized(2, 1), cluster.owners()
    of_channels = {*stage.slots.values(), *stage.plain_slots}
    step = 16384 // bench.sized(2000 - len(of_channels), 20)  # those of no channel move with them
    places = {slot: cluster.primaries.index(owners[slot]) for slot in [*of_channels, *range(0, 16384, step)]}
    mover = threading.Thread(target=move_all, args=(cluster, places, n_rounds), daemon=True)
    mover.start()

    def moved():
        assert crowd.run_until(lambda: not mover.is_alive(), bench.sized(600, SETTLE_SECONDS)) is not None, "it takes too long to move slots"

    heard = stage.on_way(moved)
    bench.at_most(f"caught up after {n_rounds * len(places)} moves", 2, stage.catch_up(), " s")
    bench.at_most("p99 until an entry is heard", MOVED_SECONDS, p99([seconds for _, seconds in heard]), " s")
    crowd.run_for(bench.sized(3, 1))
    lost, n = stage.end()
    bench.at_most("p99 until an entry is acknowledged", MOVED_SECONDS, p99(stage.seconds), " s")
    bench.at_most(f"SPUBLISH: lost, of {n['spublish']}", 5, lost["spublish"])
    bench.at_most(f"PUBLISH: lost, of {n['publish']}", 0, lost["publish"])
    bench.at_most("disconnected", 0, sum(client.n_disconnects for client in crowd.clients))


def seconds_until_owned(stage, slot, dead):
    """How long until a server takes publications to its channels."""
    began = looked = time.monotonic()

    def owned():
        nonlocal looked
        if time.monotonic() < looked + LOOK_SECONDS:
            return False
        looked = time.monotonic()
        alive = next(server for server in stage.cluster.servers if server is not dead)
        return stage.cluster.owner_of_slot(slot, asked=alive) not in (dead, None)

    assert stage.crowd.run_until(owned, SETTLE_SECONDS) is not None, "nobody takes over"
    return time.monotonic() - began


def others(stage, dead):
    """The channels that are not its own."""
    return {channel for channel, owner in stage.owners().items() if owner is not dead}


def compare(bench, names_of_others, before, meanwhile):
    """p99 of their entries. The short form has too few of them."""
    if bench.short:
        return
    worst, now = (p99([seconds for channel, seconds in heard if channel in names_of_others]) for heard in (before, meanwhile))
    bench.at_most(f"p99 of the others ({1000 * now:.0f} ms against {1000 * worst:.0f})", WORSE, round(now / worst, 2), " times")


def kill_between_two_entries(stage, server):
    """Redis tells a publisher before the replica, and may die in between: the long form dares that."""
    publisher, _ = stage.publishers["log"]
    publisher.signal(signal.SIGSTOP)
    try:
        stat = pathlib.Path(f"/proc/{publisher.pid}/stat")
        until("the publisher stands still", lambda: stat.read_text(encoding="utf-8").rpartition(") ")[2].startswith("T"))
        for _ in range(2):  # what was sent before is carried out, and then it is with the replica
            server.client.ping()
        server.kill()
    finally:
        publisher.signal(signal.SIGCONT)


def f5b(bench, how):
    """the owner of a third of the slots dies or freezes, and its replica takes over"""
    stage = Stage(bench, n_replicas=1)
    dead = stage.cluster.primaries[0]
    names_of_others = others(stage, dead)
    slot = next(stage.slots[name] for name in stage.channels if name not in names_of_others)
    before = stage.on_way(bench.sized(4, 0))
    if how == "killed" and bench.short:
        kill_between_two_entries(stage, dead)
    elif how == "killed":
        dead.kill()
    else:
        dead.process.signal(signal.SIGSTOP)
    try:
        taken = []
        meanwhile = stage.on_way(lambda: taken.append(seconds_until_owned(stage, slot, dead)))
        bench.row("Redis: until the replica has the slots", "", f"{taken[0]:.1f} s", None)
        bench.at_most("everybody is behind the new owner", bench.sized(BEHIND_SECONDS, SETTLE_SECONDS), catch_up_without(stage, dead), " s")
        compare(bench, names_of_others, before, meanwhile)
        stage.crowd.run_for(bench.sized(3, 1))
        stage.cluster.servers.remove(dead)
        lost, n = stage.end()
    finally:
        if how != "killed":
            dead.process.signal(signal.SIGCONT)
        if dead not in stage.cluster.servers:
            stage.cluster.servers.append(dead)
    most = LOST_BY_KILL if how == "killed" else PLAIN_RATE * BEHIND_SECONDS
    if bench.short:  # beside other tests: their figures are times
        bench.row(f"PUBLISH: lost, of {n['publish']}", "", str(lost["publish"]), None)
    else:
        bench.at_most(f"PUBLISH: lost, of {n['publish']}", most, lost["publish"])
    bench.row(f"SPUBLISH: lost, of {n['spublish']}", "", str(lost["spublish"]), None)
    bench.at_most("disconnected", 0, sum(client.n_disconnects for client in stage.crowd.clients))


def catch_up_without(stage, dead):
    servers = stage.cluster.servers
    servers.remove(dead)
    try:
        return stage.catch_up()
    finally:
        servers.append(dead)


class ManyChannels:
    """A cluster with replicas, and clients that subscribe to so many channels."""

    def __init__(self, bench, n):
        bench.routes('topics: []\nroutes:\n  - {path: "/ws/many/{id}", channel: "many:{id}"}\n')
        folder = bench.directory / "cluster"
        folder.mkdir()
        self.cluster, self.n = Cluster(folder, 3, 1), n
        bench.ends.append(self.cluster.stop)
        self.gateway = bench.gateway(self.cluster.url, "gateway", *TALKATIVE, "--subscriptions-max", n // 10)
        self.peers = [self._peer(range(first, first + n // 10)) for first in range(0, n, n // 10)]
        bench.ends.append(lambda: [peer.abandon() for peer in self.peers])

    def _peer(self, numbers):
        peer = self.gateway.connect(f"/ws/many/{numbers[0]}")
        for number in numbers[1:]:
            peer.send({"type": "subscribe", "id": number, "data": {"channel": f"many:{number}"}})
        for number in numbers[1:]:
            answer = peer.receive()
            assert answer["type"] == "subscribed", answer
        return peer

    def peer_of(self, name):
        return self.peers[int(name.split(b":")[1]) // (self.n // 10)]

    def heard(self, servers):
        """The channels that Redis says are heard, in both ways."""
        return [{name for server in servers for name in server.client.execute_command("PUBSUB", word, "many:*")}
                for word in ("CHANNELS", "SHARDCHANNELS")]

    def all_heard(self, servers):
        return all(len(names_heard) == self.n for names_heard in self.heard(servers))


def f5c(bench):
    """the owner of a third of 10,000 channels is killed"""
    many = ManyChannels(bench, bench.sized(MANY, MANY // 10))
    cluster = many.cluster
    dead, slot = cluster.primaries[0], 0
    assert cluster.owner_of_slot(slot) is dead
    until("all are heard", lambda: many.all_heard(cluster.primaries))
    dead.kill()
    alive = [server for server in cluster.servers if server is not dead]
    until("somebody takes over", lambda: cluster.owner_of_slot(slot, asked=alive[0]) not in (dead, None), SETTLE_SECONDS)
    known = time.monotonic()
    until("all are heard again", lambda: many.all_heard(alive), SETTLE_SECONDS)
    bench.at_most(f"all {many.n} channels are subscribed to, after the new owner is known", CONFIRMED_SECONDS, time.monotonic() - known, " s")
    owner = cluster.owner_of_slot(slot, asked=alive[0])
    moved = owner.client.execute_command("PUBSUB", "SHARDCHANNELS", "many:*")
    pipe = owner.client.pipeline(transaction=False)
    for name in moved:
        pipe.execute_command("SPUBLISH", name, '{"type": "after"}')
    pipe.execute()
    heard = sum(many.peer_of(name).receive()["type"] == "after" for name in moved)
    bench.row("of its channels hear what is published then", str(len(moved)), str(heard), heard == len(moved))


WAITS = Control("plain channels wait for the owner", "PUBLISH", off="classic_moves", full_only=True)
FAULTS = (
    Fault("f5", f5, Control("the end of a subscription is ignored", "SPUBLISH", off="sunsubscribe", full_only=True)),
    Fault("f5b killed", f5b, WAITS, how="killed"),
    Fault("f5b frozen", f5b, WAITS, how="frozen"),
    Fault("f5c", f5c),
)

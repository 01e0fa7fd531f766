"""
F22: connections come and go while a gateway is killed, another hangs, and Redis is away: the stream says each beginning and end.
"""

import collections
import json
import random
import signal
import time

from bench import end_by_kill, thaw
from fault import Control, Fault
from harness.wait import Timeout, until
from harness.websocket import WebSocket

STREAM = "sessions"
ROUTES = ('topics: []\nroutes:\n  - {{path: "/ws/churn/{{room}}/{{id}}", channel: "room:{{room}}", '
          "lifecycle: {{stream: {}, size: 1000000}}}}\n")
N_ROOMS = 40
LEASE_SECONDS = 3
LATE_SECONDS = 2  # docs/lifecycle.md: so long after the lease all is said
SAID_SECONDS = 1  # a connection that was open for so long before its gateway was killed has been said to be


class One:
    """A connection, as its client knows it."""

    def __init__(self, number, place, peer):
        self.number, self.place, self.peer, self.began, self.ended = number, place, peer, time.monotonic(), None


class Churn:
    """Connections over all gateways that are there."""

    def __init__(self, gateways, size):
        self.gateways, self.size, self.there = gateways, size, set(range(len(gateways)))
        self.open, self.gone, self.n = [], [], 0

    def begin(self):
        self.n += 1
        place = random.choice(sorted(self.there))
        path = f"/ws/churn/{random.randrange(N_ROOMS)}/{self.n}"
        self.open.append(One(self.n, place, WebSocket.connect(self.gateways[place].address, path)))

    def end(self, one):
        """Half of them say goodbye."""
        one.ended = time.monotonic()
        self.open.remove(one)
        self.gone.append(one)
        if random.random() < 0.5:
            one.peer.close(1000)
        one.peer.abandon()

    def turn(self):
        if len(self.open) < self.size and (not self.open or random.random() < 0.75):
            self.begin()
        else:
            self.end(random.choice(self.open))

    def go_on(self, seconds):
        until_then = time.monotonic() + seconds
        while time.monotonic() < until_then:
            self.turn()
            time.sleep(0.001)

    def lose(self, place):
        """With its gateway."""
        self.there.discard(place)
        for one in [one for one in self.open if one.place == place]:
            self.end(one)

    def leave_alone(self, place):
        self.there.discard(place)

    def end_all(self):
        for one in list(self.open):
            self.end(one)


def read(server):
    """What was said of each connection, by its number, and of each channel."""
    connections, channels = collections.defaultdict(list), collections.defaultdict(list)
    for _, fields in server.client.xrange(STREAM):
        said = {name.decode(): value.decode() for name, value in fields.items()}
        if "channel" in said:
            channels[said["channel"]].append(said["event"])
        else:
            connections[int(json.loads(said["vars"])["id"])].append((said["event"], said.get("reason"), said["conn"]))
    return connections, channels


def takes_turns(events, first, second):
    return all(event == (first, second)[i % 2] for i, event in enumerate(events))


def open_at(server, node):
    return [number for number, events in read(server)[0].items() if events[-1][0] == "connected" and events[-1][2].startswith(node)]


def node_of(server, one):
    """The name of the gateway that this connection came to."""
    return until("it is said", lambda: read(server)[0].get(one.number))[0][2].split(".")[0]


def wait_until_lost(bench, server, node):
    """Seconds until nothing of this gateway counts as open."""
    began = time.monotonic()
    try:
        until("its connections are lost", lambda: not open_at(server, node), LEASE_SECONDS + bench.sized(20, 6))
    except Timeout:
        pass
    return time.monotonic() - began


def f22(bench, lease="3s"):
    """three gateways, connections that come and go; one is killed, one hangs for longer than its lease, Redis is away for 3 s"""
    random.seed(22)
    bench.routes(ROUTES.format(STREAM))
    server = bench.redis()
    gateways = [bench.gateway(server.url, f"gateway-{i}", "--node-lease", lease) for i in range(3)]
    bench.watch(*gateways[1:])
    bench.hygiene.begin(9)
    churn = Churn(gateways, bench.sized(600, 120))
    churn.go_on(bench.sized(4, 1.5))
    killed = node_of(server, next(one for one in churn.open if one.place == 0))
    when_killed = time.monotonic()
    end_by_kill(gateways[0])
    churn.lose(0)
    late = wait_until_lost(bench, server, killed)
    bench.at_most("after kill -9 all is said to be lost", LEASE_SECONDS + LATE_SECONDS, late, " s")
    if bench.is_control:
        churn.end_all()
        return
    hangs = node_of(server, next(one for one in churn.open if one.place == 1))
    bench.hygiene.freeze(gateways[1], True)
    gateways[1].process.signal(signal.SIGSTOP)
    churn.leave_alone(1)
    wait_until_lost(bench, server, hangs)
    thaw(gateways[1].process)
    bench.hygiene.freeze(gateways[1], False)
    churn.there.add(1)
    churn.go_on(bench.sized(3, 0.5))
    bench.hygiene.began = time.monotonic()
    server.kill()
    until("they notice", lambda: all(gateway.get("/ready").status == 503 for gateway in gateways[1:]))
    churn.go_on(bench.sized(3, 0.6))
    server.start()
    bench.hygiene.over()
    churn.go_on(bench.sized(4, 1))
    churn.end_all()
    for gateway in gateways[1:]:
        until("it has no connection", lambda gateway=gateway: gateway.metric("tidegate_connections") == 0)
        until("it has said all", lambda gateway=gateway: gateway.metric("tidegate_lifecycle_waiting") == 0)
    until("nothing counts as open", lambda: not open_at(server, ""))
    until("nothing is occupied", lambda: not server.client.exists(f"tg:o:{{{STREAM}}}"))
    bench.hygiene.settled()
    verify(bench, churn, when_killed, *read(server))
    bench.hygienic()


def verify(bench, churn, when_killed, connections, channels):
    """The clients' journals beside the stream."""
    unsaid = [one for one in churn.gone if one.number not in connections
              and not (one.place == 0 and one.began > when_killed - SAID_SECONDS)]
    known = {one.number: one.place for one in churn.gone}
    once = ("connected", "disconnected")
    n = len(churn.gone)
    print(f"  {n} connections, {sum(map(len, connections.values()))} entries, "
          f"{collections.Counter(events[-1][1] for events in connections.values())}", flush=True)
    bench.at_most(f"of {n} connections never said", 0, len(unsaid))
    bench.at_most("said, and there was none", 0, len(set(connections) - set(known)))
    bench.at_most("beginning and end not said once each, but for the gateway that hung", 0, sum(
        tuple(event for event, _, _ in events) != once for number, events in connections.items() if known.get(number) != 1))
    bench.at_most("of that one: they do not take turns, or the end is missing", 0, sum(
        not takes_turns([event for event, _, _ in events], *once) or events[-1][0] != "disconnected" for events in connections.values()))
    bench.at_most("channels whose occupied and vacated do not take turns", 0, sum(
        not takes_turns(events, "occupied", "vacated") or events[-1] != "vacated" for events in channels.values()))


FAULTS = (
    Fault("f22", f22, Control("node_lease 300 s", "all is said to be lost", lease="300s")),
)

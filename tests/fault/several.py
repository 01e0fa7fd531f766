"""
F19: one of several servers side by side is away. What its clients are told: tests/integration/test_redis_several.py.
"""

import json
import pathlib
import statistics
import sys
import threading
import time

from common import p99
from fault import Control, Fault
from harness.wait import until

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "src" / "clients" / "python"))

# pylint: disable=wrong-import-position
from tidegate import shard_of  # noqa: E402

N = 3
AWAY = 1
CYCLES = 3
WINDOW_SECONDS = 10  # one with all of them and some with one away, in turn: the machine has moods
AWAY_WINDOWS = 3
RATE = 300  # a second, to each server that stays
PEERS = 6  # for each of these
WORSE = 1.2  # times: what others may notice
ROUTES = 'topics: []\nroutes:\n  - {path: "/ws/item/{id}", channel: "item:{id}"}\n'


class Listener(threading.Thread):
    """The seconds that events took to one client, by the window in which they were published."""

    def __init__(self, peer):
        super().__init__(daemon=True)
        self.peer, self.seconds = peer, {}
        self.start()

    def run(self):
        while True:
            event = self.peer.receive()
            if event["type"] == "end":
                return
            window, began = event["data"]
            self.seconds.setdefault(tuple(window), []).append(time.monotonic() - began)


def channel_of(place):
    return next(f"item:{i}" for i in range(1000) if shard_of(f"item:{i}", N) == place)


def publish_for(servers, window, seconds):
    due, until_then = time.monotonic(), time.monotonic() + seconds
    while due < until_then:
        for place, server in servers.items():
            server.publish(channel_of(place), json.dumps({"type": "n", "data": [window, time.monotonic()]}))
        due += 1 / RATE
        time.sleep(max(0, due - time.monotonic()))


def worst_of(listeners, kind):
    """The median of the p99 of each window of this kind."""
    windows = {window for listener in listeners for window in listener.seconds if window[0] == kind}
    return statistics.median(p99([second for listener in listeners for second in listener.seconds.get(window, [])]) for window in windows)


def f19(bench):
    """one of three servers side by side is killed, and comes back after 30 s"""
    bench.routes(ROUTES)
    servers = [bench.redis(f"redis{i}") for i in range(N)]
    stay = {place: server for place, server in enumerate(servers) if place != AWAY}
    gateway = bench.gateway(",".join(server.url for server in servers))
    listeners = [Listener(gateway.connect(f"/ws/item/{channel_of(place).split(':')[1]}")) for place in stay for _ in range(PEERS)]
    for place, server in stay.items():
        until("it is subscribed", lambda place=place, server=server: server.subscribers(channel_of(place)) == 1)
    statuses, seconds = [], bench.sized(WINDOW_SECONDS, 2)
    for cycle in range(bench.sized(CYCLES, 1)):
        publish_for(stay, ("all", cycle), seconds)
        servers[AWAY].kill()
        until("it is missed", lambda: gateway.get("/ready").json()["broker"]["state"] != "ready")
        for part in range(AWAY_WINDOWS):
            publish_for(stay, ("away", cycle * AWAY_WINDOWS + part), seconds)
        statuses.append(gateway.get("/ready").status)
        servers[AWAY].start()
        until("it is back", lambda: gateway.get("/ready").json()["broker"]["state"] == "ready")
    publish_for(stay, ("all", CYCLES), seconds)
    for place, server in stay.items():
        server.publish(channel_of(place), json.dumps({"type": "end"}))
    for listener in listeners:
        listener.join(10)
    bench.row("/ready while it is away", "200", str(statuses), set(statuses) == {200})
    before, away = (worst_of(listeners, kind) for kind in ("all", "away"))
    bench.at_most(f"p99 of the others ({1000 * away:.2f} ms against {1000 * before:.2f})", WORSE, round(away / before, 2), " times")


FAULTS = (Fault("f19", f19, Control("all servers needed", "/ready", off="partial"), full_only=True),)

"""
F18: what sentinels name, where it takes long. F18 the primary is frozen, F18b all sentinels are gone, F18c the only one that the
configuration names is gone. Planned failovers and a killed primary: tests/integration/test_redis_sentinel.py.
"""

import json
import signal
import time

from bench import SETTLE_SECONDS
from fault import Control, Fault
from harness.sentinels import Sentinels
from harness.wait import Timeout, until

ROUTES = "topics: []\nroutes:\n  - {path: /ws/plain, channel: plain}\n"
IN_TIME_SECONDS = 10  # a second until sentinels call it down, their election, and ours; the probe alone takes longer to be missed
GIVE_UP_SECONDS = SETTLE_SECONDS / 3


class Stage:
    """A primary, a replica, three sentinels, a gateway, and clients that listen."""

    def __init__(self, bench, url):
        bench.routes(ROUTES)
        folder = bench.directory / "sentinels"
        folder.mkdir()
        self.sentinels = Sentinels(folder)
        bench.ends.append(self.sentinels.stop)
        self.old, self.new = self.sentinels.servers
        self.gateway = bench.gateway(url(self.sentinels))
        self.peers = [self.gateway.connect("/ws/plain") for _ in range(bench.sized(100, 10))]
        bench.ends.append(lambda: [peer.abandon() for peer in self.peers])
        until("it is subscribed", lambda: self.old.subscribers("plain") == 1)
        self.n_published = 0

    def n_deaf(self, server):
        """How many do not hear what is published there."""
        self.n_published += 1
        server.publish("plain", json.dumps({"type": "n", "data": self.n_published}))
        return sum(peer.receive()["data"] != self.n_published for peer in self.peers)

    def broker(self):
        return self.gateway.get("/ready").json()["broker"]

    def is_on(self, server):
        return self.broker().get("address") == f"127.0.0.1:{server.port}/0" and self.gateway.get("/ready").status == 200 and \
            server.subscribers("plain") == 1


def seconds_until(probe):
    """None: never."""
    began = time.monotonic()
    try:
        until("it comes", probe, GIVE_UP_SECONDS)
    except Timeout:
        return None
    return time.monotonic() - began


def follows(bench, stage, server):
    seconds = seconds_until(lambda: stage.is_on(server))
    bench.at_most("moved to the server that is named", IN_TIME_SECONDS, seconds, " s")
    if seconds is not None:
        bench.at_most(f"of {len(stage.peers)} clients do not hear it", 0, stage.n_deaf(server))


def by_sentinels(sentinels):
    return sentinels.url


def by_address(sentinels):
    return f"redis://127.0.0.1:{sentinels.servers[0].port}"


def f18(bench, url=by_sentinels):
    """the primary that sentinels named is frozen"""
    stage = Stage(bench, url)
    stage.old.process.signal(signal.SIGSTOP)
    try:
        follows(bench, stage, stage.new)
    finally:
        stage.old.process.signal(signal.SIGCONT)


def f18b(bench):
    """all sentinels are gone: it stays, and dials where it was"""
    stage = Stage(bench, by_sentinels)
    for process, _ in stage.sentinels.sentinels:
        process.kill()
    bench.at_most(f"of {len(stage.peers)} clients hear nothing without sentinels", 0, stage.n_deaf(stage.old))
    stage.old.kill()
    until("it is lost", lambda: stage.gateway.get("/ready").status == 503)
    stage.old.start()
    follows(bench, stage, stage.old)


def f18c(bench):
    """one sentinel is configured, and dies with the primary: it told of the others"""
    stage = Stage(bench, lambda sentinels: sentinels.url.split(",")[0] + "/mymaster")
    until("all vote", lambda: stage.broker()["n_sentinels_voting"] == 3)
    stage.sentinels.sentinels[0][0].kill()
    stage.old.kill()
    follows(bench, stage, stage.new)


FAULTS = (
    Fault("f18", f18, Control("the primary by its address", "moved", url=by_address)),
    Fault("f18b", f18b),
    Fault("f18c", f18c),
)

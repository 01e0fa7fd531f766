"""
F18: what sentinels name, where it takes long. F18 the primary is frozen, F18b all sentinels are gone or do not answer, F18c the only one
that the configuration names is gone, F18d the primary is killed, F18e a planned failover, F18f one after the other.
"""

import json
import pathlib
import signal
import sys
import threading
import time

import redis
import redis.sentinel

from bench import SETTLE_SECONDS
from fault import Control, Fault
from harness.gateway import run as command
from harness.sentinels import NAME, Sentinels
from harness.wait import Timeout, until
from harness.websocket import Closed

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "src" / "clients" / "python"))

# pylint: disable=wrong-import-position
from tidegate import NotPublished, Publisher  # noqa: E402

ROUTES = "topics: []\nroutes:\n  - {path: /ws/plain, channel: plain}\n  - {path: /ws/kept, channel: kept, history: {size: 100000}}\n"
SWITCH_SECONDS = 1  # from the first +switch-master until all is heard of the server that it names
LOG_RATE, PLAIN_RATE = 100, 200  # a second
OLD_SECONDS = 14  # Sentinel turns an old primary into a replica after 11 s
DIALS_PER_SECOND = 5
AWAY_SECONDS = 1.5  # for a primary that is back before it is missed, which takes PATIENT_MS then
PATIENT_MS = 4000
DEADLINE_SECONDS = 20
IN_TIME_SECONDS = 10  # a second until sentinels call it down, their election, and ours; the probe alone takes longer to be missed
GIVE_UP_SECONDS = SETTLE_SECONDS / 3


class Stage:
    """A primary, a replica, three sentinels, a gateway, and clients that listen."""

    def __init__(self, bench, url, **sentinels):
        bench.routes(ROUTES)
        folder = bench.directory / "sentinels"
        folder.mkdir()
        self.sentinels = Sentinels(folder, **sentinels)
        bench.ends.append(self.sentinels.stop)
        self.old, self.new = self.sentinels.servers
        self.old.client.function_load(command("functions").stdout, replace=True)
        self.gateway = bench.gateway(url(self.sentinels), "gateway", "--ping-interval", "3600s")  # the peers do not read by themselves
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


class Announced:
    """When the first sentinel said +switch-master."""

    def __init__(self, stage):
        self.at = None
        self.heard = [redis.Redis(port=port).pubsub(ignore_subscribe_messages=True) for port in stage.sentinels.ports]
        for heard in self.heard:
            heard.subscribe("+switch-master")
            heard.get_message(timeout=5)
        self.threads = [threading.Thread(target=self._listen, args=(heard,), daemon=True) for heard in self.heard]
        for thread in self.threads:
            thread.start()

    def _listen(self, heard):
        until_then = time.monotonic() + SETTLE_SECONDS
        while self.at is None and time.monotonic() < until_then:
            if heard.get_message(timeout=0.05):
                self.at = self.at or time.monotonic()

    def row(self, bench, live_at):
        """live_at: None: never."""
        for thread in self.threads:
            thread.join()
        seconds = None if live_at is None or self.at is None else max(0, live_at - self.at)
        bench.at_most("live after the first +switch-master", SWITCH_SECONDS, seconds, " s")


class Heard(threading.Thread):
    """What one client hears, up to the event that ends it."""

    def __init__(self, peer):
        super().__init__(daemon=True)
        self.peer, self.numbers, self.n_retracted, self.has_reloaded, self.told = peer, [], 0, False, []
        self.start()

    def run(self):
        while True:
            try:
                message = self.peer.receive()
            except (OSError, Timeout, Closed):
                return  # nothing comes any more: what was missed is counted
            if message["type"] == "end":
                return
            if message["type"] == "n":
                self.numbers.append(message["data"])
                continue
            self.told.append(message["type"])
            if message["type"] == "resync":
                self.n_retracted += message["data"].get("retracted", 0)
                self.has_reloaded |= not message["data"]["continuous"]


class Publishing(threading.Thread):
    """Numbers, each said once. acked: those of which Redis has said that it has them."""

    def __init__(self, rate, publish):
        super().__init__(daemon=True)
        self.pause, self.publish, self.acked, self.goes_on = 1 / rate, publish, [], True
        self.start()

    def run(self):
        number = 0
        while self.goes_on:
            number += 1
            try:
                self.publish({"type": "n", "data": number})
                self.acked.append(number)
            except (redis.RedisError, NotPublished):
                pass  # was not acknowledged: nobody promised it
            time.sleep(self.pause)

    def end(self):
        self.goes_on = False
        self.join(DEADLINE_SECONDS * 2)


class Traffic:
    """A log, published to by the Python package; plain events, by redis-py's own Sentinel, which asks when it has to; who hears both."""

    def __init__(self, bench, stage):
        self.bench, self.stage = bench, stage
        self.kept = Heard(stage.gateway.connect("/ws/kept?since=now"))
        self.plain = Heard(stage.gateway.connect("/ws/plain"))
        until("the log is live", lambda: self.kept.told)
        self.publisher = Publisher(stage.sentinels.url, size=100_000, deadline_seconds=DEADLINE_SECONDS)
        ours = redis.sentinel.Sentinel([("127.0.0.1", port) for port in stage.sentinels.ports], socket_timeout=0.5)
        primary = ours.master_for(NAME, socket_timeout=0.5)
        self.log = Publishing(LOG_RATE, lambda event: self.publisher.publish("kept", event))
        self.others = Publishing(PLAIN_RATE, lambda event: primary.publish("plain", json.dumps(event)))
        until("events flow", lambda: len(self.kept.numbers) > 10 and len(self.plain.numbers) > 10)

    def end(self, server, bounds_plain):
        """server: the primary in the end. bounds_plain: no plain event that was acknowledged may be lost."""
        self.log.end()
        self.others.end()
        self.publisher.publish("kept", {"type": "end"})
        server.publish("plain", json.dumps({"type": "end"}))
        for heard in self.kept, self.plain:
            heard.join(SETTLE_SECONDS)
        log = [json.loads(fields[b"d"]) for _, fields in server.client.xrange("tg:s:{kept}")]
        numbers = [event["data"] for event in log if event.get("type") == "n"]
        heard = self.kept.numbers
        missing = 0 if self.kept.has_reloaded else len(set(numbers) - set(heard))
        self.bench.at_most("entries of the log in the end that were not heard, and nothing was said", 0, missing)
        self.bench.at_most("entries heard that the log has not, and nothing was said", 0,
                           max(0, len(set(heard) - set(numbers)) - self.kept.n_retracted))
        self.bench.at_most("entries heard twice", 0, len(heard) - len(set(heard)))
        lost = len(set(self.log.acked) - set(numbers))
        self.bench.row(f"of {len(self.log.acked)} acknowledged entries thrown away by Redis", "(a figure)", str(lost), True)
        plain = len(set(self.others.acked) - set(self.plain.numbers))
        if bounds_plain:
            self.bench.at_most(f"of {len(self.others.acked)} plain events of redis-py lost", 0, plain)
            self.bench.at_most("plain events heard twice", 0, len(self.plain.numbers) - len(set(self.plain.numbers)))
        else:
            self.bench.row(f"of {len(self.others.acked)} acknowledged plain events lost", "(a figure)", str(plain), True)


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
    over(bench, Stage(bench, url), lambda stage: stage.old.process.signal(signal.SIGSTOP),
         lambda stage: stage.old.process.signal(signal.SIGCONT))


def f18d(bench, url=by_sentinels):
    """the primary that sentinels named is killed"""
    over(bench, Stage(bench, url), lambda stage: stage.old.kill(), lambda stage: None)


def over(bench, stage, fault, mend):
    """The primary is gone in one way or the other."""
    traffic, announced = Traffic(bench, stage), Announced(stage)
    fault(stage)
    try:
        seconds = seconds_until(lambda: stage.is_on(stage.new))
        announced.row(bench, time.monotonic() if seconds is not None else None)
        bench.at_most("moved to the server that is named", IN_TIME_SECONDS, seconds, " s")
        if seconds is not None:
            traffic.end(stage.new, False)
    finally:
        mend(stage)


def f18e(bench):
    """a planned failover: the old primary takes writes for 11 s"""
    stage = Stage(bench, by_sentinels)
    traffic, announced = Traffic(bench, stage), Announced(stage)
    stage.sentinels.failover()
    seconds = seconds_until(lambda: stage.is_on(stage.new))
    announced.row(bench, time.monotonic() if seconds is not None else None)
    time.sleep(OLD_SECONDS)
    traffic.end(stage.new, True)


def most_dials(stage, seconds):
    """How often it dials, in the second in which it does that most."""
    seen, until_then = [], time.monotonic() + seconds
    while time.monotonic() < until_then:
        seen.append((time.monotonic(), stage.broker().get("n_attempts", 0)))
        time.sleep(0.02)
    return max(n - before for i, (begun, before) in enumerate(seen) for at, n in seen[i:] if at - begun <= 1)


def f18f(bench):
    """failovers one after the other, and a primary that is back before it is missed"""
    stage = Stage(bench, by_sentinels, down_after_ms=PATIENT_MS)
    n_repeats, n_wedged, most = bench.sized(50, 4), 0, 0
    for repeat in range(n_repeats):
        before = stage.sentinels.primary()
        if repeat % 2:
            before.kill()
            most = max(most, most_dials(stage, AWAY_SECONDS))
            before.start()
        else:
            until("it can be promoted", lambda: planned(stage), GIVE_UP_SECONDS)
            until("it is promoted", lambda before=before: stage.sentinels.primary() is not before, GIVE_UP_SECONDS)
        if seconds_until(lambda: stage.is_on(stage.sentinels.primary())) is None:
            n_wedged = repeat + 1
            break
        until("the other one follows", lambda: n_replicas(stage) == 1, SETTLE_SECONDS)
    bench.row(f"wedged in {n_repeats} repeats", "never", f"at repeat {n_wedged}" if n_wedged else "never", not n_wedged)
    bench.at_most("dials in any second while nobody listens", DIALS_PER_SECOND, most)


def planned(stage):
    try:
        stage.sentinels.failover()
        return True
    except redis.ResponseError:
        return False  # NOGOODSLAVE, INPROG


def n_replicas(stage):
    """That are up and follow, as the sentinels' primary sees it."""
    try:
        return stage.sentinels.primary().client.info("replication")["connected_slaves"]
    except redis.RedisError:
        return 0


def f18b(bench, how):
    """all sentinels are gone, or do not answer: it stays, and dials where it was"""
    stage = Stage(bench, by_sentinels)
    for process, _ in stage.sentinels.sentinels:
        if how == "gone":
            process.kill()
        else:
            process.signal(signal.SIGSTOP)
    bench.at_most(f"of {len(stage.peers)} clients hear nothing without sentinels", 0, stage.n_deaf(stage.old))
    stage.old.kill()
    until("it is lost", lambda: stage.gateway.get("/ready").status == 503)
    stage.old.start()
    follows(bench, stage, stage.old)


def by_the_first(sentinels):
    return sentinels.url.split(",")[0] + f"/{NAME}"


def by_the_first_alone(sentinels):
    """As somebody to whom it may not tell of the others."""
    sentinels.sentinels[0][1].execute_command(
        "ACL", "SETUSER", "narrow", "on", ">narrow", "-@all", "+auth", "+ping", "+client|setname", "+sentinel|get-master-addr-by-name", "+sentinel|master")
    return by_the_first(sentinels) + "?sentinel_user=narrow&sentinel_password=narrow"


def f18c(bench, url=by_the_first):
    """one sentinel is configured, and dies with the primary: it told of the others"""
    stage = Stage(bench, url)
    if url is by_the_first:
        until("all vote", lambda: stage.broker()["n_sentinels_voting"] == 3)
    stage.sentinels.sentinels[0][0].kill()
    stage.old.kill()
    follows(bench, stage, stage.new)


FAULTS = (
    Fault("f18", f18, Control("the primary by its address", "moved", url=by_address)),
    Fault("f18b gone", f18b, how="gone"),
    Fault("f18b frozen", f18b, how="frozen"),
    Fault("f18c", f18c, Control("only one sentinel is asked", "moved", url=by_the_first_alone, full_only=True)),
    Fault("f18d", f18d, Control("the primary by its address", "moved", url=by_address), full_only=True),
    Fault("f18e", f18e, Control("no linger", "plain events of redis-py lost", off="linger"), full_only=True),
    Fault("f18f", f18f, Control("one redial, no more", "wedged", off="redial"), full_only=True),
)

"""
Rolling restart: F13 three gateways behind haproxy are taken down and up one after the other, twice.

haproxy has the settings of deploy/haproxy/haproxy.cfg, only its addresses are ours. Through it go a crowd that resumes
and obeys `reconnect`, and newcomers all the time: what they are answered is what a user would see.
"""

import csv
import io
import pathlib
import re
import shutil
import signal
import socket
import threading
import time

from bench import SETTLE_SECONDS, end_by_kill
from common import false_alarms, finish_publishing, names, settled
from fault import Control, Fault
from harness.ports import free_port
from harness.process import Process
from harness.wait import until
from harness.websocket import WebSocket
from seqcheck import Crowd
from verify import read_logs, verify

CONFIGURATION = pathlib.Path(__file__).resolve().parents[2] / "deploy" / "haproxy" / "haproxy.cfg"
N_GATEWAYS = 3
N_CHANNELS = 50
RATE = 500  # publications a second
DELAY_SECONDS = 5  # drain_delay, as in deploy/: haproxy looks every second, and believes it the second time
NEWCOMER_SECONDS = 0.05
MAXCONN = 5000  # of haproxy: two sockets each, of the 20,000 that a process may have here
GONE_SLACK_SECONDS = 5
RECONNECTS_SLACK = 1.5
AWAY_SECONDS = 2  # of a control run: it takes a moment to notice that one is gone, and to start another


class Balancer:
    """haproxy in front of these (address, admin port) pairs. hasty: it asks once, and nobody else after it."""

    def __init__(self, bench, servers, hasty):
        self.address = ("127.0.0.1", free_port())
        self.control = bench.directory / "haproxy.sock"
        file = bench.directory / "haproxy.cfg"
        file.write_text(self._configuration(servers, hasty), encoding="utf-8")
        haproxy = shutil.which("haproxy") or "/usr/sbin/haproxy"
        self.process = Process([haproxy, "-db", "-n", MAXCONN, "-f", file], bench.directory, "haproxy")
        bench.ends.append(lambda: self.process.stop(expected=(0, 143, -signal.SIGTERM)))
        until("haproxy sees all gateways", lambda: self.control.exists() and self.n_up() == len(servers))

    def _configuration(self, servers, hasty):
        text = CONFIGURATION.read_text(encoding="utf-8")
        text = text.replace("global\n", f"global\n    stats socket {self.control} mode 600\n", 1)
        text = text.replace("bind :8080", f"bind {self.address[0]}:{self.address[1]}")
        text = re.sub(r"^resolvers docker\n(    .*\n)+", "", text, flags=re.MULTILINE)
        text = re.sub(r"^frontend figures\n(    .*\n?)+", "", text, flags=re.MULTILINE)
        template = re.search(r"^    server-template gateway .* check port 9080 (.*)$", text, re.MULTILINE)
        assert template, "deploy/haproxy/haproxy.cfg has another server-template than this was written for"
        lines = [f"    server gateway-{i} {host}:{port} check port {admin} {template[1]}"
                 for i, (host, port, admin) in enumerate(servers)]
        text = text.replace(template[0], "\n".join(lines))
        if hasty:
            text = re.sub(r"^    (option redispatch|retries|retry-on) .*$", "", text, flags=re.MULTILINE)
            text = text.replace("backend gateways\n", "backend gateways\n    retries 0\n    no option redispatch\n")
        return text

    def _stat(self):
        with socket.socket(socket.AF_UNIX) as control:
            control.connect(str(self.control))
            control.sendall(b"show stat\n")
            answer = b"".join(iter(lambda: control.recv(65536), b""))
        return [row for row in csv.DictReader(io.StringIO(answer.decode().lstrip("# "))) if row["pxname"] == "gateways"]

    def n_up(self):
        return sum(row["svname"].startswith("gateway-") and row["status"].startswith("UP") for row in self._stat())

    def n_tried_again(self):
        """Connections to a gateway that failed, and were tried again there or elsewhere."""
        (backend,) = [row for row in self._stat() if row["svname"] == "BACKEND"]
        return sum(int(backend[name] or 0) for name in ("wretr", "wredis", "econ"))


class PoliteCrowd(Crowd):
    """Comes back when `reconnect` says, and notes what its handshakes were answered."""

    def __init__(self, addresses):
        super().__init__(addresses)
        self.hints = {}
        self.opened = []            # when handshakes were answered with 101
        self.n_failed = 0           # and how many otherwise, or not at all
        self.n_cut = 0              # connections that ended without a word before

    def _message(self, client, message):
        if message["type"] == "reconnect":
            self.hints[client] = message["data"]["after_ms"] / 1000
        else:
            super()._message(client, message)

    def _answered(self, client):
        answered = super()._answered(client)
        if answered:
            self.opened.append(time.monotonic())
        return answered

    def lose(self, client):
        was_open, hint = client.open, self.hints.pop(client, None)
        self.n_failed += not was_open
        self.n_cut += was_open and hint is None
        super().lose(client)
        if hint is not None:
            client.due = time.monotonic() + hint

    def most_in(self, window, began):
        """Of the handshakes since then: the most in any stretch of so many seconds."""
        times = [opened for opened in self.opened if opened >= began]
        first, most = 0, 0
        for last, opened in enumerate(times):
            while opened - times[first] > window:
                first += 1
            most = max(most, last - first + 1)
        return most


class Newcomers:
    """A page is opened and closed, again and again, in a thread."""

    def __init__(self, address, path):
        self.address, self.path = address, path
        self.n_opened, self.failures = 0, []
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while not self.ending.wait(NEWCOMER_SECONDS):
            try:
                with WebSocket.connect(self.address, self.path):
                    self.n_opened += 1
            except Exception as failure:  # pylint: disable=broad-except
                self.failures.append(f"{type(failure).__name__} {failure}")

    def stop(self):
        self.ending.set()
        self.thread.join()


class Fleet:
    """Three gateways with addresses of their own, which they keep when they are started anew."""

    def __init__(self, bench, server, options):
        self.bench, self.server, self.options = bench, server, options
        self.places = [(f"127.0.13.{i + 1}", free_port(), free_port()) for i in range(N_GATEWAYS)]
        self.n_started = 0
        self.gateways = [self.start(i) for i in range(N_GATEWAYS)]

    def start(self, i):
        host, port, admin = self.places[i]
        self.n_started += 1
        return self.bench.gateway(self.server, f"gateway-{i}-{self.n_started}", "--listen", f"{host}:{port}",
                                  "--admin", f"{host}:{admin}", *self.options)

    def end(self):
        """Their clients are gone: nothing is left to take leave of."""
        for gateway in self.gateways:
            gateway.process.signal(signal.SIGINT)
        for gateway in self.gateways:
            gateway.process.end()


class Rolling:
    """One run: what is measured of each restart."""

    def __init__(self, bench, kill, hasty):
        self.bench, self.kill, self.hasty = bench, kill, hasty
        self.drain_seconds = bench.sized(30, 8)
        self.delay_seconds = 0 if hasty else DELAY_SECONDS
        # A quarter of the drain time, like the waits that clients are told: in a single second their chance is as
        # large as the figure. What a single second saw is in the table too, and not counted.
        self.window = self.drain_seconds / 4
        drain = 0 if hasty else self.drain_seconds
        self.server, self.channels = bench.redis(), names(N_CHANNELS)
        self.fleet = Fleet(bench, self.server, ("--drain-delay", f"{self.delay_seconds}s", "--drain-time", f"{drain}s"))
        self.balancer = Balancer(bench, self.fleet.places, hasty)
        self.crowd = PoliteCrowd([self.balancer.address])
        bench.ends.append(self.crowd.stop)
        self.crowd.add(bench.sized(1200, 600), self.channels)
        assert self.crowd.run_until(settled(self.crowd), SETTLE_SECONDS) is not None, "the crowd does not get in"
        self.newcomers = Newcomers(self.balancer.address, "/ws/fault/0")
        bench.ends.append(self.newcomers.stop)
        self.publisher = bench.publisher(self.server, N_CHANNELS, RATE)
        self.crowd.run_for(bench.sized(5, 2))
        # Of each restart: seconds to the end; reconnects by clients / drain_time in the busiest window, and second.
        self.gone, self.loads, self.seconds = [], [], []

    def restart(self, i):
        gateway, crowd, began = self.fleet.gateways[i], self.crowd, time.monotonic()
        n_clients = gateway.metric("tidegate_connections")
        if self.kill:
            end_by_kill(gateway)
        else:
            gateway.process.signal(signal.SIGTERM)
            crowd.run_until(lambda: not gateway.process.alive(), SETTLE_SECONDS + self.drain_seconds)
            self.gone.append(time.monotonic() - began)
            gateway.process.end()
        if self.kill or self.hasty:
            crowd.run_for(AWAY_SECONDS)
        self.fleet.gateways[i] = self.fleet.start(i)
        crowd.run_until(lambda: self.balancer.n_up() == N_GATEWAYS, SETTLE_SECONDS)
        assert crowd.run_until(settled(crowd), SETTLE_SECONDS) is not None, "the crowd does not get in again"
        fair = n_clients / self.drain_seconds
        self.loads.append(crowd.most_in(self.window, began) / self.window / fair)
        self.seconds.append(crowd.most_in(1, began) / fair)

    def end(self):
        bench, crowd = self.bench, self.crowd
        self.newcomers.stop()
        acked = finish_publishing(bench, crowd, self.server, self.publisher, self.channels, crowd.clients)
        n_restarts = len(self.loads)
        refused = crowd.n_failed + len(self.newcomers.failures)
        n_handshakes = len(crowd.opened) + self.newcomers.n_opened + refused
        bench.at_most(f"refused handshakes, of {n_handshakes}", 0, refused)
        for failure in self.newcomers.failures[:3]:
            print(f"    a newcomer: {failure}")
        bench.at_most("that haproxy had to try again", 0, self.balancer.n_tried_again())
        bench.at_most("connections that ended without a word", 0, crowd.n_cut)
        bench.at_most(f"reconnects a second, over any {self.window:g} s, by clients / drain_time", RECONNECTS_SLACK,
                      max(self.loads))
        bench.row("the same over any 1 s", "", f"{max(self.seconds):.2f}", None)
        if self.gone:
            bench.at_most(f"the old process is gone, the slowest of {n_restarts}",
                          self.delay_seconds + self.drain_seconds + GONE_SLACK_SECONDS, max(self.gone), " s")
        bench.verified(f"{len(crowd.clients)} clients", verify(crowd.clients, read_logs(self.server.client, self.channels), acked))
        bench.at_most("false alarms", 0, false_alarms(crowd.clients))
        moved = sum(client.n_disconnects for client in crowd.clients)
        bench.row("clients sent elsewhere, in all", "> 0", str(moved), moved > 0)
        bench.not_covered("haproxy itself is reloaded")
        crowd.stop()
        self.fleet.end()


def f13(bench, kill=False, hasty=False, rounds=2):
    """A rolling restart of three gateways behind haproxy, twice"""
    run = Rolling(bench, kill, hasty)
    for _ in range(rounds):
        for i in range(N_GATEWAYS):
            run.restart(i)
    run.end()


FAULTS = (
    Fault("f13", f13,
          # haproxy asks another gateway, so that nobody is refused: what it has to hide is the figure.
          Control("kill -9", "haproxy had to try again", kill=True, rounds=1),
          Control("kill -9", "reconnects a second", kill=True, rounds=1),
          Control("no drain_delay, haproxy asks once", "refused handshakes", hasty=True, rounds=1)),
)

"""
The bench: what one run of a fault needs. Servers in a folder of its own, a crowd, rows for the table.
"""

import pathlib
import shutil
import signal
import sys
import tempfile
import os

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))

# pylint: disable=wrong-import-position
import figures  # noqa: E402
import harness.gateway  # noqa: E402
from harness.gateway import Gateway  # noqa: E402
from harness.process import Process  # noqa: E402
from harness.redis_server import DurableRedis  # noqa: E402
from harness.wait import until  # noqa: E402
from hygiene import Hygiene  # noqa: E402
from seqcheck import Crowd  # noqa: E402
from tcp_proxy import TcpProxy  # noqa: E402

ROUTES = 'topics: []\nroutes:\n  - {path: "/ws/fault/{id}", channel: "fault:{id}", history: {size: 1000000}}\n'
CONTROL_BINARY = pathlib.Path(os.environ.get("TIDEGATE_FAULT_BIN") or harness.gateway.ROOT / "build-fault" / "tidegate")
SETTLE_SECONDS = 60  # long after a promise was broken: then the run goes on to be verified
RATE = 2000


class NotHere(Exception):
    """This machine does not let us do that; the sentence says what."""


class Bench:
    """off: the mechanism that the gateways of a control run leave out."""

    def __init__(self, name, short, off="", is_control=False):
        self.name, self.short, self.off, self.is_control = name, short, off, is_control
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="tidegate-fault-"))
        self.rows = []
        self.ends = []
        self.hygiene = None
        self.routes(ROUTES)

    def routes(self, text):
        (self.directory / "tidegate.yaml").write_text(text, encoding="utf-8")

    def sized(self, full, short):
        return short if self.short else full

    # What it starts. All of it ends with the bench, whatever became of the run.

    def redis(self, name="redis", kind=DurableRedis):
        folder = self.directory / name
        folder.mkdir(exist_ok=True)
        server = kind(folder)
        self.ends.append(server.stop)
        return server

    def gateway(self, url, name="gateway", *options):
        env = {"FAULT_OFF": self.off} if self.off else {}
        binary = CONTROL_BINARY if self.off else None
        if binary and not binary.exists():
            raise AssertionError(f"{binary} is missing: deploy/build.sh build-fault -Dfault_controls=true")
        gateway = Gateway(self.directory, "--config", self.directory / "tidegate.yaml", *options, redis=url, name=name,
                          env=env, binary=binary)
        self.ends.append(lambda: gateway.process.ended or gateway.stop())
        return gateway

    def proxy(self, port, filtered=None):
        proxy = TcpProxy(port, filtered)
        self.ends.append(proxy.stop)
        return proxy

    def crowd(self, *gateways):
        crowd = Crowd([gateway.address for gateway in gateways])
        self.ends.append(crowd.stop)
        return crowd

    def publisher(self, server, n_channels, rate=RATE, payload_bytes=256):
        journal = self.directory / "journal.json"
        script = pathlib.Path(__file__).with_name("seqpub.py")
        command = ["/usr/bin/python3", "-B", script, server.socket_path, n_channels, rate, journal, payload_bytes]
        return self.program(command, "seqpub"), journal

    def program(self, command, name):
        """One that says when it has begun: before that, the signal that tells it to finish would be its death."""
        process = Process(command, self.directory, name)
        self.ends.append(lambda: process.ended or process.stop())
        until(f"{name} has begun", lambda: "begun" in process.stdout() or not process.alive())
        return process

    def watch(self, *gateways):
        """I7, from here to the end of the run."""
        self.hygiene = Hygiene(gateways)
        self.ends.append(self.hygiene.stop)
        return self.hygiene

    # What came of it

    def add(self, row):
        self.rows.append(row)
        print(row.line(self.is_control), flush=True)

    def row(self, what, wanted, reached, good):
        self.add(figures.Row(self.name, what, wanted, reached, good))

    def at_most(self, what, wanted, reached, unit=""):
        self.add(figures.at_most(self.name, what, wanted, reached, unit))

    def not_covered(self, what):
        """Part of the fault that nothing here tries yet. In the table, and in no count."""
        self.row(what, "", "not covered", None)

    def verified(self, what, verdict):
        self.at_most(f"{what}: lost, of {verdict.n_compared}", 0, verdict.lost)
        self.at_most(f"{what}: doubled", 0, verdict.doubled)
        self.at_most(f"{what}: wrong, or out of order", 0, verdict.wrong + verdict.wrong_base)
        if verdict.n_acked:
            self.at_most(f"{what}: of {verdict.n_acked} acknowledged not in the log once", 0, verdict.unacked)

    def hygienic(self, run_until=None):
        """The row of I7. run_until turns the crowd, so that the load is as it was; None where there is none."""
        cpu_back = run_until is None or self.hygiene.wait_for_cpu(run_until) is not None
        self.row("hygiene (I7)", "as before", *self.hygiene.verdict(cpu_back))

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


def end_by_kill(gateway):
    """As `kill -9` does; no end that is looked at."""
    gateway.process.ended = True
    gateway.process.kill()


def thaw(process):
    process.signal(signal.SIGCONT)

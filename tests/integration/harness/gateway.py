"""
Gateway: the real binary, started on free ports, and what an operator can see of it.
"""

import functools
import http.client
import json
import os
import pathlib
import re
import subprocess
import tempfile

from harness import wait
from harness.authority import Authority
from harness.event_stream import EventStream
from harness.log import parse_line
from harness.process import Process, clean_environment
from harness.websocket import WebSocket

ROOT = pathlib.Path(__file__).resolve().parents[3]
TALKATIVE = ("--message-rate", "0", "--failures-max", "0")  # for tests of what else bounds a client that says too much
BINARY = pathlib.Path(os.environ.get("TIDEGATE_BIN") or ROOT / "build" / "tidegate").resolve()


# The public port of each gateway speaks TLS: for the files whose clients are those of harness/websocket.py.
EVERYTHING_OVER_TLS = os.environ.get("TIDEGATE_TEST_TLS") == "1"
# Each gateway has one thread, but where a test asks for workers.
SINGLE_THREAD = os.environ.get("TIDEGATE_TEST_SINGLE_THREAD") == "1"


def run(*words, env=None, seconds=wait.PATIENCE_SECONDS, cwd=None, told=""):
    """A subcommand that ends by itself: its exit code, stdout and stderr. told: what it reads from standard input."""
    return subprocess.run([str(BINARY), *map(str, words)], input=told, capture_output=True, text=True,
                          timeout=seconds, env=clean_environment(env), check=False, cwd=cwd)


@functools.cache
def everybodys_authority():
    directory = tempfile.TemporaryDirectory()
    authority = Authority(directory.name)
    authority.keep = directory  # until we end
    return authority


@functools.cache
def over_tls():
    """Options of a gateway whose public port speaks TLS."""
    certificate, key = everybodys_authority().issue("everybody", "IP:127.0.0.1", "IP:::1")
    return "--tls-certificate", certificate, "--tls-key", key


def split_address(text):
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


class Response:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)


class Gateway:
    def __init__(self, directory, *options, redis=None, env=None, name="gateway", ready=True, binary=None,
                 tls=None, admin_tls=None):
        self.tls, self.admin_tls = tls, admin_tls  # contexts of ssl for whoever connects
        self.n_workers = 1 if SINGLE_THREAD else 2  # where a test does not ask for others
        if EVERYTHING_OVER_TLS and not tls:
            options, self.tls = (*options, *over_tls()), everybodys_authority().client()
        command = [binary or BINARY, "serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]
        words = [str(option) for option in options]
        if not {"--workers", "--single-thread"}.intersection(words):
            command += ["--workers", str(self.n_workers)]
        if SINGLE_THREAD and "--single-thread" not in words and dict(zip(words, words[1:])).get("--workers", "1") == "1":
            command += ["--single-thread", "true"]
        if redis:
            command += ["--redis", redis if isinstance(redis, str) else redis.url]
        self.process = Process([*command, *options], directory, name, env)
        try:
            self.address = split_address(self._listening("public"))
            self.admin_address = split_address(self._listening("admin"))
            if ready:
                self.wait_until_ready()
        except BaseException:
            self.process.kill()
            raise

    def _listening(self, listener):
        def look():
            self.process.check()
            for line in self.log():
                if line.message.startswith("listening") and line.fields.get("listener") == listener:
                    return line.fields["address"]
            return None

        return wait.until(f"the {listener} listener: {self.process.stderr_path}", look)

    def wait_until_ready(self, seconds=wait.PATIENCE_SECONDS):
        wait.until("/ready says 200", lambda: self.get("/ready").status == 200, seconds)

    # What a client sees

    def connect(self, path="/ws/cards", headers=(), **options):
        """An open WebSocket of the raw kind."""
        options.setdefault("tls", self.tls)
        return WebSocket.connect(self.address, path, headers, **options)

    def stream(self, path="/sse/cards", headers=(), **options):
        """An open stream of server-sent events."""
        options.setdefault("tls", self.tls)
        return EventStream.connect(self.address, path, headers, **options)

    def url(self, path):
        return f"{'wss' if self.tls else 'ws'}://{self.address[0]}:{self.address[1]}{path}"

    # What an operator sees

    def get(self, path, method="GET", body=None, **headers):
        """One request to the admin port; header names with underscores for dashes."""
        if self.admin_tls:
            connection = http.client.HTTPSConnection(*self.admin_address, timeout=wait.PATIENCE_SECONDS, context=self.admin_tls)
        else:
            connection = http.client.HTTPConnection(*self.admin_address, timeout=wait.PATIENCE_SECONDS)
        try:
            connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            answer = connection.getresponse()
            return Response(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def api(self, path, **headers):
        """What the admin API answers with 200."""
        answer = self.get(path, **headers)
        assert answer.status == 200, (path, answer.status, answer.body)
        assert answer.headers["Content-Type"] == "application/json"
        return answer.json()

    def post(self, path, content, **headers):
        return self.get(path, "POST", json.dumps(content), **headers)

    def metric(self, name):
        """One number of /metrics, by its name with labels as printed."""
        found = re.search(rf"^{re.escape(name)} (\S+)$", self.get("/metrics").body.decode(), re.MULTILINE)
        assert found, f"/metrics has no {name}"
        return float(found[1])

    @property
    def admin(self):
        return f"{self.admin_address[0]}:{self.admin_address[1]}"

    def publish(self, channel, payload):
        """Through the admin port, as `tidegate publish` does it."""
        return run("publish", "--admin", self.admin, channel, payload)

    def _writes_log(self):
        """Is the thread that writes the log about to, or at it? What a gateway has said, it writes a moment later."""
        for task in pathlib.Path(f"/proc/{self.process.pid}/task").glob("*"):
            try:
                name, _, rest = (task / "stat").read_text(encoding="utf-8", errors="replace").partition("(")[2].rpartition(") ")
            except OSError:
                continue  # gone meanwhile
            if name == "tg-log":
                return rest[0] != "S"
        return False

    def log(self):
        """The whole lines written so far."""
        wait.until("the log is written", lambda: not self._writes_log())
        text = self.process.stderr()
        return [parse_line(line) for line in text[: text.rfind("\n") + 1].splitlines()]

    def lines(self, message, **fields):
        """The log lines whose message contains this and that carry these fields."""
        return [line for line in self.log() if message in line.message
                and all(line.fields.get(key) == value for key, value in fields.items())]

    def wait_for_line(self, message, **fields):
        return wait.until(f"a log line '{message}' {fields}", lambda: self.lines(message, **fields))[-1]

    def resident_kib(self):
        return self._memory_kib("VmRSS")

    def peak_kib(self):
        return self._memory_kib("VmHWM")

    def _memory_kib(self, row):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return int(re.search(rf"^{row}:\s+(\d+) kB", status, re.MULTILINE)[1])

    # Its end

    def check(self):
        """Still there, silent about memory, and serving."""
        self.process.check()
        with self.connect() as socket:
            socket.send({"type": "ping"})
            while "channel" in (answer := socket.receive()):
                pass  # an event of the test that has just ended
            assert answer["type"] == "pong"

    def stop(self):
        self.process.stop()

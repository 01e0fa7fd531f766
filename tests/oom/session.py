"""
Session: all that a gateway does in its life, in a fraction of a second, while allocations fail.

Whoever talks to it here takes refusals and hang-ups as they come. What counts is in the verdict: the process never dies by a signal; where it
cannot start it says so in a line and ends with 1; and once memory is back it serves the next client, and ends with 0.
"""

import contextlib
import http.client
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))

# pylint: disable=wrong-import-position
import redis as redis_py  # noqa: E402
from harness.event_stream import EventStream  # noqa: E402
from harness.process import REPORT, WITH_US, clean_environment  # noqa: E402
from harness.tokens import Issuer  # noqa: E402
from harness.wait import Timeout  # noqa: E402
from harness.websocket import CLOSE, WebSocket, frame, handshake  # noqa: E402

SECRET = "a-secret-of-more-than-thirty-two-bytes"
ANSWER_SECONDS = 0.25  # for what may never come
START_SECONDS, SERVE_SECONDS, END_SECONDS = 10, 10, 10
CONFIG = """
listen: 127.0.0.1:0
admin: 127.0.0.1:0
workers: 1
log_level: debug
shutdown_timeout: 500ms
auth: optional
token_secret: {secret}
trusted_proxies: [10.0.0.0/8]
origins: [same, "https://app.example.com"]
topics: [prices]
tickets: true
{tls}
routes:
  - {{path: "/ws/kept/{{id}}", channel: "kept:{{id}}", history: {{size: 100}}, compression: "on"}}
  - {{path: "/ws/pair", channels: ["kept:1", latest], history: {{size: 100}}}}
  - {{path: "/ws/me", channels: ["user:{{token.sub}}"], auth: required}}
  - {{path: "/ws/latest", channel: latest, slow: {{policy: latest_by_key, key: data.key}}}}
  - {{path: "/ws/ask", channel: asked, actions: {{stream: {prefix}acts, timeout: 100ms}}}}
"""


class Run:
    """
    A gateway whose allocation number `start` fails, counted from its start; or number `once`, or each `every`-th, counted from when it
    serves. Over TLS with an Authority.
    """

    def __init__(self, binary, library, url, directory, authority=None, start=0, once=0, every=0):
        self.directory, self.prefix = directory, f"{directory.name}-"
        self.client = redis_py.from_url(url)
        self.config = directory / "tidegate.yaml"
        self.tls = authority and authority.client()
        tls = authority and "tls_certificate: {}\ntls_key: {}".format(*authority.issue(directory.name, "IP:127.0.0.1"))
        self.config.write_text(CONFIG.format(secret=SECRET, prefix=self.prefix, tls=tls or ""), encoding="utf-8")
        self.stderr = directory / "stderr"
        env = {"FAIL_AT": str(start or once), "FAIL_EVERY": str(every), "FAIL_REPORT": str(directory / "count")}
        self.later = not start
        if self.later:
            env["FAIL_ON_SIGNAL"] = "1"
        if library:
            env["LD_PRELOAD"] = str(library)
        with open(self.stderr, "wb") as err:
            self.popen = subprocess.Popen(
                [*WITH_US, binary, "serve", "--config", self.config, "--redis", url, "--channel-prefix", self.prefix],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=err, env=clean_environment(env), start_new_session=True)

    def log(self):
        return self.stderr.read_text(encoding="utf-8", errors="replace")

    def fails_from_now_on(self, on):
        if self.later and self.popen.poll() is None:
            self.popen.send_signal(signal.SIGUSR2 if on else signal.SIGUSR1)

    # Its ports; None where it did not start.

    def _port(self, listener):
        for line in self.log().splitlines():
            if "listening" in line and f"listener={listener} " in line:
                return int(line.split("address=")[1].split()[0].rpartition(":")[2])
        return None

    def wait_for_start(self):
        deadline = time.monotonic() + START_SECONDS
        while self.popen.poll() is None and time.monotonic() < deadline:
            self.public, self.admin = self._port("public"), self._port("admin")
            if self.public and self.admin:
                return True
            time.sleep(0.01)
        return False

    # What is done with it

    def peer(self, path, headers=(), seconds=ANSWER_SECONDS, **more):
        peer = WebSocket(("127.0.0.1", self.public))
        peer.socket.settimeout(seconds)
        if self.tls:
            try:
                peer.begin_tls(self.tls)
            except BaseException:
                peer.abandon()
                raise
        peer.send_raw(handshake(path, headers, **more))
        peer.response = peer.read_response()
        if peer.response is not None and peer.response.status == 101:
            peer.pending = peer.response.body
        return peer

    def stream(self, path, **more):
        stream = EventStream.connect(("127.0.0.1", self.public), path, tls=self.tls, **more)
        stream.socket.settimeout(ANSWER_SECONDS)
        return stream

    def publish(self, channel, payload):
        self.client.publish(self.prefix + channel, payload)

    def ask(self, method, path, body=None, seconds=ANSWER_SECONDS):
        connection = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=seconds)
        with contextlib.closing(connection):
            connection.request(method, path, body and json.dumps(body))
            response = connection.getresponse()
            return response.status, response.read()


def commands(peer, said):
    """Says all of it and hears what comes, however little."""
    for one in said:
        peer.send(one)
    for _ in said:
        peer.receive()


def listen(run):
    with run.peer("/ws/prices?since=now", [("Sec-WebSocket-Protocol", "tidegate.v1")]) as peer:
        run.publish("prices", json.dumps({"type": "n", "data": 1}))
        commands(peer, [{"type": "ping", "id": 1}, {"type": "subscribe", "data": {"channel": "prices:7"}},
                        {"type": "subscribe", "id": "x", "data": {"channel": "kept:1", "since": "start"}}])
        peer.send_raw(frame(0x1, b'{"type":"pi', fin=False))
        peer.send_raw(frame(0x0, b'ng"}'))
        commands(peer, [{"type": "unsubscribe", "data": {"channel": "prices:7"}}, {"type": "nonsense"}, {"type": "action", "data": {}}])
        peer.send_raw(frame(CLOSE, b"\x03\xe8"))
        peer.receive()


def listen_deflated(run):
    offer = ("Sec-WebSocket-Extensions", "permessage-deflate")
    with run.peer("/ws/kept/1?since=start", [offer, ("Origin", "https://app.example.com"), ("X-Forwarded-For", "1.2.3.4")]) as peer:
        run.publish("kept:1", json.dumps({"type": "n", "data": "text " * 60}))
        peer.receive_bits()
        peer.receive_bits()


def hear(run, user, path, headers=()):
    """Who is let in hears an event; other answers stay as they are."""
    with run.peer(path, headers) as peer:
        if peer.response is not None and peer.response.status == 101:
            run.publish(f"user:{user}", '{"type":"n"}')
            with contextlib.suppress(Timeout):
                peer.receive()


def show_tokens(run):
    token = Issuer(secret=SECRET).token(sub="alice", channels=["kept:*"])
    for path, headers in (("/ws/me", [("Authorization", f"Bearer {token}")]), ("/ws/me", []),
                          ("/ws/me", [("Sec-WebSocket-Protocol", f"tidegate.v1, tidegate.bearer.{token}x")])):
        hear(run, "alice", path, headers)


def renew(run):
    issuer = Issuer(secret=SECRET)
    with run.peer("/ws/me", [("Authorization", f"Bearer {issuer.token(sub='alice')}"), ("Sec-WebSocket-Protocol", "tidegate.v1")]) as peer:
        commands(peer, [{"type": "auth", "id": 1, "data": {"token": issuer.token(sub="alice")}}, {"type": "ping", "id": 2}])


def show_a_ticket(run):
    for ticket in (os.urandom(16).hex(), "of-nobody-but-of-32-characters-00"):
        if not ticket.startswith("of-nobody"):
            run.client.set(f"tg:t:{run.prefix}{ticket}", json.dumps({"sub": "bob"}), ex=30)
        hear(run, "bob", f"/ws/me?ticket={ticket}")


def ask_a_backend(run):
    """One action that a backend answers, and one that nobody does."""
    stream = f"{run.prefix}acts"
    with run.peer("/ws/ask") as peer:
        for number in (1, 2):
            peer.send({"type": "action", "id": number, "data": {"action": "move"}})
            entries = run.client.xread({stream: "0"}, block=100)
            run.client.delete(stream)
            if entries and number == 1:
                answer_action(run, {name.decode(): value.decode() for name, value in entries[0][1][0][1].items()})
            peer.receive()


def answer_action(run, fields):
    """As a worker does: docs/actions.md."""
    channel = fields["reply"]
    run.client.fcall("tidegate_publish", 2, f"tg:s:{{{channel}}}", f"tg:m:{{{channel}}}",
                     json.dumps({"action": fields["id"], "data": {}}), channel, "publish", 1001, 60000, "abcdefgh")


def listen_to_a_stream(run):
    """An event stream of one channel, one of two that goes on where it was, and what is said by POST beside them."""
    for path, last_id in (("/sse/kept/1", ""), ("/sse/pair?since=now", "kept:1=a.1.1,latest=a.1.1")):
        with run.stream(path, headers=[("Last-Event-ID", last_id)] if last_id else []) as stream:
            run.publish("kept:1", json.dumps({"type": "n", "data": "of\nlines"}, indent=1))
            stream.receive()
            stream.receive()
    said = [{"type": "action", "id": 1, "data": {}}, {"type": "presence", "id": 2, "data": {"channel": "asked"}}, {"type": "ping", "id": 3}]
    body = "\n".join(map(json.dumps, said)).encode()
    fields = [("Content-Type", "application/x-ndjson"), ("Content-Length", str(len(body))), ("Origin", "https://app.example.com")]
    with run.stream("/sse/ask", headers=fields, method="POST", body=body) as answers:
        answers.close_code()
    body = json.dumps({"type": "subscribe", "id": 1, "data": {"channel": "prices:8", "since": "start"}}).encode()
    with run.stream("/sse/ask", headers=[fields[0], ("Content-Length", str(len(body)))], method="POST", body=body) as answers:
        answers.receive()


def refuse(run):
    for path, more in (("/nowhere", {}), ("/ws/prices", {"method": "POST"}), ("/ws/prices", {"headers": [("Origin", "null")]})):
        run.peer(path, **more).abandon()


def administer(run):
    run.ask("POST", "/publish", {"channel": "kept:1", "payload": {"type": "n", "data": 2}})
    for path in ("/status", "/metrics", "/ready", "/channels", "/connections", "/config", "/nodes", "/disconnects", "/"):
        run.ask("GET", path)
    run.ask("POST", "/reload")
    run.ask("POST", "/disconnect", {"channel": "kept:1"})


STEPS = (listen, listen_deflated, show_tokens, renew, show_a_ticket, ask_a_backend, listen_to_a_stream, administer, refuse, listen)


def play(run):
    for step in STEPS:
        # Whatever a failed allocation makes of it: refused, closed, silent, cut.
        with contextlib.suppress(Exception):
            step(run)


def hears(run, channel, path, headers=()):
    """Does the next client of this path hear an event, now that nothing fails any more?"""
    deadline = time.monotonic() + SERVE_SECONDS
    while time.monotonic() < deadline and run.popen.poll() is None:
        with contextlib.suppress(Exception):
            with run.peer(path, headers, seconds=3) as peer:
                if peer.response.status != 101:
                    raise ConnectionError
                run.publish(channel, '{"type":"last"}')
                while peer.receive()["type"] != "last":
                    pass
                return True
        time.sleep(0.05)
    return False


def serves(run):
    """A stranger, one with a token, and the operator."""
    token = Issuer(secret=SECRET).token(sub="alice")
    return (hears(run, "prices", "/ws/prices") and hears(run, "user:alice", "/ws/me", [("Authorization", f"Bearer {token}")])
            and run.ask("GET", "/live", seconds=3)[0] == 200)


def judge(run):
    """None, or what is wrong."""
    started = run.wait_for_start()
    if not started and run.popen.poll() is not None:
        if run.popen.returncode not in (1, 2):
            return f"cannot start: ends with {run.popen.returncode}"
        return None if run.log().strip() else "cannot start, and does not say so"
    if not started:
        return "neither starts nor ends"
    run.fails_from_now_on(True)
    play(run)
    run.fails_from_now_on(False)
    good = serves(run)
    if run.popen.poll() is not None:
        return f"dies with {run.popen.returncode}"
    run.popen.send_signal(signal.SIGTERM)
    try:
        code = run.popen.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        return "does not end"
    if code != 0:
        return f"ends with {code}"
    return None if good else "serves no more"


def verdict(binary, library, url, directory, authority=None, **which):
    """(None or what is wrong, allocations)"""
    run = Run(binary, library, url, directory, authority, **which)
    try:
        wrong = judge(run)
    finally:
        if run.popen.poll() is None:
            os.killpg(run.popen.pid, signal.SIGKILL)
        run.popen.wait()
        run.client.close()
    if not wrong and REPORT.search(run.log()):
        wrong = "a sanitizer's report"
    count = directory / "count"
    return wrong, int(count.read_text()) if count.exists() else 0

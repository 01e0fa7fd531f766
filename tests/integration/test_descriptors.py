"""At the limit of open files: who is connected is served, probes are answered, Redis comes back, newcomers are told."""

import json
import os
import resource
import socket
import threading
import time

import pytest

from harness.gateway import BINARY
from harness.wait import PATIENCE_SECONDS, pass_time, until
from harness.websocket import Closed, Refused, WebSocket

FILES = 256
RESERVE = 96
CONNECTS = 1000
STANDING_MAX = 40  # newcomers that are being told, at most
AWAY_SECONDS = 2
CPU_SHARE_MAX = 0.5  # of one core; a loop that spins takes a whole one
LINES_MAX = 60
PROBE_SECONDS = 5


@pytest.fixture
def few_files(tmp_path):
    """A program that runs the gateway with a low hard limit."""
    program = tmp_path / "few_files"
    program.write_text(f'#!/bin/sh\nulimit -n {FILES}\nexec "{BINARY}" "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    return program


@pytest.fixture(autouse=True)
def files_of_our_own():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(8192, hard), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def begin(gateway):
    """Connects, without waiting for it."""
    peer = socket.socket()
    peer.setblocking(False)
    peer.connect_ex(gateway.address)
    return peer


HANDSHAKE = (b"GET /ws/cards HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
             b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")


class Crowd:
    """Many that connect and ask."""

    def __init__(self, gateway, count):
        self.peers = [begin(gateway) for _ in range(count)]
        for peer in self.peers:
            peer.settimeout(PATIENCE_SECONDS)
            peer.send(HANDSHAKE)

    def leave(self):
        for peer in self.peers:
            peer.close()


class Prober(threading.Thread):
    """Asks the admin port all the time."""

    def __init__(self, gateway):
        super().__init__()
        self.gateway, self.over, self.failures, self.longest, self.n = gateway, threading.Event(), [], 0, 0

    def run(self):
        while not self.over.wait(0.05):
            for path in ("/live", "/ready", "/metrics"):
                began = time.monotonic()
                try:
                    status = self.gateway.get(path).status
                    if status != 200 and path != "/ready":
                        self.failures.append((path, status))
                except OSError as error:
                    self.failures.append((path, repr(error)))
                self.longest = max(self.longest, time.monotonic() - began)
                self.n += 1

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join()


def cpu_seconds(gateway):
    fields = open(f"/proc/{gateway.process.pid}/stat", encoding="ascii").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def hears_again(redis, peers):
    def look():
        redis.publish("cards", json.dumps({"type": "n"}))
        peers[0].socket.settimeout(0.2)
        try:
            return peers[0].receive()
        except AssertionError:
            return None

    until("events flow again", look)
    redis.publish("cards", '{"type":"last"}')
    for peer in peers:
        peer.socket.settimeout(PATIENCE_SECONDS)
        while peer.receive()["type"] != "last":
            pass


def comes_in(gateway):
    try:
        with WebSocket.connect(gateway.address, "/ws/cards") as peer:
            return peer.ask({"type": "ping"})["type"] == "pong"
    except (AssertionError, OSError, Closed, Refused):
        return False


def test_a_node_full_of_clients_goes_on(start, own_redis, few_files, figure):
    gateway = start(redis=own_redis, binary=str(few_files))
    old = [gateway.connect("/ws/cards") for _ in range(10)]
    with Prober(gateway) as prober:
        crowd = Crowd(gateway, CONNECTS)
        until("the node is full", lambda: gateway.metric("tidegate_connections") == FILES - RESERVE)
        until("newcomers are told", lambda: gateway.metric('tidegate_handshakes_refused_total{reason="full"}') > 0)
        began, cpu = time.monotonic(), cpu_seconds(gateway)
        own_redis.kill()
        until("Redis is missed", lambda: gateway.get("/ready").status == 503)
        pass_time(AWAY_SECONDS)
        share = (cpu_seconds(gateway) - cpu) / (time.monotonic() - began)
        assert all(peer.ask({"type": "ping"})["type"] == "pong" for peer in old)
        own_redis.start()
        hears_again(own_redis, old)
    figure("longest probe of a full node", f"{prober.longest * 1000:.0f} ms")
    figure("CPU of a full node", f"{share:.2f} cores")
    assert prober.n and not prober.failures, prober.failures[:5]
    assert prober.longest < PROBE_SECONDS
    assert share < CPU_SHARE_MAX
    crowd.leave()
    began = time.monotonic()
    until("a new client comes in", lambda: comes_in(gateway))
    figure("a new client after others left", f"{time.monotonic() - began:.2f} s")
    assert time.monotonic() - began < PROBE_SECONDS
    told = [line for line in gateway.log() if not line.message.startswith("client ")]
    assert len(told) < LINES_MAX, told
    for peer in old:
        peer.close()


def test_a_low_limit_is_told_at_the_start_and_keeps_a_reserve(start, few_files):
    gateway = start("--connections-max", "100000", binary=str(few_files))
    assert gateway.metric("tidegate_connections_max") == FILES - RESERVE
    line = gateway.wait_for_line("few files may be open")
    assert line.level == "warn" and "LimitNOFILE" in line.fields["remedy"]


def answer_to(gateway):
    with socket.create_connection(gateway.address, timeout=PATIENCE_SECONDS) as peer:
        peer.sendall(HANDSHAKE)
        answer = b""
        while piece := peer.recv(65536):
            answer += piece
        return answer


def test_newcomers_beyond_the_bound_are_told_and_it_changes_with_a_reload(start, tmp_path):
    path = tmp_path / "tidegate.yaml"
    path.write_text("connections_max: 2\n", encoding="utf-8")
    gateway = start("--config", str(path))
    with gateway.connect(), gateway.connect():
        head, _, body = answer_to(gateway).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 503 ") and b"\r\nRetry-After: " in head
        assert b'"full"' in body and json.loads(body)
        assert gateway.metric('tidegate_handshakes_refused_total{reason="full"}') == 1
        path.write_text("connections_max: 3\n", encoding="utf-8")
        assert gateway.post("/reload", {}).status == 200
        assert gateway.metric("tidegate_connections_max") == 3
        with gateway.connect() as third:
            assert third.ask({"type": "ping"})["type"] == "pong"
        assert not gateway.lines("few files may be open")
        path.write_text("connections_max: 1048576\n", encoding="utf-8")
        assert gateway.post("/reload", {}).status == 200
        line = gateway.wait_for_line("few files may be open")
        assert int(line.fields["connections_max"]) == gateway.metric("tidegate_connections_max") < 1048576


def test_the_port_rests_with_one_line_and_goes_on_with_another(start):
    gateway = start("--connections-max", "1")
    with gateway.connect() as only:
        silent = [socket.create_connection(gateway.address) for _ in range(4 * STANDING_MAX)]
        gateway.wait_for_line("the public port rests")
        assert only.ask({"type": "ping"})["type"] == "pong"
        for peer in silent:
            peer.close()
        gateway.wait_for_line("takes connections again")
    until("a new client comes in", lambda: comes_in(gateway))
    assert len(gateway.lines("the public port rests")) <= 4
    assert len(gateway.lines("takes connections again")) <= 4


def test_idle_callers_of_the_admin_port_do_not_take_it_from_probes(start, few_files):
    gateway = start(binary=str(few_files))
    idle = [socket.create_connection(gateway.admin_address) for _ in range(2 * FILES)]
    assert gateway.get("/live").status == 200
    assert gateway.metric("process_open_fds") < RESERVE
    for peer in idle:
        peer.close()

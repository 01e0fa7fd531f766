"""
deploy/compose.yaml, run: its Redis, its gateways from the image, its load balancer and its publisher, with the settings that
stand in the file.

An engine would give each container an address and answer for their names. Here they share the network that
tests/container/run.sh made, so each gateway gets an address of the loopback, and a name server of the test's answers at
Docker's address. Everything else is the file's: the token's maker, variables, mounts, the balancer's configuration.
"""

import re
import shutil
import socket
import struct
import threading

import pytest
import yaml

from conftest import ROOT, get
from harness import wait
from harness.process import Process
from harness.websocket import Closed, Refused, WebSocket

DEPLOY = ROOT / "deploy"
SERVICES = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))["services"]
BALANCER = ("127.0.0.1", 8080)
CLIENTS = 60


class NameServer:
    """A records for the services, as Docker's own name server has them."""

    def __init__(self, addresses):
        self.addresses = addresses  # name -> list, which may change
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.11", 53))
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self):
        while True:
            try:
                query, peer = self.socket.recvfrom(4096)
            except OSError:
                return
            if not query:
                return
            self.socket.sendto(self._answer(query), peer)

    def _answer(self, query):
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode("ascii"))
            at += 1 + query[at]
        question = query[12:at + 5]
        (kind,) = struct.unpack(">H", query[at + 1:at + 3])
        found = self.addresses.get(".".join(labels), []) if kind == 1 else []
        records = b"".join(b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 1, 4) + socket.inet_aton(address) for address in found)
        return query[:2] + struct.pack(">HHHHH", 0x8580, 1, len(found), 0, 0) + question + records

    def stop(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waker:
            waker.sendto(b"", ("127.0.0.11", 53))
        self.thread.join()
        self.socket.close()


class Stack:
    """The services of the file, started in the order that it asks for."""

    def __init__(self, directory, run):
        self.directory, self.run = directory, run
        self.addresses = {"redis": ["127.0.0.1"], "gateway": []}
        self.names = NameServer(self.addresses)
        self.processes, self.gateways = [], {}
        resolver = directory / "resolv.conf"
        resolver.write_text("nameserver 127.0.0.11\n", encoding="ascii")
        self.volumes = {"admin-token": directory / "admin-token"}
        self.everywhere = {"/etc/resolv.conf": resolver}

    def files(self, service):
        mounts = [volume.split(":")[:2] for volume in service.get("volumes", [])]
        return {**self.everywhere, **{inside: self.volumes.get(what, DEPLOY / what) for what, inside in mounts}}

    def start(self):
        self.volumes["admin-token"].mkdir()
        self.make_token()
        self.process("redis", [shutil.which("redis-server"), *SERVICES["redis"]["command"][1:], "--dir", str(self.directory)])
        wait.until("Redis answers", self.redis_says_pong)
        for _ in range(SERVICES["gateway"]["deploy"]["replicas"]):
            self.add_gateway()
        haproxy = shutil.which("haproxy") or "/usr/sbin/haproxy"
        # Its own address instead of all, because gateways have the same port here.
        own = self.directory / "haproxy.cfg"
        text = (DEPLOY / "haproxy/haproxy.cfg").read_text(encoding="utf-8")
        own.write_text(text.replace("bind :", "bind 127.0.0.1:"), encoding="utf-8")
        # -n: for fewer clients than the file says. It wants the open files for all of them, which a test does not have.
        self.process("haproxy", [haproxy, "-db", "-n", 5000, "-f", own])
        self.wait_until_up(len(self.gateways))

    def process(self, name, command):
        self.processes.append(Process(command, self.directory, name))

    def redis_says_pong(self):
        try:
            with socket.create_connection(("127.0.0.1", 6379)) as peer:
                peer.sendall(b"PING\r\n")
                return peer.recv(64) == b"+PONG\r\n"
        except ConnectionRefusedError:
            return False

    def make_token(self):
        service = SERVICES["admin-token"]
        container = self.run(name="admin-token", service=service, files=self.files(service))
        assert container.wait() == 0, container.output()

    def add_gateway(self):
        address = f"127.0.1.{len(self.gateways) + 1}"
        service = SERVICES["gateway"]
        own = {"TIDEGATE_LISTEN": f"{address}:8080", "TIDEGATE_ADMIN": f"{address}:9080"}
        container = self.run(name=f"gateway-{address}", environment={**service["environment"], **own}, files=self.files(service))
        wait.until(f"{address} is ready", lambda: get("/ready", address) == 200 or container.popen.poll() is not None)
        self.gateways[address] = container
        self.addresses["gateway"].append(address)

    def servers_up(self):
        try:
            with socket.create_connection(("127.0.0.1", 8404)) as peer:
                peer.sendall(b"GET /;csv HTTP/1.0\r\n\r\n")
                page = b"".join(iter(lambda: peer.recv(65536), b"")).decode()
        except ConnectionRefusedError:
            return 0
        return sum(1 for line in page.splitlines() if re.match(r"gateways,gateway\d+,", line) and ",UP," in line)

    def wait_until_up(self, n):
        wait.until(f"the balancer has {n} gateways", lambda: self.servers_up() == n)

    def stop(self):
        self.names.stop()
        for process in self.processes:
            process.stop(expected=(0, 143, -15))  # haproxy ends by the signal itself


@pytest.fixture
def stack(tmp_path, run):
    made = Stack(tmp_path, run)
    try:
        made.start()
        yield made
    finally:
        made.stop()


def connect_many(n):
    return [WebSocket.connect(BALANCER, "/ws/cards") for _ in range(n)]


def test_the_token_is_made_once_and_is_long(stack):
    paths = [stack.volumes["admin-token"] / name for name in ("admin-token", "token-secret")]
    first = [path.read_text(encoding="ascii") for path in paths]
    assert all(re.fullmatch(r"[0-9a-f]{64}", secret) for secret in first) and first[0] != first[1]
    stack.run(name="again", service=SERVICES["admin-token"], files=stack.files(SERVICES["admin-token"])).wait()
    assert [path.read_text(encoding="ascii") for path in paths] == first


def test_clients_of_all_gateways_hear_the_publisher(stack):
    peers = connect_many(CLIENTS)
    service = SERVICES["publisher"]
    stack.run(name="publisher", service=service, files=stack.files(service))
    events = [peer.receive() for peer in peers]
    assert {event["type"] for event in events} == {"card_updated"}
    assert all("pos" in event for event in events), "the example's history is on, and the publisher writes to it"
    for address, container in stack.gateways.items():
        assert "client connected" in container.output(), f"{address} got nobody"
        assert "remote=127.0.0.1" in container.output()
    for peer in peers:
        peer.abandon()


def test_the_figures_are_public_and_the_rest_wants_the_token(stack):
    address = next(iter(stack.gateways))
    secret = (stack.volumes["admin-token"] / "admin-token").read_text(encoding="ascii")
    assert get("/metrics", address) == 200
    assert get("/channels", address) == 401
    assert get("/channels", address, headers={"Authorization": f"Bearer {secret}"}) != 401


def test_five_gateways_are_found_like_three(stack):
    stack.add_gateway()
    stack.add_gateway()
    stack.wait_until_up(5)
    peers = connect_many(CLIENTS)
    assert all("client connected" in container.output() for container in stack.gateways.values())
    for peer in peers:
        peer.abandon()


def test_a_gateway_that_is_stopped_refuses_nobody(stack):
    """While it drains, and after it: each handshake is answered with 101."""
    leaving = next(iter(stack.gateways.values()))
    held = connect_many(CLIENTS)
    leaving.signal("TERM")
    n_opened = 0
    while leaving.popen.poll() is None or stack.servers_up() != 2:
        try:
            with WebSocket.connect(BALANCER, "/ws/cards"):
                n_opened += 1
        except (Refused, Closed) as failure:
            raise AssertionError(f"handshake {n_opened + 1} failed: {failure}") from None
    assert leaving.wait() == 0
    for peer in connect_many(2 * CLIENTS):
        peer.abandon()
    for peer in held:
        peer.abandon()


def test_a_gateway_that_is_killed_costs_no_handshake(stack):
    next(iter(stack.gateways.values())).signal("KILL")
    for peer in connect_many(CLIENTS):
        peer.abandon()

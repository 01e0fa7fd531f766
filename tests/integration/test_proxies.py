"""Odd requests refuse nobody else: directly, and behind nginx and HAProxy as docs/operations.md and deploy/ set them up."""

import pathlib
import re
import shutil
import socket
import threading

import pytest

from harness.gateway import ROOT
from harness.odd_requests import OddRequests
from harness.ports import free_port
from harness.process import Process
from harness.wait import PATIENCE_SECONDS, sized, until
from harness.websocket import WebSocket

N_THREADS = 12
SHORT_SECONDS = 0.1  # for an answer through a proxy to a request that may be half a one, for which the proxy waits
N_ODD = sized(5000, 400)  # through each of the two proxies: the 10,000 of issue 8
N_GOOD = 20  # at least, beside them
N_DIRECT = sized(2000, 300)


def say(address, request, seconds=PATIENCE_SECONDS):
    """Sends all of it, and what comes back: an answer's begin, or b"" where there is none in time."""
    with socket.create_connection(address, timeout=PATIENCE_SECONDS) as peer:
        try:
            peer.sendall(request)
            peer.settimeout(seconds)
            return peer.recv(4096)
        except socket.timeout:
            return b""
        except ConnectionError:
            return b"reset"


def at_once(work, n_threads=N_THREADS):
    """Runs work(number) in threads; the first failure is told."""
    failures = []

    def run(number):
        try:
            work(number)
        except BaseException as failure:  # pylint: disable=broad-exception-caught
            failures.append(failure)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(n_threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


class Proxy:
    def __init__(self, address, process):
        self.address, self.process = address, process

    def open_one(self):
        with WebSocket.connect(self.address, "/ws/cards") as peer:
            assert peer.ask({"type": "ping"})["type"] == "pong"
            peer.close()
            peer.close_code()

    def is_up(self):
        try:
            self.open_one()
        except Exception:  # pylint: disable=broad-exception-caught
            return False
        return True


def tool(name):
    return shutil.which(name) or f"/usr/sbin/{name}"


def nginx(tmp_path, gateways, counting="max_fails=0"):
    """With the block of docs/operations.md, whose addresses alone are ours."""
    page = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```nginx\n(.*?)```", page, re.DOTALL)
    port = free_port()
    assert block.count("listen 80;") == 1 and block.count("127.0.0.1:808") == len(gateways)
    assert block.count("max_fails=0") == len(gateways)
    block = block.replace("max_fails=0", counting).replace("listen 80;", f"listen 127.0.0.1:{port};")
    for number, gateway in enumerate(gateways):
        block = block.replace(f"127.0.0.1:{8081 + number}", f"127.0.0.1:{gateway.address[1]}")
    paths = "".join(f"{kind}_temp_path {tmp_path}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    file = tmp_path / "nginx.conf"
    file.write_text(f"daemon off;\nmaster_process off;\npid {tmp_path}/nginx.pid;\nerror_log stderr info;\n"
                    f"events {{ worker_connections 2000; }}\nhttp {{\naccess_log off;\n{paths}{block}}}\n", encoding="utf-8")
    return Proxy(("127.0.0.1", port), Process([tool("nginx"), "-c", file, "-e", "stderr"], tmp_path, "nginx"))


def nginx_that_counts(tmp_path, gateways):
    """As it is by itself: one answer that it did not get, and a gateway is nobody's for two seconds."""
    return nginx(tmp_path, gateways, "max_fails=1 fail_timeout=2s")


def haproxy(tmp_path, gateways):
    """With deploy/haproxy/haproxy.cfg, whose addresses alone are ours."""
    text = (ROOT / "deploy/haproxy/haproxy.cfg").read_text(encoding="utf-8")
    port, figures = free_port(), free_port()
    template = re.search(r"^    server-template .* (check) port 9080 (.*)$", text, re.MULTILINE)
    assert template, "deploy/haproxy/haproxy.cfg has another server-template than this was written for"
    servers = "\n".join(f"    server gateway{number} 127.0.0.1:{gateway.address[1]} check port {gateway.admin_address[1]} {template[2]}"
                        for number, gateway in enumerate(gateways))
    text = text.replace(template[0], servers).replace("bind :8080", f"bind 127.0.0.1:{port}")
    text = text.replace("bind :8404", f"bind 127.0.0.1:{figures}").replace("maxconn 30000", "maxconn 2000")
    file = tmp_path / "haproxy.cfg"
    file.write_text(text, encoding="utf-8")
    return Proxy(("127.0.0.1", port), Process([tool("haproxy"), "-db", "-f", file], tmp_path, "haproxy"))


@pytest.mark.parametrize("make", [nginx, nginx_that_counts, haproxy])
def test_odd_requests_behind_a_proxy_refuse_nobody_else(start, redis, tmp_path, make, figure):
    gateways = [start("--trusted-proxies", "127.0.0.1", redis=redis) for _ in range(2)]
    (tmp_path / "proxy").mkdir()
    proxy = make(pathlib.Path(tmp_path / "proxy"), gateways)
    over = threading.Event()
    opened = []

    def work(number):
        if number == N_THREADS:
            try:
                while not over.is_set():
                    proxy.open_one()
                    opened.append(1)
            finally:
                over.set()
            return
        odd, n = OddRequests(number), 0
        while not over.is_set() and (n < N_ODD // N_THREADS or len(opened) < N_GOOD):
            say(proxy.address, odd.one(), SHORT_SECONDS)
            n += 1
        finished.append(number)
        if len(finished) == N_THREADS:
            over.set()

    finished = []
    try:
        until("the proxy serves", proxy.is_up)
        try:
            at_once(work, N_THREADS + 1)
        finally:
            over.set()
        figure(f"good handshakes beside {N_ODD} odd requests, behind {make.__name__}", f"{len(opened)} of {len(opened)}")
    finally:
        proxy.process.stop(expected=(0, 143, -15))
    refused = sum(gateway.get("/status").json()["totals"]["handshakes_refused"] for gateway in gateways)
    assert refused > N_ODD / 10, "they did not reach the gateways"


@pytest.mark.parametrize("port", ["public", "admin"])
def test_every_odd_request_is_answered(gateway, port):
    address = gateway.address if port == "public" else gateway.admin_address

    def work(number):
        odd = OddRequests(100 + number)
        for _ in range(N_DIRECT // N_THREADS):
            request = odd.one()
            with WebSocket(address) as peer:
                peer.send_raw(request)
                if b"\r\n\r\n" not in request and b"\n\n" not in request:
                    peer.finish()  # half a one, which would be waited for
                answer = peer.read_response()
            assert answer, request[:2000]

    at_once(work)


def test_bodies_behind_nginx_refuse_nobody_else(start, redis, tmp_path):
    """Each was answered and then reset before it was read: nginx took the gateway for a failed one."""
    gateways = [start(redis=redis) for _ in range(2)]
    proxy = nginx_that_counts(tmp_path, gateways)
    try:
        until("the proxy serves", proxy.is_up)
        for number in range(20):
            body = b"x" * (50_000 * (number % 10 + 1))
            head = f"PUT /ws/cards HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            assert b" 405 " in say(proxy.address, head + body)
            proxy.open_one()
    finally:
        proxy.process.stop(expected=(0, 143, -15))

"""A log that nobody reads stops nothing: a pipe that is full, as in Docker's blocking mode, behind Ctrl-S or a stuck journal."""

import fcntl
import http.client
import os
import signal
import subprocess

import pytest

from harness import wait
from harness.gateway import BINARY
from harness.ports import free_port
from harness.process import WITH_US, clean_environment
from harness.prometheus import Metrics
from harness.wait import sized, until
from harness.websocket import WebSocket

PIPE_BYTES = 4096
CONNECTIONS = sized(3000, 400)  # each says two lines; 240 filled an ordinary pipe
QUEUE_BYTES = 1 << 20  # LOG_WRITER_QUEUE_BYTES


class Unread:
    """A gateway whose standard error is a pipe that is only read when the test says so."""

    def __init__(self, redis, write_fd):
        self.address = ("127.0.0.1", free_port())
        self.admin_address = ("127.0.0.1", free_port())
        self.popen = subprocess.Popen(
            [*WITH_US, str(BINARY), "serve", "--listen", "%s:%d" % self.address, "--admin", "%s:%d" % self.admin_address,
             "--workers", "2", "--redis", redis.url, "--shutdown-timeout", "5s"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=write_fd, env=clean_environment(None))
        until("it is ready", lambda: self.status("/ready") == 200)

    def get(self, path):
        connection = http.client.HTTPConnection(*self.admin_address, timeout=wait.PATIENCE_SECONDS)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def status(self, path):
        try:
            return self.get(path)[0]
        except OSError:
            return None

    def metric(self, name):
        return Metrics(self.get("/metrics")[1]).get(name)

    def come_and_go(self, n):
        for _ in range(n):
            with WebSocket.connect(self.address, "/ws/cards") as peer:
                peer.close()
                peer.close_code()


@pytest.fixture
def pipe():
    read_fd, write_fd = os.pipe()
    fcntl.fcntl(write_fd, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    yield read_fd, write_fd
    os.close(read_fd)
    os.close(write_fd)


@pytest.fixture
def unread(own_redis, pipe):
    gateway = Unread(own_redis, pipe[1])
    yield gateway
    if gateway.popen.poll() is None:
        gateway.popen.kill()
        gateway.popen.wait()


def test_a_log_that_nobody_reads_stops_nothing(unread, own_redis, pipe):
    flags = fcntl.fcntl(pipe[1], fcntl.F_GETFL)
    with WebSocket.connect(unread.address, "/ws/cards") as peer:
        unread.come_and_go(CONNECTIONS)
        own_redis.publish("cards", '{"type":"heard"}')
        assert peer.receive()["type"] == "heard"
        assert unread.status("/live") == unread.status("/ready") == 200
        assert fcntl.fcntl(pipe[1], fcntl.F_GETFL) == flags
        unread.popen.send_signal(signal.SIGTERM)
        assert peer.close_code() == 1012
    assert unread.popen.wait(wait.PATIENCE_SECONDS) == 0



def test_lines_that_nobody_read_are_counted_and_told_of(unread, pipe):
    read_fd, _ = pipe
    while unread.metric("tidegate_log_lines_lost_total") == 0:
        unread.come_and_go(200)
    text = b""
    while b"log lines were lost" not in text.rpartition(b"\n")[0]:
        text += os.read(read_fd, QUEUE_BYTES)
    line = next(line for line in text.splitlines() if b"log lines were lost" in line)
    assert b" WARN " in line and b"lines=" in line
    assert all(line.startswith(b"20") for line in text.splitlines()), "a torn line"

"""The internal port: probes, metrics, and nothing that a client should reach."""

import re
import socket

import pytest

from harness.gateway import run
from harness.websocket import exchange, handshake


def test_live_and_ready_are_green(gateway):
    assert gateway.get("/live").status == 200
    answer = gateway.get("/ready")
    assert answer.status == 200
    assert "json" in answer.headers["Content-Type"]
    assert isinstance(answer.json(), dict)


def test_is_live_from_its_first_moment(start):
    for _ in range(10):  # an orchestrator's probe may come at once, and must not restart what has just begun
        assert start(ready=False).get("/live").status == 200


def test_metrics_are_prometheus_text(gateway):
    answer = gateway.get("/metrics")
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/plain")
    for line in answer.body.decode().splitlines():
        assert re.fullmatch(r'# (HELP|TYPE) \w+ .+|(tidegate|process)_\w+(\{[^}]*\})? [0-9.e+-]+', line), line


def test_connections_and_subscriptions_are_counted(start, redis):
    gateway = start(redis=redis)
    with gateway.connect("/ws/cards") as peer:
        peer.ask({"type": "subscribe", "data": {"channel": "items:1"}})
        assert gateway.metric("tidegate_connections") == 1
        assert gateway.metric("tidegate_connections_opened_total") == 1
        assert gateway.metric("tidegate_subscriptions") == 2
        assert gateway.metric("tidegate_redis_ready") == 1


def test_health_is_an_exit_code(gateway):
    result = run("health", "--admin", gateway.admin)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_health_fails_where_nobody_lives(start):
    gateway = start()
    gateway.stop()
    result = run("health", "--admin", gateway.admin)
    assert result.returncode == 1
    assert gateway.admin in result.stderr


def test_health_does_not_wait_for_a_gateway_that_hangs():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        result = run("health", "--admin", f"127.0.0.1:{silent.getsockname()[1]}")
    assert result.returncode == 1
    assert result.stderr == "tidegate: health: no answer in time\n"


def test_health_is_not_fooled_by_another_answer(gateway):
    result = run("health", "--admin", f"{gateway.address[0]}:{gateway.address[1]}")  # the public port has no /live
    assert result.returncode == 1
    assert "404" in result.stderr


@pytest.mark.parametrize("path", ["/nothing", "/dashboard", "/live/x", "/live/..", "/ws/cards"])
def test_anything_else_is_404(gateway, path):
    assert gateway.get(path).status == 404


@pytest.mark.parametrize("method", ["POST", "DELETE", "PUT"])
def test_probes_want_get(gateway, method):
    request = f"{method} /live HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".encode()
    answer = exchange(gateway.admin_address, request)
    assert answer is None or answer.status in (400, 404, 405, 501)


def test_the_public_port_knows_nothing_of_it(gateway):
    for path in ("/live", "/ready", "/metrics", "/publish"):
        answer = exchange(gateway.address, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert answer.status == 404


def test_the_admin_port_speaks_no_websocket(gateway):
    for path in ("/", "/ws/cards", "/live"):
        answer = exchange(gateway.admin_address, handshake(path))
        assert answer is None or answer.status != 101


@pytest.mark.parametrize("origin, refused", [("http://evil.test", True), ("null", True), ("http://HOST", False)])
def test_a_page_of_another_site_is_kept_out(gateway, origin, refused):
    """The operator's browser may stand inside; what it has open may not speak through it."""
    body = b'{"channel":"cards","payload":{"type":"x"}}'
    head = f"POST /publish HTTP/1.1\r\nHost: {gateway.admin}\r\nOrigin: {origin.replace('HOST', gateway.admin)}\r\n"
    answer = exchange(gateway.admin_address, f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    assert (answer.status == 403) == refused, answer.status
    assert refused or answer.status == 200


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"channel":"cards"}', b'{"payload":{}}',
                                  b'{"channel":7,"payload":{}}', b'{"channel":"a b","payload":{}}'], ids=repr)
def test_a_publish_that_makes_no_sense_is_400_with_a_reason(gateway, body):
    head = f"POST /publish HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    answer = exchange(gateway.admin_address, head + body)
    assert answer.status == 400
    assert answer.body.strip()


def test_a_publish_of_many_mebibytes_is_refused(gateway):
    head = b"POST /publish HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n"
    answer = exchange(gateway.admin_address, head + b"x" * 10000)
    assert answer is None or answer.status == 413


@pytest.mark.parametrize("data", [b"\r\n\r\n", b"\0" * 100, b"x" * 20000, b"GET /live HTTP/1.1\r\n" + b"A: b\r\n" * 5000],
                         ids=["empty", "zeros", "long", "headers"])
def test_rubbish_does_not_hurt_it(gateway, data):
    exchange_ended = exchange(gateway.admin_address, data + b"\r\n\r\n")
    assert exchange_ended is None or exchange_ended.status >= 200
    assert gateway.get("/live").status == 200

"""The internal port: probes, metrics, and nothing that a client should reach."""

import json
import re
import socket

import pytest

from harness.gateway import run
from harness.websocket import WebSocket, exchange, handshake


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


def orderly(gateway, request, body=b""):
    """The answer to a request, all of which is sent whatever comes; the gateway must end in order: FIN, no reset."""
    with WebSocket(gateway.admin_address) as peer:
        peer.socket.sendall(request + body)
        answer = peer.read_response()
        assert answer, "hung up without an answer"
        assert peer.pending == answer.body and peer.socket.recv(1) == b"", "nothing follows, and no reset"
        return answer


def request(path, method="GET", headers=(), version="HTTP/1.1"):
    return "\r\n".join([f"{method} {path} {version}", "Host: x", *headers, "", ""]).encode("latin-1")


@pytest.mark.parametrize("method", ["POST", "DELETE", "PUT", "OPTIONS", "PATCH", "TRACE", "CONNECT", "NONSENSE"])
@pytest.mark.parametrize("body", [b"", b"x" * 3_000_000], ids=["no body", "body"])
def test_probes_want_get(gateway, method, body):
    answer = orderly(gateway, request("/live", method, [f"Content-Length: {len(body)}"]), body)
    assert answer.status == 405
    assert "GET" in answer.headers["allow"]
    assert json.loads(answer.body)["error"]["code"] == "bad_method"


@pytest.mark.parametrize("path", ["/live", "/ready", "/metrics", "/", "/status", "/channels?limit=1", "/nothing"])
def test_head_is_get_without_the_content(gateway, path):
    full, head = gateway.get(path), gateway.get(path, "HEAD")
    assert (head.status, head.body) == (full.status, b"")
    assert head.headers["Content-Type"] == full.headers["Content-Type"]
    assert int(head.headers["Content-Length"]) > 0
    assert head.headers["Date"].endswith(" GMT")


def test_head_of_a_tail_ends(gateway):
    answer = orderly(gateway, request("/tail?channel=cards", "HEAD"))
    assert answer.status == 200 and answer.body == b""


def test_who_waits_to_be_asked_for_a_body_is_asked_at_once(gateway):
    """As curl does with larger ones, and waits a second for it."""
    body = b'{"channel":"cards","payload":{"type":"x"}}'
    with WebSocket(gateway.admin_address) as peer:
        peer.send_raw(request("/publish", "POST", [f"Content-Length: {len(body)}", "Expect: 100-Continue"]))
        assert peer.read_response().status == 100
        peer.send_raw(body)
        assert peer.read_response().status == 200
    refused = orderly(gateway, request("/publish", "POST", ["Content-Length: 100000000", "Expect: 100-continue"]))
    assert refused.status == 413, "what is refused is not asked for"


@pytest.mark.parametrize("behind", [b"GET /live HTTP/1.1\r\nHost: x\r\n\r\n", b"\r\n", b"x" * 100_000], ids=["request", "line", "bytes"])
@pytest.mark.parametrize("pieces", [1, 2])
def test_what_stands_behind_a_publication_is_not_read_and_hurts_nothing(gateway, behind, pieces):
    body = b'{"channel":"cards","payload":{"type":"x"}}'
    head = request("/publish", "POST", [f"Content-Length: {len(body)}"])
    if pieces == 1:
        answer = orderly(gateway, head + body + behind)
    else:
        with WebSocket(gateway.admin_address) as peer:
            peer.send_raw(head + body)
            peer.send_raw(behind)
            answer = peer.read_response()
    assert answer.status == 200 and "receivers" in json.loads(answer.body)


@pytest.mark.parametrize("name", ["X-A", "User", "If", "Proxy", "Content", "Set", "Post", "Hos", "Ori", "Auth"])
def test_a_header_that_begins_like_a_known_one_hides_nothing(gateway, name):
    assert orderly(gateway, request("/live", headers=[f"{name}: y"])).status == 200
    foreign = request("/live", headers=[f"{name}: y", "Origin: http://evil.test"])
    assert orderly(gateway, foreign).status == 403


@pytest.mark.parametrize("line", [" folded", "no colon", ": no name", "X : space", "Content-Length: 1, 2", "Host: y",
                                  "Transfer-Encoding: gzip"])
def test_a_request_that_can_mean_two_things_is_400(gateway, line):
    answer = orderly(gateway, request("/live", headers=["X: y", line, "Origin: http://evil.test"]))
    assert (answer.status, json.loads(answer.body)["error"]["code"]) == (400, "bad_http")


def test_a_large_head_is_answered(gateway):
    assert orderly(gateway, request("/live", headers=["Cookie: " + "c" * 20_000])).status == 431
    assert orderly(gateway, request("/" + "c" * 20_000)).status == 414
    assert orderly(gateway, request("/live", headers=["Accept: a"] * 548 + ["Origin:  http://x\t "])).status == 200


@pytest.mark.parametrize("odd", [b"GET /live HTTP/1.0\r\n\r\n", b"\r\nGET /live HTTP/1.1\nHost: x\n\n",
                                 b"GET http://x/live HTTP/1.1\r\nHost: x\r\n\r\n",
                                 b"GET /live?100% HTTP/1.1\r\nHost: \t x \t\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n"])
def test_what_is_odd_but_sound_is_answered(gateway, odd):
    assert orderly(gateway, odd).status == 200


@pytest.mark.parametrize("body, status", [
    (b'1\r\n{\r\n29;x="y"\r\n"channel":"cards","payload":{"type":"x"}}\r\n0\r\nTrailer: t\r\n\r\n', 200),
    (b"2\r\n{}\r\n0\r\n\r\nGET /live HTTP/1.1\r\n\r\n", 400), (b"2\n{}\r\n0\r\n\r\n", 400), (b"ffffffff\r\n", 413),
], ids=["sound", "no publication", "LF alone", "large"])
def test_a_body_in_chunks_is_read(gateway, body, status):
    head = request("/publish", "POST", ["Transfer-Encoding: chunked"])
    assert orderly(gateway, head, body).status == status
    with WebSocket(gateway.admin_address) as peer:
        for byte in head + body:
            peer.send_raw(bytes([byte]))
        assert peer.read_response().status == status


def test_a_body_of_no_known_length_is_411(gateway):
    assert orderly(gateway, request("/publish", "POST")).status == 411


def test_another_version_of_http_is_505(gateway):
    assert orderly(gateway, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").status == 505


@pytest.mark.parametrize("path", ["/live", "/status"])
def test_who_says_no_more_is_still_answered(gateway, path):
    with WebSocket(gateway.admin_address) as peer:
        peer.send_raw(request(path))
        peer.finish()
        assert peer.read_response().status == 200
        assert peer.socket.recv(1) == b""
    with WebSocket(gateway.admin_address) as peer:
        peer.send_raw(request(path)[:-2])
        peer.finish()
        assert peer.read_response().status == 400


def test_a_refused_request_leaves_a_line_in_the_log(start):
    gateway = start()
    orderly(gateway, request("/nothing?secret"))
    line = gateway.wait_for_line("admin request refused", path="/nothing")
    assert {"status": "404", "code": "not_found", "method": "GET", "remote": "127.0.0.1"}.items() <= line.fields.items()
    assert "secret" not in gateway.process.stderr()


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
                                  b'{"channel":"cards","channel":"cards","payload":{}}', b'{"channel":"cards","payload":1,"p\\u0061yload":2}',
                                  b'{"channel":7,"payload":{}}', b'{"channel":"a b","payload":{}}'], ids=repr)
def test_a_publish_that_makes_no_sense_is_400_with_a_reason(gateway, body):
    head = f"POST /publish HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    answer = exchange(gateway.admin_address, head + body)
    assert answer.status == 400
    assert answer.body.strip()


def test_a_publish_of_many_mebibytes_is_refused(gateway):
    head = b"POST /publish HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n"
    assert orderly(gateway, head, b"x" * 10000).status == 413


@pytest.mark.parametrize("data", [b"\r\n\r\n", b"\0" * 100, b"x" * 20000, b"GET /live HTTP/1.1\r\n" + b"A: b\r\n" * 5000],
                         ids=["empty", "zeros", "long", "headers"])
def test_rubbish_does_not_hurt_it(gateway, data):
    with WebSocket(gateway.admin_address) as peer:
        peer.send_raw(data + b"\r\n\r\n")
        peer.finish()
        answer = peer.read_response()
    assert answer is None and not data.strip() or answer.status >= 400
    assert gateway.get("/live").status == 200

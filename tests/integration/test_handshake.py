"""The door: which requests become a WebSocket, and what the others are told. Raw requests throughout."""

import base64
import hashlib
import select
import time

import pytest

from harness.wait import SANITIZER
from harness.websocket import TEXT, Refused, WebSocket, exchange, frame, handshake

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
HANDSHAKE_SECONDS = 5  # faults.md section 6, slowloris: the whole header within this


def status(gateway, *request, **kind):
    """What the gateway answers; None where it hung up without a word."""
    answer = exchange(gateway.address, handshake(*request, **kind))
    return answer.status if answer else None


def test_answers_101_with_the_key_of_rfc_6455(gateway):
    request = handshake("/ws/cards", [("Sec-WebSocket-Key", KEY)], without=["Sec-WebSocket-Key"])
    answer = exchange(gateway.address, request)
    expected = base64.b64encode(hashlib.sha1((KEY + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest())
    assert answer.status == 101
    assert answer.headers["sec-websocket-accept"] == expected.decode()
    assert answer.headers["upgrade"].lower() == "websocket"
    assert "sec-websocket-extensions" not in answer.headers
    assert "sec-websocket-protocol" not in answer.headers


@pytest.mark.parametrize("path", ["/ws/cards", "/ws/execution/e-1", "/ws/items", "/ws/items/i.1~_-", "/ws/cards?token=x",
                                  "/ws/items/" + "a" * 128, "/ws/items/%61"])
def test_opens_every_declared_path(gateway, path):
    assert status(gateway, path) == 101


def test_decodes_an_id_once(gateway, redis):
    with gateway.connect("/ws/items/%61bc") as peer:
        redis.publish("items:abc", '{"type":"decoded"}')
        assert peer.receive()["type"] == "decoded"


@pytest.mark.parametrize("path", ["/", "/ws", "/ws/", "/ws/nothing", "/ws/nothing/1", "/ws/items/1/2", "/ws/cards/1/2",
                                  "/WS/cards", "/wsx/cards", "/favicon.ico", "/ws/items/"])
def test_a_path_that_no_route_matches_is_404(gateway, path):
    assert status(gateway, path) == 404


@pytest.mark.parametrize("identity", [
    "a%0d%0ab", "%0d%0aSet-Cookie:x", "a%20b", "*", "%2a", "%00", "a%00b", "..%2f", "..%2fcards", "%2e%2e%2fcards",
    "a" * 129, "%61" * 129, "%", "%zz", "%2", "%2561", "a:b", "a%3ab", "{a}", "%7ba%7d", "a%2fb", "%c3%a9",
    "a+b", "a;b", "a,b", "a@b", "a!b", "%ff", "a\\b", "a%0ab", "%e2%80%a8",
])
def test_an_id_with_anything_else_in_it_is_400(gateway, identity):
    assert status(gateway, f"/ws/items/{identity}") == 400
    assert status(gateway, f"/ws/execution/{identity}") == 400


@pytest.mark.parametrize("path", ["/ws/items/../cards", "/ws/items/../../etc/passwd", "/ws/items/..", "/ws/items/.",
                                  "/ws/items/a b", "/ws/./cards", "/ws//cards", "//ws/cards", "/ws/items/%2e%2e",
                                  "http://gateway.test/ws/items/a b", "*", "ws/cards"])
def test_a_path_that_wants_normalising_is_refused(gateway, path):
    assert status(gateway, path) in (400, 404)


def test_a_version_other_than_13_is_426_with_the_one_that_works(gateway):
    for version in ("8", "12", "14", "0", "x", ""):
        request = handshake("/ws/cards", [("Sec-WebSocket-Version", version)], without=["Sec-WebSocket-Version"])
        answer = exchange(gateway.address, request)
        assert answer.status == 426, version
        assert answer.headers["sec-websocket-version"] == "13"
    assert status(gateway, "/ws/cards", without=["Sec-WebSocket-Version"]) in (400, 426)


@pytest.mark.parametrize("key", ["", "x", "dGhlIHNhbXBsZQ==", "A" * 24, "!" * 22 + "==", base64.b64encode(b"x" * 17).decode(),
                                 "dGhlIHNhbXBsZSBub25jZQ", KEY + "A", "A" * 300])
def test_a_key_that_is_not_16_bytes_is_400(gateway, key):
    assert status(gateway, "/ws/cards", [("Sec-WebSocket-Key", key)], without=["Sec-WebSocket-Key"]) == 400


def test_a_missing_key_is_400(gateway):
    assert status(gateway, "/ws/cards", without=["Sec-WebSocket-Key"]) == 400


def test_exactly_one_host_is_wanted(gateway):
    assert status(gateway, "/ws/cards", without=["Host"]) == 400
    assert status(gateway, "/ws/cards", [("Host", "another.test")]) == 400
    assert status(gateway, "/ws/cards", host="") in (400, 101)  # RFC 7230 5.4: empty is legal where there is no authority


@pytest.mark.parametrize("method", ["POST", "PUT", "HEAD", "OPTIONS", "DELETE", "PATCH", "CONNECT", "NONSENSE"])
def test_only_get_upgrades(gateway, method):
    assert status(gateway, "/ws/cards", method=method) != 101


@pytest.mark.parametrize("version", ["HTTP/1.0", "HTTP/0.9", "HTTP/2.0", "HTTP/1.2", "HTTP/9.9", "HTTP", ""])
def test_only_http_1_1_upgrades(gateway, version):
    assert status(gateway, "/ws/cards", version=version) != 101


def test_a_plain_request_for_an_endpoint_is_told_to_upgrade(gateway):
    answer = exchange(gateway.address, b"GET /ws/cards HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answer.status in (400, 426)


def test_upgrade_to_h2c_is_never_taken(gateway):
    for extra in ([], [("Connection", "Upgrade, HTTP2-Settings"), ("HTTP2-Settings", "AAMAAABkAAQAAP__")]):
        request = handshake("/ws/cards", [("Upgrade", "h2c"), *extra], without=["Upgrade", *("Connection" for _ in extra)])
        answer = exchange(gateway.address, request)
        assert answer is None or answer.status != 101


def test_http_2_by_prior_knowledge_is_never_taken(gateway):
    answer = exchange(gateway.address, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")
    assert answer is None or answer.status >= 400


@pytest.mark.parametrize("connection", ["close", "keep-alive", "", "Upgradex", "xUpgrade", "Up"])
def test_connection_must_say_upgrade(gateway, connection):
    assert status(gateway, "/ws/cards", [("Connection", connection)], without=["Connection"]) != 101


@pytest.mark.parametrize("connection", ["upgrade", "keep-alive, Upgrade", "UPGRADE"])
def test_connection_may_say_it_among_other_things(gateway, connection):
    assert status(gateway, "/ws/cards", [("Connection", connection)], without=["Connection"]) == 101


def test_a_subprotocol_nobody_knows_does_not_refuse(gateway):
    for offered in ("chat", "a, b, c", ", ".join(f"protocol-{i}" for i in range(40)), "bearer." + "x" * 1500):
        answer = exchange(gateway.address, handshake("/ws/cards", [("Sec-WebSocket-Protocol", offered)]))
        assert answer.status == 101
        assert "sec-websocket-protocol" not in answer.headers, "one that we do not speak must not be chosen"


def test_a_header_of_10_kib_is_refused(gateway):
    assert status(gateway, "/ws/cards", [("X-Filler", "x" * 10240)]) in (400, 413, 431, None)
    assert status(gateway, "/ws/" + "x" * 10240) in (400, 404, 413, 414, 431, None)


def test_a_thousand_small_headers_are_refused(gateway):
    assert status(gateway, "/ws/cards", [(f"X-{i}", "y") for i in range(1000)]) in (400, 413, 431, None)


@pytest.mark.parametrize("request_bytes", [
    b"\r\n\r\n", b"\0" * 100, b"GET\r\n\r\n", b"GET /ws/cards\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 20,
    b"GET /ws/cards HTTP/1.1\nHost: x\n\n", b"GET /ws/cards HTTP/1.1\r\nHost x\r\n\r\n", b"\xff" * 5000,
    b"GET /ws/cards HTTP/1.1\r\n: x\r\n\r\n", b"GET  /ws/cards  HTTP/1.1\r\n\r\n", b"x" * 20000,
], ids=lambda value: repr(value[:24]))
def test_rubbish_never_opens_and_never_hurts(gateway, request_bytes):
    with WebSocket(gateway.address) as peer:
        peer.send_raw(request_bytes)
        peer.finish()
        answer = peer.read_response()
        assert answer is None or answer.status >= 400


def test_a_body_smuggled_behind_the_request_opens_nothing_else(gateway):
    inner = handshake("/ws/cards")
    outer = b"POST /ws/cards HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    with WebSocket(gateway.address) as peer:
        peer.send_raw(outer % len(inner) + inner)
        answer = peer.read_response()
        while answer is not None:
            assert answer.status >= 400
            answer = peer.read_response()


def test_frames_sent_together_with_the_request_are_read(gateway):
    with WebSocket(gateway.address) as peer:
        peer.send_raw(handshake("/ws/items/early") + frame(TEXT, b'{"type":"ping","id":"early"}'))
        answer = peer.read_response()
        assert answer.status == 101
        peer.pending = answer.body
        assert peer.receive()["id"] == "early"


def test_a_peer_that_leaves_during_the_handshake_leaves_nothing_behind(gateway):
    for number in range(50):
        with WebSocket(gateway.address) as peer:
            peer.send_raw(handshake(f"/ws/items/leaves-{number}"))


def test_a_header_that_dribbles_is_cut_off_and_disturbs_nobody(gateway):
    began = time.monotonic()
    with WebSocket(gateway.address) as slow:
        slow.send_raw(b"GET /ws/cards HTTP/1.1\r\n")
        while not select.select([slow.socket], [], [], 0.25)[0]:  # a byte now and then, as slowloris does
            slow.send_raw(b"X")
            assert time.monotonic() - began < HANDSHAKE_SECONDS * (2 if SANITIZER == "none" else 4)
        answer = slow.read_response()
        assert answer is None or answer.status in (400, 408)
    assert time.monotonic() - began > 1, "cut off at once: an honest slow phone would be, too"


def test_a_refusal_says_why_in_words(gateway):
    with pytest.raises(Refused) as refused:
        gateway.connect("/ws/items/a%20b")
    assert refused.value.status == 400
    assert refused.value.response.body.strip()

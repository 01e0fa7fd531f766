"""The door: which requests become a WebSocket, and what the others are told. Raw requests throughout."""

import base64
import hashlib
import json
import select
import time

import pytest

from harness.log import parse_line
from harness.wait import SANITIZER, sized, until
from harness.websocket import TEXT, Refused, WebSocket, exchange, frame, handshake

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
HANDSHAKE_SECONDS = 5  # slowloris: the whole header within this, docs/limits.md, Connections and requests


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


def orderly(address, request, body=b""):
    """The answer to a request, all of which is sent whatever comes; the gateway must end in order: FIN, no reset."""
    with WebSocket(address) as peer:
        peer.socket.sendall(request + body)
        answer = peer.read_response()
        assert answer, "hung up without an answer"
        assert peer.socket.recv(1) == b"", "nothing follows, and no reset"
        return answer


@pytest.mark.parametrize("method", ["POST", "PUT", "HEAD", "OPTIONS", "DELETE", "PATCH", "CONNECT", "TRACE", "NONSENSE",
                                    "PROPFIND", "get", "X" * 40])
def test_every_method_but_get_is_answered_405(gateway, method):
    answer = orderly(gateway.address, handshake("/ws/cards", method=method))
    assert answer.status == 405
    assert answer.headers["allow"] == "GET"
    assert answer.headers["date"].endswith(" GMT")
    assert answer.body == b"" if method == "HEAD" else json.loads(answer.body)["data"]["code"] == "bad_method"


def test_a_preflight_of_a_browser_is_answered(gateway):
    request = (b"OPTIONS /ws/cards HTTP/1.1\r\nHost: x\r\nOrigin: http://page.test\r\n"
               b"Access-Control-Request-Method: GET\r\nAccess-Control-Request-Headers: authorization\r\n\r\n")
    assert orderly(gateway.address, request).status == 405


@pytest.mark.parametrize("method", ["POST", "PUT", "GET", "DELETE"])
@pytest.mark.parametrize("size", [1, 20_000, 4_000_000])
def test_a_body_is_read_before_the_connection_ends(gateway, method, size):
    request = handshake("/ws/cards", [("Content-Length", str(size))], method=method)
    assert orderly(gateway.address, request, b"x" * size).status == (400 if method == "GET" else 405)


@pytest.mark.parametrize("name", ["X", "X-A", "X-Auth", "User", "If", "Proxy", "Content", "Cache", "Access", "Set", "Last",
                                  "Post", "Connect", "Sec-WebSocket", "Hos", "Up", "Ori"])
def test_a_header_that_begins_like_a_known_one_swallows_nothing(gateway, name):
    request = handshake("/ws/cards").decode()
    first, rest = request.split("\r\n", 1)
    assert exchange(gateway.address, f"{first}\r\n{name}: y\r\n{rest}".encode()).status == 101
    assert status(gateway, "/ws/cards", [(name, "y")]) == 101


def test_nobody_forges_an_address_with_a_header(start, redis):
    """Behind HAProxy with `option forwardfor`: the client's own lines come first, then HAProxy's."""
    gateway = start("--trusted-proxies", "127.0.0.1", redis=redis)
    forged = [("X-Forwarded-For", "6.6.6.6"), ("X-A", "b"), ("X-Forwarded-For", "203.0.113.7")]
    with gateway.connect(headers=forged):
        gateway.wait_for_line("client connected", remote="203.0.113.7")


@pytest.mark.parametrize("headers, remote", [
    ([("X-Forwarded-For", "203.0.113.8:51008")], "203.0.113.8"),
    ([("X-Forwarded-For", "[2001:db8::8]:443")], "2001:db8::8"),
    ([("X-Forwarded-For", "203.0.113.9,")], "203.0.113.9"),
    ([("Forwarded", 'for="[2001:db8::9]:443";proto=https')], "2001:db8::9"),
    ([("Forwarded", "for=6.6.6.6"), ("Forwarded", "for=203.0.113.10")], "203.0.113.10"),
    ([("Forwarded", "for=6.6.6.6"), ("X-Forwarded-For", "203.0.113.11")], "203.0.113.11"),
])
def test_knows_clients_by_what_proxies_of_all_kinds_write(start, redis, headers, remote):
    gateway = start("--trusted-proxies", "127.0.0.1", redis=redis)
    with gateway.connect(headers=headers):
        gateway.wait_for_line("client connected", remote=remote)


@pytest.mark.parametrize("line", [" folded", "\tfolded", "no colon", ": no name", "X : space", "X y: z", "X: a\rb", "X: \0"])
def test_a_line_that_is_no_header_is_400_and_swallows_nothing(gateway, line):
    first, rest = handshake("/ws/cards").decode().split("\r\n", 1)
    for request in (f"{first}\r\nX: y\r\n{line}\r\n{rest}", f"{first}\r\n{rest[:-2]}{line}\r\n\r\n"):
        answer = orderly(gateway.address, request.encode())
        assert (answer.status, json.loads(answer.body)["data"]["code"]) == (400, "bad_http")


def test_white_space_around_a_value_is_no_part_of_it(gateway):
    padded = [(name, f" \t{value}\t ") for name, value in (
        ("Host", "x"), ("Upgrade", "websocket"), ("Connection", "keep-alive\t,Upgrade"),
        ("Sec-WebSocket-Key", KEY), ("Sec-WebSocket-Version", "13"))]
    assert status(gateway, "/ws/cards", padded, without=[name for name, _ in padded]) == 101


def test_what_is_odd_but_sound_is_let_in(gateway):
    plain = handshake("/ws/cards").decode()
    for request in (
        "\r\n" + plain,                                                         # RFC 9112 section 2.2
        plain.replace("\r\n", "\n"),                                            # likewise
        plain.replace("/ws/cards", "http://gateway.test/ws/cards"),              # RFC 9112 section 3.2.2
        plain.replace("Connection: Upgrade", "Connection: keep-alive\r\nConnection: Upgrade"),
        plain.replace("Connection: Upgrade", "Connection: Upgrade,Keep-Alive"),  # as Firefox, without the space
        plain.replace("Upgrade: websocket", "Upgrade: h2c, WebSocket"),
        plain.replace("Upgrade: websocket", "Upgrade: websocket\r\nSec-WebSocket-Extensions: \r\nSec-WebSocket-Protocol:"),
        plain.replace("Upgrade: websocket", "uPGRADE:websocket\r\nContent-Length: 0\r\nExpect: 100-continue"),
    ):
        answer = exchange(gateway.address, request.encode())
        assert answer and answer.status == 101, request


@pytest.mark.parametrize("query", ["label=100%", "a=%zz", "%", "&".join(f"a{i}={i}" for i in range(700)), "a=b?c=d", "a=" + "x" * 7000,
                                   "a=<b>", "=&&=", "a=\x80"])
def test_a_query_is_the_users_own_affair(gateway, query):
    assert status(gateway, f"/ws/cards?{query}") == 101


def test_reads_a_position_behind_an_odd_query(gateway):
    with gateway.connect("/ws/cards?label=100%&" + "&".join(f"a{i}" for i in range(200)) + "&since=n%6Fw") as peer:
        answer = peer.receive()
        assert answer["type"] == "subscribed" and answer["data"]["recoverable"] is False


def test_many_headers_are_let_in_up_to_8_kib(gateway):
    for extra in ([(f"X-Custom-{i}", "y") for i in range(400)], [("Cookie", f"a{i}=b") for i in range(400)],
                  [("Cookie", "c" * 7900)], [("Accept", "a")] * 548, [("Sec-WebSocket-Protocol", f"p{i}") for i in range(150)]):
        assert status(gateway, "/ws/cards", extra) == 101


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


@pytest.mark.parametrize("size", [8192, 10_240, 100_000, 2_000_000])
def test_a_head_of_more_than_8_kib_is_431(gateway, size):
    answer = orderly(gateway.address, handshake("/ws/cards", [("Cookie", "c" * size)]))
    assert (answer.status, json.loads(answer.body)["data"]["code"]) == (431, "head_too_large")


def test_a_larger_bound_takes_larger_heads_and_a_smaller_one_smaller(start, redis):
    wide, narrow = [start("--handshake-bytes-max", bound, "--trusted-proxies", "127.0.0.1", redis=redis)
                    for bound in ("64KiB", "1KiB")]
    hops = [("X-Forwarded-For", "203.0.113.7"), ("X-Forwarded-For", ", ".join(["127.0.0.1"] * 2000))]
    with wide.connect("/ws/cards?since=" + "x" * 20_000, [("Cookie", "c" * 20_000), *hops]):
        wide.wait_for_line("client connected", remote="203.0.113.7")
    assert orderly(wide.address, handshake("/ws/cards", [("Cookie", "c" * 65_536)])).status == 431
    assert orderly(narrow.address, handshake("/ws/cards", [("Cookie", "c" * 1000)])).status == 431
    with narrow.connect():
        pass


def test_a_thousand_small_headers_are_431(gateway):
    assert orderly(gateway.address, handshake("/ws/cards", [(f"X-{i}", "y") for i in range(1000)])).status == 431


def test_a_target_of_more_than_8_kib_is_414(gateway):
    assert orderly(gateway.address, handshake("/ws/" + "x" * 10_240)).status == 414
    assert orderly(gateway.address, b"x" * 20_000).status == 414


def test_a_body_longer_than_anybody_waits_for_ends_at_a_bound(gateway):
    """It is read for a while, so that the answer arrives; who goes on and on is cut off."""
    with WebSocket(gateway.address) as peer:
        peer.send_raw(handshake("/ws/cards", [("Content-Length", "1000000000")], method="PUT"))
        assert peer.read_response().status == 405
        with pytest.raises(OSError):
            for _ in range(100):
                peer.socket.sendall(b"x" * 1_000_000)


def test_half_a_request_is_answered_when_no_more_comes(gateway):
    with WebSocket(gateway.address) as peer:
        peer.send_raw(b"GET /ws/cards HTTP/1.1\r\nHost: x")
        peer.finish()
        assert peer.read_response().status == 400


def test_who_says_no_more_behind_the_request_is_answered_counted_and_logged(start, redis):
    gateway = start(redis=redis)
    requests = [handshake("/ws/items/half-closed"),  # held until Redis has confirmed
                handshake("/ws/items/half-closed"),
                handshake("/ws/items/with-a-frame") + frame(TEXT, b'{"type":"ping"}')]
    for number, request in enumerate(requests, 1):
        with WebSocket(gateway.address) as peer:
            peer.send_raw(request)
            peer.finish()
            assert peer.read_response().status == 101
            peer.expect_end()
        until("it is counted", lambda: gateway.metric('tidegate_connections_closed_total{code="1006"}') == number)
        until("it is logged, once", lambda: len(gateway.lines("client disconnected", code="1006")) == number)


def test_a_request_in_single_bytes_is_read_like_any_other(gateway):
    with WebSocket(gateway.address) as peer:
        for byte in handshake("/ws/items/bytes") + frame(TEXT, b'{"type":"ping","id":"late"}'):
            peer.send_raw(bytes([byte]))
        answer = peer.read_response()
        assert answer.status == 101
        peer.pending = answer.body
        assert peer.receive()["id"] == "late"


def test_a_refusal_leaves_a_line_in_the_log(start, redis):
    """A browser says 1006 to everything: the line is where a wrong path shows."""
    gateway = start(redis=redis)
    exchange(gateway.address, handshake("/ws/crads?token=secret"))
    line = gateway.wait_for_line("handshake refused", path="/ws/crads")
    assert line.level == "info"
    assert {"remote": "127.0.0.1", "status": "404", "code": "not_found", "method": "GET"}.items() <= line.fields.items()
    for _ in range(100):
        exchange(gateway.address, handshake("/ws/crads"))
    exchange(gateway.address, handshake("/ws/cards", method="PUT"))
    gateway.wait_for_line("handshake refused", code="bad_method")  # many of one kind do not hide another
    assert len(gateway.lines("handshake refused")) <= 2 * 5 + 1, "5 a minute, for each of two workers"
    assert "secret" not in gateway.process.stderr()


@pytest.mark.parametrize("target", [b"/ws/x%0d%0a2026-01-01T00:00:00.000Z%20ERROR%20forged", b"/ws/\x9b31m\xff", b'/ws/x"\\status=101',
                                    b"/ws/x=1", b"/ws/" + b"\xe2\x82" * 100], ids=repr)
def test_what_a_stranger_asks_for_stays_one_field_of_one_line(start, target):
    gateway = start()
    exchange(gateway.address, b"GET " + target + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    line = gateway.wait_for_line("handshake refused", status="404", code="not_found", suppressed="0")
    assert line.fields["path"].startswith("/ws/")
    text = gateway.process.stderr()
    assert all(parse_line(each).level != "none" for each in text.splitlines()), text
    assert not set(map(ord, text)) & {*range(0, 10), *range(11, 32), *range(127, 160)}


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
        assert (answer.status, json.loads(answer.body)["data"]["code"]) == (408, "timeout")
    assert time.monotonic() - began > 1, "cut off at once: an honest slow phone would be, too"


def test_who_dribbles_keeps_nobody_out(start):
    """More of them than libwebsockets would have had tables for, on one worker, with some of a head each."""
    gateway = start("--workers", "1")
    slow = []
    try:
        for _ in range(sized(4500, 300)):
            slow.append(WebSocket(gateway.address))
            slow[-1].send_raw(b"GET /ws/cards HTTP/1.1\r\nHost: x\r\nX: ")
        with gateway.connect() as peer:
            assert not select.select([slow[0].socket], [], [], 0)[0], "the first is late already: this tells nothing"
            assert peer.ask({"type": "ping"})["type"] == "pong"
    finally:
        for peer in slow:
            peer.abandon()


def test_half_a_head_costs_no_more_than_it_is_long(start, figure):
    gateway = start("--workers", "1")
    n, size = sized(2000, 200), 7 * 1024
    before = gateway.resident_kib()
    slow = []
    try:
        for _ in range(n):
            slow.append(WebSocket(gateway.address))
            slow[-1].send_raw(b"GET /ws/cards HTTP/1.1\r\nX: " + b"x" * size)
        gateway.check()
        grown = (gateway.resident_kib() - before) / n
        figure("memory of half a head of 7 KiB", f"{grown:.1f} KiB")
        assert SANITIZER != "none" or grown < 14
    finally:
        for peer in slow:
            peer.abandon()


def test_a_refusal_says_why_in_words(gateway):
    with pytest.raises(Refused) as refused:
        gateway.connect("/ws/items/a%20b")
    assert refused.value.status == 400
    assert refused.value.response.body.strip()

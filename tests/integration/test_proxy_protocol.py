"""What a proxy says of the client that it brings, before the first byte of that: the PROXY protocol."""

import select
import socket
import struct
import time

import pytest

from harness.authority import Authority
from harness.gateway import Gateway
from harness.ports import free_port
from harness.process import Process
from harness.wait import PATIENCE_SECONDS, until
from harness.websocket import WebSocket, handshake

CLIENT = "203.0.113.7"
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
INET = socket.inet_aton(CLIENT) + socket.inet_aton("192.0.2.1") + struct.pack(">HH", 51008, 443)
INET6 = socket.inet_pton(socket.AF_INET6, "2001:db8::7") * 2 + struct.pack(">HH", 51008, 443)
TLV = b"\x02\0\x0bexample.com"


def binary(command, kind, rest=b""):
    return SIGNATURE + bytes([command, kind]) + struct.pack(">H", len(rest)) + rest


HEADERS = {
    "v1": (b"PROXY TCP4 203.0.113.7 192.0.2.1 51008 443\r\n", CLIENT),
    "v1, IPv6": (b"PROXY TCP6 2001:db8::7 2001:db8::1 51008 443\r\n", "2001:db8::7"),
    "v1, unknown": (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
    "v2": (binary(0x21, 0x11, INET), CLIENT),
    "v2, IPv6, TLV": (binary(0x21, 0x21, INET6 + TLV), "2001:db8::7"),
    "v2, 4,000 bytes of TLVs": (binary(0x21, 0x11, INET + b"\xee\x0f\xa0" + bytes(4000)), CLIENT),
    "v2, local": (binary(0x20, 0x00), "127.0.0.1"),
    "v2, local, with addresses that mean nothing": (binary(0x20, 0x11, bytes(12)), "127.0.0.1"),  # checks of AWS
}
BAD = {
    "no header": handshake("/ws/cards"),
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "v1, not ended": b"PROXY TCP4 " + b"1" * 200,
    "v1, a name": b"PROXY TCP4 localhost 192.0.2.1 51008 443\r\n",
    "v2, a family that nobody knows": binary(0x21, 0x41, INET),
    "v2, too long": SIGNATURE + b"\x21\x11\xff\xff" + INET,
}


TRUSTED = ("--workers", "1", "--proxy-protocol", "true", "--trusted-proxies", "127.0.0.1,10.0.0.0/8")


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    """Shared by the tests of this file. Its look at the end of each would be hung up on."""
    gateway = Gateway(tmp_path_factory.mktemp("gateway"), *TRUSTED)
    yield gateway
    gateway.stop()


def connect(address, source="127.0.0.1"):
    peer = socket.create_connection(address, timeout=PATIENCE_SECONDS, source_address=(source, 0))
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return peer


def answer(peer):
    try:
        return peer.recv(4096)[:13]
    except ConnectionResetError:
        return b""


def remote_of_newest(gateway):
    """As whom the one who connected last was let in, on a gateway with one worker: each counts for itself."""
    newest = max(gateway.api("/connections")["connections"], key=lambda one: one["id"])
    return newest["remote"]


def let_in(gateway, pieces):
    """Sends these pieces, each in a segment of its own, and tells as whom it was let in."""
    with connect(gateway.address) as peer:
        for piece in pieces:
            peer.sendall(piece)
        assert answer(peer) == b"HTTP/1.1 101 "
        return remote_of_newest(gateway)


@pytest.mark.parametrize("name", HEADERS)
def test_a_client_is_who_the_proxy_says(gateway, name):
    header, client = HEADERS[name]
    assert let_in(gateway, [header + handshake("/ws/cards")]) == client


@pytest.mark.parametrize("name", ["v1", "v2, IPv6, TLV"])
def test_however_the_header_is_cut(gateway, name):
    """All cuts into two, and byte by byte: what follows is never taken for a part of it."""
    header, client = HEADERS[name]
    request = handshake("/ws/cards")
    whole = header + request
    for at in range(1, len(header) + 2, 3):
        assert let_in(gateway, [whole[:at], whole[at:]]) == client
    assert let_in(gateway, [bytes([byte]) for byte in header] + [request]) == client


def test_a_header_longer_than_a_segment_is_waited_for(gateway):
    """It is not too large because not all of it is there yet."""
    header, client = HEADERS["v2, 4,000 bytes of TLVs"]
    for at in (1, 12, 14, 16, 1460, len(header) - 1):
        assert let_in(gateway, [header[:at], header[at:] + handshake("/ws/cards")]) == client
    assert let_in(gateway, [header[:16], header[16:28], header[28:2000], header[2000:], handshake("/ws/cards")]) == client


def test_a_listener_of_both_families_knows_its_proxy(start):
    """Which comes to it as ::ffff:127.0.0.1."""
    gateway = start("--listen", "[::]:0", *TRUSTED)
    header, client = HEADERS["v1"]
    with connect(("127.0.0.1", gateway.address[1])) as peer:
        peer.sendall(header + handshake("/ws/cards"))
        assert answer(peer) == b"HTTP/1.1 101 "
    gateway.wait_for_line("client connected", remote=client)


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_header_is_hung_up_on(gateway, name):
    with connect(gateway.address) as peer:
        peer.sendall(BAD[name])
        assert answer(peer) == b""
    assert gateway.wait_for_line("a connection without a good PROXY header", remote="127.0.0.1")


def test_nobody_else_may_say_whom_he_brings(gateway):
    """He is hung up on before he has said anything."""
    with connect(gateway.address, source="127.0.0.2") as peer:
        assert answer(peer) == b""
    until("it is told", lambda: gateway.lines("a connection without a good PROXY header", remote="127.0.0.2") or
          gateway.metric('tidegate_handshakes_refused_total{reason="bad_proxy_header"}') > len(BAD))


def test_a_probe_that_only_connects_is_no_news(gateway):
    name = 'tidegate_handshakes_refused_total{reason="bad_proxy_header"}'
    before = gateway.metric(name)
    connect(gateway.address).close()
    assert let_in(gateway, [HEADERS["v2"][0] + handshake("/ws/cards")]) == CLIENT
    assert gateway.metric(name) == before


def test_half_a_header_costs_nothing_and_ends(gateway):
    """A loop that only looked at it would spin until the end of its time, which a byte now and then does not put off."""
    header = HEADERS["v2, IPv6, TLV"][0]
    began, at = time.monotonic(), 20
    with connect(gateway.address) as peer:
        peer.sendall(header[:at])
        cpu = gateway.metric("process_cpu_seconds_total")
        while not select.select([peer], [], [], 1)[0]:
            peer.sendall(header[at:at + 1])
            at += 1
        assert answer(peer) == b""
    assert gateway.metric("process_cpu_seconds_total") - cpu < 2.5, "it spins"
    assert 4 < time.monotonic() - began < 25


def test_forwarded_headers_of_a_proxy_behind_the_proxy_count(gateway):
    header = binary(0x21, 0x11, socket.inet_aton("10.1.2.3") + INET[4:])
    request = handshake("/ws/cards", [("X-Forwarded-For", "198.51.100.9")])
    assert let_in(gateway, [header + request]) == "198.51.100.9"
    assert let_in(gateway, [HEADERS["v2"][0] + request]) == CLIENT, "he is no proxy, so he is not believed"


def test_a_client_is_counted_by_the_address_in_the_header(start, redis):
    gateway = start("--workers", "1", "--proxy-protocol", "true", "--trusted-proxies", "127.0.0.1",
                    "--connections-per-address", "1", redis=redis)
    with connect(gateway.address) as first, connect(gateway.address) as second, connect(gateway.address) as other:
        first.sendall(HEADERS["v1"][0] + handshake("/ws/cards"))
        assert answer(first) == b"HTTP/1.1 101 "
        second.sendall(HEADERS["v2"][0] + handshake("/ws/cards"))
        assert answer(second) == b"HTTP/1.1 429 "
        other.sendall(HEADERS["v1, IPv6"][0] + handshake("/ws/cards"))
        assert answer(other) == b"HTTP/1.1 101 "


def test_it_wants_to_know_from_whom(start):
    with pytest.raises(AssertionError, match="there are none"):
        start("--workers", "1", "--proxy-protocol", "true")


def tcp_haproxy(tmp_path, gateway, words):
    """In front of the gateway, passing bytes on."""
    port = free_port()
    file = tmp_path / "haproxy.cfg"
    file.write_text(f"""
defaults
    mode tcp
    timeout connect 5s
    timeout client 1h
    timeout server 1h
listen public
    bind 127.0.0.1:{port}
    server gateway {gateway.address[0]}:{gateway.address[1]} {words}
""", encoding="utf-8")
    return ("127.0.0.1", port), Process(["/usr/sbin/haproxy", "-db", "-f", file], tmp_path, "haproxy")


def stream_nginx(tmp_path, gateway, _):
    port = free_port()
    file = tmp_path / "nginx.conf"
    file.write_text(f"""
load_module modules/ngx_stream_module.so;
daemon off;
master_process off;
pid {tmp_path}/nginx.pid;
error_log stderr info;
events {{ worker_connections 100; }}
stream {{
    server {{
        listen 127.0.0.1:{port};
        proxy_pass {gateway.address[0]}:{gateway.address[1]};
        proxy_protocol on;
    }}
}}
""", encoding="utf-8")
    return ("127.0.0.1", port), Process(["/usr/sbin/nginx", "-p", "/usr/share/nginx", "-c", file, "-e", "stderr"], tmp_path, "nginx")


def opens(address):
    """Is the proxy up, and does it reach the gateway?"""
    try:
        with WebSocket.connect(address, "/ws/cards") as peer:
            return peer.ask({"type": "ping"})["type"] == "pong"
    except OSError:
        return False


@pytest.mark.parametrize("make, words", [
    (tcp_haproxy, "send-proxy"), (tcp_haproxy, "send-proxy-v2"), (stream_nginx, ""),
    (tcp_haproxy, "send-proxy-v2 proxy-v2-options ssl,cert-cn,crc32c,unique-id check check-send-proxy inter 100ms"),
])
def test_what_real_proxies_say_is_understood(start, redis, tmp_path, make, words):
    gateway = start("--workers", "1", "--proxy-protocol", "true", "--trusted-proxies", "127.0.0.1", redis=redis)
    address, proxy = make(tmp_path, gateway, words)
    try:
        until("the proxy serves", lambda: opens(address))
        with socket.create_connection(address, source_address=("127.0.0.3", 0)) as peer:
            peer.sendall(handshake("/ws/cards"))
            assert answer(peer) == b"HTTP/1.1 101 "
            assert remote_of_newest(gateway) == "127.0.0.3"
        assert not gateway.lines("a connection without a good PROXY header"), "its health checks are none either"
    finally:
        proxy.stop(expected=(0, 143, -15))


def test_tls_comes_behind_the_header(start, redis, tmp_path):
    authority = Authority(tmp_path)
    certificate, key = authority.issue("gateway", "IP:127.0.0.1")
    gateway = start("--workers", "1", "--proxy-protocol", "true", "--trusted-proxies", "127.0.0.1", "--tls-certificate", certificate,
                    "--tls-key", key, redis=redis)
    header, checks = HEADERS["v2, IPv6, TLV"], HEADERS["v2, local, with addresses that mean nothing"]
    for (header, remote), cut in ((header, None), (header, 20), (checks, None), (checks, 20)):
        with connect(gateway.address) as raw:
            for piece in (header[:cut], header[cut:] if cut else b""):
                raw.sendall(piece)
            with authority.client().wrap_socket(raw, server_hostname="127.0.0.1") as peer:
                peer.sendall(handshake("/ws/cards"))
                assert peer.recv(4096)[:13] == b"HTTP/1.1 101 "
                assert remote_of_newest(gateway) == remote
    header = HEADERS["v1"][0]
    nonsense = b"\x16\x03\x01\x00\x04????"  # a record that is whole, with no handshake in it
    for tail in ([header + nonsense], [header, nonsense]):  # at once, and later
        before = len(gateway.lines("tls handshake failed"))
        with connect(gateway.address) as raw:
            for piece in tail:
                raw.sendall(piece)
            until("the log names the client", lambda: len(gateway.lines("tls handshake failed")) > before)
        assert gateway.lines("tls handshake failed")[-1].fields["remote"] == CLIENT

"""
WebSocket: a client that can misbehave.

Sockets and struct, nothing else: every byte on the wire is the test's choice, so it can leave out a mask, set a reserved
bit or stop reading. A test of good behaviour uses it too where the order of things matters, because it
never does anything by itself: no pong that was not asked for, no reading ahead of the test.
"""

import base64
import json
import os
import socket
import ssl
import struct

from harness import wait

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA

READ_BYTES = 65536


class Closed(Exception):
    """The peer ended the connection. code is None where it sent no close frame."""

    def __init__(self, code, reason=b""):
        super().__init__(f"closed {code} {reason!r}")
        self.code, self.reason = code, reason


class Refused(Exception):
    """The handshake was answered with something else than 101."""

    def __init__(self, response):
        super().__init__(f"{response.status} {response.body!r}")
        self.response = response
        self.status = response.status


class Response:
    """The head of an HTTP answer, and what came after it."""

    def __init__(self, head, body):
        lines = head.decode("latin-1").split("\r\n")
        self.version, status, *_ = lines[0].split(" ", 2)
        self.status = int(status)
        self.headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            self.headers[name.strip().lower()] = value.strip()
        self.body = body


def frame(opcode, payload=b"", fin=True, rsv=0, mask=True):
    """One client frame. `rsv` is the three reserved bits as a number."""
    head = bytes([fin << 7 | rsv << 4 | opcode])
    flag = 0x80 if mask else 0
    if len(payload) < 126:
        head += bytes([flag | len(payload)])
    elif len(payload) < 1 << 16:
        head += bytes([flag | 126]) + struct.pack(">H", len(payload))
    else:
        head += bytes([flag | 127]) + struct.pack(">Q", len(payload))
    if not mask:
        return head + payload
    key = os.urandom(4)
    return head + key + apply_mask(payload, key)


def apply_mask(payload, key):
    if not payload:
        return b""
    size = len(payload)
    pad = (key * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(pad, "big")).to_bytes(size, "big")


def handshake(path, headers=(), without=(), method="GET", version="HTTP/1.1", host="gateway.test"):
    """The bytes of an upgrade request. `headers` are added, `without` names those of the usual ones to leave out."""
    usual = [
        ("Host", host),
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Key", base64.b64encode(os.urandom(16)).decode()),
        ("Sec-WebSocket-Version", "13"),
    ]
    left_out = {name.lower() for name in without}
    lines = [f"{name}: {value}" for name, value in usual if name.lower() not in left_out]
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join([f"{method} {path} {version}", *lines, "", ""]).encode("latin-1")


def exchange(address, request, tls=None):
    """Sends bytes to the public port and returns the Response, or None where it hung up without one."""
    with WebSocket(address, tls=tls) as peer:
        peer.send_raw(request)
        return peer.read_response()


class WebSocket:
    def __init__(self, address, receive_buffer=None, tls=None):
        self.socket = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(wait.PATIENCE_SECONDS)
        self.socket.connect(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.pending = b""
        if tls:
            self.begin_tls(tls)

    def begin_tls(self, tls):
        """The handshake, with a context of ssl."""
        self.socket = tls.wrap_socket(self.socket, server_hostname=self.socket.getpeername()[0], suppress_ragged_eofs=False)

    @classmethod
    def connect(cls, address, path, headers=(), receive_buffer=None, tls=None, seconds=None, **request):
        """
        Opens a connection, over TLS with a context of ssl; Refused where the gateway does not answer 101. seconds: that it waits for
        anything, from then on, too.
        """
        peer = cls(address, receive_buffer, tls)
        peer.socket.settimeout(seconds or wait.PATIENCE_SECONDS)
        try:
            peer.send_raw(handshake(path, headers, **request))
            response = peer.read_response()
            if response is None or response.status != 101:
                raise Refused(response) if response else Closed(None)
        except BaseException:
            peer.abandon()
            raise
        peer.response = response
        peer.pending, response.body = response.body, b""
        return peer

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.abandon()

    def abandon(self):
        """Closes the socket without a word of WebSocket."""
        self.socket.close()

    # Out

    def send_raw(self, data):
        """A peer that has hung up meanwhile is no error here: what it said before is still to be read."""
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError, ssl.SSLEOFError):
            pass

    def finish(self):
        """Says that nothing more will be sent; the other direction stays open."""
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # the peer has hung up meanwhile

    def send_frame(self, opcode, payload=b"", **kind):
        self.send_raw(frame(opcode, payload, **kind))

    def send_text(self, text):
        self.send_frame(TEXT, text if isinstance(text, bytes) else text.encode())

    def send(self, message):
        self.send_text(json.dumps(message))

    def close(self, code=1000, reason=b""):
        self.send_frame(CLOSE, struct.pack(">H", code) + reason)

    # In

    def read_fast(self):
        """Whoever had a small receive buffer takes more at a time from now on: the gateway waits 5 s for what it said last to be read."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)

    def _fill(self):
        """Reads more; False at the end of the stream."""
        try:
            data = self.socket.recv(READ_BYTES)
        except (ConnectionResetError, ssl.SSLEOFError):
            return False
        except socket.timeout:
            raise wait.Timeout(f"nothing came; read so far: {self.pending[:200]!r}") from None
        self.pending += data
        return bool(data)

    def _take(self, n):
        while len(self.pending) < n:
            if not self._fill():
                raise Closed(None)
        data, self.pending = self.pending[:n], self.pending[n:]
        return data

    def read_response(self):
        while b"\r\n\r\n" not in self.pending:
            if not self._fill():
                return None
        head, _, self.pending = self.pending.partition(b"\r\n\r\n")
        response = Response(head, b"")
        if response.status == 101:
            response.body = self.pending
            return response
        length = int(response.headers.get("content-length", 0))
        while len(self.pending) < length and self._fill():
            pass
        response.body = self.pending[:length]
        return response

    def receive_bits(self):
        """(first byte, payload) of the next frame, whatever its bits; the gateway must not mask."""
        first, second = self._take(2)
        assert not second & 0x80, "the server masked a frame"
        length = second
        if length == 126:
            (length,) = struct.unpack(">H", self._take(2))
        elif length == 127:
            (length,) = struct.unpack(">Q", self._take(8))
        return first, self._take(length)

    def receive_frame(self):
        """(opcode, payload) of the next frame; the gateway must not fragment or set reserved bits."""
        first, payload = self.receive_bits()
        assert first & 0xF0 == 0x80, f"frame starts with {first:#x}"
        return first & 0x0F, payload

    def receive_text(self):
        """The next text frame as it is; Closed at a close frame or the end of the stream; control frames must
        not come unexpected, but a ping of the keepalive is answered."""
        while True:
            opcode, payload = self.receive_frame()
            if opcode == TEXT:
                return payload.decode()
            if opcode == PING:
                self.send_frame(PONG, payload)
                continue
            if opcode == CLOSE:
                raise Closed(struct.unpack(">H", payload[:2])[0] if payload else None, payload[2:])
            raise AssertionError(f"opcode {opcode:#x} with {payload!r}")

    def receive(self):
        return json.loads(self.receive_text())

    def ask(self, message):
        """Sends and returns the next message."""
        self.send(message)
        return self.receive()

    def close_code(self):
        """Reads to the close frame, passing over messages, and answers it. None: the gateway hung up without one."""
        try:
            while True:
                self.receive_text()
        except Closed as closed:
            if closed.code is not None:
                self.close(closed.code)
            return closed.code

    def expect_end(self):
        while self._fill():
            pass

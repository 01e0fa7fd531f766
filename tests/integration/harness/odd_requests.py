"""
Odd requests: what scanners, old scripts, misled browsers and attackers send to a WebSocket endpoint.

Made from a seed, so that what fails once fails again. None of them may cost anybody else anything, and each is owed
an answer.
"""

import random

from harness.websocket import handshake

METHODS = ["GET", "GET", "OPTIONS", "HEAD", "POST", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "PROPFIND", "BREW", "get", "M-SEARCH"]
PATHS = ["/ws/cards", "/ws/cards", "/ws/items/1", "/ws/nothing", "/", "/ws/", "/ws/items/a%20b", "/ws/items/%", "/ws/../etc/passwd",
         "/ws//cards", "*", "/ws/cards/" + "a" * 200, "http://gateway.test/ws/cards", "/ws/\xc3\xa9", "/ws/cards#x"]
QUERIES = ["", "", "?", "?label=100%", "?a=%zz", "?since=%", "?" + "&".join(f"a{i}={i}" for i in range(200)), "?" + "x" * 3000, "?a=<b>&&="]
VERSIONS = ["HTTP/1.1"] * 8 + ["HTTP/1.0", "HTTP/1.2", "HTTP/2.0", "HTTP/0.9", "HTTP", ""]
NAMES = ["X", "X-A", "User", "If", "Proxy", "Content", "Cache", "Access", "Set", "Last", "Post", "Connect", "Cookie", "Accept", "Range",
         "X-Forwarded-For", "Forwarded", "Origin", "Expect", "Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions", "TE", "Via", "Host",
         "Upgrade", "Connection", "Transfer-Encoding", "Content-Length", "Sec-WebSocket-Key", "Keep-Alive", "HTTP2-Settings"]
VALUES = ["", "y", "a, b, c", "6.6.6.6", "for=6.6.6.6", "http://evil.test", "100-continue", "websocket", "chunked", "close", "5", "-1",
          "\t padded \t", "h2c", "x" * 500, "\xff\xfe", "a=b; c=d", "permessage-deflate; server_max_window_bits=99"]
LINES = [" folded", "\tfolded", "no colon", ": no name", "X : space", "X y: z", "X: a\rb", "X: \0", "X", "\xe9: x"]
RUBBISH = [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\0" * 100, b"\xff" * 500, b"GET\r\n\r\n", b"x" * 9000, b"\r\n\r\nnonsense\r\n\r\n",
           b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"GET /ws/cards\r\n\r\n"]


class OddRequests:
    def __init__(self, seed):
        self.random = random.Random(seed)

    def headers(self):
        rnd = self.random
        if rnd.random() < 0.1:
            return [(rnd.choice(NAMES), "y")] * rnd.choice([61, 62, 200, 900])
        if rnd.random() < 0.1:
            return [("Cookie", "c" * rnd.choice([4000, 8100, 8192, 20_000]))]
        return [(rnd.choice(NAMES), rnd.choice(VALUES)) for _ in range(rnd.randrange(5))]

    def body(self):
        """(headers, bytes): right, too short a promise, or too long."""
        rnd = self.random
        if rnd.random() < 0.6:
            return [], b""
        body = b"b" * rnd.choice([1, 100, 5000, 70_000])
        if rnd.random() < 0.2:
            return [("Transfer-Encoding", "chunked")], b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
        return [("Content-Length", str(len(body)))], body

    def one(self):
        rnd = self.random
        if rnd.random() < 0.05:
            return rnd.choice(RUBBISH)
        more, body = self.body()
        left_out = [name for name in ("Host", "Upgrade", "Connection", "Sec-WebSocket-Key", "Sec-WebSocket-Version") if rnd.random() < 0.1]
        request = handshake(rnd.choice(PATHS) + rnd.choice(QUERIES), self.headers() + more, left_out, rnd.choice(METHODS),
                            rnd.choice(VERSIONS))
        if rnd.random() < 0.1:
            first, rest = request.split(b"\r\n", 1)
            request = first + b"\r\n" + rnd.choice(LINES).encode("latin-1") + b"\r\n" + rest
        if rnd.random() < 0.1:
            request = request.replace(b"\r\n", b"\n")
        return request + body

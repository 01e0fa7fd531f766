"""
Flood: connections that say more than anybody could need, as fast as the gateway takes it.

What they say is made before and goes out in large writes, from a process of its own: so neither Python's speed nor its lock
stands between the gateway and what it has to bear, or between the test and what it measures. Answers are read and
thrown away, but for a look at what a refusal says.
"""

import contextlib
import json
import multiprocessing
import select

from harness.websocket import WebSocket, handshake

WRITE_BYTES = 256 << 10
READ_BYTES = 64 << 10
NO_KEY = bytes(4)  # masked with zeros a text stays as it is
FORK = multiprocessing.get_context("fork")


def command(verb, number=None, **data):
    """One client frame, made without a look at each byte."""
    text = json.dumps({"type": verb, **({} if number is None else {"id": number}), "data": data}).encode()
    assert len(text) < 1 << 16
    head = bytes([0x81, 0x80 | len(text)]) if len(text) < 126 else b"\x81\xfe" + len(text).to_bytes(2, "big")
    return head + NO_KEY + text


class Flood:
    """A connection for each of these words, which says them again and again, or once, until the end of the block."""

    def __init__(self, gateway, path, words, once=False):
        self.gateway, self.path, self.words, self.once = gateway, path, words, once
        self.said = FORK.Array("Q", len(words), lock=False)  # bytes
        self.heard = FORK.Array("Q", len(words), lock=False)  # likewise
        self.refused = FORK.Array("b", len(words), lock=False)  # was an answer "rate"?
        self.process = FORK.Process(target=self.run, daemon=True)

    def __enter__(self):
        self.process.start()
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.join()

    def run(self):
        peers = [self.gateway.connect(self.path).socket for _ in self.words]
        views = [memoryview(words) for words in self.words]
        at = [0] * len(peers)
        for peer in peers:
            peer.setblocking(False)
        while True:
            speaking = [peer for number, peer in enumerate(peers) if at[number] < len(views[number])]
            readable, writable, _ = select.select(peers, speaking, [])
            for peer in readable:
                number = peers.index(peer)
                heard = peer.recv(READ_BYTES)
                self.heard[number] += len(heard)
                self.refused[number] |= b'"code":"rate"' in heard
            for peer in writable:
                number = peers.index(peer)
                n = peer.send(views[number][at[number]:at[number] + WRITE_BYTES])
                self.said[number] += n
                at[number] += n
                if at[number] == len(views[number]) and not self.once:
                    at[number] = 0


class Passersby:
    """Connections that say all these words and hang up, one after the other, until the end of the block."""

    def __init__(self, gateway, path, words, headers=()):
        self.gateway, self.path, self.words, self.headers = gateway, path, words, headers
        self.passed = FORK.Array("Q", len(words), lock=False)  # connections
        self.processes = [FORK.Process(target=self.run, args=(n,), daemon=True) for n in range(len(words))]

    def __enter__(self):
        for process in self.processes:
            process.start()
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.kill()
            process.join()

    def run(self, number):
        while True:
            with WebSocket(self.gateway.address) as peer, contextlib.suppress(ConnectionError):
                peer.send_raw(handshake(self.path, self.headers))
                peer.read_response()
                peer.send_raw(self.words[number])
                peer.finish()
                while peer.socket.recv(READ_BYTES):
                    pass
            self.passed[number] += 1

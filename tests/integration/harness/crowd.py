"""
Crowd: many open WebSockets at once, for what only shows in numbers.
"""

import selectors
import socket

from harness.websocket import WebSocket, handshake

AT_ONCE = 100  # handshakes under way


class Crowd:
    """Many WebSockets, each on an item of its own; the client side of a socket and no more."""

    def __init__(self, gateway, n, path="/ws/items/{number}"):
        self.gateway = gateway
        self.path = path
        self.peers = []
        for first in range(0, n, AT_ONCE):
            self._open(range(first, min(first + AT_ONCE, n)))

    def _open(self, numbers):
        batch = [WebSocket(self.gateway.address) for _ in numbers]
        for number, peer in zip(numbers, batch):
            peer.send_raw(handshake(self.path.format(number=number)))
        for peer in batch:
            answer = peer.read_response()
            assert answer is not None and answer.status == 101, answer and answer.body
            peer.pending = answer.body
        self.peers += batch

    def receive_one_each(self):
        """The next message of every connection, in whatever order they come."""
        selector = selectors.DefaultSelector()
        for number, peer in enumerate(self.peers):
            selector.register(peer.socket, selectors.EVENT_READ, number)
        got = [None] * len(self.peers)
        while selector.get_map():
            ready = selector.select(30)
            assert ready, f"{len(selector.get_map())} connections have nothing"
            for key, _ in ready:
                got[key.data] = self.peers[key.data].receive()
                selector.unregister(key.fileobj)
        selector.close()
        return got

    def silent(self):
        """No connection has anything more to read."""
        for peer in self.peers:
            peer.socket.setblocking(False)
            try:
                return not peer.pending and not peer.socket.recv(1, socket.MSG_PEEK)
            except BlockingIOError:
                pass
        return True

    def leave(self):
        for peer in self.peers:
            peer.abandon()

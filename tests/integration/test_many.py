"""Thousands of connections on as many channels, and what one costs."""

import selectors
import socket

from harness.wait import sized, until
from harness.websocket import WebSocket, handshake

CONNECTIONS = sized(5000, 1000)
AT_ONCE = 100  # handshakes under way


class Crowd:
    """Many WebSockets, each on an item of its own; the client side of a socket and no more."""

    def __init__(self, gateway, n):
        self.gateway = gateway
        self.peers = []
        for first in range(0, n, AT_ONCE):
            self._open(range(first, min(first + AT_ONCE, n)))

    def _open(self, numbers):
        batch = [WebSocket(self.gateway.address) for _ in numbers]
        for number, peer in zip(numbers, batch):
            peer.send_raw(handshake(f"/ws/items/{number}"))
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


def test_thousands_of_connections_on_as_many_channels_each_hear_their_own(start, own_redis, figure):
    gateway = start(redis=own_redis)
    before = gateway.resident_kib()
    crowd = Crowd(gateway, CONNECTIONS)
    try:
        memory = (gateway.resident_kib() - before) / CONNECTIONS
        figure(f"memory per connection at {CONNECTIONS} connections on {CONNECTIONS} channels", f"{memory:.2f} KiB")
        until("all are counted", lambda: gateway.metric("tidegate_connections") == CONNECTIONS)
        assert gateway.metric("tidegate_channels") == CONNECTIONS
        pipeline = own_redis.client.pipeline(transaction=False)
        for number in range(CONNECTIONS):
            pipeline.publish(f"items:{number}", '{"type":"yours","data":%d}' % number)
        assert pipeline.execute() == [1] * CONNECTIONS
        for number, event in enumerate(crowd.receive_one_each()):
            assert (event["data"], event["channel"]) == (number, f"items:{number}")
        assert crowd.silent()
        gateway.check()
    finally:
        crowd.leave()


def test_connections_come_and_go_without_leaving_memory_behind(start, own_redis):
    gateway = start(redis=own_redis)
    rounds, size = 6, sized(500, 100)
    resident = []
    for _ in range(rounds):
        crowd = Crowd(gateway, size)
        crowd.leave()
        until("all are gone", lambda: gateway.metric("tidegate_connections") == 0)
        resident.append(gateway.resident_kib())
    growth = resident[-1] - resident[1]  # the first rounds fill the allocator's pools
    assert growth < sized(1024, 20000), resident

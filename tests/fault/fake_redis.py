"""
Fake Redis: greets a gateway as Redis does, up to the point where it says what Redis never says.
"""

import threading

from harness.fake_server import FakeServer
from harness.resp import push, subscribed

GREETING, SUBSCRIBER, COMMANDER, READ = "the greeting", "the subscriber", "the probe's answer", "a read's answer"
PLACES = (GREETING, SUBSCRIBER, COMMANDER, READ)


class FakeRedis(FakeServer):
    """One server for one piece of nonsense: `words` are said in that place, then the connection is left open."""

    silent_seconds = 10

    def __init__(self, place, words):
        self.place, self.words = place, words
        self.said = threading.Event()
        self.subscriber = None  # echoes go there
        super().__init__()

    def answer(self, connection, words):
        name = words[0].upper()
        if name == b"PING":
            connection.sendall(b"+PONG\r\n")
        elif name == b"CLIENT":
            self._say(connection, GREETING, b"+OK\r\n")
        elif name == b"SUBSCRIBE":
            self.subscriber = connection
            for i, channel in enumerate(words[1:]):
                connection.sendall(subscribed(channel, i + 1))
            self._say(connection, SUBSCRIBER, b"")
        elif name == b"PUBLISH":
            with self.lock:
                if self.place == READ and self.subscriber:
                    self.subscriber.sendall(push(words[1], words[2]))
            self._say(connection, COMMANDER, b":1\r\n")
        else:
            self._say(connection, READ, b"-ERR not now\r\n")

    def _say(self, connection, place, usual):
        if place != self.place:
            connection.sendall(usual)
            return
        try:
            connection.sendall(self.words)
        finally:
            self.said.set()  # all of it, or as much as the gateway cared to hear

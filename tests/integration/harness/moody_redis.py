"""
Moody Redis: passes publications on as Redis does, and gives the answers of a table to what else it is asked.
"""

import time

from harness.fake_server import FakeServer
from harness.resp import push, subscribed, unsubscribed

USUAL = {b"PING": b"+PONG\r\n", b"CLIENT": b"+OK\r\n", b"AUTH": b"+OK\r\n", b"SELECT": b"+OK\r\n", b"SET": b"+OK\r\n",
         b"SADD": b":1\r\n", b"SREM": b":1\r\n", b"DEL": b":1\r\n"}


class MoodyRedis(FakeServer):
    """
    `answers` holds the line that a command gets instead of the usual one; it may be changed at any time. For each channel
    that is subscribed or left it takes `channel_seconds`.
    """

    def __init__(self, echoes=True, channel_seconds=0, **answers):
        self.answers = answers
        self.channel_seconds = channel_seconds
        self.echoes = echoes      # False: publications go to another server, as it were
        self.asked = []           # the names of commands, in order
        self.subscribers = {}     # channel -> connections
        super().__init__()

    def gone(self, connection):
        for listeners in self.subscribers.values():
            listeners.discard(connection)

    def answer(self, connection, words):
        name = words[0].upper()
        self.asked.append(name.decode())
        if name.decode() in self.answers:
            connection.sendall(b"%s\r\n" % self.answers[name.decode()].encode())
        elif name == b"SUBSCRIBE":
            time.sleep(self.channel_seconds * len(words[1:]))
            with self.lock:
                for channel in words[1:]:
                    self.subscribers.setdefault(channel, set()).add(connection)
                connection.sendall(b"".join(subscribed(channel, i + 1) for i, channel in enumerate(words[1:])))
        elif name == b"UNSUBSCRIBE":
            time.sleep(self.channel_seconds * len(words[1:]))
            with self.lock:
                for channel in words[1:]:
                    self.subscribers.get(channel, set()).discard(connection)
                connection.sendall(b"".join(unsubscribed(channel) for channel in words[1:]))
        elif name == b"PUBLISH":
            count = self._pass_on(words[1], words[2]) if self.echoes else 0
            connection.sendall(b":%d\r\n" % count)
        else:
            connection.sendall(USUAL.get(name, b"-ERR unknown command\r\n"))

    def _pass_on(self, channel, payload):
        with self.lock:
            listeners = self.subscribers.get(channel, set())
            for listener in listeners:
                listener.sendall(push(channel, payload))
            return len(listeners)

    def n_channels(self):
        """That somebody listens to."""
        with self.lock:
            return sum(bool(listeners) for listeners in self.subscribers.values())

    def publish(self, channel, payload):
        """The number of subscribers that got it."""
        return self._pass_on(channel.encode(), payload.encode())

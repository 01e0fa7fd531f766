"""
Fake Redis: greets a gateway as Redis does, up to the point where it says what Redis never says.
"""

import socket
import threading

from harness.resp import push, read_command, subscribed

GREETING, SUBSCRIBER, COMMANDER, READ = "the greeting", "the subscriber", "the probe's answer", "a read's answer"
PLACES = (GREETING, SUBSCRIBER, COMMANDER, READ)
CONNECT_SECONDS = 10


class FakeRedis:
    """One server for one piece of nonsense: `words` are said in that place, then the connection is left open."""

    def __init__(self, place, words):
        self.place, self.words = place, words
        self.said = threading.Event()
        self.subscriber = None  # echoes go there
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.threads = [threading.Thread(target=self._accept, daemon=True)]
        self.threads[0].start()

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return  # stopped
            connection.settimeout(CONNECT_SECONDS)
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self.threads.append(thread)
            thread.start()

    def _serve(self, connection):
        with connection, connection.makefile("rb") as lines:
            try:
                while True:
                    words = read_command(lines)
                    if not words:
                        return
                    self._answer(connection, words)
            except (OSError, ValueError):
                pass  # the gateway has had enough

    def _answer(self, connection, words):
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

    def stop(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for thread in self.threads:
            thread.join(2 * CONNECT_SECONDS)

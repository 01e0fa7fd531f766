"""
Fake server: the listener's loop of a server that a test makes up, a thread for each connection.
"""

import socket
import threading

from harness.resp import read_command


class FakeServer:
    """Speaks Redis' protocol: each command is handed to answer(connection, words), which a subclass has."""

    silent_seconds = 60  # that a connection may be

    def __init__(self):
        self.lock = threading.Lock()
        self.connections = set()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}"
        self.threads = [threading.Thread(target=self._accept, daemon=True)]
        self.threads[0].start()

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return  # stopped
            connection.settimeout(self.silent_seconds)
            self.connections.add(connection)
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self.threads.append(thread)
            thread.start()

    def _serve(self, connection):
        with connection, connection.makefile("rb") as lines:
            try:
                while words := read_command(lines):
                    self.answer(connection, words)
            except (OSError, ValueError):
                pass  # one of us has hung up
            finally:
                with self.lock:
                    self.connections.discard(connection)
                    self.gone(connection)

    def answer(self, connection, words):
        raise NotImplementedError

    def gone(self, connection):
        """The connection has ended; the lock is held."""

    def hang_up(self):
        """Cuts all connections."""
        for connection in list(self.connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # the gateway was quicker

    def stop(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.hang_up()
        for thread in self.threads:
            thread.join(self.silent_seconds)

"""
TCP proxy: a line between two servers that can be cut, held up, or led elsewhere while both live.

A thread relays; the test commands it from its own. What is held up is neither lost nor closed: to both ends the
line looks like one on which nothing happens, as after a switch died.
"""

import selectors
import socket
import threading

READ_BYTES = 65536
LOOK_SECONDS = 0.05  # a command takes effect within it


class TcpProxy:
    def __init__(self, target_port):
        self.target_port = target_port
        self.stalled = False
        self.held = threading.Event()
        self.cutting = self.ending = False
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.listener, selectors.EVENT_READ)
        self.peers = {}
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def stall(self):
        """Returns when nothing passes any more, in either direction."""
        self.stalled = True
        self.held.wait()

    def lead_to(self, port):
        """New connections go to another server; those that stand are cut."""
        self.target_port = port
        self.cutting = True

    def stop(self):
        self.ending = True
        self.thread.join()

    def _run(self):
        while not self.ending:
            for key, _ in self.selector.select(LOOK_SECONDS):
                if key.fileobj is self.listener:
                    self._accept()
                elif key.fileobj in self.peers:
                    self._relay(key.fileobj)
            if self.cutting:
                self.cutting = False
                self._cut_all()
            if self.stalled:
                self._hold()
        self._cut_all()
        self.listener.close()

    def _hold(self):
        """Looks at commands only; what the kernel's buffers take, they take."""
        self.held.set()
        pause = threading.Event()
        while self.stalled and not self.cutting and not self.ending:
            pause.wait(LOOK_SECONDS)

    def _accept(self):
        near, _ = self.listener.accept()
        try:
            far = socket.create_connection(("127.0.0.1", self.target_port), 1)
        except OSError:
            near.close()
            return
        far.settimeout(None)
        self.peers[near], self.peers[far] = far, near
        for end in (near, far):
            self.selector.register(end, selectors.EVENT_READ)

    def _relay(self, end):
        try:
            data = end.recv(READ_BYTES)
            if data:
                self.peers[end].sendall(data)
                return
        except OSError:
            pass  # the other side hears of it by the close
        self._close(end)

    def _close(self, end):
        other = self.peers.pop(end)
        self.peers.pop(other)
        for one in (end, other):
            self.selector.unregister(one)
            one.close()

    def _cut_all(self):
        while self.peers:
            self._close(next(iter(self.peers)))

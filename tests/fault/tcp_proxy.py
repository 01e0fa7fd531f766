"""
TCP proxy: a line between two servers that can be cut, reset, refused, held up, thinned out, or led elsewhere while both live.

A thread relays; the test commands it from its own, and a command is over when it has taken effect. What is held up is neither
lost nor closed: to both ends the line looks like one on which nothing happens, as after a switch died.
"""

import collections
import selectors
import socket
import struct
import threading

from harness.ports import free_port

READ_BYTES = 65536
LOOK_SECONDS = 0.05  # a command takes effect within it
RESET = struct.pack("ii", 1, 0)  # linger 0: the close is an RST


class TcpProxy:
    """filtered() makes a filter for what one connection is sent: filter(bytes) is what it gets of them."""

    def __init__(self, target_port, filtered=None):
        self.target_port = target_port
        self.filtered = filtered
        self.filters = {}  # by the end that is sent to
        self.stalled = self.ending = False
        self.commands = collections.deque()
        self.selector = selectors.DefaultSelector()
        self.peers = {}
        self.port = free_port()  # stays ours while nobody listens on it: the kernel gives none of these away
        self.listener = None
        self._listen()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    # Commands

    def stall(self):
        """Nothing passes any more, in either direction; what the kernel's buffers take, they take."""
        self._command(lambda: setattr(self, "stalled", True))

    def reset(self):
        """Cuts what stands, with RST to both ends."""
        self._command(self._reset_all)

    def refuse(self):
        """Cuts what stands, and nobody listens any more."""
        self._command(self._stop_listening)

    def listen(self):
        """Somebody listens again."""
        self._command(self._listen)

    def cut(self):
        """Closes what stands; nothing is changed for who comes."""
        self._command(self._cut_all)

    def lead_to(self, port):
        """New connections go to another server; those that stand are cut."""
        self.target_port = port
        self._command(self._cut_all)

    def _command(self, do):
        done = threading.Event()
        self.commands.append((do, done))
        done.wait()

    def stop(self):
        self.ending = True
        self.thread.join()
        self.selector.close()

    # The thread

    def _run(self):
        while not self.ending:
            for key, _ in self.selector.select(LOOK_SECONDS):
                if key.fileobj is self.listener:
                    self._accept()
                elif key.fileobj in self.peers:
                    self._relay(key.fileobj)
            self._obey()
            pause = threading.Event()
            while self.stalled and not self.ending:
                pause.wait(LOOK_SECONDS)
                self._obey()
        self._stop_listening()

    def _obey(self):
        while self.commands:
            do, done = self.commands.popleft()
            do()
            done.set()

    def _listen(self):
        self.listener = socket.create_server(("127.0.0.1", self.port))
        self.selector.register(self.listener, selectors.EVENT_READ)

    def _stop_listening(self):
        if self.listener:
            self.selector.unregister(self.listener)
            self.listener.close()
            self.listener = None
        self._cut_all()

    def _reset_all(self):
        for end in self.peers:
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self._cut_all()

    def _cut_all(self):
        self.stalled = False
        while self.peers:
            self._close(next(iter(self.peers)))

    def _accept(self):
        near, _ = self.listener.accept()
        try:
            far = socket.create_connection(("127.0.0.1", self.target_port), 1)
        except OSError:
            near.close()
            return
        far.settimeout(None)
        self.peers[near], self.peers[far] = far, near
        if self.filtered:
            self.filters[near] = self.filtered()
        for end in (near, far):
            self.selector.register(end, selectors.EVENT_READ)

    def _relay(self, end):
        other = self.peers[end]
        try:
            data = end.recv(READ_BYTES)
            if data:
                other.sendall(self.filters[other](data) if other in self.filters else data)
                return
        except OSError:
            pass  # the other side hears of it by the close
        self._close(end)

    def _close(self, end):
        other = self.peers.pop(end)
        self.peers.pop(other)
        for one in (end, other):
            self.filters.pop(one, None)
            self.selector.unregister(one)
            one.close()

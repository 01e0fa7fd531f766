"""
The crowd: thousands of clients in one process, that obey the rules for clients and keep a journal each.

The rules: keep `pos` of the last event; drop what is not newer in the same epoch; after a resync or a refused recovery go on
from its `pos`; come back with full jitter, 0.5 s and up, to any gateway. A client that is not aware knows none of this.

The journal is what the verifier wants: where the client started, what it heard, what it was told.
"""

import json
import random
import resource
import select
import socket
import time

BACKOFF_FIRST_SECONDS, BACKOFF_MAX_SECONDS = 0.5, 30
READ_BYTES = 262144
TURN_SECONDS = 0.02
PING, CLOSE = 0x9, 0x8


class Client:
    def __init__(self, channel, aware, streams=False):
        self.channel, self.aware, self.streams = channel, aware, streams
        self.last_id = ""      # of a stream, which its browser brings back
        self.receive_bytes = None  # that the socket of its next connection takes; None: as the kernel likes
        self.paused = False    # it does not read
        self.on_lost = None    # told once, when its connection ends
        self.socket = None
        self.open = False      # the handshake is answered
        self.settled = False   # and so is the question where it was
        self.pending = b""
        self.backoff = BACKOFF_FIRST_SECONDS
        self.due = 0.0         # when it dials
        self.pos = None        # (epoch, offset, tag) of the last event or base
        self.heard = []        # (offset, tag, number, channel) since the base
        self.base = None       # the position before the first of them
        self.told = []         # (kind, reason): recovered, not_recovered, resync; what the gateway said
        self.n_retracted = self.n_doubled = self.n_disconnects = self.n_wrong_base = 0

    def since(self):
        return ".".join(map(str, self.pos)) if self.pos else "now"

    def begin_at(self, pos):
        self.base = self.pos = pos
        self.heard = []


def parse_pos(text):
    epoch, offset, tag = text.split(".")
    return epoch, int(offset), int(tag)


class Crowd:
    def __init__(self, addresses):
        self.addresses = addresses
        self.clients = []
        self.away = set()          # those that are to dial
        self.by_fd = {}
        self.epoll = select.epoll()
        self.random = random.Random(4)
        self.n_refused = 0         # handshakes that were answered, with something else than 101
        self.resumes = True        # False: the control run, clients that come back as if they were new
        self.position_of = Client.since
        self.on_way = None         # a list: (channel, seconds) of each entry that comes, from its tag on

    def add(self, n, channels, aware=True, half_streams=False):
        """half_streams: every second one, and of a channel every second one, hears server-sent events."""
        added = [Client(channels[i % len(channels)], aware, half_streams and (i + i // len(channels)) % 2 == 1) for i in range(n)]
        self.clients += added
        self.away.update(added)
        return added

    # The loop

    def run_until(self, done, seconds, hook=None):
        """Turns until done(); the seconds that it took, or None at the deadline."""
        began = time.monotonic()
        while not done():
            if time.monotonic() - began > seconds:
                return None
            self._turn()
            if hook:
                hook()
        return time.monotonic() - began

    def run_for(self, seconds, hook=None):
        self.run_until(lambda: False, seconds, hook)

    def _turn(self):
        now = time.monotonic()
        for client in [client for client in self.away if client.due <= now][:200]:
            self._dial(client)
        for fd, events in self.epoll.poll(TURN_SECONDS, 2048):
            client = self.by_fd.get(fd)
            if client and events & select.EPOLLOUT and not client.open:
                self._ask(client)
            elif client:
                self._read(client)

    # One connection

    def _dial(self, client):
        self.away.discard(client)
        client.socket = socket.socket()
        client.socket.setblocking(False)
        if client.receive_bytes:
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, client.receive_bytes)
        self.by_fd[client.socket.fileno()] = client
        client.socket.connect_ex(self.random.choice(self.addresses))
        self.epoll.register(client.socket.fileno(), select.EPOLLOUT)

    def _ask_for_stream(self, client):
        place = f"Last-Event-ID: {client.last_id}\r\n" if client.last_id and self.resumes else ""
        return f"GET /sse/{client.channel.replace(':', '/')} HTTP/1.1\r\nHost: fault\r\n{place}\r\n"

    def _ask_for_socket(self, client):
        path = "/ws/" + client.channel.replace(":", "/")
        if client.aware:
            path += "?since=" + (self.position_of(client) if self.resumes else "now")
        return (f"GET {path} HTTP/1.1\r\nHost: fault\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")

    def _ask(self, client):
        request = self._ask_for_stream(client) if client.streams else self._ask_for_socket(client)
        try:
            client.socket.send(request.encode())
            self.epoll.modify(client.socket.fileno(), select.EPOLLIN)
        except OSError:
            self.lose(client)

    def lose(self, client):
        """The connection ended, whoever ended it."""
        if client.socket:
            self.by_fd.pop(client.socket.fileno())
            if not client.paused:
                self.epoll.unregister(client.socket.fileno())
            client.socket.close()
        if client.on_lost:
            client.on_lost(client)
        client.paused, client.on_lost = False, None
        client.n_disconnects += client.open
        client.socket, client.open, client.settled, client.pending = None, False, False, b""
        client.due = time.monotonic() + self.random.uniform(0, client.backoff)
        client.backoff = min(client.backoff * 2, BACKOFF_MAX_SECONDS)
        self.away.add(client)

    def pause(self, clients):
        """They do not read, and hear nothing of what becomes of their sockets."""
        for client in clients:
            self.epoll.unregister(client.socket.fileno())
            client.paused = True

    def resume(self, clients, receive_bytes, on_lost):
        """They read on, and as fast as they can."""
        for client in clients:
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
            self.epoll.register(client.socket.fileno(), select.EPOLLIN)
            client.paused, client.on_lost = False, on_lost

    def leave(self, clients):
        """They close, and do not come back before they are let."""
        for client in clients:
            self.lose(client)
            client.due = float("inf")
            client.backoff = BACKOFF_FIRST_SECONDS

    def come_back(self, clients):
        for client in clients:
            client.due = 0.0

    def _read(self, client):
        try:
            data = client.socket.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.lose(client)
            return
        client.pending += data
        if not client.open and not self._answered(client):
            return
        if client.streams:
            self._blocks(client)
        else:
            self._frames(client)

    def _answered(self, client):
        head, end, rest = client.pending.partition(b"\r\n\r\n")
        if not end:
            return False
        if not head.startswith(b"HTTP/1.1 200" if client.streams else b"HTTP/1.1 101"):
            self.n_refused += 1
            self.lose(client)
            return False
        client.open, client.pending, client.backoff = True, rest, BACKOFF_FIRST_SECONDS
        client.settled = not client.aware
        if not client.aware:
            client.base = client.pos = None
            client.heard = []
        return True

    def _frames(self, client):
        data, at = client.pending, 0
        while len(data) - at >= 2:
            length, head = data[at + 1], 2
            if length == 126:
                length, head = int.from_bytes(data[at + 2:at + 4], "big"), 4
            elif length == 127:
                length, head = int.from_bytes(data[at + 2:at + 10], "big"), 10
            if len(data) - at < head + length:
                break
            payload = data[at + head:at + head + length]
            opcode = data[at] & 0xF
            at += head + length
            if opcode == CLOSE:
                self.lose(client)
                return
            if opcode == PING:
                client.socket.send(bytes([0x8A, 0x80 | length, 0, 0, 0, 0]) + payload)
            else:
                self._message(client, json.loads(payload))
        client.pending = data[at:]

    def _blocks(self, client):
        *blocks, client.pending = client.pending.split(b"\n\n")
        for block in blocks:
            fields = dict(line.split(b": ", 1) for line in block.split(b"\n") if not line.startswith(b":"))
            client.last_id = fields.get(b"id", client.last_id.encode()).decode()
            if b"data" not in fields:
                continue
            message = json.loads(fields[b"data"])
            if message["type"] == "close":
                self.lose(client)
                return
            self._message(client, message)

    # What is said

    def _message(self, client, message):
        kind, data = message["type"], message.get("data")
        if "pos" in message:
            self._event(client, parse_pos(message["pos"]), data, message["channel"])
        elif kind == "subscribed":
            self._subscribed(client, data)
        elif kind == "resync":
            self._resync(client, data)
        else:
            client.told.append((kind, None))

    def _event(self, client, pos, data, channel):
        if client.pos is None:  # not aware: it starts with what it hears first
            client.begin_at((pos[0], pos[1] - 1, None))
        if pos[0] == client.pos[0] and pos[1] <= client.pos[1]:
            client.n_doubled += 1
            return
        client.pos = pos
        client.heard.append((pos[1], pos[2], data["number"], channel))
        if self.on_way is not None:
            self.on_way.append((channel, time.time() - pos[2] / 1e6))

    def _subscribed(self, client, data):
        pos = parse_pos(data["pos"])
        client.settled = True
        if client.pos is None:
            client.begin_at(pos)
        elif not self.resumes:
            client.pos = pos  # the control run: it believes that nothing happened
        elif data["recovered"]:
            client.told.append(("recovered", None))
            client.n_wrong_base += pos[:2] != client.pos[:2]
        else:
            client.told.append(("not_recovered", data["reason"]))
            client.begin_at(pos)

    def _resync(self, client, data):
        pos = parse_pos(data["pos"])
        client.told.append(("resync", data["reason"]))
        if not data["continuous"]:
            client.begin_at(pos)
            return
        kept = [entry for entry in client.heard if entry[0] <= pos[1]]
        client.n_retracted += len(client.heard) - len(kept)
        client.heard, client.pos = kept, pos
        if client.base[1] > pos[1]:
            client.begin_at(pos)

    def stop(self):
        for client in self.clients:
            if client.socket:
                client.socket.close()
        self.epoll.close()


def allow_descriptors():
    """As many as the machine gives; the gateways inherit it."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))

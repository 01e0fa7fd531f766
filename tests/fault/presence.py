"""
F23: who is there, while users come and go at random, a gateway is killed and Redis is away.

Guests know themselves how many connections they have, and since when. Nobody has the same idea of that moment, so who went is back
either long before the grace is over or long after: then it is certain what had to be told. Who was neither is not looked at.
"""

import asyncio
import base64
import collections
import json
import os
import random
import time

from bench import end_by_kill
from fault import Control, Fault
from harness.gateway import run
from harness.tokens import SECRET, Issuer
from redis_outage import load_functions

GRACE_SECONDS = 1.0
GATHERED_SECONDS = 0.4  # by another gateway a user is said to be back up to a quarter of a second later
TICK_SECONDS = 1.5  # after the grace everybody has been told
ROUTES = ('topics: []\nroutes:\n  - {path: "/ws/rooms/{room}", channel: "room:{room}", auth: required, history: {size: 1000000}, '
          'presence: {grace: 1s, info: name}}\n')
CLOSE = b"\x88\x82\0\0\0\0\x03\xe8"
IN_A_ROOM = 10
LOOK_SECONDS = 0.1
LONG_SECONDS = 8  # longer than promised: then it is never so

# What the functions in Redis do, and what they do in a control run: a library that is newer than any gateway's.
SPOILED = {
    "none judged": ("if a[5] == 'judge' then", "if false then"),
    "each for itself": ("local total, now, text = set_present(k, a[i], a[i + 1] + 0, a[i + 2])",
                        "local total = tonumber(redis.call('HGET', k[1], a[i]) or nil) or 0 "
                        "local _, _, text = set_present(k, a[i], a[i + 1] + 0, a[i + 2]) local now = a[i + 1] + 0"),
}


def load_spoiled(server, how):
    was, becomes = SPOILED[how]
    library = run("functions").stdout
    head, _, rest = library.partition("local VERSION = ")
    assert rest and library.count(was) == 1, was
    server.client.function_load((head + "local VERSION = 1000" + rest.lstrip("0123456789")).replace(was, becomes), replace=True)


class Line(asyncio.Protocol):
    """A connection: what comes is not looked at, its end is."""

    def __init__(self):
        self.answered = asyncio.get_running_loop().create_future()
        self.ended = asyncio.get_running_loop().create_future()
        self.head = b""

    def data_received(self, data):
        if not self.answered.done():
            self.head += data
            if b"\r\n\r\n" in self.head:
                self.answered.set_result(b" 101 " in self.head)

    def connection_lost(self, exc):
        for what in (self.answered, self.ended):
            if not what.done():
                what.set_result(False)


class Guest:
    """A user of a room, with up to two connections."""

    def __init__(self, number, n_rooms, token):
        self.number, self.name, self.room = number, f"user-{number}", number % n_rooms
        self.stays = number % 10 == 0  # it only ever loads its page anew
        self.request = (f"GET /ws/rooms/{self.room} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                        f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\nAuthorization: Bearer {token}\r\n\r\n").encode()
        self.lines = []
        self.busy = False
        self.was_there = self.is_unclear = False
        self.n_joins = self.n_leaves = 0  # that had to be told
        self.times = []  # at least and at most so long it was away
        self.left_at = self.gone_at = None  # it began to close its last line; that was over

    async def open(self, address):
        """True: it has a line more."""
        began = time.monotonic()
        try:
            transport, line = await asyncio.get_running_loop().create_connection(Line, *address)
        except OSError:
            return False
        transport.write(self.request)
        if not await line.answered:
            transport.abort()
            return False
        line.transport, line.address = transport, address
        if not self.lines:
            self._came(began)
        self.lines.append(line)
        line.ended.add_done_callback(lambda _: self._ended(line))
        return True

    def _came(self, began):
        away_most = time.monotonic() - (self.left_at or 0)
        away_least = began - (self.gone_at or 0)
        self.times.append((round(away_least, 2), round(away_most, 2)))
        if not self.was_there or away_least > GRACE_SECONDS + TICK_SECONDS:
            self.n_joins += 1
            self.n_leaves += self.was_there
        elif away_most >= GRACE_SECONDS - GATHERED_SECONDS:
            self.is_unclear = True
        self.was_there, self.left_at, self.gone_at = True, None, None

    def _ended(self, line):
        if line in self.lines:  # nobody asked for it
            self._leave(line, time.monotonic())
            self.gone_at = time.monotonic()

    def _leave(self, line, now):
        self.lines.remove(line)
        if not self.lines:
            self.left_at = now

    async def close(self):
        if not self.lines:
            return  # its gateway died a moment ago
        line = self.lines[0]
        self._leave(line, time.monotonic())
        line.transport.write(CLOSE)
        await line.ended
        line.transport.abort()
        self.gone_at = time.monotonic()


class Party:
    """All guests, and their coming and going."""

    def __init__(self, addresses, n_guests, n_rooms):
        issuer = Issuer("HS256", SECRET)
        self.addresses = addresses
        self.n_rooms = n_rooms
        self.guests = [Guest(i, n_rooms, issuer.token(sub=f"user-{i}", name=f"Guest {i}", exp=int(time.time()) + 3600)) for i in range(n_guests)]
        self.tasks = set()
        self.goes_on = False

    def _do(self, guest, steps):
        """One thing after the other for each guest."""
        guest.busy = True

        async def do():
            try:
                await steps
            finally:
                guest.busy = False

        task = asyncio.ensure_future(do())
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def somewhere(self):
        return random.choice(self.addresses)

    async def _reload(self, guest):
        await guest.close()
        await self._come(guest)

    async def _come(self, guest):
        while not await guest.open(self.somewhere()):
            await asyncio.sleep(LOOK_SECONDS)

    async def _go(self, guest):
        """Away for long enough to be missed."""
        await guest.close()
        if not guest.lines:
            await asyncio.sleep(GRACE_SECONDS + TICK_SECONDS + 0.3)

    def step(self):
        guest = random.choice(self.guests)
        if guest.busy:
            return
        if not guest.lines:
            self._do(guest, self._come(guest))
        elif guest.stays or random.random() < 0.3:
            self._do(guest, self._reload(guest))
        elif len(guest.lines) == 1 and random.random() < 0.5:
            self._do(guest, self._come(guest))
        else:
            self._do(guest, self._go(guest))

    async def begin(self):
        for first in range(0, len(self.guests), 50):
            await asyncio.gather(*(self._come(guest) for guest in self.guests[first:first + 50]))

    async def churn(self, seconds, rate):
        """So many things a second happen."""
        began, n = time.monotonic(), 0
        while (now := time.monotonic()) < began + seconds:
            for _ in range(int((now - began) * rate) - n):
                self.step()
                n += 1
            await asyncio.sleep(0.01)

    async def come_back(self, address):
        """Those whose gateway died: who stays comes back at once, of the others every second one does."""
        while any(line.address == address for guest in self.guests for line in guest.lines):
            await asyncio.sleep(0.01)
        lost = [guest for guest in self.guests if not guest.lines and not guest.busy]
        for guest in lost:
            if guest.stays or random.random() < 0.5:
                self._do(guest, self._come(guest))

    async def calm(self):
        while self.tasks:
            await asyncio.wait(set(self.tasks))

    def there(self):
        """Room by room: the connections of each user."""
        rooms = [{} for _ in range(self.n_rooms)]
        for guest in self.guests:
            if guest.lines:
                rooms[guest.room][guest.name] = len(guest.lines)
        return rooms

    async def end(self):
        self.goes_on = False
        for guest in self.guests:
            for line in list(guest.lines):
                guest.lines.remove(line)
                line.transport.abort()
        await asyncio.sleep(0)


class Book:
    """What stands in Redis: who is there, and what was told."""

    def __init__(self, client, n_rooms):
        self.client, self.n_rooms = client, n_rooms

    def _each(self, ask):
        with self.client.pipeline(transaction=False) as pipeline:
            for room in range(self.n_rooms):
                ask(pipeline, f"{{room:{room}}}")
            return pipeline.execute()

    def begin(self):
        """Presence stands in a log that was begun."""
        self._each(lambda pipeline, tag: pipeline.fcall("tidegate_publish", 2, f"tg:s:{tag}", f"tg:m:{tag}", '{"type":"begun"}', tag[1:-1], "publish",
                                                        1000000, 86400000, "ABCDEFGH"))

    def there(self):
        return [{user.decode(): int(value.split(b" ")[0]) for user, value in room.items()}
                for room in self._each(lambda pipeline, tag: pipeline.hgetall(f"tg:q:{tag}"))]

    async def seconds_until(self, party, began, most):
        """Until it says the truth; None: it never does."""
        while (there := self.there()) != party.there():
            if time.monotonic() > began + most:
                wrong = [(room, user, there[room].get(user, 0), truth.get(user, 0)) for room, truth in enumerate(party.there())
                         for user in {*truth, *there[room]} if truth.get(user, 0) != there[room].get(user, 0)]
                print(f"  {len(wrong)} wrong (room, user, is said, is): {wrong[:5]}", flush=True)
                return None
            await asyncio.sleep(LOOK_SECONDS)
        return time.monotonic() - began

    def told(self):
        """User by user what was told, in order: True for a join."""
        told = collections.defaultdict(list)
        for entries in self._each(lambda pipeline, tag: pipeline.xrange(f"tg:s:{tag}")):
            for _, fields in entries:
                event = json.loads(fields[b"d"])
                if event["type"] == "presence_changed":
                    for name in ("joined", "left"):
                        for user in event["data"][name]:
                            told[user["user"]].append(name == "joined")
        return told


def odd(told, there):
    """Joins of who was there, leaves of who was not, and ends that are not so."""
    n = 0
    for user in {*told, *there}:
        words = told.get(user, [])
        n += sum(word != (i % 2 == 0) for i, word in enumerate(words)) + ((len(words) % 2 == 1) != (user in there))
    return n


class Stage:
    """Redis behind a line, three gateways, guests."""

    def __init__(self, bench, spoiled):
        self.bench, self.lease_seconds = bench, bench.sized(15, 5)
        bench.routes(ROUTES)
        self.server = bench.redis()
        self.line = bench.proxy(self.server.port)
        if spoiled:
            load_spoiled(self.server, spoiled)
        else:
            load_functions(self.server)
        url = f"redis://127.0.0.1:{self.line.port}"
        options = ("--token-secret", SECRET, "--node-lease", f"{self.lease_seconds}s", "--ping-interval", "1h")  # guests answer no ping
        self.gateways = [bench.gateway(url, f"gateway-{i}", *options) for i in range(3)]
        n_guests = bench.sized(1000, 100)
        self.party = Party([gateway.address for gateway in self.gateways], n_guests, n_guests // IN_A_ROOM)
        self.book = Book(self.server.client, n_guests // IN_A_ROOM)
        self.rate = bench.sized(200, 60)
        bench.watch(*self.gateways)

    def most(self):
        """What is promised. The short form's lease is near the 5 s that a node's own end waits, so it has some more."""
        return self.lease_seconds + self.bench.sized(2, 4)

    async def _true(self, what, began, most):
        self.bench.at_most(what, most, await self.book.seconds_until(self.party, began, most + LONG_SECONDS), " s")

    async def come_and_go(self):
        """Nothing breaks yet: it is certain what has to be told."""
        self.book.begin()
        await self.party.begin()
        await self.party.churn(self.bench.sized(12, 1.5), self.rate)
        await self.party.calm()
        await self._true("while nothing is broken presence is the truth after", time.monotonic(), 3)
        told = self.book.told()
        clear = [guest for guest in self.party.guests if not guest.is_unclear]
        wrong = [guest for guest in clear if sum(told[guest.name]) != guest.n_joins
                 or len(told[guest.name]) - sum(told[guest.name]) != guest.n_leaves + (not guest.lines)]
        for guest in wrong[:3]:
            print(f"  {guest.name}: {guest.n_joins} joins, {guest.n_leaves} leaves, {len(guest.lines)} lines, told {told[guest.name]}; away for "
                  f"{guest.times}", flush=True)
        self.bench.at_most(f"of {len(clear)} users told otherwise than they came and went", 0, len(wrong))

    async def kill_one(self):
        gateway = self.gateways[0]
        self.party.addresses.remove(gateway.address)
        began = time.monotonic()
        end_by_kill(gateway)
        await self.party.come_back(gateway.address)
        await self.party.churn(self.bench.sized(3, 0.3), self.rate)
        await self.party.calm()
        return began

    async def cut_redis(self):
        """Who only loads the page anew stays meanwhile: its new page would be refused."""
        staying = [guest for guest in self.party.guests if guest.stays]
        for guest in staying:
            guest.busy = True
        self.bench.hygiene.began = time.monotonic()
        self.line.refuse()
        await self.party.churn(self.bench.sized(4, 0.6), self.rate)
        self.line.listen()
        self.bench.hygiene.over()
        began = time.monotonic()
        for guest in staying:
            guest.busy = False
        await self.party.calm()
        return began

    async def run(self, breaks):
        try:
            await self.come_and_go()
            self.bench.hygiene.begin(9)
            if "node" in breaks:
                began = await self.kill_one()
            if breaks == ["node"] or "redis" in breaks and not self.bench.short:  # or both are waited for at once
                await self._true("after kill -9 of a node presence is the truth after", began, self.most())
            if "redis" in breaks:
                began = await self.cut_redis()
                await self._true("after Redis was away presence is the truth after", began, self.most())
            self.bench.hygiene.settled()
            there = {user for room in self.party.there() for user in room}
            told = self.book.told()
            n = sum(len(words) for words in told.values())
            self.bench.at_most(f"of {n} joins and leaves told twice, or left out", 0, odd(told, there))
            stayed = [guest for guest in self.party.guests if guest.stays and not guest.is_unclear and guest.n_joins == 1]
            again = sum(len(told[guest.name]) - 1 for guest in stayed)
            self.bench.at_most(f"of the reloads of {len(stayed)} users told to anybody", 0, again)
        finally:
            await self.party.end()


def f23(bench, spoiled="", breaks=("node", "redis")):
    """1,000 users come and go over three gateways; one is killed, Redis is away for 4 s"""
    random.seed(23)
    asyncio.run(Stage(bench, spoiled).run(list(breaks)))
    if "redis" in breaks:
        bench.hygienic()


FAULTS = (
    Fault("f23", f23, Control("each node tells of its own", "told twice", spoiled="each for itself", breaks=()),
          Control("nobody judges the dead", "after kill -9", full_only=True, spoiled="none judged", breaks=["node"])),
)

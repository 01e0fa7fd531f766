"""
Actors: clients that ask for actions, each to the end: they repeat with the same key what has none, on any gateway.

Every attempt has an id of its own. What comes for one that has had its end is counted as doubled, and one on a connection that
lives and has had no end long after its time as silent.
"""

import asyncio
import collections
import json
import random
import time

import websockets

AGAIN = {"busy", "unavailable", "unknown", "timeout", "too_many_actions"}  # whoever hears these repeats; others are an end
LATE_SECONDS = 5
TURN_SECONDS = 0.1


class Tally:
    """What all of them heard."""

    def __init__(self):
        self.ends = collections.Counter()    # (actor, number) -> answers and final errors
        self.codes = collections.Counter()   # of errors
        self.doubled = self.silent = self.broken = 0
        self.sent = []                       # of each connection the numbers, as they were sent: (actor, [number, …])


class Actor:
    def __init__(self, number, n_actions, in_flight, tally, urls, timeout_seconds, keyed):
        self.number, self.tally, self.urls, self.keyed, self.in_flight = number, tally, urls, keyed, in_flight
        self.timeout_seconds = timeout_seconds
        self.due = [(0.0, n) for n in range(n_actions)]  # when, and which
        self.open = {}  # attempt -> (number, since)
        self.n_attempts = 0

    async def run(self):
        while self.due or self.open:
            try:
                async with websockets.connect(random.choice(self.urls), compression=None, open_timeout=5, close_timeout=1) as line:
                    self.numbers = []
                    self.tally.sent.append((self.number, self.numbers))
                    await self._talk(line)
            except (OSError, websockets.WebSocketException, asyncio.TimeoutError):
                self.tally.broken += 1
            self.due = sorted([(0.0, number) for number, _ in self.open.values()] + self.due)
            self.open.clear()
            await asyncio.sleep(random.uniform(0, 0.3))

    async def _talk(self, line):
        while self.due or self.open:
            now = time.monotonic()
            while self.due and self.due[0][0] <= now and len(self.open) < self.in_flight:
                await self._ask(line, self.due.pop(0)[1])
            try:
                self._hear(json.loads(await asyncio.wait_for(line.recv(), TURN_SECONDS)))
            except asyncio.TimeoutError:
                self._look_for_silent()

    async def _ask(self, line, number):
        self.n_attempts += 1
        self.open[self.n_attempts] = (number, time.monotonic())
        self.numbers.append(number)
        message = {"type": "action", "id": self.n_attempts, "data": {"name": "work", "actor": self.number, "number": number}}
        if self.keyed:
            message["key"] = f"{self.number}.{number}"
        await line.send(json.dumps(message))

    def _hear(self, message):
        if message["type"] not in ("reply", "error"):
            return
        number, _ = self.open.pop(message.get("id"), (None, 0))
        if number is None:
            self.tally.doubled += 1
            return
        code = message["data"]["code"] if message["type"] == "error" else None
        if code:
            self.tally.codes[code] += 1
        if code in AGAIN:
            pause = message["data"].get("retry_after_ms", 100) / 1000
            self.due = sorted([*self.due, (time.monotonic() + pause, number)])
        else:
            self.tally.ends[self.number, number] += 1

    def _look_for_silent(self):
        too_old = time.monotonic() - self.timeout_seconds - LATE_SECONDS
        for attempt in [attempt for attempt, (_, since) in self.open.items() if since < too_old]:
            self.tally.silent += 1
            self.due.append((0.0, self.open.pop(attempt)[0]))

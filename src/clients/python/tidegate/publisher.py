"""Publish to a Tidegate channel with history, and know that it is there once.

    publisher = Publisher(redis.Redis())
    publisher.publish("cards", {"type": "card_updated", "data": {"id": 7}})

Under asyncio (FastAPI, say), where a call that waits would hold up everybody:

    publisher = AsyncPublisher(redis.asyncio.Redis())
    await publisher.publish("cards", {"type": "card_updated", "data": {"id": 7}})

Many events of one channel go in one call, which costs Redis down to a third for each: publisher.publish_all("cards", events).

It retries with full jitter under one idempotency key until Redis has acknowledged: however often it tried, the event is
in the channel's log once.
It opens connections of its own to where the client's go, because the client's may wait for Redis without an end.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
import uuid
from typing import Any, Optional, Sequence

import redis

from ._redis import ASYNCIO, REDIRECTS, THREADS, word_of
from ._servers import Servers, Where
from .action import text_of

KEY_TTL_MS = 120_000  # for how long a retry is recognised: longer than the deadline below
ATTEMPT_SECONDS_MAX = 2.0  # how long Redis may be silent before it is asked again
PAUSE_SECONDS = 0.05
PAUSE_SECONDS_MAX = 2.0
EVENTS_MAX = 1000  # in one call: Redis does nothing else meanwhile


class NotPublished(Exception):
    """Not acknowledged before the deadline. It may be in the log all the same: publish again with the same key."""


class _Publisher:
    """What both publishers share: what is said, for how long, and what an error means."""

    kind: Any

    def __init__(self, where: Where, size: int = 1000, ttl_seconds: float = 86_400, deadline_seconds: float = 30,
                 **options: Any) -> None:
        """where: a client of redis-py; or what the gateways have as `redis`: a URL, also redis+sentinel://HOST,HOST/NAME, or a
        list of URLs, with options of redis-py's connections, such as ssl_ca_certs. A list of clients will do, too. Sentinels of
        a URL are asked before each publication, up to twice a second; redis-py's own Sentinel stays for 11 s with a primary
        that is one no more.

        size and ttl_seconds: what the channel's log keeps, as in the gateway's route.

        publish() returns or raises within deadline_seconds, also where Redis is frozen. (Not counted by Publisher: how
        long the system takes to resolve the server's name, and how long a Sentinel without a socket_timeout is asked.)
        publish(…, within=SECONDS) is a shorter deadline for one event, until which attempts begin: the last may end four
        seconds later.
        """
        if deadline_seconds * 1000 > KEY_TTL_MS:
            raise ValueError(f"a deadline over {KEY_TTL_MS // 1000} s is longer than Redis remembers a key")
        self.size = size
        self.ttl_ms = int(ttl_seconds * 1000)
        self.deadline_seconds = deadline_seconds
        # An attempt may wait twice: for the connection and for the answer.
        self.attempt_seconds = min(ATTEMPT_SECONDS_MAX, deadline_seconds / 4)
        self.servers = Servers(self.kind, where, self.attempt_seconds, type(self).__name__, **options)

    def _words(self, channel: str, events: Sequence[Any], key: str) -> tuple[Any, ...]:
        if isinstance(events, (str, bytes)) or not isinstance(events, Sequence):
            raise TypeError("events is a list of events")
        if len(events) > EVENTS_MAX:
            raise ValueError(f"{len(events)} events are more than {EVENTS_MAX}")
        payloads = [event if isinstance(event, (str, bytes)) else json.dumps(event) for event in events]
        epoch = "".join(random.choices("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", k=8))
        return ("FCALL", "tidegate_publish_all" if payloads[1:] else "tidegate_publish", 3,
                f"tg:s:{{{channel}}}", f"tg:m:{{{channel}}}", f"tg:i:{{{channel}}}:{key}",
                payloads[0], channel, self.servers.push, self.size + 1, self.ttl_ms, epoch, KEY_TTL_MS,  # one more: the anchor
                *payloads[1:])

    def _deadline(self, within: Optional[float]) -> tuple[float, float]:
        """When to give up, and when to begin the last attempt."""
        seconds = self.deadline_seconds if within is None else min(within, self.deadline_seconds)
        give_up = time.monotonic() + seconds
        return give_up, give_up if within is not None else give_up - 2 * self.attempt_seconds


def _entries(answer: Any, count: int) -> list[str]:
    """Redis says the last one's."""
    last, tag = map(int, text_of(answer[0]).split("-"))
    if last < count:
        raise ValueError("the key names a call of fewer events")
    return [f"{offset}-{tag}" for offset in range(last - count + 1, last + 1)]


class Publisher(_Publisher):
    """For threads; any number of them may share it."""

    kind = THREADS

    def publish(self, channel: str, event: Any, key: Optional[str] = None, *, within: Optional[float] = None) -> str:
        """Returns the entry's id, "offset-tag". The key names the event, not its text: your database's id of it."""
        return self.publish_all(channel, [event], key, within=within)[0]

    def publish_all(self, channel: str, events: Sequence[Any], key: Optional[str] = None, *,
                    within: Optional[float] = None) -> list[str]:
        """As publish(), of up to 1,000 events in one call: all of them are in the log, or none. More than the log keeps push
        the first of them out at once. One key names them all: the same events, each time. More than one need a library in
        Redis as new as this package: until a gateway has loaded it, or somebody, it is tried again."""
        if not events:
            return []
        key = key or uuid.uuid4().hex
        words = self._words(channel, events, key)
        server = self.servers.of(channel)
        _, last_call = self._deadline(within)
        longest = PAUSE_SECONDS
        while True:
            try:
                server.look(last_call)
                client = server.client
                if time.monotonic() > last_call:
                    raise redis.TimeoutError("it took too long to find its server")
                return _entries(client.execute_command(*words), len(events))
            except redis.RedisError as error:
                reason, word = error, word_of(error)
            if word is None or (word in REDIRECTS and not server.follows):
                raise reason
            server.doubt(word, reason)
            pause = random.uniform(0, longest)
            if time.monotonic() + pause > last_call:
                raise NotPublished(f"{channel}, key {key}: {reason}") from reason
            time.sleep(pause)
            longest = min(longest * 2, PAUSE_SECONDS_MAX)

    def close(self) -> None:
        self.servers.close()


class AsyncPublisher(_Publisher):
    """For asyncio, within one event loop."""

    kind = ASYNCIO

    async def publish(self, channel: str, event: Any, key: Optional[str] = None, *, within: Optional[float] = None) -> str:
        """As Publisher.publish(), and the loop goes on meanwhile. Who gives up early may find the event published."""
        return (await self.publish_all(channel, [event], key, within=within))[0]

    async def publish_all(self, channel: str, events: Sequence[Any], key: Optional[str] = None, *,
                          within: Optional[float] = None) -> list[str]:
        """As Publisher.publish_all()."""
        if not events:
            return []
        key = key or uuid.uuid4().hex
        words = self._words(channel, events, key)
        server = self.servers.of(channel)
        give_up, last_call = self._deadline(within)
        longest = PAUSE_SECONDS
        while True:
            # A task, so that nobody's impatience tears a command off its answer: redis-py before 4.5.5 would give that
            # answer to the connection's next user.
            attempt = asyncio.ensure_future(self._attempt(server, words))
            attempt.add_done_callback(lambda task: task.cancelled() or task.exception())
            await asyncio.wait({attempt}, timeout=max(0, give_up - time.monotonic()))
            if not attempt.done():
                raise NotPublished(f"{channel}, key {key}: no answer in time")
            reason = attempt.exception()
            if reason is None:
                return _entries(attempt.result(), len(events))
            word = word_of(reason)
            if word is None or (word in REDIRECTS and not server.follows):
                raise reason
            await server.doubt(word, reason)
            pause = random.uniform(0, longest)
            if time.monotonic() + pause > last_call:
                raise NotPublished(f"{channel}, key {key}: {reason}") from reason
            await asyncio.sleep(pause)
            longest = min(longest * 2, PAUSE_SECONDS_MAX)

    @staticmethod
    async def _attempt(server: Any, words: tuple[Any, ...]) -> Any:
        await server.look()
        return await server.client.execute_command(*words)

    async def close(self) -> None:
        await self.servers.aclose()

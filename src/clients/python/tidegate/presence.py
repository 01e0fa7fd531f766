"""Who is on a channel, over all gateways: where a route keeps presence.

    presence = Presence(redis.Redis())
    presence.roll("cards").users          # [{"user": "42", "info": "Ada"}]
    for change in presence.follow("cards"):
        print(change.joined, change.left, change.n_users)

Under asyncio the same with AsyncPresence, `await` and `async for`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import time
from dataclasses import dataclass, field
from typing import Any, AsyncIterator, Iterator, Optional

import redis

from ._redis import ASYNCIO, REDIRECTS, THREADS, word_of
from ._servers import Servers, Where

REDIS_SECONDS = 5.0  # that Redis may be silent, and that a question is asked again while it is not itself
QUIET_SECONDS = 5.0  # without an event, until a follower asks for a sign of life
PAUSE_SECONDS, PAUSE_SECONDS_MAX = 0.1, 2.0  # between two tries while Redis is away, at first and later
USERS_MAX = 1000
BYTES_MAX = 1 << 20  # of them; a gateway answers clients with no more than an eighth of that


@dataclass
class Roll:
    """Who is there: users, each with what its route tells of it, and how many connections have no token."""

    n_users: int
    n_anonymous: int
    users: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Change:
    """
    Who came and left. Both are empty where the route has `list: false`, or where only n_anonymous has changed. missed: the link to
    Redis was lost, and is back. The numbers are those of now; who came and left meanwhile was not heard, so ask roll().
    """

    n_users: int
    n_anonymous: int
    joined: list[dict[str, Any]] = field(default_factory=list)
    left: list[dict[str, Any]] = field(default_factory=list)
    missed: bool = False


log = logging.getLogger("tidegate.presence")


def _words(channel: str, prefix: str, users_max: int) -> tuple[Any, ...]:
    return "FCALL_RO", "tidegate_present", 1, f"tg:q:{{{prefix}{channel}}}", users_max, BYTES_MAX


def _roll(answer: Any) -> Roll:
    text = answer[2].decode() if isinstance(answer[2], bytes) else answer[2]
    return Roll(int(answer[0]), int(answer[1]), json.loads(f"[{text}]"))


def _change(message: Any) -> Optional[Change]:
    """None: another event of the channel."""
    data = message["type"] in ("message", "smessage") and message["data"]
    if not data:
        return None
    text = data if isinstance(data, str) else data.decode("utf-8", "replace")
    if text.startswith("\1"):  # an entry of a log, behind a line about its place
        text = text.partition("\n")[2]
    try:
        event = json.loads(text)
    except ValueError:
        return None
    if not isinstance(event, dict) or event.get("type") != "presence_changed":
        return None
    said = event["data"]
    return Change(said["n_users"], said["n_anonymous"], said.get("joined", []), said.get("left", []))


class _Listening:
    """What both kinds share of one subscription: what a message means, and when the other end has been silent for too long."""

    def __init__(self, is_cluster: bool) -> None:
        """In a cluster gateways publish sharded, unless they are told not to: both ways are heard, and nothing comes by both."""
        self.awaited = {"subscribe", "ssubscribe"} if is_cluster else {"subscribe"}
        self.asked = False
        self.until = time.monotonic() + QUIET_SECONDS

    @property
    def seconds(self) -> float:
        """To wait for a message. Older versions of redis-py come back before that."""
        return max(0.001, self.until - time.monotonic())

    def is_silent(self) -> bool:
        """Is a sign of life to be asked for?"""
        if time.monotonic() < self.until:
            return False
        if self.asked or self.awaited:
            raise redis.TimeoutError("Redis is silent")
        self.asked, self.until = True, time.monotonic() + REDIS_SECONDS
        return True

    def take(self, message: Any) -> Optional[Change]:
        self.asked, self.until = False, time.monotonic() + QUIET_SECONDS
        if message["type"] == "sunsubscribe":
            raise redis.ConnectionError("the channel's slot has moved to another server")
        self.awaited.discard(message["type"])
        return _change(message)


class _Presence:
    """What both kinds share: where a channel is, and what an error means."""

    kind = THREADS

    def __init__(self, where: Where, channel_prefix: str = "", **options: Any) -> None:
        """where, options: of Redis, as a Publisher has it. channel_prefix: as the gateways have it."""
        self.servers, self.prefix = Servers(self.kind, where, REDIS_SECONDS, type(self).__name__, **options), channel_prefix

    @staticmethod
    def _word(server: Any, error: BaseException, until: float = float("inf")) -> str:
        """Raises what does not get better, at least not by then."""
        word = word_of(error)
        if word is None or (word in REDIRECTS and not server.follows) or time.monotonic() >= until:
            raise error
        return word

    @staticmethod
    def _pause(tries: int) -> float:
        return random.uniform(0, min(PAUSE_SECONDS_MAX, PAUSE_SECONDS * 2 ** min(tries, 10)))


class Presence(_Presence):
    """For threads; any number of them may share it."""

    def roll(self, channel: str, users_max: int = USERS_MAX) -> Roll:
        """Who is there now. A Redis that is not itself is asked again, for five seconds."""
        server, tries, until = self.servers.of(self.prefix + channel), 0, time.monotonic() + REDIS_SECONDS
        while True:
            try:
                server.look()
                return _roll(server.client.execute_command(*_words(channel, self.prefix, users_max)))
            except redis.RedisError as error:
                server.doubt(self._word(server, error, until), error)
            time.sleep(self._pause(tries))
            tries += 1

    def follow(self, channel: str) -> Iterator[Change]:
        """
        For ever, from when the subscription is made: ask roll() behind the first to know where that was. A link that is
        lost is made again, and so is one to a server that the channel has left; a Change with `missed` says that it was.
        """
        name, tries, stood = self.prefix + channel, 0, False
        server = self.servers.of(name)
        while True:
            try:
                server.look()
                with server.client.pubsub() as heard:
                    heard.subscribe(name)
                    if self.servers.cluster:
                        heard.execute_command("SSUBSCRIBE", name)
                    for change in self._hear(heard):
                        tries = 0
                        if change:
                            yield change
                        elif stood:
                            now = self.roll(channel, 0)
                            yield Change(now.n_users, now.n_anonymous, missed=True)
                        stood = True
            except redis.RedisError as error:
                word = self._word(server, error)
                log.warning("redis: %s", error)
                server.doubt(word, error)
            time.sleep(self._pause(tries))
            tries += 1

    def _hear(self, heard: Any) -> Iterator[Optional[Change]]:
        """None, when the subscription stands, and then what it brings."""
        listening, stands = _Listening(bool(self.servers.cluster)), False
        while True:
            message = heard.get_message(timeout=listening.seconds)
            change = listening.take(message) if message else None
            if not stands and not listening.awaited:
                stands = True
                yield None
            if change:
                yield change
            if not message and listening.is_silent():
                heard.ping()

    def close(self) -> None:
        self.servers.close()


class AsyncPresence(_Presence):
    """For asyncio, within one event loop."""

    kind = ASYNCIO

    async def roll(self, channel: str, users_max: int = USERS_MAX) -> Roll:
        """As Presence.roll()."""
        server, tries, until = self.servers.of(self.prefix + channel), 0, time.monotonic() + REDIS_SECONDS
        while True:
            try:
                await server.look()
                return _roll(await server.client.execute_command(*_words(channel, self.prefix, users_max)))
            except redis.RedisError as error:
                await server.doubt(self._word(server, error, until), error)
            await asyncio.sleep(self._pause(tries))
            tries += 1

    async def follow(self, channel: str) -> AsyncIterator[Change]:
        """As Presence.follow()."""
        name, tries, stood = self.prefix + channel, 0, False
        server = self.servers.of(name)
        while True:
            try:
                await server.look()
                async with server.client.pubsub() as heard:
                    await heard.subscribe(name)
                    if self.servers.cluster:
                        await heard.execute_command("SSUBSCRIBE", name)
                    async for change in self._hear(heard):
                        tries = 0
                        if change:
                            yield change
                        elif stood:
                            now = await self.roll(channel, 0)
                            yield Change(now.n_users, now.n_anonymous, missed=True)
                        stood = True
            except redis.RedisError as error:
                word = self._word(server, error)
                log.warning("redis: %s", error)
                await server.doubt(word, error)
            await asyncio.sleep(self._pause(tries))
            tries += 1

    async def _hear(self, heard: Any) -> AsyncIterator[Optional[Change]]:
        """As Presence._hear()."""
        listening, stands = _Listening(bool(self.servers.cluster)), False
        while True:
            message = await heard.get_message(timeout=listening.seconds)
            change = listening.take(message) if message else None
            if not stands and not listening.awaited:
                stands = True
                yield None
            if change:
                yield change
            if not message:
                await asyncio.sleep(0.001)  # older versions of redis-py come back at once where nothing is there
                if listening.is_silent():
                    await heard.ping()

    async def close(self) -> None:
        await self.servers.aclose()

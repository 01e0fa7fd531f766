"""Who is on a channel, over all gateways: where a route keeps presence.

    presence = Presence(redis.Redis())
    presence.roll("cards").users          # [{"user": "42", "info": "Ada"}]
    for change in presence.follow("cards"):
        print(change.joined, change.left, change.n_users)

Under asyncio the same with AsyncPresence, `await` and `async for`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, AsyncIterator, Iterator, Optional

from ._redis import ASYNCIO, THREADS
from ._servers import Servers, Where

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
    """Who came and left. Both are empty where the route has `list: false`, or where only n_anonymous has changed."""

    n_users: int
    n_anonymous: int
    joined: list[dict[str, Any]] = field(default_factory=list)
    left: list[dict[str, Any]] = field(default_factory=list)


def _words(channel: str, prefix: str, users_max: int) -> tuple[Any, ...]:
    return "FCALL_RO", "tidegate_present", 1, f"tg:q:{{{prefix}{channel}}}", users_max, BYTES_MAX


def _roll(answer: Any) -> Roll:
    text = answer[2].decode() if isinstance(answer[2], bytes) else answer[2]
    return Roll(int(answer[0]), int(answer[1]), json.loads(f"[{text}]"))


def _change(message: Any) -> Optional[Change]:
    """None: another event of the channel."""
    data = message and message["type"] == "message" and message["data"]
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


class Presence:
    """For threads. where: as a Publisher has it; a client is used as it is. channel_prefix: as the gateways have it."""

    def __init__(self, where: Where, channel_prefix: str = "", **options: Any) -> None:
        self.servers, self.prefix = Servers(THREADS, where, None, type(self).__name__, **options), channel_prefix

    def _client(self, channel: str) -> Any:
        server = self.servers.of(self.prefix + channel)
        server.look()
        return server.client

    def roll(self, channel: str, users_max: int = USERS_MAX) -> Roll:
        return _roll(self._client(channel).execute_command(*_words(channel, self.prefix, users_max)))

    def follow(self, channel: str) -> Iterator[Change]:
        """For ever, from when the subscription is made: ask roll() behind the first to know where that was. What happens
        while the link is lost is not heard (redis-py dials again by itself): ask roll() now and then."""
        with self._client(channel).pubsub() as heard:
            heard.subscribe(self.prefix + channel)
            for message in heard.listen():
                change = _change(message)
                if change:
                    yield change


class AsyncPresence:
    """For asyncio: as Presence."""

    def __init__(self, where: Where, channel_prefix: str = "", **options: Any) -> None:
        self.servers, self.prefix = Servers(ASYNCIO, where, None, type(self).__name__, **options), channel_prefix

    async def _client(self, channel: str) -> Any:
        server = self.servers.of(self.prefix + channel)
        await server.look()
        return server.client

    async def roll(self, channel: str, users_max: int = USERS_MAX) -> Roll:
        return _roll(await (await self._client(channel)).execute_command(*_words(channel, self.prefix, users_max)))

    async def follow(self, channel: str) -> AsyncIterator[Change]:
        async with (await self._client(channel)).pubsub() as heard:
            await heard.subscribe(self.prefix + channel)
            async for message in heard.listen():
                change = _change(message)
                if change:
                    yield change

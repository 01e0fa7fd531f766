"""In the place of a socket manager that lives inside the application: the same calls, and every gateway hears them.

    manager = Manager(redis.asyncio.Redis(), "cards")
    await manager.broadcast({"type": "card_updated", "data": {"id": 7}})
    await manager.broadcast_to_item(7, {"type": "card_moved", "data": {"to": "done"}})

Sockets are the gateways' now, so nothing is left of connect() and disconnect(), and what handle_message() did is a Worker's
(docs/from-fastapi.md goes through it step by step).
"""

from __future__ import annotations

import asyncio
import json
from typing import Any, Optional
from urllib.parse import quote

from ._redis import ASYNCIO
from ._servers import Servers, Where
from .publisher import AsyncPublisher


class Manager:
    """For asyncio, within one event loop."""

    def __init__(self, where: Where, topic: str, history: bool = False, beside: Any = None, **options: Any) -> None:
        """where, options: of Redis, as an AsyncPublisher has it. topic: the channel of broadcast(); those of items are "topic:ITEM".

        history: the gateways' route keeps one, so that clients which come back get what they missed.
        beside: the manager that this one replaces, while some clients are still connected to the application: it hears each
        broadcast too, and everything else that is asked of this one, such as connect(), is asked of it.
        """
        self.topic = topic
        self.beside = beside
        self.servers = Servers(ASYNCIO, where, None, type(self).__name__, **options)
        self.publisher: Optional[AsyncPublisher] = AsyncPublisher(where, **options) if history else None

    async def broadcast(self, message: Any) -> None:
        """To all who look at the topic. message: what json.dumps() takes; or a str, which is JSON already."""
        await self._send(self.topic, message, "broadcast", message)

    async def broadcast_to_item(self, item_id: Any, message: Any) -> None:
        """To all who look at this item. Of an id, what cannot stand in a channel's name is escaped as gateways do it."""
        await self._send(f"{self.topic}:{quote(str(item_id), safe='')}", message, "broadcast_to_item", item_id, message)

    async def close(self) -> None:
        if self.publisher:
            await self.publisher.close()
        await self.servers.aclose()

    async def _send(self, channel: str, message: Any, name: str, *told: Any) -> None:
        """Neither way waits for the other, or fails with it. The first that failed is the caller's to know."""
        ways = [self._publish(channel, message)]
        if self.beside is not None:
            ways.append(getattr(self.beside, name)(*told))
        for outcome in await asyncio.gather(*ways, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome

    async def _publish(self, channel: str, message: Any) -> None:
        payload = message if isinstance(message, (str, bytes)) else json.dumps(message)
        if self.publisher:
            await self.publisher.publish(channel, payload)
        else:
            server = self.servers.of(channel)
            await server.look()
            await server.client.publish(channel, payload)

    def __getattr__(self, name: str) -> Any:
        """connect(), disconnect(), handle_message(), active_connections, …: of the manager beside this one."""
        if self.__dict__.get("beside") is not None:
            return getattr(self.beside, name)
        raise AttributeError(f"{type(self).__name__} has no {name}: clients connect to a gateway, and what they ask is for a "
                             "Worker (docs/from-fastapi.md)")

"""Have something done to connections, on all gateways (docs/control.md).

    control = Control(redis.Redis())
    control.disconnect(user="42", code=4100, reason="moved")      # Outcome(n=3, nodes={...}, silent=())
    control.revoke(user="42", until=time.time() + 3600)

Under asyncio: `AsyncControl(redis.asyncio.Redis())`, and `await control.disconnect(...)`. Each call returns what every gateway
has done, or after two seconds without an answer of some, which ones. Commands are published with history: a gateway
that is cut off carries out what it missed.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
import uuid
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from ._redis import ASYNCIO, THREADS
from ._servers import Servers, Where

SIZE = 1001  # entries of the log: one more than may be missed, the anchor
TTL_MS = 3_600_000
ANSWER_SECONDS = 2.0
REDIS_SECONDS = 5.0  # that Redis may be silent


class Refused(ValueError):
    """Some gateway says that the command makes no sense, or could not carry it out."""


class Outcome(NamedTuple):
    """n: for how many connections it was done. silent: gateways that are announced and have not answered."""

    n: int
    nodes: Dict[str, int]
    silent: Tuple[str, ...]


class _Gathering:
    """The answers so far, and who is still to give one."""

    def __init__(self, announced: List[str]) -> None:
        self.announced = announced
        self.nodes: Dict[str, int] = {}
        self.errors: Dict[str, str] = {}

    def note(self, message: Optional[Dict[str, Any]]) -> None:
        if not message or message["type"] not in ("message", "smessage"):
            return
        try:
            answer = json.loads(message["data"])
            node, n = str(answer["node"]), int(answer["n"])
        except (ValueError, KeyError, TypeError):
            return  # anybody with the right may publish there
        self.nodes[node] = n
        if "error" in answer:
            self.errors[node] = str(answer["error"])

    @property
    def is_complete(self) -> bool:
        return bool(self.announced) and all(node in self.nodes for node in self.announced)

    def outcome(self) -> Outcome:
        if self.errors:
            raise Refused("; ".join(sorted({f"{node}: {error}" for node, error in self.errors.items()})))
        return Outcome(sum(self.nodes.values()), dict(self.nodes),
                       tuple(node for node in self.announced if node not in self.nodes))


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


class _Control:
    """What both kinds share: the words of a command, and where it is published."""

    kind = THREADS

    def __init__(self, where: Where, prefix: str = "", seconds: float = ANSWER_SECONDS, **options: Any) -> None:
        """where, options: of Redis, as a Publisher has it. prefix: the gateways' channel_prefix. seconds: to wait for their answers."""
        self.prefix, self.seconds = prefix, seconds
        self.channel = f"{prefix}tg:control"
        self.set = f"tg:{{{prefix}nodes}}"
        self.servers = Servers(self.kind, where, REDIS_SECONDS, type(self).__name__, **options)

    def _words(self, command: Dict[str, Any]) -> Tuple[Any, ...]:
        epoch = "".join(random.choices("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", k=8))
        return ("FCALL", "tidegate_publish", 2, f"tg:s:{{{self.channel}}}", f"tg:m:{{{self.channel}}}",
                json.dumps(command), self.channel, self.servers.push, SIZE, TTL_MS, epoch)

    @staticmethod
    def _command(what: str, **members: Any) -> Dict[str, Any]:
        return {"do": what, **{name: value for name, value in members.items() if value is not None}}

    @staticmethod
    def _reply() -> str:
        return f"tg:c:{uuid.uuid4().hex}"

    @staticmethod
    def _revocation(user: Optional[str], token: Optional[str], issued_before: Optional[float], until: float) -> Dict[str, Any]:
        if user is not None and issued_before is None:
            issued_before = time.time()
        return _Control._command("revoke", user=user, token=token, issued_before=issued_before, until=until)


class Control(_Control):
    """For threads; any number of them may share it."""

    def disconnect(self, *, conn: Optional[str] = None, user: Optional[str] = None, token: Optional[str] = None,
                   channel: Optional[str] = None, route: Optional[str] = None, code: Optional[int] = None,
                   reason: Optional[str] = None) -> Outcome:
        """One of conn ("NODE.NUMBER", as an action says it), user, token (its jti), channel, route (as configured)."""
        return self.send(self._command("disconnect", conn=conn, user=user, token=token, channel=channel, route=route,
                                       code=code, reason=reason))

    def subscribe(self, channel: str, *, conn: Optional[str] = None, user: Optional[str] = None) -> Outcome:
        return self.send(self._command("subscribe", channel=channel, conn=conn, user=user))

    def unsubscribe(self, channel: str, *, conn: Optional[str] = None, user: Optional[str] = None) -> Outcome:
        return self.send(self._command("unsubscribe", channel=channel, conn=conn, user=user))

    def refresh(self, user: str) -> Outcome:
        """Asks for fresh tokens, and closes after 30 s who has shown none."""
        return self.send(self._command("refresh", user=user))

    def revoke(self, *, user: Optional[str] = None, token: Optional[str] = None, issued_before: Optional[float] = None,
               until: float) -> Outcome:
        """Takes back a token (its jti), or a user's tokens that were made before (now): until then, in seconds since 1970."""
        return self.send(self._revocation(user, token, issued_before, until))

    def send(self, command: Dict[str, Any]) -> Outcome:
        """A command as docs/control.md has it, without `reply`."""
        reply = self._reply()
        for name in self.channel, self.prefix + reply, self.set:
            self.servers.of(name).look()
        self.servers.of_nodes(self.set).look()
        with self.servers.of(self.prefix + reply).client.pubsub() as pubsub:
            pubsub.subscribe(self.prefix + reply)
            if self.servers.cluster:  # where gateways answer on the sharded channel
                pubsub.execute_command("SSUBSCRIBE", self.prefix + reply)
            deadline = time.monotonic() + REDIS_SECONDS
            while (pubsub.get_message(timeout=max(0.0, deadline - time.monotonic())) or {}).get("type") != "subscribe":
                if time.monotonic() >= deadline:
                    raise TimeoutError("Redis does not let us hear the answers: nothing was done")
            gathering = _Gathering(self._announced())
            self.servers.of(self.channel).client.execute_command(*self._words({**command, "reply": reply}))
            deadline = time.monotonic() + self.seconds
            while not gathering.is_complete and time.monotonic() < deadline:
                gathering.note(pubsub.get_message(timeout=max(0.0, deadline - time.monotonic())))
            return gathering.outcome()

    def _announced(self) -> List[str]:
        client = self.servers.of_nodes(self.set).client
        ids = sorted(_text(node) for node in client.smembers(self.set))
        return [node for node in ids if client.exists(f"{self.set}:{node}")]

    def close(self) -> None:
        self.servers.close()


class AsyncControl(_Control):
    """For asyncio, within one event loop."""

    kind = ASYNCIO

    async def disconnect(self, *, conn: Optional[str] = None, user: Optional[str] = None, token: Optional[str] = None,
                         channel: Optional[str] = None, route: Optional[str] = None, code: Optional[int] = None,
                         reason: Optional[str] = None) -> Outcome:
        """As Control.disconnect()."""
        return await self.send(self._command("disconnect", conn=conn, user=user, token=token, channel=channel, route=route,
                                             code=code, reason=reason))

    async def subscribe(self, channel: str, *, conn: Optional[str] = None, user: Optional[str] = None) -> Outcome:
        return await self.send(self._command("subscribe", channel=channel, conn=conn, user=user))

    async def unsubscribe(self, channel: str, *, conn: Optional[str] = None, user: Optional[str] = None) -> Outcome:
        return await self.send(self._command("unsubscribe", channel=channel, conn=conn, user=user))

    async def refresh(self, user: str) -> Outcome:
        """As Control.refresh()."""
        return await self.send(self._command("refresh", user=user))

    async def revoke(self, *, user: Optional[str] = None, token: Optional[str] = None, issued_before: Optional[float] = None,
                     until: float) -> Outcome:
        """As Control.revoke()."""
        return await self.send(self._revocation(user, token, issued_before, until))

    async def send(self, command: Dict[str, Any]) -> Outcome:
        """As Control.send()."""
        reply = self._reply()
        for name in self.channel, self.prefix + reply, self.set:
            await self.servers.of(name).look()
        await self.servers.of_nodes(self.set).look()
        async with self.servers.of(self.prefix + reply).client.pubsub() as pubsub:
            await pubsub.subscribe(self.prefix + reply)
            if self.servers.cluster:
                await pubsub.execute_command("SSUBSCRIBE", self.prefix + reply)
            deadline = time.monotonic() + REDIS_SECONDS
            while (await self._message(pubsub, deadline) or {}).get("type") != "subscribe":
                if time.monotonic() >= deadline:
                    raise TimeoutError("Redis does not let us hear the answers: nothing was done")
            gathering = _Gathering(await self._announced())
            await self.servers.of(self.channel).client.execute_command(*self._words({**command, "reply": reply}))
            deadline = time.monotonic() + self.seconds
            while not gathering.is_complete and time.monotonic() < deadline:
                gathering.note(await self._message(pubsub, deadline))
            return gathering.outcome()

    @staticmethod
    async def _message(pubsub: Any, deadline: float) -> Optional[Dict[str, Any]]:
        """The next one, or None at the deadline: older versions of redis-py return at once where nothing is there."""
        message: Optional[Dict[str, Any]] = await pubsub.get_message(timeout=max(0.001, deadline - time.monotonic()))
        if message is None:
            await asyncio.sleep(0.001)
        return message

    async def _announced(self) -> List[str]:
        client = self.servers.of_nodes(self.set).client
        ids = sorted(_text(node) for node in await client.smembers(self.set))
        return [node for node in ids if await client.exists(f"{self.set}:{node}")]

    async def close(self) -> None:
        await self.servers.aclose()

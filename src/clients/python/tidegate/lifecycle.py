"""Hear who comes and goes: the stream of a Tidegate route with `lifecycle`.

    lifecycle = Lifecycle(redis.Redis(), "sessions")

    @lifecycle.on("disconnected")
    def gone(event):
        store.offline(event.user, event.conn, event.reason)

    lifecycle.run()

AsyncLifecycle is the same under asyncio, with `async def` and `await lifecycle.run()`. Readers of one group share the stream, and each group hears
all of it. An entry is acknowledged once its handler has returned. What a reader that died had not acknowledged is taken over after claim_seconds, and
so is an entry whose handler failed: make handlers repeatable; `conn` with `event` tells one entry from another.
"""

from __future__ import annotations

import functools
import json
import logging
import time
from dataclasses import dataclass, field
from typing import Any, Callable, Iterable, Optional, cast

from ._work import CLAIM_CALLS_MAX, GIVEN_BACK_MS, Handler, Steps, Work
from .action import text_of
from .worker import AsyncWorker, Worker

READ_MAX = 100  # entries at once

log = logging.getLogger("tidegate.lifecycle")


@dataclass(frozen=True)
class LifecycleEvent:
    """An entry of the stream: docs/lifecycle.md. Of a channel `channel` is said, of a connection `conn` and what follows."""

    entry: str
    event: str
    node: str
    at: float  # seconds since 1970, on the clock of Redis
    channel: str = ""
    conn: str = ""
    user: str = ""
    route: str = ""
    vars: dict[str, str] = field(default_factory=dict)
    code: Optional[int] = None  # of `disconnected`, like `reason`
    reason: str = ""


def read_event(entry: Any, raw: dict[Any, Any]) -> LifecycleEvent:
    """ValueError for what no gateway has written."""
    said = {text_of(name): text_of(value) for name, value in raw.items()}
    try:
        return LifecycleEvent(text_of(entry), said["event"], said["node"], int(said["at"]) / 1000, said.get("channel", ""),
                              said.get("conn", ""), said.get("user", ""), said.get("route", ""), json.loads(said.get("vars", "{}")),
                              int(said["code"]) if "code" in said else None, said.get("reason", ""))
    except KeyError as error:
        raise ValueError(f"it has no {error}") from error


class _Reading(Work):
    """What both readers share. It reads, pauses and gives up as a worker does, and has one entry after the other handled."""

    def on(self, *events: str) -> Callable[[Handler], Handler]:
        """Decorates the handler of these events; without any: of all that have no handler of their own."""
        def take(handler: Handler) -> Handler:
            self.handlers.update({event: handler for event in events or ("*",)})
            return handler
        return take

    def _take_turn(self) -> Steps[None]:
        yield from self._hand_on((yield from self._read(READ_MAX)))

    def _keep_house(self) -> Steps[None]:
        """The group, and what others left."""
        yield from self._make_group()
        for _ in range(CLAIM_CALLS_MAX):
            answer = yield functools.partial(self._call, "xautoclaim", self.stream, self.group, self.name, int(self.claim_seconds * 1000),
                                             start_id=self.cursor, count=READ_MAX)
            self.cursor = text_of(answer[0])
            yield from self._hand_on([(entry, raw) for entry, raw in answer[1] if raw is not None])
            if self.cursor == "0-0" or self.stopping:
                return

    def _hand_on(self, entries: Iterable[Any]) -> Steps[None]:
        rest, kept = list(entries), time.monotonic()
        while rest and not self.stopping:
            if time.monotonic() - kept > self.claim_seconds / 3:  # or another reader would take them for left
                yield functools.partial(self._call, "xclaim", self.stream, self.group, self.name, 0, [entry for entry, _ in rest], justid=True)
                kept = time.monotonic()
            entry, raw = rest.pop(0)
            if (yield from self._handle(entry, raw)):
                yield from self._retried(functools.partial(self._call, "xack", self.stream, self.group, entry))
        if rest:
            yield functools.partial(self._call, "xclaim", self.stream, self.group, self.name, 0, [entry for entry, _ in rest],
                                    idle=GIVEN_BACK_MS, justid=True)

    def _handle(self, entry: Any, raw: Any) -> Steps[bool]:
        """False: it is handed on again a while later."""
        try:
            event = read_event(entry, raw)
        except ValueError as error:
            log.error("not of a gateway, passed over: %s: %s", text_of(entry), error)
            return True
        handler = self.handlers.get(event.event) or self.handlers.get("*")
        try:
            if handler:
                yield functools.partial(self.begin, handler, cast(Any, event))
        except (Exception, SystemExit) as error:  # pylint: disable=broad-except
            log.error("a handler failed, and is called again a while later: %s %s", event.event, event.entry, exc_info=error)
            return False
        return True


class Lifecycle(_Reading, Worker):
    """For threads: run() calls handlers on its own. where, stream, group, name, claim_seconds, options: as a Worker has them."""


class AsyncLifecycle(_Reading, AsyncWorker):
    """Under asyncio: as Lifecycle, with `async def`."""

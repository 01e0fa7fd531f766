"""What several ask for at the same time is done in one call: who comes while a call is under way shares the next one."""

from __future__ import annotations

import functools
from typing import Any, Callable, Generator, Optional

Steps = Generator[Callable[[], Any], Any, None]

TURN_SECONDS = 1.0  # so long the call before is waited for: it may hang, and not for us


class _Call:
    """One that is gathered, or under way. It has failed unless it says otherwise: whoever does it may be cancelled."""

    def __init__(self, over: Any) -> None:
        self.items: list[Any] = []
        self.n_bytes = 0
        self.over = over
        self.error: Optional[BaseException] = RuntimeError("who was at it has ended")


class Together:
    """Calls of one kind, by where they go. Steps and events are those of the worker: _work.py."""

    def __init__(self, work: Any, carry_out: Callable[[list[Any]], Steps], bytes_max: int) -> None:
        self.work, self.carry_out, self.bytes_max = work, carry_out, bytes_max
        self.gathered: dict[str, _Call] = {}  # the one that takes more
        self.newest: dict[str, _Call] = {}  # of those that are not over

    def do(self, where: str, item: Any, n_bytes: int = 0) -> Steps:
        """Raises what the call raised. The first of a call is the one that makes it."""
        with self.work.lock:
            call, before = self.gathered.get(where), self.newest.get(where)
            is_first = call is None or call.n_bytes + n_bytes > self.bytes_max
            if call is None or is_first:
                call = self.gathered[where] = self.newest[where] = _Call(self.work.new_event())
            call.items.append(item)
            call.n_bytes += n_bytes
        if is_first:
            yield from self._make(where, call, before)
        else:
            yield functools.partial(self.work.wait_for, call.over, None)
        if call.error:
            raise call.error

    def _make(self, where: str, call: _Call, before: Optional[_Call]) -> Steps:
        try:
            if before:
                yield functools.partial(self.work.wait_for, before.over, TURN_SECONDS)
            with self.work.lock:
                if self.gathered.get(where) is call:
                    del self.gathered[where]
            yield from self.carry_out(call.items)
            call.error = None
        except Exception as error:  # pylint: disable=broad-except
            call.error = error
        finally:
            with self.work.lock:
                for calls in self.gathered, self.newest:
                    if calls.get(where) is call:
                        del calls[where]
            call.over.set()

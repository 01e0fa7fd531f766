"""Carry out what clients ask of a Tidegate route with `actions`, and answer.

    worker = Worker(redis.Redis(), "cards-actions")

    @worker.action("move")
    def move(action):
        return {"version": store.move(action.data["card"], action.data["to"])}

    worker.run()

AsyncWorker is the same under asyncio, with `async def` and `await worker.run()`. What a handler returns is the answer; what it
yields are parts of one; an ActionError is told to the client in its own words, and any other exception as `failed`.

Any number of workers share a stream. Of one connection a worker carries out one action after the other. An action with a key
is carried out once while workers live and reach Redis within claim_seconds: one that comes with the same key meanwhile waits, and for two minutes after the answer the
answer is repeated; of one that was away for longer another worker takes over what it was at, and it says no answer of its own. What a dead worker left is taken over after claim_seconds; how far it had come nobody knows, so make handlers
repeatable, or say `@worker.action("pay", once=True)`: then an action with a key that a dead worker had begun is answered `interrupted`.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import inspect
import signal
import threading
import time
from typing import Any, Optional

from ._redis import ASYNCIO, THREADS
from ._work import Handler, Steps, T, Work
from .action import Action
from .publisher import AsyncPublisher, Publisher


class Worker(Work):
    """With threads: a handler may block, and yields parts from an ordinary generator."""

    kind, publisher_class = THREADS, Publisher

    def run(self, signals: bool = True) -> None:
        """Until stop(), or SIGTERM or SIGINT if this is the main thread."""
        if signals and threading.current_thread() is threading.main_thread():
            for one in (signal.SIGTERM, signal.SIGINT):
                signal.signal(one, lambda *_: self.stop())
        self.changed = threading.Event()
        try:
            with concurrent.futures.ThreadPoolExecutor(self.at_once) as self.threads:
                try:
                    self._drive(self._serve())
                finally:
                    self.stopping = True
        finally:
            self.servers.close()
            self.publisher.close()

    @staticmethod
    def _drive(steps: Steps[T]) -> T:
        value: Any = None
        error: Optional[BaseException] = None
        while True:
            try:
                call = steps.throw(error) if error else steps.send(value)
            except StopIteration as end:
                result: T = end.value
                return result
            value, error = None, None
            try:
                value = call()
            except (Exception, SystemExit) as raised:  # pylint: disable=broad-except
                error = raised

    new_event = threading.Event

    @staticmethod
    def wait_for(event: Any, seconds: Optional[float]) -> Any:
        return event.wait(seconds)

    def start(self, steps: Steps[None]) -> None:
        self.threads.submit(lambda: self._drive(steps))

    @staticmethod
    def sleep(seconds: float) -> None:
        time.sleep(seconds)

    @staticmethod
    def has_parts(result: Any) -> bool:
        return inspect.isgenerator(result)

    @staticmethod
    def begin(handler: Handler, action: Action) -> Any:
        return handler(action)

    @staticmethod
    def advance(parts: Any) -> tuple[bool, Any]:
        try:
            return False, next(parts)
        except StopIteration as end:
            return True, end.value

    @staticmethod
    def end_parts(parts: Any) -> None:
        parts.close()


class AsyncWorker(Work):
    """Under asyncio; handlers are `async def`, and `async` generators for answers in parts."""

    kind, publisher_class = ASYNCIO, AsyncPublisher

    async def run(self, signals: bool = True) -> None:
        """
        Until stop(), or SIGTERM or SIGINT if this is the main thread and nobody else deals with SIGTERM, as a web server would;
        or until it is cancelled, which is the same, and waits for what is under way as well.
        """
        self.tasks: set[Any] = set()
        self.changed = asyncio.Event()
        serving = asyncio.ensure_future(self._drive(self._serve()))
        before = self._take_signals() if signals else {}
        try:
            await asyncio.shield(serving)
        except asyncio.CancelledError:
            self.stop()
            await serving
            raise
        finally:
            self.stopping = True
            await asyncio.gather(*self.tasks, return_exceptions=True)
            await self.servers.aclose()
            await self.publisher.close()
            for one, handler in before.items():
                asyncio.get_running_loop().remove_signal_handler(one)
                signal.signal(one, handler)

    def _take_signals(self) -> dict[signal.Signals, Any]:
        """What dealt with them before."""
        before: dict[signal.Signals, Any] = {}
        if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            with contextlib.suppress(NotImplementedError):  # not all loops can
                for one in (signal.SIGTERM, signal.SIGINT):
                    handler = signal.getsignal(one)
                    asyncio.get_running_loop().add_signal_handler(one, self.stop)
                    before[one] = handler
        return before

    @staticmethod
    async def _drive(steps: Steps[T]) -> T:
        value: Any = None
        error: Optional[BaseException] = None
        while True:
            try:
                call = steps.throw(error) if error else steps.send(value)
            except StopIteration as end:
                result: T = end.value
                return result
            value, error = None, None
            try:
                value = await call()
            except (Exception, SystemExit) as raised:  # pylint: disable=broad-except
                error = raised

    new_event = asyncio.Event

    @staticmethod
    async def wait_for(event: Any, seconds: Optional[float]) -> None:
        try:
            await asyncio.wait_for(event.wait(), seconds)
        except asyncio.TimeoutError:
            pass

    def start(self, steps: Steps[None]) -> None:
        task = asyncio.ensure_future(self._drive(steps))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    @staticmethod
    async def sleep(seconds: float) -> None:
        await asyncio.sleep(seconds)

    @staticmethod
    def has_parts(result: Any) -> bool:
        return inspect.isasyncgen(result)

    @staticmethod
    async def begin(handler: Handler, action: Action) -> Any:
        result = handler(action)
        try:
            return result if inspect.isasyncgen(result) else await result
        except asyncio.CancelledError as error:  # nobody cancels us: it has waited for something that was
            raise RuntimeError("the handler was cancelled") from error

    @staticmethod
    async def advance(parts: Any) -> tuple[bool, Any]:
        try:
            return False, await parts.__anext__()
        except StopAsyncIteration:
            return True, None
        except asyncio.CancelledError as error:
            raise RuntimeError("the handler was cancelled") from error

    @staticmethod
    async def end_parts(parts: Any) -> None:
        await parts.aclose()

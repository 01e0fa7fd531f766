"""Carry out what clients ask of a Tidegate route with `actions`, and answer.

    worker = Worker(redis.Redis(), "cards-actions")

    @worker.action("move")
    def move(action):
        return {"version": store.move(action.data["card"], action.data["to"])}

    worker.run()

AsyncWorker is the same under asyncio, with `async def` and `await worker.run()`. What a handler returns is the answer; what it
yields are parts of one; an ActionError is told to the client in its own words, and any other exception as `failed`.

Any number of workers share a stream. Of one connection a worker carries out one action after the other. An action that was
answered is not carried out again under the same key for two minutes: the answer is repeated. What a dead worker left is taken
over after claim_seconds; whether it had been carried out by then nobody knows, so make handlers repeatable, or say
`@worker.action("pay", once=True)`: then an action with a key that a dead worker had begun is answered `interrupted`.
"""

import asyncio
import collections
import concurrent.futures
import functools
import hashlib
import inspect
import json
import logging
import os
import random
import signal
import socket
import threading
import time

import redis

from ._redis import ASYNCIO, THREADS, own_pool, word_of
from .publisher import AsyncPublisher, NotPublished, Publisher

BLOCK_SECONDS = 1.0
PATIENCE_SECONDS = 2.0  # how long Redis may be silent beyond that
PAUSE_SECONDS_MAX = 2.0  # between two tries while it is away
REMEMBER_SECONDS = 120
BEHIND_MAX = 16  # actions taken for each that is under way: those of one connection wait for each other, and nobody else for them
ANSWERS = {"size": 1000, "ttl_seconds": 60, "deadline_seconds": 10}  # of a gateway's channel of answers: docs/actions.md
BEGUN = "begun"

log = logging.getLogger("tidegate.worker")


class ActionError(Exception):
    """The handler's answer is no: `code` is for programs, `message` for people."""

    def __init__(self, code, message=""):
        super().__init__(message or code)
        self.code, self.message = str(code), str(message or code)


class Action(collections.namedtuple("Action", "entry id conn user route vars key data reply deadline_ms")):
    """What a client asks. `data` is what it said, `vars` are those of the path, `user` is "" without a token."""


class HandlerFailed(Exception):
    """A handler raised what would be taken for trouble of ours; that is the cause."""


class Malformed(Exception):
    """An entry that no gateway has written."""


def _text(value):
    return value.decode() if isinstance(value, bytes) else value


def read_entry(entry, fields):
    fields = {_text(name): _text(value) for name, value in (fields or {}).items()}
    try:
        return Action(_text(entry), fields["id"], fields["conn"], fields["user"], fields["route"], json.loads(fields["vars"]),
                      fields["key"], json.loads(fields["data"]), fields["reply"], int(fields["deadline"]))
    except (KeyError, ValueError) as error:
        raise Malformed(f"{_text(entry)}: {error!r}") from error


def _is_due(since, seconds):
    return time.monotonic() - since >= seconds


class _Worker:
    """
    What both workers share: all that is decided and said. Each step is a generator that yields what has to be waited for, as a
    function without arguments; drive() of a worker calls it, or awaits what it returns.
    """

    def __init__(self, client, stream, *, group="tidegate", name=None, at_once=16, claim_seconds=5):
        """at_once: actions that are carried out at the same time, of different connections."""
        self.stream, self.group, self.at_once, self.claim_seconds = stream, group, at_once, claim_seconds
        self.name = name or f"{socket.gethostname()}-{os.getpid()}-{random.randrange(1 << 32):08x}"
        self.handlers, self.once = {}, set()
        self.lines = {}  # the actions under way, and behind them those of the same connection
        self.n = 0  # in all lines
        self.stopping = False
        self.offset_ms = 0  # of Redis' clock to ours
        seconds = BLOCK_SECONDS + PATIENCE_SECONDS
        self.client = type(client)(connection_pool=own_pool(self.kind, client, seconds, type(self).__name__))
        self.publisher = self.publisher_class(client, **ANSWERS)

    def action(self, name, *, once=False):
        """Decorates the handler of the actions whose data is an object with this `name`; "*": of all others."""
        def take(handler):
            self.handlers[name] = handler
            if once:
                self.once.add(name)
            return handler
        return take

    def stop(self):
        """Takes no more, finishes what is under way, and lets run() return. From any thread, or a signal's handler."""
        self.stopping = True

    def _room(self):
        """How many more to take: others wait in the stream, where another worker finds them."""
        return max(0, min(self.at_once - len(self.lines), BEHIND_MAX * self.at_once - self.n))

    # --- entries ---

    def _read(self, room):
        words = functools.partial(self.client.xreadgroup, self.group, self.name, {self.stream: ">"}, count=room,
                                  block=int(BLOCK_SECONDS * 1000))
        return [entry for _, entries in (yield words) or [] for entry in entries]

    def _keep_house(self):
        """The group, the clock, what is under way here; returns what others left."""
        try:
            yield functools.partial(self.client.xgroup_create, self.stream, self.group, id="0", mkstream=True)
        except redis.ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise
        seconds, micros = yield self.client.time
        self.offset_ms = seconds * 1000 + micros // 1000 - time.time() * 1000
        own = [action.entry for line in list(self.lines.values()) for action in list(line)]
        if own:  # or another worker would take them for left
            yield functools.partial(self.client.xclaim, self.stream, self.group, self.name, 0, own, justid=True)
        left = (yield functools.partial(self.client.xautoclaim, self.stream, self.group, self.name,
                                        int(self.claim_seconds * 1000), count=self.at_once))[1]
        left = [(entry, fields) for entry, fields in left if fields is not None and _text(entry) not in own]
        if left:
            log.info("took over %d that another worker left", len(left))
        return left

    def _line_up(self, entry, fields):
        """The connection whose line has to be worked off from now on; None if somebody is at it."""
        try:
            action = read_entry(entry, fields)
        except Malformed as error:
            log.error("not an action, removed: %s", error)
            yield from self._remove(entry)
            return None
        line = self.lines.setdefault(action.conn, collections.deque())
        line.append(action)
        self.n += 1
        return action.conn if len(line) == 1 else None

    def _leave(self, conn):
        """The first of the line is done. True if another one stands behind it."""
        line = self.lines[conn]
        line.popleft()
        self.n -= 1
        if not line:
            del self.lines[conn]
        return bool(line)

    def _remove(self, entry):
        pipeline = self.client.pipeline()
        pipeline.xack(self.stream, self.group, entry)
        pipeline.xdel(self.stream, entry)
        yield pipeline.execute

    # --- one action ---

    def _work(self, action):
        try:
            yield from self._carry_out(action)
        except (redis.RedisError, NotPublished) as error:
            log.warning("left to be taken over: %s: %s", action.id, error)
        except Exception:  # pylint: disable=broad-except
            log.exception("left to be taken over: %s", action.id)

    def _carry_out(self, action):
        if time.time() * 1000 + self.offset_ms > action.deadline_ms:
            log.info("dropped, nobody waits for it any more: %s", action.id)
            yield from self._remove(action.entry)
            return
        name, handler = self._handler(action)
        known = yield from self._recall(action, name in self.once)
        if known is not None:
            log.info("answered again: %s", action.id)
            yield from self._finish(action, known, False)
            return
        text = yield from self._answer(action, handler)
        yield from self._finish(action, text, handler is not None)
        log.info("carried out: %s %s", name, action.id)

    def _handler(self, action):
        """(name, handler); the handler is None if nobody knows such an action."""
        name = action.data.get("name") if isinstance(action.data, dict) else None
        for known in (name, "*"):
            if isinstance(known, str) and known in self.handlers:
                return known, self.handlers[known]
        return "*", None

    def _memory(self, action):
        """Users choose keys, so each has keys of its own."""
        whose = json.dumps([action.user, action.route, action.vars, action.key], sort_keys=True)
        return f"tg:k:{{{self.stream}}}:{hashlib.sha256(whose.encode()).hexdigest()}"

    def _recall(self, action, once):
        """The answer that this key has had; None: there is none, and whoever asks now has to carry it out."""
        if not action.key:
            return None
        value = _text((yield functools.partial(self.client.get, self._memory(action))))
        if value == BEGUN:
            return self._words(action, self._refusal(action, ActionError("interrupted", "a worker died at it")), True)
        if value is not None:
            return json.dumps({**json.loads(value), "action": action.id})
        if once:
            yield functools.partial(self.client.set, self._memory(action), BEGUN, ex=REMEMBER_SECONDS)
        return None

    def _answer(self, action, handler):
        """The last answer; parts before it go out as they come."""
        try:
            if handler is None:
                raise ActionError("unknown_action", "no worker knows an action of this name")
            result = yield functools.partial(self.begin, handler, action)
            if not self.has_parts(result):
                return self._words(action, {"data": result}, True)
            n = 0
            while True:
                is_last, part = yield functools.partial(self.advance, result)
                if is_last:
                    return self._words(action, {} if part is None else {"data": part}, True)
                yield functools.partial(self.publisher.publish, action.reply, self._words(action, {"data": part}, False),
                                        key=f"{action.id}.{n}")
                n += 1
        except (redis.RedisError, NotPublished):
            raise
        except Exception as error:  # pylint: disable=broad-except
            return self._words(action, self._refusal(action, error), True)

    def _finish(self, action, text, remember):
        yield functools.partial(self.publisher.publish, action.reply, text, key=action.id)
        if remember and action.key:
            yield functools.partial(self.client.set, self._memory(action), text, ex=REMEMBER_SECONDS)
        yield from self._remove(action.entry)

    @staticmethod
    def _refusal(action, error):
        if not isinstance(error, ActionError):
            log.error("a handler failed: %s", action.id, exc_info=error)
            error = ActionError("failed", "the worker failed")
        else:
            log.info("refused: %s, %s", action.id, error.code)
        return {"error": {"code": error.code, "message": error.message}}

    @staticmethod
    def _words(action, answer, is_last):
        return json.dumps({"action": action.id, **answer, **({} if is_last else {"more": True})}, allow_nan=False)

    # --- trouble ---

    @staticmethod
    def _pause(error, tries):
        """How long to wait while Redis is away; what will not get better is raised."""
        if word_of(error) is None and "NOGROUP" not in str(error):
            raise error
        log.warning("redis: %s", error)
        return random.uniform(0, min(PAUSE_SECONDS_MAX, 0.05 * 2 ** min(tries, 10)))


class Worker(_Worker):
    """With threads: a handler may block, and yields parts from an ordinary generator."""

    kind, publisher_class = THREADS, Publisher

    def run(self, signals=True):
        """Until stop(), or SIGTERM or SIGINT if this is the main thread."""
        if signals and threading.current_thread() is threading.main_thread():
            for one in (signal.SIGTERM, signal.SIGINT):
                signal.signal(one, lambda *_: self.stop())
        self.changed = threading.Condition()
        with concurrent.futures.ThreadPoolExecutor(self.at_once) as threads:
            housekept, tries = float("-inf"), 0
            while not self.stopping:
                try:
                    if _is_due(housekept, self.claim_seconds / 3):
                        self._take(threads, self._drive(self._keep_house()))
                        housekept = time.monotonic()
                    with self.changed:
                        room = self.changed.wait_for(self._room, timeout=BLOCK_SECONDS)
                    if room:
                        self._take(threads, self._drive(self._read(room)))
                    tries = 0
                except redis.RedisError as error:
                    time.sleep(self._pause(error, tries))
                    tries += 1
        self.client.connection_pool.disconnect()
        self.publisher.close()

    @staticmethod
    def _drive(steps):
        value, error = None, None
        while True:
            try:
                call = steps.throw(error) if error else steps.send(value)
            except StopIteration as end:
                return end.value
            value, error = None, None
            try:
                value = call()
            except Exception as raised:  # pylint: disable=broad-except
                error = raised

    def _take(self, threads, entries):
        for entry, fields in entries:
            with self.changed:
                conn = self._drive(self._line_up(entry, fields))
            if conn is not None:
                threads.submit(self._work_off, conn)

    def _work_off(self, conn):
        goes_on = True
        while goes_on:
            try:
                self._drive(self._work(self.lines[conn][0]))
            finally:
                with self.changed:
                    goes_on = self._leave(conn)
                    self.changed.notify_all()

    @staticmethod
    def begin(handler, action):
        try:
            return handler(action)
        except (redis.RedisError, NotPublished, SystemExit) as error:
            raise HandlerFailed() from error

    @staticmethod
    def has_parts(result):
        return inspect.isgenerator(result)

    @staticmethod
    def advance(parts):
        try:
            return False, next(parts)
        except StopIteration as end:
            return True, end.value
        except (redis.RedisError, NotPublished, SystemExit) as error:
            raise HandlerFailed() from error


class AsyncWorker(_Worker):
    """Under asyncio; handlers are `async def`, and `async` generators for answers in parts."""

    kind, publisher_class = ASYNCIO, AsyncPublisher

    async def run(self):
        """Until stop(), or until it is cancelled, which waits for what is under way as well."""
        self.tasks, self.changed = set(), asyncio.Event()
        housekept, tries = float("-inf"), 0
        try:
            while not self.stopping:
                try:
                    if _is_due(housekept, self.claim_seconds / 3):
                        await self._take(await self._drive(self._keep_house()))
                        housekept = time.monotonic()
                    await self._wait_for_room()
                    if self._room():
                        await self._take(await self._drive(self._read(self._room())))
                    tries = 0
                except redis.RedisError as error:
                    await asyncio.sleep(self._pause(error, tries))
                    tries += 1
        finally:
            self.stopping = True
            await asyncio.gather(*self.tasks, return_exceptions=True)
            await self.client.connection_pool.disconnect()
            await self.publisher.close()

    async def _wait_for_room(self):
        if self._room():
            return
        self.changed.clear()
        try:
            await asyncio.wait_for(self.changed.wait(), BLOCK_SECONDS)
        except asyncio.TimeoutError:
            pass

    @staticmethod
    async def _drive(steps):
        value, error = None, None
        while True:
            try:
                call = steps.throw(error) if error else steps.send(value)
            except StopIteration as end:
                return end.value
            value, error = None, None
            try:
                value = await call()
            except Exception as raised:  # pylint: disable=broad-except
                error = raised

    async def _take(self, entries):
        for entry, fields in entries:
            conn = await self._drive(self._line_up(entry, fields))
            if conn is not None:
                task = asyncio.ensure_future(self._work_off(conn))
                self.tasks.add(task)
                task.add_done_callback(self.tasks.discard)

    async def _work_off(self, conn):
        goes_on = True
        while goes_on:
            try:
                await self._drive(self._work(self.lines[conn][0]))
            finally:
                goes_on = self._leave(conn)
                self.changed.set()

    @staticmethod
    async def begin(handler, action):
        try:
            result = handler(action)
            return result if inspect.isasyncgen(result) else await result
        except (redis.RedisError, NotPublished) as error:
            raise HandlerFailed() from error

    @staticmethod
    def has_parts(result):
        return inspect.isasyncgen(result)

    @staticmethod
    async def advance(parts):
        try:
            return False, await parts.__anext__()
        except StopAsyncIteration:
            return True, None
        except (redis.RedisError, NotPublished) as error:
            raise HandlerFailed() from error

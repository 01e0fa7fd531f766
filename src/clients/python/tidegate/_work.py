"""What both workers share: what is read, taken over, claimed, carried out, answered and given back, whoever waits for Redis."""

from __future__ import annotations

import collections
import functools
import logging
import os
import random
import socket
import threading
import time
from typing import Any, Callable, Generator, Iterable, NamedTuple, Optional, TypeVar, Union

import redis

from . import _memory
from ._redis import REDIRECTS, word_of
from ._servers import Servers, Where
from ._together import Together
from .action import Action, ActionError, Malformed, answer_to, members, read_entry, refusal, text_of
from .publisher import NotPublished

BLOCK_SECONDS = 1.0
LOOK_SECONDS, LOOK_SECONDS_MAX = 0.1, 1.0  # between two looks at a key that another action has claimed, at first and later
PATIENCE_SECONDS = 2.0  # how long Redis may be silent beyond BLOCK_SECONDS
PAUSE_SECONDS_MAX = 2.0  # between two tries while it is away
ANSWER_SECONDS_MIN = 1.0  # so long an answer may take to be published at least, also past its action's deadline
AWAY_SECONDS = 30.0  # so long an action that was carried out waits for Redis to hear of it
BEHIND_MAX = 16  # actions taken for each that is under way: those of one connection wait for each other, and nobody else for them
CLAIM_CALLS_MAX = 10  # of XAUTOCLAIM in a row: each looks at some entries, and most of these are nobody's to take
GATHERED_BYTES_MAX = 1000  # of answers that are said in one event: no gateway takes less (event_bytes_max)
GATHERED_MAX = 1000  # entries that are taken out in one call
PARTS_MAX = 10_000  # of one answer; a gateway takes no more
GIVEN_BACK_MS = 3_600_000  # how long ago an entry that is given back was last touched, for whoever asks
ANSWERS = {"size": 1000, "ttl_seconds": 60, "deadline_seconds": AWAY_SECONDS}  # of a gateway's channel of answers: docs/actions.md

log = logging.getLogger("tidegate.worker")

T = TypeVar("T")
Step = Callable[[], Any]
Steps = Generator[Step, Any, T]
Handler = Callable[[Action], Any]


def _is_due(since: float, seconds: float) -> bool:
    return time.monotonic() - since >= seconds


def check_stream(stream: str) -> None:
    """The configuration of a gateway has no other names."""
    if not stream or any(brace in stream for brace in "{}"):
        raise ValueError(f"{stream!r} is no name of a stream: write it as the route of the gateways does, without braces")


def _error_of(action: Action, error: BaseException) -> str:
    """What the client hears of an error of a handler."""
    if isinstance(error, ActionError):
        log.info("refused: %s, %s", action.id, error.code)
        return refusal(error)
    log.error("a handler failed: %s", action.id, exc_info=error)
    return refusal(ActionError("failed", "the worker failed"))


class _Reply(NamedTuple):
    """What a handler has said: the last part and its number, and all of it, unless that is too much to keep."""

    last: str
    n: int
    said: Optional[list[str]]

    @classmethod
    def of_one(cls, said: str) -> _Reply:
        return cls(said, 0, [said])


class Work:
    """
    What both workers share: all that is decided and said. Steps are a generator that yields what has to be waited for, as
    functions without arguments. _drive() of a worker calls them, or awaits what they return.
    """

    kind: Any
    publisher_class: Any
    changed: Any  # an event: something has ended, or has to wait
    new_event: Callable[[], Any]
    wait_for: Callable[[Any, Optional[float]], Any]  # for an event, so many seconds
    start: Callable[[Steps[None]], None]  # has these steps done beside the others
    sleep: Callable[[float], Any]
    begin: Callable[[Handler, Action], Any]
    has_parts: Callable[[Any], bool]
    advance: Callable[[Any], Any]  # (is it the last, part)
    end_parts: Callable[[Any], Any]

    def __init__(self, where: Where, stream: str, *, group: str = "tidegate", name: Optional[str] = None, at_once: int = 16,
                 claim_seconds: float = 5, **options: Any) -> None:
        """where, options: of Redis, as a Publisher has it. at_once: actions that are carried out at the same time, of different connections."""
        check_stream(stream)
        self.stream, self.group, self.at_once, self.claim_seconds = stream, group, at_once, claim_seconds
        self.name = name or f"{socket.gethostname()}-{os.getpid()}-{random.randrange(1 << 32):08x}"
        self.handlers: dict[str, Handler] = {}
        self.once: set[str] = set()
        self.lock = threading.Lock()  # of all that follows; nobody holds it while waiting
        self.lines: dict[str, collections.deque[Action]] = {}  # the action under way, and behind it those of the same connection
        self.waiting: dict[str, float] = {}  # lines at which nobody is, because their first has to wait; and until when
        self.waits: dict[str, float] = {}  # how long their firsts waited the last time
        self.n = 0  # in all lines
        self.claimed: dict[str, str] = {}  # the entries under way that have a key, and where that is
        self.stopping = False
        self.cursor: Any = "0-0"  # up to here XAUTOCLAIM has looked
        self.offset_ms = 0.0  # of Redis' clock to ours
        seconds = BLOCK_SECONDS + PATIENCE_SECONDS
        self.servers = Servers(self.kind, where, seconds, type(self).__name__, **options)
        self.server = self.servers.of(stream)
        self.publisher = self.publisher_class(where, **ANSWERS, **options)
        self.sayings = Together(self, self._publish_all, GATHERED_BYTES_MAX)
        self.removals = Together(self, self._remove_all, GATHERED_MAX)

    @property
    def client(self) -> Any:
        """Where the stream is now."""
        return self.server.client

    def _call(self, name: str, *arguments: Any, **named: Any) -> Any:
        """A command; where it goes is decided when it goes."""
        return getattr(self.client, name)(*arguments, **named)

    def action(self, name: str, *, once: bool = False) -> Callable[[Handler], Handler]:
        """Decorates the handler of the actions whose data is an object with this `name`; "*": of all others."""
        def take(handler: Handler) -> Handler:
            self.handlers[name] = handler
            if once:
                self.once.add(name)
            return handler
        return take

    def stop(self) -> None:
        """Finishes what is under way, gives the rest back, and lets run() return. From any thread, or a signal's handler."""
        self.stopping = True

    # --- the loop ---

    def _serve(self) -> Steps[None]:
        """Until stop(), and then until what is under way has ended. Nobody else reads under our name, which ends with us."""
        housekept, tries = float("-inf"), 0
        while not self.stopping or self.lines:
            self.changed.clear()
            try:
                yield self.server.look
                if _is_due(housekept, self.claim_seconds / 3):
                    yield from self._keep_house()
                    housekept = time.monotonic()
                yield from self._take_turn()
                tries = 0
            except redis.RedisError as error:
                if "NOGROUP" in str(error) or word_of(error) == "UNBLOCKED":  # the stream may have gone, and the group with it
                    housekept, self.cursor = float("-inf"), "0-0"
                elif word_of(error) is None or (word_of(error) in REDIRECTS and not self.server.follows):
                    raise  # this does not get better
                yield from self._pause(error, tries)
                tries += 1
        yield from self._sign_off()

    def _take_turn(self) -> Steps[None]:
        if self.stopping:
            yield from self._give_back()
        else:
            self._go_on()
            room = self._room()
            if room:
                yield from self._take((yield from self._read(room)))
                return
        yield functools.partial(self.wait_for, self.changed, LOOK_SECONDS if self.waiting else BLOCK_SECONDS)

    def _room(self) -> int:
        """How many more to take: others wait in the stream, where another worker finds them."""
        with self.lock:
            if len(self.waiting) >= BEHIND_MAX * self.at_once:
                return 0
            n = self.n - sum(len(self.lines[conn]) for conn in self.waiting)
            return max(0, min(self.at_once - (len(self.lines) - len(self.waiting)), BEHIND_MAX * self.at_once - n))

    def _go_on(self) -> None:
        """With lines whose first has waited long enough to look again."""
        now = time.monotonic()
        with self.lock:
            due = [conn for conn, when in self.waiting.items() if when <= now]
            for conn in due:
                del self.waiting[conn]
        for conn in due:
            self.start(self._work_off(conn))

    def _give_back(self) -> Steps[None]:
        """What was not begun is another worker's, which need not wait for it to look left behind."""
        with self.lock:
            left = [action.entry for conn in self.waiting for action in self.lines.pop(conn)]
            self.waiting.clear()
            self.waits.clear()
            self.n -= len(left)
        if not left:
            return
        log.info("gave back %d that were not begun", len(left))
        try:
            yield functools.partial(self._call, "xclaim", self.stream, self.group, self.name, 0, left, idle=GIVEN_BACK_MS, justid=True)
        except redis.RedisError as error:
            log.warning("redis: %s: they are taken over a while later", error)

    def _sign_off(self) -> Steps[None]:
        """Redis keeps the names of a group for ever. With what is not ended under ours it stays: that would go with it."""
        try:
            left = yield functools.partial(self._call, "xpending_range", self.stream, self.group, "-", "+", 1, self.name)
            if not left:
                yield functools.partial(self._call, "xgroup_delconsumer", self.stream, self.group, self.name)
        except redis.RedisError as error:
            log.info("the name %s stays in the group: %s", self.name, error)

    def _pause(self, error: Exception, tries: int) -> Steps[None]:
        """Redis is not itself."""
        log.warning("redis: %s", error)
        yield functools.partial(self.server.doubt, word_of(error) or "", error)
        yield functools.partial(self.sleep, random.uniform(0, min(PAUSE_SECONDS_MAX, 0.05 * 2 ** min(tries, 10))))

    def _retried(self, step: Step) -> Steps[Any]:
        """This one step, again and again while Redis is away, up to AWAY_SECONDS."""
        began, tries = time.monotonic(), 0
        while True:
            try:
                return (yield step)
            except redis.RedisError as error:
                if word_of(error) is None or _is_due(began, AWAY_SECONDS):
                    raise
                reason = error
            yield from self._pause(reason, tries)
            tries += 1

    # --- entries ---

    def _read(self, room: int) -> Steps[list[Any]]:
        seconds = LOOK_SECONDS if self.waiting else BLOCK_SECONDS
        answer = yield functools.partial(self._call, "xreadgroup", self.group, self.name, {self.stream: ">"}, count=room,
                                         block=int(seconds * 1000))
        return [entry for _, entries in answer or [] for entry in entries]

    def _make_group(self) -> Steps[None]:
        try:
            yield functools.partial(self._call, "xgroup_create", self.stream, self.group, id="0", mkstream=True)
        except redis.ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise

    def _keep_house(self) -> Steps[None]:
        """The group, the clock, what is under way here, and what others left."""
        yield from self._make_group()
        seconds, micros = yield functools.partial(self._call, "time")
        self.offset_ms = seconds * 1000 + micros // 1000 - time.time() * 1000
        with self.lock:
            own = [action.entry for line in self.lines.values() for action in line]
            keys = list(self.claimed.values())
        if own:  # or another worker would take them for left
            yield functools.partial(self._call, "xclaim", self.stream, self.group, self.name, 0, own, justid=True)
        for key in keys:
            yield functools.partial(self._call, "pexpire", key, _memory.REMEMBER_SECONDS * 1000)
        if not self.stopping:
            yield from self._take_over(set(own))

    def _take_over(self, own: set[str]) -> Steps[None]:
        """What others left. The list of what is under way is long, so each call goes on where the last one has ended."""
        for _ in range(CLAIM_CALLS_MAX):
            room = self._room()
            if not room:
                return
            answer = yield functools.partial(self._call, "xautoclaim", self.stream, self.group, self.name,
                                             int(self.claim_seconds * 1000), start_id=self.cursor, count=room)
            self.cursor = text_of(answer[0])
            left = [(entry, raw) for entry, raw in answer[1] if raw is not None and text_of(entry) not in own]
            if left:
                log.info("took over %d that another worker left", len(left))
                yield from self._take(left)
            if self.cursor == "0-0":
                return

    def _take(self, entries: Iterable[Any]) -> Steps[None]:
        strange = []
        for entry, raw in entries:
            try:
                action = read_entry(entry, raw)
            except Malformed as error:
                log.error("not an action, removed: %s", error)
                strange.append(entry)
                continue
            with self.lock:
                line = self.lines.setdefault(action.conn, collections.deque())
                line.append(action)
                self.n += 1
                is_first = len(line) == 1
            if is_first:
                self.start(self._work_off(action.conn))
        for entry in strange:
            yield from self._remove(entry)

    def _remove(self, entry: Any) -> Steps[None]:
        yield from self.removals.do(self.stream, entry, 1)

    def _remove_all(self, entries: list[Any]) -> Steps[None]:
        def both() -> Any:
            pipeline = self.client.pipeline()
            pipeline.xack(self.stream, self.group, *entries)
            pipeline.xdel(self.stream, *entries)
            return pipeline.execute()

        yield from self._retried(both)

    def _work_off(self, conn: str) -> Steps[None]:
        """A line, until it is empty, or has to wait, or nobody begins anything any more."""
        goes_on = True
        while goes_on:
            waits = self.stopping or (yield from self._work(self.lines[conn][0]))
            with self.lock:
                if waits:
                    self.waits[conn] = min(2 * self.waits.get(conn, LOOK_SECONDS / 2), LOOK_SECONDS_MAX)
                    self.waiting[conn] = time.monotonic() + self.waits[conn]
                else:
                    self.waits.pop(conn, None)
                    self.claimed.pop(self.lines[conn].popleft().entry, None)
                    self.n -= 1
                goes_on = not waits and bool(self.lines[conn])
                if not self.lines[conn]:
                    del self.lines[conn]
            self.changed.set()

    # --- one action ---

    def _work(self, action: Action) -> Steps[bool]:
        """True: it has to wait."""
        try:
            return (yield from self._carry_out_in_time(action))
        except (redis.RedisError, NotPublished) as error:
            log.warning("left to be taken over: %s: %s", action.id, error)
        except Exception:  # pylint: disable=broad-except
            log.exception("left to be taken over: %s", action.id)
        return False

    def _seconds_left(self, action: Action) -> float:
        """Until nobody waits for it any more."""
        return (action.deadline_ms - time.time() * 1000 - self.offset_ms) / 1000

    def _carry_out_in_time(self, action: Action) -> Steps[bool]:
        """An action that nobody could take over before its deadline ends here."""
        try:
            return (yield from self._carry_out(action))
        except NotPublished as error:
            if self._seconds_left(action) > max(self.claim_seconds, PAUSE_SECONDS_MAX):
                raise
            log.warning("not answered in time: %s: %s", action.id, error)
        yield from self._drop(action)
        return False

    def _carry_out(self, action: Action) -> Steps[bool]:
        if self._seconds_left(action) < 0:
            yield from self._drop(action)
            return False
        name, handler = self._handler(action)
        ours = _memory.claim(action, name in self.once) if action.key and handler else None
        if ours:
            known = yield from self._claim(action, ours)
            if isinstance(known, _memory.Claim):
                return True
            if known:
                log.info("answered again: %s", action.id)
                yield from self._say_all(action, _memory.repeated(action, known))
                return False
        reply = yield from self._answer(action, handler)
        if ours:  # before it is said: a worker that dies in between leaves an answer, not an action
            others = yield from self._swap(action, ours, _memory.answered(action, reply.said))
            if others:
                yield from self._yield_to(action, others)
                return False
        yield from self._say_last(action, reply.last, reply.n)
        yield from self._remove(action.entry)
        log.info("carried out: %s %s", name, action.id)
        return False

    def _handler(self, action: Action) -> tuple[str, Optional[Handler]]:
        """The handler is None if nobody knows such an action."""
        name = action.data.get("name") if isinstance(action.data, dict) else None
        for known in (name, "*"):
            if isinstance(known, str) and known in self.handlers:
                return known, self.handlers[known]
        return "*", None

    def _yield_to(self, action: Action, others: Union[_memory.Claim, _memory.Answered]) -> Steps[None]:
        """Who was away for too long has carried out what another worker took over meanwhile: the answer is that one's."""
        log.warning("carried out, and another worker took it over meanwhile: %s", action.id)
        if isinstance(others, _memory.Answered):
            yield from self._say_all(action, _memory.repeated(action, others))

    def _drop(self, action: Action) -> Steps[None]:
        """Its client was told `timeout`. Whoever waits behind its key waits no longer."""
        log.info("dropped, nobody waits for it any more: %s", action.id)
        if action.key:
            where = _memory.where(self.stream, action)
            known = _memory.read((yield from self._retried(functools.partial(self._call, "get", where))))
            if isinstance(known, _memory.Claim) and known.entry == action.entry:
                if known.once:
                    yield from self._swap(action, known, _memory.interrupted(action))
                else:
                    yield from self._retried(functools.partial(self._call, "delete", where))
        yield from self._remove(action.entry)

    # --- keys ---

    def _claim(self, action: Action, ours: _memory.Claim) -> Steps[Union[_memory.Claim, _memory.Answered, None]]:
        """None: it is ours to carry out. A claim: another action has the same key, and is under way. Else what to answer."""
        take = functools.partial(self._call, "set", _memory.where(self.stream, action), ours.text(), nx=True, ex=_memory.REMEMBER_SECONDS)
        known = None if (yield from self._retried(take)) else (yield from self._swap(action, ours, ours))
        while isinstance(known, _memory.Claim) and known.entry == action.entry:
            log.info("took over, begun and not ended: %s", action.id)
            gone = _memory.interrupted(action) if known.once else None
            known = (yield from self._swap(action, known, gone or ours)) or gone
        if not known:
            with self.lock:
                self.claimed[action.entry] = _memory.where(self.stream, action)
        return known

    def _swap(self, action: Action, was: _memory.Claim,
              becomes: Union[_memory.Claim, _memory.Answered]) -> Steps[Union[_memory.Claim, _memory.Answered, None]]:
        """Has the key say so, if it says what it did, or nothing. Else what it says."""
        def swap() -> Any:
            return self.kind.swap(self.client, _memory.where(self.stream, action), was.text(), becomes.text(), _memory.REMEMBER_SECONDS)

        return _memory.read((yield from self._retried(swap)))

    # --- answers ---

    def _say(self, action: Action, said: str, n: int) -> Steps[None]:
        """Part n, once: whoever repeats it, it is in the log of answers once. A server that is away holds it up no longer than its
        client waits: for the first part up to the deadline, and as long again for each further one."""
        left = self._seconds_left(action) if n == 0 else (action.deadline_ms - int(action.entry.partition("-")[0])) / 1000
        yield functools.partial(self.publisher.publish, action.reply, answer_to(action, said), key=f"{action.id}.{n}",
                                within=max(ANSWER_SECONDS_MIN, left))

    def _say_last(self, action: Action, said: str, n: int) -> Steps[None]:
        """An answer of one part goes in one event with others to the same gateway. Said twice it is heard once: the first end counts."""
        text, began = answer_to(action, said), time.monotonic()
        if n or len(text) * 2 > GATHERED_BYTES_MAX:
            yield from self._say(action, said, n)
            return
        while True:
            try:
                yield from self.sayings.do(action.reply, (action, said), len(text) + 2)
                return
            except NotPublished:  # in the time that the most impatient of them had
                if self._seconds_left(action) < ANSWER_SECONDS_MIN or _is_due(began, AWAY_SECONDS):
                    raise

    def _publish_all(self, answers: list[tuple[Action, str]]) -> Steps[None]:
        if len(answers) == 1:
            yield from self._say(*answers[0], 0)
            return
        left = min(self._seconds_left(action) for action, _ in answers)
        text = "[" + ", ".join(answer_to(action, said) for action, said in answers) + "]"
        yield functools.partial(self.publisher.publish, answers[0][0].reply, text, within=max(ANSWER_SECONDS_MIN, left))

    def _say_all(self, action: Action, said: list[str]) -> Steps[None]:
        for n, part in enumerate(said[:-1]):
            yield from self._say(action, part, n)
        yield from self._say_last(action, said[-1], len(said) - 1)
        yield from self._remove(action.entry)

    def _answer(self, action: Action, handler: Optional[Handler]) -> Steps[_Reply]:
        """All but its last part is said."""
        try:
            if handler is None:
                raise ActionError("unknown_action", "no worker knows an action of this name")
            result = yield functools.partial(self.begin, handler, action)
            if not self.has_parts(result):
                return _Reply.of_one(members({"data": result}))
        except (Exception, SystemExit) as error:  # pylint: disable=broad-except
            return _Reply.of_one(_error_of(action, error))
        try:
            reply = yield from self._parts(action, result)
        except Exception:
            yield from self._end(action, result)
            raise
        yield from self._end(action, result)
        return reply

    def _parts(self, action: Action, parts: Any) -> Steps[_Reply]:
        kept: list[str] = []
        n = n_bytes = 0
        while True:
            try:
                is_last, part = yield functools.partial(self.advance, parts)
                if n == PARTS_MAX:
                    raise ActionError("too_long", f"an answer has no more than {PARTS_MAX} parts")
                data = {} if is_last and part is None else {"data": part}
                one = members(data if is_last else {**data, "more": True})
            except (Exception, SystemExit) as error:  # pylint: disable=broad-except
                is_last, one = True, _error_of(action, error)
            n_bytes += len(one)
            if n_bytes <= _memory.REMEMBER_BYTES_MAX:
                kept.append(one)
            else:
                kept.clear()
            if is_last:
                return _Reply(one, n, kept or None)
            yield from self._say(action, one, n)
            n += 1

    def _end(self, action: Action, parts: Any) -> Steps[None]:
        """Of one that was not asked for all its parts."""
        try:
            yield functools.partial(self.end_parts, parts)
        except Exception as error:  # pylint: disable=broad-except
            log.error("a handler failed at its end: %s", action.id, exc_info=error)

"""Where Redis is: one server, the primary that sentinels name, or several servers side by side. Clusters: _cluster.py."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from typing import Any, Awaitable, NamedTuple, Optional, Sequence, Union
from urllib.parse import parse_qs, unquote

import redis

from ._cluster import AsyncCluster, Cluster, Seeds
from ._redis import ELSEWHERE, Kind, own_pool, patience, settings_of
from .sharding import shard_of

ASK_SECONDS = 0.5  # between two times that sentinels are asked: a planned failover is told to nobody who does not ask
SENTINEL_SECONDS = 0.25  # how long one may take to answer
SILENT_SECONDS = 5.0  # for so long one that did not answer is left alone, where another did
SENTINEL_PORT = 26379

Where = Union[Any, str, Sequence[Any]]


class Vote(NamedTuple):
    """What a sentinel says of the primary. The highest configuration counts, and of these what most say."""

    epoch: int
    host: str
    port: int


def split_urls(text: str) -> list[str]:
    """A list, as the gateways have it: commas before a scheme part its elements."""
    return re.split(r",(?=[a-zA-Z+]+://)", text)


class Named(NamedTuple):
    """redis+sentinel://USER:PASSWORD@s1:26379,s2/mymaster/0?sentinel_user=U&sentinel_password=P"""

    tls: bool
    sentinels: list[tuple[str, int]]
    master: str
    db: int
    login: dict[str, str]
    sentinel_login: dict[str, str]

    @classmethod
    def parse(cls, text: str) -> Optional[Named]:
        """None: it is another URL."""
        scheme, _, rest = text.partition("://")
        if scheme.lower() not in ("redis+sentinel", "rediss+sentinel"):
            return None
        rest, _, query = rest.partition("?")
        where, _, path = rest.partition("/")
        login, _, hosts = where.rpartition("@")
        user, colon, password = login.partition(":")
        master, _, db = path.partition("/")
        if not hosts or not master:
            raise ValueError("redis+sentinel://HOST,HOST/NAME: it needs the sentinels and the name of the primary")
        options = {name: values[0] for name, values in parse_qs(query).items()}
        words = {"username": user, "password": password if colon else ""}
        sentinel = {"username": options.get("sentinel_user", ""), "password": options.get("sentinel_password", "")}
        return cls(scheme.lower() == "rediss+sentinel", [cls._address(host) for host in hosts.split(",")], unquote(master), int(db or 0),
                   {name: unquote(word) for name, word in words.items() if word}, {name: word for name, word in sentinel.items() if word})

    @staticmethod
    def _address(text: str) -> tuple[str, int]:
        found = re.fullmatch(r"\[(.+)\](?::(\d+))?|([^:]+)(?::(\d+))?", text)
        if not found:
            raise ValueError(f"{text!r} is no address of a sentinel")
        return found[1] or found[3], int(found[2] or found[4] or SENTINEL_PORT)


class Server:
    """One server at a fixed address, which a client knows."""

    def __init__(self, kind: Kind, client: Any, seconds: Optional[float], for_whom: str, is_ours: bool) -> None:
        """seconds: None: the client itself is used, which nobody closes unless it is_ours."""
        self.client: Any = client
        self.is_ours = is_ours or seconds is not None
        if seconds is not None:
            self.client = type(client)(connection_pool=own_pool(kind, client, seconds, for_whom))

    follows = False  # redirections

    def look(self, until: float = float("inf")) -> Any:
        """Finds out where it is now, if that may have changed. For threads: nobody is asked after `until`, by time.monotonic()."""

    def doubt(self, word: str, _error: BaseException) -> Any:
        """An attempt has failed with this word of Redis."""
        return self.client.connection_pool.disconnect(inuse_connections=False) if word in ELSEWHERE else None

    def close(self) -> Any:
        if self.is_ours:
            self.client.connection_pool.disconnect()


class AsyncServer(Server):
    """As Server, and to be awaited."""

    async def look(self, until: float = float("inf")) -> None:
        pass

    async def doubt(self, word: str, _error: BaseException) -> None:
        if word in ELSEWHERE:
            await self.client.connection_pool.disconnect(inuse_connections=False)

    async def close(self) -> None:
        if self.is_ours:
            await self.client.connection_pool.disconnect()


class _NamedServer:
    """What both kinds share of a primary that sentinels name: who is asked when, and which answer counts."""

    follows = False

    def __init__(self, kind: Kind, named: Named, seconds: Optional[float], options: dict[str, Any]) -> None:
        self.kind, self.named, self.seconds = kind, named, seconds
        self.options = {**options, **({"connection_class": kind.tls_connection} if named.tls else {})}
        self.current: Any = None
        self.vote: Optional[Vote] = None
        self.asked = float("-inf")
        self.reason = "none was asked yet"
        self.silent_until = [0.0] * len(named.sentinels)
        patient = min(SENTINEL_SECONDS, seconds or SENTINEL_SECONDS)
        self.sentinels = [kind.client(connection_pool=self._pool(host, port, patient, named.sentinel_login, 0))
                          for host, port in named.sentinels]

    def _pool(self, host: str, port: int, seconds: Optional[float], login: dict[str, str], db: int) -> Any:
        return self.kind.pool(**settings_of(self.kind, dict(self.options, host=host, port=port, db=db, **login), seconds))

    @property
    def client(self) -> Any:
        if self.current is None:
            raise redis.ConnectionError(f"no sentinel names {self.named.master!r}: {self.reason}")
        return self.current

    def _is_due(self) -> bool:
        return time.monotonic() - self.asked >= ASK_SECONDS

    def _whom(self) -> list[int]:
        """The numbers of those who are asked now: all, but for who was silent a moment ago."""
        now = time.monotonic()
        heard = [i for i, until in enumerate(self.silent_until) if until <= now]
        return heard or list(range(len(self.sentinels)))

    def _question(self, i: int) -> Any:
        pipeline = self.sentinels[i].pipeline(transaction=False)
        pipeline.sentinel_get_master_addr_by_name(self.named.master)
        pipeline.sentinel_master(self.named.master)
        return pipeline

    def _answer(self, i: int, answer: Any) -> Optional[Vote]:
        if isinstance(answer, BaseException):
            self.silent_until[i], self.reason = time.monotonic() + SILENT_SECONDS, str(answer)
            return None
        address, state = answer
        if not isinstance(address, tuple) or not isinstance(state, dict):
            self.reason = str(state if isinstance(state, BaseException) else "none of them knows it")
            return None
        host, port = address
        return Vote(int(state["config-epoch"]), host.decode() if isinstance(host, bytes) else host, int(port))

    def _count(self, votes: list[Optional[Vote]]) -> Any:
        """The pool that is of no use any more, or None."""
        self.asked = time.monotonic()
        given = [vote for vote in votes if vote and (not self.vote or vote.epoch >= self.vote.epoch)]
        if not given:
            return None
        best = max(given, key=lambda vote: (vote.epoch, given.count(vote)))
        old, before = self.current, self.vote
        self.vote = best
        if old is not None and before and best[1:] == before[1:]:
            return None
        self.current = self.kind.client(connection_pool=self._pool(best.host, best.port, self.seconds, self.named.login, self.named.db))
        return old and old.connection_pool

    def _pools(self) -> list[Any]:
        return [one.connection_pool for one in (self.current, *self.sentinels) if one is not None]


class NamedServer(_NamedServer):
    """For threads. One of them asks; the others go on with what is known, if anything is."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.lock = threading.Lock()

    def look(self, until: float = float("inf")) -> None:
        if not self._is_due() or not self.lock.acquire(timeout=patience(until) if self.current is None else 0):
            return
        try:
            if self._is_due():
                pool = self._count([self._answer(i, self._ask(i)) for i in self._whom() if time.monotonic() < until])
                if pool:
                    pool.disconnect(inuse_connections=False)
        finally:
            self.lock.release()

    def _ask(self, i: int) -> Any:
        try:
            return self._question(i).execute(raise_on_error=False)
        except redis.RedisError as error:
            return error

    def doubt(self, word: str, _error: BaseException) -> None:
        self.asked = float("-inf")
        if self.current is not None and word in ELSEWHERE:
            self.current.connection_pool.disconnect(inuse_connections=False)

    def close(self) -> None:
        for pool in self._pools():
            pool.disconnect()


class AsyncNamedServer(_NamedServer):
    """For asyncio, within one event loop."""

    looking: Optional[Any] = None

    async def look(self) -> None:
        if self._is_due() and self.looking is None:
            self.looking = asyncio.ensure_future(self._look())
        if self.looking is not None:
            await asyncio.shield(self.looking)  # who gives up leaves the others their answer

    async def _look(self) -> None:
        try:
            whom = self._whom()
            answers = await asyncio.gather(*(self._ask(i) for i in whom))
            pool = self._count([self._answer(i, answer) for i, answer in zip(whom, answers)])
            if pool:
                await pool.disconnect(inuse_connections=False)
        finally:
            self.looking = None

    async def _ask(self, i: int) -> Any:
        try:
            return await self._question(i).execute(raise_on_error=False)
        except redis.RedisError as error:
            return error

    async def doubt(self, word: str, _error: BaseException) -> None:
        self.asked = float("-inf")
        if self.current is not None and word in ELSEWHERE:
            await self.current.connection_pool.disconnect(inuse_connections=False)

    async def close(self) -> None:
        for pool in self._pools():
            await pool.disconnect()


class Servers:
    """All servers: each channel and each key is on one of them."""

    def __init__(self, kind: Kind, where: Where, seconds: Optional[float], for_whom: str, **options: Any) -> None:
        """where: a client of redis-py, a URL as the gateways have it, or a list of either, in the gateways' order."""
        self.kind = kind
        parts: list[Any] = [where]
        if isinstance(where, str):
            parts = list(split_urls(where))
        elif isinstance(where, (list, tuple)):
            parts = list(where)
        if not parts:
            raise ValueError("an empty list of Redis servers")
        seeds = Seeds.parse(parts[0]) if len(parts) == 1 and isinstance(parts[0], str) else None
        self.cluster: Any = None
        self.all: list[Any] = []
        if seeds:
            self.cluster = (AsyncCluster if kind.is_async else Cluster)(kind, seeds, seconds, options)
        else:
            self.all = [self._one(part, seconds, for_whom, options) for part in parts]

    @property
    def push(self) -> str:
        """How functions of the library push to subscribers."""
        return "spublish" if self.cluster else "publish"

    def _one(self, part: Any, seconds: Optional[float], for_whom: str, options: dict[str, Any]) -> Any:
        named = Named.parse(part) if isinstance(part, str) else None
        if named:
            return (AsyncNamedServer if self.kind.is_async else NamedServer)(self.kind, named, seconds, options)
        client = self.kind.client.from_url(part, **options) if isinstance(part, str) else part
        return (AsyncServer if self.kind.is_async else Server)(self.kind, client, seconds, for_whom, client is not part)

    def of(self, name: str) -> Any:
        """The server that has this channel or key: look() at it, and then its client."""
        return self.cluster.of(name) if self.cluster else self.all[shard_of(name, len(self.all))]

    def of_nodes(self, name: str) -> Any:
        """Where gateways announce themselves, under this key: on the first of several."""
        return self.cluster.of(name) if self.cluster else self.all[0]

    def close(self) -> None:
        for one in [self.cluster] if self.cluster else self.all:
            one.close()

    async def aclose(self) -> None:
        for one in [self.cluster] if self.cluster else self.all:
            closing: Awaitable[None] = one.close()
            await closing

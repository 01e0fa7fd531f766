"""Connections to Redis of our own, and what its errors mean. Redis-py 4.3 to 8.1 were tried."""

from __future__ import annotations

import re
import threading
import time
from typing import Any, NamedTuple, Optional

import redis
import redis.asyncio
import redis.asyncio.sentinel
import redis.sentinel
from redis.backoff import NoBackoff

from .action import text_of

# What Redis says while it is not itself: the first word of its answer, which redis-py takes off where it has a class of
# exceptions for it. Which ones have a class depends on its version.
RETRIED = {"BusyLoadingError": "LOADING", "ReadOnlyError": "READONLY", "OutOfMemoryError": "OOM",
           "MasterDownError": "MASTERDOWN", "TryAgainError": "TRYAGAIN", "ClusterDownError": "CLUSTERDOWN",
           "MovedError": "MOVED", "AskError": "ASK"}
RETRIED_WORDS = {*RETRIED.values(), "NOREPLICAS", "MISCONF", "BUSY", "UNBLOCKED"}
# Who knows only one server of a cluster is not helped by trying again.
REDIRECTS = {"MOVED", "ASK"}
# After these another server may stand at the address, and only a new connection finds it.
ELSEWHERE = {"READONLY", "NOREPLICAS", "MASTERDOWN", "CLUSTERDOWN", "UNBLOCKED"}


def _swap(client: Any, key: str, was: str, becomes: str, seconds: int) -> Any:
    """Sets the key if it has this value, or none. Returns what else it has. WatchError: it was changed meanwhile."""
    with client.pipeline() as pipeline:
        pipeline.watch(key)
        found = text_of(pipeline.get(key))
        if found not in (None, was, becomes):
            return found
        pipeline.multi()
        pipeline.set(key, becomes, ex=seconds)
        pipeline.execute()
    return None


async def _swap_async(client: Any, key: str, was: str, becomes: str, seconds: int) -> Any:
    async with client.pipeline() as pipeline:
        await pipeline.watch(key)
        found = text_of(await pipeline.get(key))
        if found not in (None, was, becomes):
            return found
        pipeline.multi()
        pipeline.set(key, becomes, ex=seconds)
        await pipeline.execute()
    return None


class Kind(NamedTuple):
    """What redis-py has twice."""

    client: Any
    pool: Any
    retry: Any
    sentinel_pool: Any
    tls_connection: Any
    swap: Any
    is_async: bool


THREADS = Kind(redis.Redis, redis.ConnectionPool, redis.retry.Retry, redis.sentinel.SentinelConnectionPool, redis.SSLConnection,
               _swap, False)
ASYNCIO = Kind(redis.asyncio.Redis, redis.asyncio.ConnectionPool, redis.asyncio.retry.Retry,
               redis.asyncio.sentinel.SentinelConnectionPool, redis.asyncio.SSLConnection, _swap_async, True)


def settings_of(kind: Kind, settings: dict[str, Any], seconds: Optional[float]) -> dict[str, Any]:
    """Of connections that wait for Redis no longer than so, and never try twice: the only loop is ours."""
    settings = dict(settings, socket_timeout=seconds, retry_on_timeout=False, retry_on_error=[], retry=kind.retry(NoBackoff(), 0))
    if "path" not in settings:
        settings["socket_connect_timeout"] = seconds
    if int(redis.__version__.split(".", 1)[0]) >= 5:
        settings["protocol"] = 2  # the third one's answers differ from release to release of redis-py
    return settings


def own_pool(kind: Kind, client: Any, seconds: float, for_whom: str) -> Any:
    """A pool to where the client's goes, whose connections wait for Redis no longer than so, and never try twice."""
    if not isinstance(client, kind.client):
        raise TypeError(f"{for_whom} wants a {kind.client.__module__}.Redis, not {client!r}")
    pool = client.connection_pool
    settings = settings_of(kind, pool.connection_kwargs, seconds)
    settings.pop("connection_pool", None)  # a Sentinel's connections know theirs
    if hasattr(pool, "sentinel_manager"):
        return kind.sentinel_pool(pool.service_name, pool.sentinel_manager, connection_class=pool.connection_class, **settings)
    return kind.pool(connection_class=pool.connection_class, **settings)


def word_of(error: BaseException) -> Optional[str]:
    """The word by which Redis named its mood, or None where the error is final."""
    text = str(error).rpartition("of pipeline caused error: ")[2].lstrip("('\"")
    word = RETRIED.get(type(error).__name__) or text.split(" ", 1)[0]
    if "Function not found" in text:
        return "ERR"  # a Redis that lost its functions; a gateway loads them again
    if isinstance(error, redis.AuthenticationError) or getattr(redis, "AuthorizationError", ()) == type(error):
        return None  # a kind of ConnectionError, but the password will not get better
    if word in RETRIED_WORDS:
        return word
    return "" if isinstance(error, (redis.ConnectionError, redis.TimeoutError, redis.WatchError)) else None


def moved_to(error: BaseException) -> Optional[tuple[str, int]]:
    """Where a MOVED sends us; the host is "" if the server does not know it. None: it names no address."""
    found = re.search(r"\d+ (\S*):(\d+)$", str(error))
    return (found[1].strip("[]"), int(found[2])) if found and found[1] != "?" else None


def patience(until: float) -> float:
    """How long a lock is waited for up to then, in a form that it takes."""
    return min(max(0.0, until - time.monotonic()), threading.TIMEOUT_MAX)

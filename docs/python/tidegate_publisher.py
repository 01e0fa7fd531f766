"""Publish to a Tidegate channel with history, and know that it is there once.

    publisher = Publisher(redis.Redis())
    publisher.publish("cards", {"type": "card_updated", "data": {"id": 7}})

Under asyncio (FastAPI, say), where a call that waits would hold up everybody:

    publisher = AsyncPublisher(redis.asyncio.Redis())
    await publisher.publish("cards", {"type": "card_updated", "data": {"id": 7}})

Copy this file into your backend; it needs redis-py (4.3 to 8.1 were tried) and nothing else. It retries with full jitter
under one idempotency key until Redis has acknowledged: however often it tried, the event is in the channel's log once.
It opens connections of its own to where the client's go, because the client's may wait for Redis without an end.
"""

import asyncio
import json
import random
import time
import uuid

import redis
import redis.asyncio
import redis.asyncio.sentinel
import redis.sentinel
from redis.backoff import NoBackoff

KEY_TTL_MS = 120_000  # for how long a retry is recognised: longer than the deadline below
ATTEMPT_SECONDS_MAX = 2.0  # how long Redis may be silent before it is asked again
PAUSE_SECONDS = 0.05
PAUSE_SECONDS_MAX = 2.0

# What Redis says while it is not itself: the first word of its answer, which redis-py takes off where it has a class of
# exceptions for it. Which ones have a class depends on its version.
RETRIED = {"BusyLoadingError": "LOADING", "ReadOnlyError": "READONLY", "OutOfMemoryError": "OOM",
           "MasterDownError": "MASTERDOWN", "TryAgainError": "TRYAGAIN", "ClusterDownError": "CLUSTERDOWN"}
RETRIED_WORDS = {*RETRIED.values(), "NOREPLICAS", "MISCONF", "BUSY"}
# After these another server may stand at the address, and only a new connection finds it.
ELSEWHERE = {"READONLY", "NOREPLICAS", "MASTERDOWN", "CLUSTERDOWN"}


class NotPublished(Exception):
    """Not acknowledged before the deadline. It may be in the log all the same: publish again with the same key."""


class _Publisher:
    """What both publishers share: what is said, for how long, and what an error means."""

    def __init__(self, client, size=1000, ttl_seconds=86_400, deadline_seconds=30):
        """client: says where Redis is. size and ttl_seconds: what the channel's log keeps, as in the gateway's route.

        publish() returns or raises within deadline_seconds, also where Redis is frozen. (Not counted by Publisher: how
        long the system takes to resolve the server's name, and how long a Sentinel without a socket_timeout is asked.)
        """
        if deadline_seconds * 1000 > KEY_TTL_MS:
            raise ValueError(f"a deadline over {KEY_TTL_MS // 1000} s is longer than Redis remembers a key")
        self.size = size
        self.ttl_ms = int(ttl_seconds * 1000)
        self.deadline_seconds = deadline_seconds
        # An attempt may wait twice: for the connection and for the answer.
        self.attempt_seconds = min(ATTEMPT_SECONDS_MAX, deadline_seconds / 4)
        self.pool = self._own_pool(client)
        self.client = type(client)(connection_pool=self.pool)

    def _own_pool(self, client):
        if not isinstance(client, self.client_class):
            raise TypeError(f"{type(self).__name__} wants a {self.client_class.__module__}.Redis, not {client!r}")
        pool = client.connection_pool
        settings = dict(pool.connection_kwargs, socket_timeout=self.attempt_seconds, retry_on_timeout=False,
                        retry_on_error=[], retry=self.retry_class(NoBackoff(), 0))  # the only loop is ours
        if "path" not in settings:
            settings["socket_connect_timeout"] = self.attempt_seconds
        settings.pop("connection_pool", None)  # a Sentinel's connections know theirs
        if hasattr(pool, "sentinel_manager"):
            return self.sentinel_pool_class(pool.service_name, pool.sentinel_manager,
                                            connection_class=pool.connection_class, **settings)
        return self.pool_class(connection_class=pool.connection_class, **settings)

    def _words(self, channel, event, key):
        payload = event if isinstance(event, (str, bytes)) else json.dumps(event)
        epoch = "".join(random.choices("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", k=8))
        return ("FCALL", "tidegate_publish", 3,
                f"tg:s:{{{channel}}}", f"tg:m:{{{channel}}}", f"tg:i:{{{channel}}}:{key}",
                payload, channel, "publish", self.size + 1, self.ttl_ms, epoch, KEY_TTL_MS)  # one more: the anchor

    def _late(self, pause, give_up):
        """Whether another attempt after so long a pause might end after the deadline."""
        return time.monotonic() + pause + 2 * self.attempt_seconds > give_up


def _entry(answer):
    return answer[0].decode() if isinstance(answer[0], bytes) else answer[0]


def _word(error):
    """The word by which Redis named its mood, or None where the error is final."""
    text = str(error)
    word = RETRIED.get(type(error).__name__) or text.split(" ", 1)[0]
    if "Function not found" in text:
        return "ERR"  # a Redis that lost its functions; a gateway loads them again
    if isinstance(error, redis.AuthenticationError) or getattr(redis, "AuthorizationError", ()) == type(error):
        return None  # a kind of ConnectionError, but the password will not get better
    if word in RETRIED_WORDS:
        return word
    return "" if isinstance(error, (redis.ConnectionError, redis.TimeoutError)) else None


class Publisher(_Publisher):
    """For threads; any number of them may share it."""

    client_class, pool_class, retry_class = redis.Redis, redis.ConnectionPool, redis.retry.Retry
    sentinel_pool_class = redis.sentinel.SentinelConnectionPool

    def publish(self, channel, event, key=None):
        """Returns the entry's id, "offset-tag". The key names the event, not its text: your database's id of it."""
        key = key or uuid.uuid4().hex
        words = self._words(channel, event, key)
        give_up, longest = time.monotonic() + self.deadline_seconds, PAUSE_SECONDS
        while True:
            try:
                return _entry(self.client.execute_command(*words))
            except redis.RedisError as error:
                reason, word = error, _word(error)
            if word is None:
                raise reason
            if word in ELSEWHERE:
                self.pool.disconnect(inuse_connections=False)
            pause = random.uniform(0, longest)
            if self._late(pause, give_up):
                raise NotPublished(f"{channel}, key {key}: {reason}") from reason
            time.sleep(pause)
            longest = min(longest * 2, PAUSE_SECONDS_MAX)

    def close(self):
        self.pool.disconnect()


class AsyncPublisher(_Publisher):
    """For asyncio, within one event loop."""

    client_class, pool_class, retry_class = redis.asyncio.Redis, redis.asyncio.ConnectionPool, redis.asyncio.retry.Retry
    sentinel_pool_class = redis.asyncio.sentinel.SentinelConnectionPool

    async def publish(self, channel, event, key=None):
        """As Publisher.publish(), and the loop goes on meanwhile. Who gives up early may find the event published."""
        key = key or uuid.uuid4().hex
        words = self._words(channel, event, key)
        give_up, longest = time.monotonic() + self.deadline_seconds, PAUSE_SECONDS
        while True:
            # A task, so that nobody's impatience tears a command off its answer: redis-py before 4.5.5 would give that
            # answer to the connection's next user.
            attempt = asyncio.ensure_future(self.client.execute_command(*words))
            attempt.add_done_callback(lambda task: task.cancelled() or task.exception())
            await asyncio.wait({attempt}, timeout=max(0, give_up - time.monotonic()))
            if not attempt.done():
                raise NotPublished(f"{channel}, key {key}: no answer in {self.deadline_seconds} s")
            reason = attempt.exception()
            if reason is None:
                return _entry(attempt.result())
            word = _word(reason)
            if word is None:
                raise reason
            if word in ELSEWHERE:
                await self.pool.disconnect(inuse_connections=False)
            pause = random.uniform(0, longest)
            if self._late(pause, give_up):
                raise NotPublished(f"{channel}, key {key}: {reason}") from reason
            await asyncio.sleep(pause)
            longest = min(longest * 2, PAUSE_SECONDS_MAX)

    async def close(self):
        await self.pool.disconnect()

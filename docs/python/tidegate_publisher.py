"""Publish to a Tidegate channel with history, and know that it is there once.

    publisher = Publisher(redis.Redis())
    publisher.publish("cards", {"type": "card_updated", "data": {"id": 7}})

Copy this file into your backend; it needs redis-py and nothing else. It retries with full jitter under one
idempotency key until Redis has acknowledged: however often it tried, the event is in the channel's log once.
"""

import json
import random
import time
import uuid

import redis

KEY_TTL_MS = 120_000  # for how long a retry is recognised: longer than the deadline below
RETRIED = ("LOADING", "READONLY", "MASTERDOWN", "TRYAGAIN", "CLUSTERDOWN", "MISCONF", "OOM", "Function not found")


class NotPublished(Exception):
    """Not acknowledged before the deadline. It may be in the log all the same: publish again with the same key."""


class Publisher:
    def __init__(self, client, size=1000, ttl_seconds=86_400, deadline_seconds=30):
        """client: a redis.Redis. size and ttl_seconds: what the channel's log keeps, as in the gateway's route."""
        self.client = client
        self.size = size
        self.ttl_ms = ttl_seconds * 1000
        self.deadline_seconds = deadline_seconds

    def publish(self, channel, event, key=None):
        """Returns the entry's id, "offset-tag". The key names the event, not its text: your database's id of it."""
        key = key or uuid.uuid4().hex
        payload = event if isinstance(event, (str, bytes)) else json.dumps(event)
        give_up = time.monotonic() + self.deadline_seconds
        pause = 0.05
        while True:
            try:
                return self._call(channel, payload, key)
            except (redis.ConnectionError, redis.TimeoutError) as error:
                reason = error
            except redis.ResponseError as error:
                if not str(error).startswith(RETRIED):
                    raise
                reason = error
            if time.monotonic() + pause > give_up:
                raise NotPublished(f"{channel}, key {key}: {reason}") from reason
            time.sleep(random.uniform(0, pause))
            pause = min(pause * 2, 2.0)

    def _call(self, channel, payload, key):
        epoch = "".join(random.choices("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", k=8))
        answer = self.client.execute_command(
            "FCALL", "tidegate_publish", 3,
            f"tg:s:{{{channel}}}", f"tg:m:{{{channel}}}", f"tg:i:{{{channel}}}:{key}",
            payload, channel, "publish", self.size + 1, self.ttl_ms, epoch, KEY_TTL_MS)  # one more: the anchor
        return answer[0].decode() if isinstance(answer[0], bytes) else answer[0]

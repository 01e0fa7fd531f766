"""What one connection asks of the node does not hold up what others ask: more than anybody could need, as fast as it goes."""

import json
import signal
import time

import pytest

from harness.flood import Flood, Passersby, command
from harness.gateway import TALKATIVE
from harness.moody_redis import MoodyRedis
from harness.wait import sized, until
from harness.websocket import WebSocket, handshake

FLOODERS = 4
NEWCOMERS = 10
OWN = 99  # channels that a connection may have besides its route's
BURST = 300  # names that a connection may say at once
BURST_BYTES = 3 * BURST * len(command("subscribe", "0-1000", channel="items:0-1000"))
NAMES = 20000  # of a flooder, before it says them again
HELD_BACK_SECONDS = 2  # so long the answer to a handshake waits for its subscription, and no longer
CHANNELS_MAX = 3000  # in Redis, for the flood of a test; it was some 40,000 a second
SLOW_SECONDS = 0.001  # a channel, in a slow Redis: a window full of them takes longer than a handshake waits
SLOW_FLOODERS = 2  # 400 channels a second, subscribed or left, at the rate that they are allowed: a busy machine has room for that
BUSY_SECONDS = 0.0004  # a channel, in a busy Redis: what a crowd asks for takes longer than a handshake waits
FAST_SECONDS = 0.00005  # a channel, in a Redis that is busy with something else
CROWD = 70
WAITING = 200  # handshakes that one confirmation answers
GIVING_UP = 20  # of them

HISTORY = """
routes:
  - path: /ws/log/{id}
    channel: log:{id}
    history: {size: 1000, ttl: 1h}
"""


def flips(index):
    """As many names as a connection may have, then it leaves them: together they are more than the gateway reads at once."""
    return b"".join(command(verb, f"{index}-{number}", channel=f"items:{index}-{number}")
                    for first in range(0, NAMES, OWN) for verb in ("subscribe", "unsubscribe")
                    for number in range(first, first + OWN))


@pytest.fixture
def slow_redis():
    """Subscribes to so many channels in a second and no more."""
    started = []

    def start_one(channel_seconds):
        started.append(MoodyRedis(channel_seconds=channel_seconds))
        return started[0]

    yield start_one
    for one in started:
        one.stop()


def hears_what_follows_its_handshake(gateway, redis, number):
    """The seconds that the handshake took."""
    began = time.monotonic()
    with gateway.connect(f"/ws/execution/{number}") as peer:
        took = time.monotonic() - began
        redis.publish(f"execution:{number}", '{"type":"heard"}')
        assert peer.receive()["type"] == "heard"
    return took


def opens_within(gateway, seconds):
    began = time.monotonic()
    with gateway.connect("/ws/execution/first"):
        return time.monotonic() - began < seconds


def test_a_handshake_does_not_wait_behind_a_flood_of_subscribes(start, slow_redis, figure):
    """What is published once it is open is heard: it was let in unconfirmed when it had waited too long."""
    redis = slow_redis(SLOW_SECONDS)
    gateway = start(*TALKATIVE, "--workers", "1", "--redis", redis.url)
    with Flood(gateway, "/ws/cards", [flips(index) for index in range(SLOW_FLOODERS)]) as flood:
        until("each has had its burst", lambda: min(flood.said) > BURST_BYTES)
        until("Redis has that behind it", lambda: opens_within(gateway, HELD_BACK_SECONDS / 4))
        slowest = max(hears_what_follows_its_handshake(gateway, redis, number) for number in range(NEWCOMERS))
    figure(f"slowest handshake beside {SLOW_FLOODERS} floods of subscribes, 1 ms a channel", f"{slowest * 1000:.0f} ms")
    assert slowest < HELD_BACK_SECONDS


def test_a_handshake_goes_before_what_open_connections_ask_for(start, slow_redis, figure):
    """All may have what they ask for, and Redis has so much to do for them that it takes longer than a handshake waits."""
    redis = slow_redis(BUSY_SECONDS)
    gateway = start(*TALKATIVE, "--workers", "1", "--redis", redis.url)
    words = [b"".join(command("subscribe", channel=f"items:{index}-{number}") for number in range(OWN))
             for index in range(CROWD)]
    with Flood(gateway, "/ws/cards", words, once=True) as flood:
        until("all have asked", lambda: sum(flood.said) == sum(map(len, words)))
        until("they are heard", lambda: gateway.metric("tidegate_subscriptions") == CROWD * 100)
        took = hears_what_follows_its_handshake(gateway, redis, 0)
    figure(f"a handshake beside {CROWD * OWN} subscribes, 0.4 ms a channel", f"{took * 1000:.0f} ms")
    assert took < HELD_BACK_SECONDS


def test_all_who_wait_for_one_subscription_are_answered_and_hear_what_follows(start, own_redis):
    """They are answered a few at a time; what is published meanwhile waits for them. Who gives up holds up nobody."""
    gateway = start("--workers", "1", redis=own_redis)
    peers = []
    own_redis.process.signal(signal.SIGSTOP)
    try:
        for _ in range(WAITING):
            peers.append(WebSocket(gateway.address, tls=gateway.tls))
            peers[-1].send_raw(handshake("/ws/execution/awaited"))
        until("all of them wait", lambda: gateway.metric("tidegate_subscriptions") == WAITING)
        for gone in peers[:GIVING_UP]:
            gone.abandon()
    finally:
        own_redis.process.signal(signal.SIGCONT)
    until("one is subscribed", lambda: own_redis.subscribers("execution:awaited"))
    own_redis.publish("execution:awaited", '{"type":"heard"}')
    for peer in peers[GIVING_UP:]:
        assert peer.read_response().status == 101
        assert peer.receive()["type"] == "heard"
        peer.abandon()
    until("all are gone", lambda: gateway.metric("tidegate_connections") == 0)


def test_who_subscribes_too_often_is_told_and_holds_no_channels(start, own_redis, figure):
    gateway = start(*TALKATIVE, "--workers", "1", redis=own_redis)
    with Flood(gateway, "/ws/cards", [flips(index) for index in range(FLOODERS)]) as flood:
        until("each is told", lambda: all(flood.refused))
        channels = len(own_redis.client.pubsub_channels())
    figure(f"channels in Redis of {FLOODERS} connections that hold none", channels)
    assert channels < CHANNELS_MAX


def publish_large(redis, channel, entries, payload_bytes=16000):
    payload = json.dumps({"type": "n", "data": "x" * payload_bytes})
    pipe = redis.client.pipeline(transaction=False)
    for _ in range(entries):
        pipe.fcall("tidegate_publish", 2, f"tg:s:{{{channel}}}", f"tg:m:{{{channel}}}", payload, channel, "publish", 1001,
                   3600000, "kJdQaXwB")
    pipe.execute()
    return entries * len(payload)


@pytest.mark.plain
def test_a_recovery_does_not_wait_behind_all_that_others_recover(start, own_redis, tmp_path, figure):
    """Each of the others asks for many megabytes at once. Their answers are on their way by turns with everybody else's."""
    file = tmp_path / "tidegate.yaml"
    file.write_text(HISTORY, encoding="utf-8")
    gateway = start(*TALKATIVE, "--config", file, "--workers", "1", redis=own_redis)
    gateway.publish("log:good", '{"type":"kept"}')
    logs = [f"log:{number}" for number in range(60)]
    expected = FLOODERS * sum(publish_large(own_redis, log, 32) for log in logs)
    words = b"".join(command("subscribe", channel=log, since="start") for log in logs)
    with Flood(gateway, "/ws/log/bad", [words] * FLOODERS, once=True) as flood:
        until("they have begun", lambda: all(flood.heard))
        began = time.monotonic()
        with gateway.connect("/ws/log/good?since=start") as peer:
            answer = peer.receive()
        took, heard = time.monotonic() - began, sum(flood.heard)
        assert (answer["data"]["recovered"], answer["data"]["count"]) == (True, 1)
    figure(f"a recovery beside {FLOODERS} of {expected >> 22} MiB each",
           f"{took * 1000:.0f} ms, when they had {heard >> 20} of {expected >> 20} MiB")
    assert heard < expected / 2


def test_who_comes_floods_and_goes_leaves_nothing_behind(start, slow_redis, figure):
    """Each has a burst of its own. What it asked for goes with it, and is left as fast as others subscribe."""
    redis = slow_redis(FAST_SECONDS)
    gateway = start(*TALKATIVE, "--workers", "1", "--redis", redis.url)
    words = [flips(index)[:200000] for index in range(3)]
    with Passersby(gateway, "/ws/cards", words) as passersby:
        until("some have passed", lambda: sum(passersby.passed) > sized(40, 6))
        channels = redis.n_channels()
        slowest = max(hears_what_follows_its_handshake(gateway, redis, number) for number in range(NEWCOMERS))
    after = hears_what_follows_its_handshake(gateway, redis, 0)
    figure("channels of three that come, flood and go; a handshake beside them, and after them",
           f"{channels}; {slowest * 1000:.0f} ms, {after * 1000:.0f} ms")
    assert channels < CHANNELS_MAX and slowest < HELD_BACK_SECONDS

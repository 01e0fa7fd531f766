"""What a client can make the gateway and Redis hold: many times what it says, or for long, it must not be."""

import json
import select
import signal
import statistics

from harness.gateway import TALKATIVE
from harness.wait import PATIENCE_SECONDS, sized, until
from harness.websocket import PING, TEXT, frame

UNANSWERED_MAX = 216  # twice subscriptions_max, and 16
BURST_BYTES = 64 << 10
LINGERING_MAX = 1024  # channels that nobody listens to any more
EMPTY_MS = 75000  # a log without entries, and without readers
NEW_MS = 20000  # one that was begun a moment ago

HISTORY = """
routes:
  - path: /ws/log/{id}
    channel: log:{id}
    history: {size: 1000, ttl: 1h}
"""

UNPINGED = (*TALKATIVE, "--ping-interval", "1h")  # who does not read answers no pings, nor does say(), unread_until_pong() or ask_for_all()


def command(verb, **data):
    return frame(TEXT, json.dumps({"type": verb, "data": data}).encode())


def say(peer, words, count):
    """Sends the words so many times, and reads whatever comes meanwhile: the bytes sent."""
    burst = words * max(1, BURST_BYTES // len(words))
    left = len(words) * count
    peer.socket.setblocking(False)
    sent = 0
    while left:
        readable, writable, _ = select.select([peer.socket], [peer.socket], [], PATIENCE_SECONDS)
        assert readable or writable, "the gateway takes nothing any more"
        if readable:
            assert peer.socket.recv(1 << 20), f"hung up on after {sent} bytes"
        if writable:
            at = sent % len(words)
            n = peer.socket.send(burst[at:at + left])
            sent, left = sent + n, left - n
    peer.socket.settimeout(PATIENCE_SECONDS)
    return sent


def unread_until_pong(peer):
    """Reads past all answers that are on their way."""
    peer.send_raw(frame(TEXT, b'{"type":"ping","id":"the end"}'))
    read = b""
    while b'"the end"' not in read:
        more = peer.socket.recv(1 << 20)
        assert more, f"hung up on: {read[-64:]!r}"
        read = read[-64:] + more


def grown_mib(gateway, before_kib):
    """Sanitizers keep what was freed: under them the bounds below are wide, and the runs look at the code alone."""
    return (gateway.resident_kib() - before_kib) / 1024


def test_subscribing_again_and_again_while_redis_hangs_is_bounded(start, own_redis, figure):
    gateway = start(*UNPINGED, "--workers", "1", redis=own_redis)
    with gateway.connect("/ws/cards") as peer:
        own_redis.process.signal(signal.SIGSTOP)
        try:
            before = gateway.resident_kib()
            said = say(peer, command("subscribe", channel="items:1"), sized(150000, 20000))
            unread_until_pong(peer)
            grown = grown_mib(gateway, before)
        finally:
            own_redis.process.signal(signal.SIGCONT)
        figure("one subscription, asked for again and again", f"{said >> 20} MiB said, {grown:.1f} MiB held")
        assert grown < sized(8, 1000)


def test_each_command_with_an_id_is_answered_however_many_there_are(start, own_redis):
    gateway = start(*TALKATIVE, "--workers", "1", redis=own_redis)
    with gateway.connect("/ws/cards") as peer:
        own_redis.process.signal(signal.SIGSTOP)
        try:
            for number in range(UNANSWERED_MAX + 20):
                peer.send({"type": "subscribe", "id": number, "data": {"channel": "items:1"}})
            busy = [peer.receive() for _ in range(20)]
            assert {answer["data"]["code"] for answer in busy} == {"busy"}
            assert [answer["id"] for answer in busy] == [*range(UNANSWERED_MAX, UNANSWERED_MAX + 20)]
        finally:
            own_redis.process.signal(signal.SIGCONT)
        answers = [peer.receive() for _ in range(UNANSWERED_MAX)]
        assert [answer["id"] for answer in answers] == [*range(UNANSWERED_MAX)]
        assert {answer["type"] for answer in answers} <= {"subscribed", "error"}
        until("the bound is free again", lambda: peer.ask(
            {"type": "subscribe", "data": {"channel": "items:2"}})["type"] == "subscribed")


def test_asking_for_the_past_and_leaving_is_bounded(start, own_redis, tmp_path, figure):
    file = tmp_path / "tidegate.yaml"
    file.write_text(HISTORY, encoding="utf-8")
    gateway = start(*UNPINGED, "--config", file, "--workers", "1", redis=own_redis)
    with gateway.connect("/ws/log/1") as peer:
        own_redis.process.signal(signal.SIGSTOP)
        try:
            before = gateway.resident_kib()
            words = command("subscribe", channel="log:2", since="start") + command("unsubscribe", channel="log:2")
            said = say(peer, words, sized(60000, 8000))
            unread_until_pong(peer)
            grown = grown_mib(gateway, before)
        finally:
            own_redis.process.signal(signal.SIGCONT)
        figure("the past, asked for and given up", f"{said >> 20} MiB said, {grown:.1f} MiB held")
        assert grown < sized(8, 1000)


def publish_large(redis, channels, entries=64, payload_bytes=16000):
    """A log of about 1 MiB for each of these channels."""
    payload = json.dumps({"type": "n", "data": "x" * payload_bytes})
    pipe = redis.client.pipeline(transaction=False)
    for channel in channels:
        for _ in range(entries):
            pipe.fcall("tidegate_publish", 2, f"tg:s:{{{channel}}}", f"tg:m:{{{channel}}}", payload, channel, "publish",
                       1001, 3600000, "kJdQaXwB")
        pipe.execute()


def ask_for_all(peer, channel, count=64):
    """It is all there: the bytes said."""
    words = command("subscribe", channel=channel, since="start")
    peer.send_raw(words)
    assert peer.receive()["data"]["count"] == count
    for _ in range(count):
        peer.receive_frame()
    return len(words)


def test_asking_for_all_of_many_logs_does_not_keep_them(start, own_redis, tmp_path, figure):
    file = tmp_path / "tidegate.yaml"
    file.write_text(HISTORY, encoding="utf-8")
    gateway = start(*UNPINGED, "--config", file, "--workers", "1", "--subscriptions-max", "200", redis=own_redis)
    with gateway.connect("/ws/log/first") as peer:
        channels = [f"log:{n}" for n in range(sized(160, 90))]
        publish_large(own_redis, channels)
        before = gateway.resident_kib()
        said = sum(ask_for_all(peer, channel) for channel in channels)
        grown = grown_mib(gateway, before)
        figure("all of many logs, asked for", f"{said >> 10} KiB said, {len(channels)} MiB read, {grown:.1f} MiB held")
        assert grown < sized(100, 1000)
        ask_for_all(peer, channels[0])  # what was forgotten is read again


def test_who_asks_and_does_not_read_is_closed_in_time(start, redis, tmp_path):
    file = tmp_path / "tidegate.yaml"
    file.write_text("routes:\n  - {path: /ws/mute, channel: mute, slow: {age: 500ms, bytes: 64MiB}}\n", encoding="utf-8")
    gateway = start(*TALKATIVE, "--config", file, "--workers", "1", redis=redis)
    with gateway.connect("/ws/mute", receive_buffer=4096) as peer:
        ping = frame(TEXT, json.dumps({"type": "ping", "id": "x" * 100}).encode())
        def closed():
            peer.send_raw(ping * 500)
            return gateway.lines("client disconnected", code="4100")

        assert until("it is closed", closed)[0].fields["route"] == "/ws/mute"


def say_names(peer, count):
    """Subscribes to names that nobody used before, and leaves each at once: the bytes said."""
    said = 0
    for first in range(0, count, 100):
        words = b"".join(command(verb, channel=f"log:{number}") for number in range(first, first + 100)
                         for verb in ("subscribe", "unsubscribe"))
        said += say(peer, words, 1)
    unread_until_pong(peer)
    return said


def test_names_that_nobody_uses_are_held_by_nobody(start, own_redis, tmp_path, figure):
    file = tmp_path / "tidegate.yaml"
    file.write_text(HISTORY, encoding="utf-8")
    gateway = start(*UNPINGED, "--config", file, "--workers", "1", redis=own_redis)
    with gateway.connect("/ws/log/first") as peer:
        before = gateway.resident_kib()
        said = say_names(peer, sized(20000, 3000))
        until("the names are on their way out",
              lambda: gateway.metric("tidegate_channels") <= LINGERING_MAX + 3)
        channels = len(own_redis.client.pubsub_channels())
        grown = grown_mib(gateway, before)
        figure("names that nobody used before",
               f"{said >> 20} MiB said, {channels} channels in Redis, {grown:.1f} MiB held")
        assert channels <= LINGERING_MAX + 10 and grown < sized(24, 1000)
        lives = [own_redis.client.pttl(key) for key in own_redis.client.scan_iter("tg:m:{log:*", count=1000)]
        figure("of them in the log's keys", f"{len(lives)}, the longest for {max(lives, default=0) / 1000:.0f} s")
        assert statistics.median(lives) <= NEW_MS and max(lives) <= EMPTY_MS, "some were left late on a busy machine"
        until("Redis has as many channels as before", lambda: len(own_redis.client.pubsub_channels()) <= 3)


def test_a_name_that_is_published_to_is_kept_for_its_ttl(start, own_redis, tmp_path):
    """Who stood before the first entry of a log gets it, also when he comes back."""
    file = tmp_path / "tidegate.yaml"
    file.write_text(HISTORY, encoding="utf-8")
    gateway = start(*TALKATIVE, "--config", file, "--workers", "1", redis=own_redis)
    with gateway.connect("/ws/log/a") as peer:
        empty = peer.ask({"type": "subscribe", "data": {"channel": "log:a", "recover": True}})["data"]["pos"]
        assert own_redis.client.pttl("tg:m:{log:a}") <= EMPTY_MS
        publish_large(own_redis, ["log:a"], 1, 10)
        assert own_redis.client.pttl("tg:m:{log:a}") > EMPTY_MS
        assert peer.receive()["channel"] == "log:a"
    with gateway.connect("/ws/log/b") as peer:
        answer = peer.ask({"type": "subscribe", "data": {"channel": "log:a", "since": empty}})["data"]
        assert answer["recovered"] and answer["count"] == 1


CONNECTION_MIB_MAX = 5  # docs/operations.md names it


def fill_up(gateway, peer, bytes_more):
    """Pings whose answers are not read, until so much more waits: short ones, which cost the most beside their bytes."""
    pings = frame(TEXT, b'{"type":"ping"}') * 1000
    aim = gateway.metric("tidegate_queued_bytes") + bytes_more
    while gateway.metric("tidegate_queued_bytes") < aim:
        heard = gateway.metric("tidegate_messages_received_total")
        peer.send_raw(pings)
        until("they are heard", lambda n=heard: gateway.metric("tidegate_messages_received_total") >= n + 1000)


def test_pings_of_one_who_does_not_read_queue_no_pongs(start, redis, figure):
    gateway = start(*TALKATIVE, "--workers", "1", redis=redis)
    with gateway.connect("/ws/cards", receive_buffer=4096) as peer:
        before = gateway.resident_kib()
        pings = frame(PING, b"x" * 125) * 5000
        for _ in range(sized(30, 5)):
            peer.send_raw(pings)
        grown = grown_mib(gateway, before)
        figure("pings whose pongs nobody reads", f"{len(pings) * 30 >> 20} MiB said, {grown:.1f} MiB held")
        assert grown < sized(8, 1000)


def test_the_worst_that_one_connection_holds(start, own_redis, tmp_path, figure):
    """As many channels as it may have, a replay that waits, and answers up to its bound."""
    file = tmp_path / "tidegate.yaml"
    file.write_text(HISTORY.rstrip() + "\n    slow: {age: none}\n", encoding="utf-8")
    gateway = start(*UNPINGED, "--config", file, "--workers", "1", redis=own_redis)
    peers = [gateway.connect(f"/ws/log/{n}", receive_buffer=4096) for n in range(sized(6, 2))]
    try:
        publish_large(own_redis, [f"log:full-{n}" for n in range(len(peers))])
        before = gateway.resident_kib()
        for n, peer in enumerate(peers):
            peer.send_raw(b"".join(command("subscribe", channel=f"log:{n}-{i}") for i in range(98)))
            fill_up(gateway, peer, 1000)  # what the kernel takes is full
            queued = gateway.metric("tidegate_queued_bytes")
            peer.send_raw(command("subscribe", channel=f"log:full-{n}", since="start"))
            until("the replay waits", lambda: gateway.metric("tidegate_queued_bytes") > queued + 1000000)
            fill_up(gateway, peer, 850000)
        assert gateway.metric("tidegate_connections") == len(peers), "none was closed"
        each = grown_mib(gateway, before) / len(peers)
        figure("the worst that one connection holds", f"{each:.1f} MiB")
        assert each < sized(CONNECTION_MIB_MAX, 1000)
    finally:
        for peer in peers:
            peer.abandon()

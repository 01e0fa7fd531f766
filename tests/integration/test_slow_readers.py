"""
Clients that do not read: what each policy makes of them, what they cost, and that nobody else notices.

The kernel takes megabytes for a socket before it is full, whatever little the peer's side takes. So a flood is larger
than that and the bound together, and a test looks at what is left of it: a beginning that the kernel took, a
gap, and an end.
"""

import json
import time

import pytest

from harness.wait import pass_time, until
from harness.websocket import CLOSE, PING, PONG, TEXT, Closed

EVENT_BYTES = 20000
BOUND = 256 * 1024
FLOOD = 700  # events: 14 MB
KEYS = 8  # of 20 kB each: within the bound
SLACK = 8 << 20  # bytes: what an allocator keeps, and the reader of Redis

DROPPED = "tidegate_messages_dropped_total"
POLICIES = {
    "disconnect": "{bytes: 256KiB, age: none}",
    "drop_oldest": "{policy: drop_oldest, bytes: 256KiB, age: none}",
    "latest_by_key": "{policy: latest_by_key, key: data.key, bytes: 256KiB}",
}


@pytest.fixture
def start_slow(start, redis, tmp_path):
    """start_slow("drop_oldest") is a gateway whose routes /ws/slow and /ws/slow/ID have that to say of slow readers."""

    def start_one(slow, *options):
        file = tmp_path / "tidegate.yaml"
        routes = [("/ws/slow", "cards"), ("/ws/slow/{id}", "items:{id}")]
        rows = [f"  - path: {path}\n    channel: {channel}\n    slow: {slow}\n" for path, channel in routes]
        file.write_text("routes:\n" + "".join(rows), encoding="utf-8")
        # Who does not read answers no pings, and a busy machine takes longer for a flood than a pong is waited for.
        patient = () if "--ping-interval" in options else ("--ping-interval", "1h")
        return start("--config", file, "--workers", "1", *options, *patient, redis=redis)

    return start_one


def event(number):
    return json.dumps({"type": "n", "data": {"n": number, "key": number % KEYS, "filler": "x" * EVENT_BYTES}})


def flood(redis, other, count=FLOOD, first=0):
    """One event after the other, each read by one who reads before the next is sent."""
    for number in range(first, first + count):
        redis.publish("cards", event(number))
        assert other.receive()["data"]["n"] == number


def numbers_until(peer, last):
    """What it hears up to this event."""
    heard = []
    while not heard or heard[-1] != last:
        heard.append(peer.receive()["data"]["n"])
    return heard


def dropped(gateway, policy):
    return gateway.metric(f'{DROPPED}{{policy="{policy}"}}')


def flood_until_it_drops(gateway, redis, other, policy):
    """The number of the next event."""
    number = 0
    while not dropped(gateway, policy):
        flood(redis, other, 20, number)
        number += 20
    return number


def after_the_gap(heard):
    """What came after the longest gap; the order was that of the channel."""
    assert heard[0] == 0 and heard == sorted(set(heard))
    gaps = [later - earlier for earlier, later in zip(heard, heard[1:])]
    return heard[gaps.index(max(gaps)) + 1:]


def test_disconnect_closes_at_its_bound_and_says_so(redis, start_slow):
    gateway = start_slow(POLICIES["disconnect"])
    with gateway.connect("/ws/slow", receive_buffer=4096) as stuck, gateway.connect() as other:
        flood(redis, other)
        assert dropped(gateway, "disconnect") >= BOUND // (EVENT_BYTES + 300)
        assert stuck.close_code() in (4100, None)  # None: it did not read for so long that it was hung up on
        line = gateway.wait_for_line("client disconnected", code="4100")
        assert int(line.fields["dropped"]) == dropped(gateway, "disconnect")


def test_disconnect_tells_4100_to_who_reads_again(redis, start_slow):
    gateway = start_slow(POLICIES["disconnect"])
    with gateway.connect("/ws/slow", receive_buffer=4096) as stuck, gateway.connect() as other:
        flood_until_it_drops(gateway, redis, other, "disconnect")
        stuck.read_fast()
        heard = []
        with pytest.raises(Closed) as closed:
            while True:
                heard.append(stuck.receive()["data"]["n"])
        assert closed.value.code == 4100
        assert heard == list(range(len(heard)))


def test_disconnect_closes_who_lets_an_event_wait_too_long(redis, start_slow):
    gateway = start_slow("{bytes: 64MiB, age: 500ms}")
    with gateway.connect() as other:
        with gateway.connect("/ws/slow", receive_buffer=4096):
            flood(redis, other)
            until("it is given up", lambda: dropped(gateway, "disconnect"))
        assert gateway.wait_for_line("client disconnected", code="4100").fields["route"] == "/ws/slow"
        assert other.ask({"type": "ping"})["type"] == "pong"


def test_drop_oldest_leaves_the_newest_and_stays_open(redis, start_slow):
    gateway = start_slow(POLICIES["drop_oldest"])
    with gateway.connect("/ws/slow", receive_buffer=4096) as stuck, gateway.connect() as other:
        flood(redis, other)
        heard = numbers_until(stuck, FLOOD - 1)
        left = after_the_gap(heard)
        assert left == list(range(left[0], FLOOD))
        assert BOUND // (EVENT_BYTES + 300) <= len(left) <= BOUND // EVENT_BYTES  # as many as the bound holds
        assert len(heard) + dropped(gateway, "drop_oldest") == FLOOD
        flood(redis, other, 3, FLOOD)
        assert [stuck.receive()["data"]["n"] for _ in range(3)] == [FLOOD, FLOOD + 1, FLOOD + 2]
        assert stuck.ask({"type": "ping"})["type"] == "pong"
        stuck.close(4242)
        line = gateway.wait_for_line("client disconnected", code="4242")
        assert int(line.fields["dropped"]) == FLOOD - len(heard)


def test_drop_oldest_drops_what_is_too_old(redis, start_slow):
    gateway = start_slow("{policy: drop_oldest, bytes: 64MiB, age: 500ms}")
    with gateway.connect("/ws/slow", receive_buffer=4096) as stuck, gateway.connect() as other:
        flood(redis, other)
        until("some are too old", lambda: dropped(gateway, "drop_oldest"))
        flood(redis, other, 1, FLOOD)
        heard = numbers_until(stuck, FLOOD)
        assert heard == sorted(set(heard)), "in order, though more may get too old while it reads on"
        assert len(heard) + dropped(gateway, "drop_oldest") == FLOOD + 1


def test_latest_by_key_leaves_the_last_word_of_each_key_in_order(redis, start_slow):
    gateway = start_slow(POLICIES["latest_by_key"])
    with gateway.connect("/ws/slow", receive_buffer=4096) as stuck, gateway.connect() as other:
        flood(redis, other)
        redis.publish("cards", '{"type":"n","data":{"n":-1,"note":"it has no key"}}')
        assert other.receive()["data"]["n"] == -1
        flood(redis, other, 2, FLOOD)
        heard = numbers_until(stuck, FLOOD + 1)
        assert heard[-KEYS - 1:] == [*range(FLOOD + 2 - KEYS, FLOOD), -1, FLOOD, FLOOD + 1]
        heard.remove(-1)
        assert after_the_gap(heard)[-KEYS:] == list(range(FLOOD + 2 - KEYS, FLOOD + 2))
        assert len(heard) + 1 + dropped(gateway, "latest_by_key") == FLOOD + 3


def test_a_full_socket_hears_whole_events_the_close_and_then_the_end(redis, start_slow):
    gateway = start_slow(POLICIES["drop_oldest"])
    with gateway.connect("/ws/slow", receive_buffer=4096) as stuck, gateway.connect() as other:
        flood_until_it_drops(gateway, redis, other, "drop_oldest")
        stuck.send_frame(3, b"x")  # a violation: what it says is not read any more, so our direction ends
        until("it is closed", lambda: gateway.metric("tidegate_queued_bytes") == 0)
        stuck.read_fast()
        with pytest.raises(Closed) as closed:
            while True:
                stuck.receive()
        assert closed.value.code == 1002
        stuck.expect_end()


def test_a_pong_may_be_as_late_as_what_was_sent_before_the_ping(redis, start_slow):
    """On a slow line. (theturtle32/WebSocket-Node 229, sta/websocket-sharp 418)"""
    gateway = start_slow("{bytes: 16MiB, age: none}", "--ping-interval", "500ms", "--pong-timeout", "1s")
    count, per_second, n_read, pings = 150, 60, 0, 0  # 3 MB, 1.2 MB/s
    with gateway.connect("/ws/slow", receive_buffer=256 * 1024) as peer:
        for number in range(count):
            redis.publish("cards", event(number))
        begun = time.monotonic()
        while n_read < count or not pings:
            opcode, payload = peer.receive_frame()
            if opcode == PING:
                pings += 1
                peer.send_frame(PONG, payload)
                continue
            assert opcode == TEXT, payload
            n_read += 1
            pass_time(begun + n_read / per_second - time.monotonic())
        assert peer.ask({"type": "ping"})["type"] == "pong"


def test_who_is_behind_and_answers_no_ping_is_closed_though_it_reads_on(redis, start_slow):
    gateway = start_slow("{bytes: 16MiB, age: none}", "--ping-interval", "500ms", "--pong-timeout", "1s")
    count, ahead, per_second, pings = 250, 10, 20, 0  # 400 kB/s, half a second behind all the time
    with gateway.connect("/ws/slow", receive_buffer=4096) as peer:
        for number in range(ahead):
            redis.publish("cards", event(number))
        begun = time.monotonic()
        for number in range(ahead, count):
            opcode, payload = peer.receive_frame()
            while opcode == PING:
                pings += 1
                opcode, payload = peer.receive_frame()
            if opcode == CLOSE:
                break
            redis.publish("cards", event(number))
            pass_time(begun + (number - ahead) / per_second - time.monotonic())
        assert (opcode, payload[:2], pings) == (CLOSE, b"\x03\xe9", 1)


def test_pings_and_answers_are_never_dropped(redis, start_slow):
    gateway = start_slow(POLICIES["drop_oldest"], "--ping-interval", "1s", "--pong-timeout", "1m")
    with gateway.connect("/ws/slow", receive_buffer=4096) as stuck, gateway.connect() as other:
        number = flood_until_it_drops(gateway, redis, other, "drop_oldest")
        stuck.send({"type": "ping", "id": "asked"})
        until("it is heard", lambda: gateway.metric("tidegate_messages_received_total") == 1)
        flood(redis, other, 50, number)
        opcodes, texts = set(), []
        while not texts or texts[-1].get("id") != "asked":
            opcode, payload = stuck.receive_frame()
            opcodes.add(opcode)
            if opcode == TEXT:
                texts.append(json.loads(payload))
        while PING not in opcodes:
            opcodes.add(stuck.receive_frame()[0])


@pytest.mark.plain
@pytest.mark.parametrize("policy", POLICIES)
def test_peers_that_read_nothing_cost_their_bounds_and_no_more(redis, start_slow, figure, policy):
    gateway = start_slow(POLICIES[policy])
    crowd = [gateway.connect("/ws/slow", receive_buffer=4096) for _ in range(30)]
    with gateway.connect() as other:
        flood(redis, other, 50)
        before = gateway.resident_kib()
        flood(redis, other, 3 * FLOOD, 50)
        grown = gateway.resident_kib() - before
        figure(f"memory of 30 peers that read nothing of 42 MB, {policy}, bound 256 KiB each", f"{grown} KiB")
        assert grown * 1024 < len(crowd) * (BOUND + EVENT_BYTES) + SLACK
        assert dropped(gateway, policy) > 0
    for peer in crowd:
        peer.abandon()


@pytest.mark.plain
def test_peers_on_channels_of_their_own_cost_their_bounds_and_no_more(redis, start_slow, figure):
    gateway = start_slow(POLICIES["drop_oldest"])
    crowd = [gateway.connect(f"/ws/slow/{number}", receive_buffer=4096) for number in range(10)]
    before = gateway.resident_kib()
    count = 400
    for number in range(count):
        pipeline = redis.client.pipeline(transaction=False)
        for peer in range(len(crowd)):
            pipeline.publish(f"items:{peer}", event(number))
        pipeline.execute()
    until("all have come", lambda: gateway.metric("tidegate_events_total") >= count * len(crowd))
    grown = gateway.resident_kib() - before
    figure("memory of 10 peers that read nothing of 8 MB each, bound 256 KiB each", f"{grown} KiB")
    assert grown * 1024 < len(crowd) * (BOUND + EVENT_BYTES) + SLACK
    assert dropped(gateway, "drop_oldest") > count * len(crowd) / 2
    for peer in crowd:
        peer.abandon()

"""permessage-deflate (RFC 7692): who gets it, what is in it, and what hostile messages cost."""

import asyncio
import contextlib
import json
import os
import pathlib
import zlib

import pytest

from harness import library
from harness.wait import PATIENCE_SECONDS, sized
from harness.websocket import BINARY, CLOSE, CONTINUATION, PING, TEXT, frame

MESSAGE_BYTES_MAX = 16 * 1024
RSV1 = 4
OFFER = "permessage-deflate; client_max_window_bits"  # what browsers say
ANSWER = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
TAIL = b"\x00\x00\xff\xff"
EVENTS = sized(300, 100)

ROUTES = """
routes:
  - {path: /ws/board, channel: board, compression: on}
  - {path: /ws/plain, channel: board}
  - {path: "/ws/item/{id}", channel: "item:{id}", compression: on}
"""


@pytest.fixture(scope="module")
def routes(tmp_path_factory):
    file = tmp_path_factory.mktemp("compression") / "tidegate.yaml"
    file.write_text(ROUTES, encoding="utf-8")
    return file


@pytest.fixture
def gateway(start, routes, redis):
    return start("--config", routes, redis=redis)


def connect(gateway, offer=OFFER, path="/ws/board", **options):
    return gateway.connect(path, [("Sec-WebSocket-Extensions", offer)] if offer else (), **options)


def agreed(peer):
    return peer.response.headers.get("sec-websocket-extensions")


def deflated(data, level=9):
    """The payload of a message as a client makes it."""
    stream = zlib.compressobj(level, zlib.DEFLATED, -15)
    return (stream.compress(data) + stream.flush(zlib.Z_SYNC_FLUSH)).removesuffix(TAIL)


def inflated(payload):
    """What a client without memory of anything before reads in it."""
    return zlib.decompressobj(-15).decompress(payload + TAIL)


def event(number, size=300):
    """Something that gets smaller, and its number in clear at its end."""
    return json.dumps({"type": "card_updated", "data": {"text": f"number {number} " * (size // 10), "number": number}})


def ask(peer, message):
    """A deflated command, and the answer, which is never deflated."""
    peer.send_frame(TEXT, deflated(json.dumps(message).encode()), rsv=RSV1)
    return peer.receive()


# Agreement


def test_an_offer_is_answered_without_context_takeover_on_either_side(gateway):
    with connect(gateway) as peer:
        assert agreed(peer) == ANSWER


def test_the_largest_window_is_confirmed_where_a_client_wants_to_hear_it(gateway):
    with connect(gateway, "permessage-deflate; server_max_window_bits=15") as peer:
        assert agreed(peer) == ANSWER + "; server_max_window_bits=15"


@pytest.mark.parametrize("offer", [
    None,
    "permessage-deflate; server_max_window_bits=10",
    "permessage-deflate; server_max_window_bits=8; client_max_window_bits",
    "permessage-deflate; unheard_of",
    "permessage-bzip2",
    "x-webkit-deflate-frame",
    "",
    ";;,,==",
    "permessage-deflate; client_max_window_bits=99",
    "a" * 4000,
    ", ".join(["permessage-deflate; server_max_window_bits=9"] * 80),
])
def test_what_cannot_be_honoured_is_not_agreed_to_and_works_plain(gateway, redis, offer):
    with connect(gateway, offer) as peer:
        assert agreed(peer) is None
        redis.publish("board", event(1))
        assert peer.receive()["data"]["number"] == 1
        peer.send_frame(TEXT, deflated(b'{"type":"ping"}'), rsv=RSV1)
        assert peer.close_code() == 1002


@pytest.mark.parametrize("offers", [
    "permessage-deflate; server_max_window_bits=10, permessage-deflate",
    "x-webkit-deflate-frame, permessage-deflate; client_max_window_bits",
    "permessage-deflate, permessage-deflate; client_max_window_bits",
])
def test_the_first_offer_that_can_be_honoured_is_taken(gateway, offers):
    with connect(gateway, offers) as peer:
        assert agreed(peer) == ANSWER
        assert ask(peer, {"type": "ping"})["type"] == "pong"


def test_offers_may_be_in_headers_of_their_own(gateway):
    headers = [("Sec-WebSocket-Extensions", "permessage-deflate; server_max_window_bits=10"),
               ("Sec-WebSocket-Extensions", "permessage-deflate")]
    with gateway.connect("/ws/board", headers) as peer:
        assert agreed(peer) == ANSWER
        assert ask(peer, {"type": "ping"})["type"] == "pong"


@pytest.mark.parametrize("path", ["/ws/plain", "/ws/cards"])
def test_a_route_without_compression_never_agrees(gateway, redis, path):
    with connect(gateway, path=path) as peer:
        assert agreed(peer) is None
        redis.publish("board" if path == "/ws/plain" else "cards", event(1))
        assert peer.receive()["data"]["number"] == 1  # receive() wants no reserved bit
        peer.send_frame(TEXT, deflated(b'{"type":"ping"}'), rsv=RSV1)
        assert peer.close_code() == 1002


# What clients hear


def test_an_event_is_one_text_frame_with_the_first_reserved_bit(gateway, redis):
    with connect(gateway) as peer, connect(gateway, None) as plain:
        redis.publish("board", event(1))
        first, payload = peer.receive_bits()
        text = plain.receive_text()
        assert first == 0xC1
        assert inflated(payload).decode() == text
        assert len(payload) < len(text) / 2


def test_every_frame_inflates_by_itself(gateway, redis):
    with connect(gateway) as peer:
        for number in range(20):
            redis.publish("board", event(number, 200 + number * 997))
        for number in range(20):
            first, payload = peer.receive_bits()
            assert first == 0xC1
            assert json.loads(inflated(payload))["data"]["number"] == number


def test_what_does_not_get_smaller_is_sent_plain(gateway, redis):
    noise = os.urandom(2000).hex().encode()
    with connect(gateway) as peer:
        redis.publish("board", '{"type":"x"}')  # below compression_bytes_min
        assert peer.receive()["type"] == "x"
        redis.publish("board", json.dumps({"type": "y", "data": noise.decode()}))
        first, payload = peer.receive_bits()
        assert first == 0xC1 and len(payload) < 4000  # hexadecimal digits are half a byte each
        redis.publish("board", event(3))
        assert peer.receive_bits()[0] == 0xC1


def test_compression_bytes_min_is_what_it_says(start, routes, redis):
    gateway = start("--config", routes, "--compression-bytes-min", "2KiB", redis=redis)
    with connect(gateway) as peer:
        redis.publish("board", event(1, 1000))
        assert peer.receive_bits()[0] == 0x81
        redis.publish("board", event(1, 4000))
        assert peer.receive_bits()[0] == 0xC1


def test_answers_pings_and_closes_are_plain(start, routes, redis):
    gateway = start("--config", routes, "--ping-interval", "100ms", redis=redis)
    with connect(gateway) as peer:
        channel = "item:" + "a" * 128
        answer = peer.ask({"type": "subscribe", "id": "x" * 120, "data": {"channel": channel}})
        assert answer["type"] == "subscribed"  # 300 bytes with a lot of "a"; ask() wants no reserved bit
        assert peer.receive_frame()[0] == PING
        gateway.process.stop()
        while True:
            opcode, _ = peer.receive_frame()
            if opcode == CLOSE:
                break


def test_large_events_arrive_whole(gateway, redis):
    text = json.dumps({"type": "big", "data": [f"{i * 2654435761 % 2**32:x}" for i in range(60000)]})
    assert len(text) > 500_000
    with connect(gateway) as peer:
        redis.publish("board", text)
        first, payload = peer.receive_bits()
        assert first == 0xC1
        assert json.loads(inflated(payload))["data"] == json.loads(text)["data"]


def test_a_reader_that_stops_and_goes_on_misses_nothing(start, routes, redis):
    gateway = start("--config", routes, "--outbox-bytes-max", "16MiB", redis=redis)
    n = 400
    with connect(gateway, receive_buffer=4096) as peer, connect(gateway) as reader:
        for number in range(n):
            text = json.dumps({"type": "n", "data": {"noise": os.urandom(10_000).hex(), "number": number}})
            redis.publish("board", text)
            reader.receive_bits()  # so that each is handed out by itself, and the other falls behind
        for number in range(n):
            first, payload = peer.receive_bits()
            assert first == 0xC1
            assert json.loads(inflated(payload))["data"]["number"] == number


def test_who_subscribes_to_several_channels_hears_all_deflated(gateway, redis):
    with connect(gateway) as peer:
        assert ask(peer, {"type": "subscribe", "data": {"channel": "item:1"}})["type"] == "subscribed"
        pipeline = redis.client.pipeline(transaction=False)
        for number in range(20):
            pipeline.publish("board" if number % 2 else "item:1", event(number))
        pipeline.execute()
        for number in range(20):
            first, payload = peer.receive_bits()
            assert first == 0xC1
            assert json.loads(inflated(payload))["data"]["number"] == number


async def everyone_has_all(gateway, redis):
    kinds = [("/ws/board", "deflate"), ("/ws/board", None), ("/ws/plain", "deflate")]
    async with contextlib.AsyncExitStack() as stack:
        clients = []
        for path, compression in kinds * 6:
            client = await library.connect(gateway.url(path), compression=compression)
            stack.push_async_callback(client.close)
            clients.append(client)
        readers = [asyncio.ensure_future(library.collect(client, EVENTS)) for client in clients]

        def publish():
            for first in range(0, EVENTS, 50):
                pipeline = redis.client.pipeline(transaction=False)
                for number in range(first, first + 50):
                    pipeline.publish("board", event(number, 10 + number * 3 % 900))
                pipeline.execute()

        await asyncio.get_running_loop().run_in_executor(None, publish)
        for events in await asyncio.gather(*readers):
            assert [one["data"]["number"] for one in events] == list(range(EVENTS))
        for client in clients:
            await client.send(json.dumps({"type": "ping", "data": {"word": "again " * 50}}))
            assert json.loads(await asyncio.wait_for(client.recv(), PATIENCE_SECONDS))["type"] == "pong"


def test_a_library_hears_every_event_in_order_beside_plain_clients(gateway, redis):
    library.run(everyone_has_all(gateway, redis))


# What clients say


@pytest.fixture
def peer(gateway):
    with connect(gateway) as socket:
        yield socket
    with connect(gateway) as socket:  # whatever happened, others are served
        assert ask(socket, {"type": "ping"})["type"] == "pong"


def message_of(size):
    empty = json.dumps({"type": "ping", "data": {"filler": ""}})
    return json.dumps({"type": "ping", "data": {"filler": "x" * (size - len(empty))}}).encode()


def test_plain_and_deflated_messages_may_alternate(peer):
    for number in range(20):
        message = {"type": "ping", "id": number}
        answer = ask(peer, message) if number % 3 else peer.ask(message)
        assert answer["type"] == "pong" and answer["id"] == number


@pytest.mark.parametrize("piece", [1, 7, 255, 256, 257, 4096])
def test_a_deflated_message_may_come_in_fragments_with_pings_between(peer, piece):
    data = deflated(json.dumps({"type": "ping", "id": 7, "data": os.urandom(600).hex()}).encode())
    pieces = [data[i:i + piece] for i in range(0, len(data), piece)]
    for number, part in enumerate(pieces):
        last = number == len(pieces) - 1
        peer.send_frame(CONTINUATION if number else TEXT, part, fin=last, rsv=0 if number else RSV1)
        if number % 100 == 0 and not last:
            peer.send_frame(PING, b"p")
            assert peer.receive_bits() == (0x8A, b"p")
    assert peer.receive()["id"] == 7


def test_fragments_may_be_empty(peer):
    peer.send_frame(TEXT, b"", fin=False, rsv=RSV1)
    peer.send_frame(CONTINUATION, deflated(b'{"type":"ping"}'), fin=False)
    peer.send_frame(CONTINUATION, b"", fin=True)
    assert peer.receive()["type"] == "pong"


@pytest.mark.parametrize("piece", [1, 40, 4096])
def test_a_text_that_gets_no_smaller_may_be_flushed_with_each_frame(peer, piece):
    """A compressor per connection, a flush per frame: the payload is up to seven times the text."""
    noise = "".join(chr(35 + byte % 57) for byte in os.urandom(MESSAGE_BYTES_MAX))
    text = ('{"type":"ping","id":"' + noise[:100] + '","data":{"filler":"' + noise)[:MESSAGE_BYTES_MAX - 3].encode() + b'"}}'
    stream = zlib.compressobj(9, zlib.DEFLATED, -15)
    parts = [stream.compress(text[i:i + piece]) + stream.flush(zlib.Z_SYNC_FLUSH) for i in range(0, len(text), piece)]
    parts[-1] = parts[-1].removesuffix(TAIL)
    assert len(text) == MESSAGE_BYTES_MAX
    peer.send_raw(b"".join(frame(CONTINUATION if number else TEXT, part, fin=number == len(parts) - 1,
                                 rsv=0 if number else RSV1) for number, part in enumerate(parts)))
    assert peer.receive()["id"] == noise[:100]


@pytest.mark.parametrize("payload", [b"", b"\0", b"\3\0", b"\0\0\0\xff\xff\0"])
def test_an_empty_deflated_message_is_an_empty_text(peer, payload):
    peer.send_frame(TEXT, payload, rsv=RSV1)
    assert peer.receive()["data"]["code"] == "bad_json"
    assert ask(peer, {"type": "ping"})["type"] == "pong"


def test_empty_blocks_may_stand_before_and_behind(peer):
    ping = deflated(b'{"type":"ping"}')
    for payload in (b"\0" + TAIL + ping, ping + TAIL, ping + TAIL + b"\0", b"\3\0" + ping + TAIL + b"\3\0"):
        peer.send_frame(TEXT, payload, rsv=RSV1)
        assert peer.receive()["type"] == "pong"


def test_a_last_block_need_not_be_the_last(peer):
    stream = zlib.compressobj(9, zlib.DEFLATED, -15)
    peer.send_frame(TEXT, stream.compress(b'{"type":"ping"}') + stream.flush() + b"\0", rsv=RSV1)
    assert peer.receive()["type"] == "pong"


def test_a_text_at_the_bound_is_read_and_one_past_it_closes_1009(gateway):
    for level in (0, 1, 9):
        with connect(gateway) as peer:
            peer.send_frame(TEXT, deflated(message_of(MESSAGE_BYTES_MAX), level), rsv=RSV1)
            assert peer.receive()["type"] == "pong"
            peer.send_frame(TEXT, deflated(message_of(MESSAGE_BYTES_MAX + 1), level), rsv=RSV1)
            assert peer.close_code() == 1009


def test_text_that_is_not_utf_8_closes_1007(peer):
    peer.send_frame(TEXT, deflated(b'{"type":"\xff"}'), rsv=RSV1)
    assert peer.close_code() == 1007


GARBAGE = {
    "noise": bytes(range(7, 200, 3)),
    "an unknown kind of block": b"\x07" + b"x" * 20,
    "a distance before the start": b"\x4b\x04\x83\xff\xff",
    "half of a message": deflated(message_of(2000))[:20],
    "a stored block of the wrong length": b"\x00\x05\x00\x00\x00hello",
}


@pytest.mark.parametrize("what", GARBAGE)
def test_garbage_closes_1007(peer, what):
    peer.send_frame(TEXT, GARBAGE[what], rsv=RSV1)
    assert peer.close_code() == 1007


@pytest.mark.parametrize("data", [
    frame(PING, b"x", rsv=RSV1),
    frame(TEXT, deflated(b'{"type":"ping"}'), rsv=RSV1 | 2),
    frame(TEXT, b"a", fin=False, rsv=RSV1) + frame(CONTINUATION, b"b", rsv=RSV1),
    frame(TEXT, b"a", fin=False) + frame(CONTINUATION, b"b", rsv=RSV1),
])
def test_a_reserved_bit_where_it_has_no_meaning_closes_1002(peer, data):
    peer.send_raw(data)
    assert peer.close_code() == 1002


def test_a_deflated_binary_message_closes_1003(peer):
    peer.send_frame(BINARY, deflated(b"x"), rsv=RSV1)
    assert peer.close_code() == 1003


def cpu_seconds(gateway):
    fields = pathlib.Path(f"/proc/{gateway.process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


BOMB = deflated(b'{"type":"' + b"a" * (16 << 20))  # 16 MiB in 16 KiB: as much as the bound on what is received lets in


def test_a_bomb_closes_1009_and_costs_no_more_than_the_bound(gateway, figure):
    assert len(BOMB) < MESSAGE_BYTES_MAX * 9 // 8
    rounds = sized(200, 30)
    with connect(gateway) as warm:
        warm.send_frame(TEXT, BOMB, rsv=RSV1)
        assert warm.close_code() == 1009
    before, spent = gateway.resident_kib(), cpu_seconds(gateway)
    peers = [connect(gateway) for _ in range(rounds)]
    for peer in peers:
        peer.send_frame(TEXT, BOMB, rsv=RSV1)
    for peer in peers:
        assert peer.close_code() == 1009
        peer.abandon()
    cost = (cpu_seconds(gateway) - spent) / rounds
    grown = gateway.resident_kib() - before
    figure("a bomb of 16 MiB", f"{cost * 1e6:.0f} us of CPU, {grown} KiB more for {rounds} of them")
    assert grown < 12 * 1024  # all of them together take less than one would if it were inflated
    assert cost < sized(0.002, 0.05)  # to inflate all of it takes ten times as long


def test_a_bomb_in_fragments_closes_1009(gateway):
    huge = deflated(b"a" * (64 << 20)) * 3  # more than any payload of a good text; its end never comes
    with connect(gateway) as peer:
        for i in range(0, len(huge), 4096):
            peer.send_frame(CONTINUATION if i else TEXT, huge[i:i + 4096], fin=False, rsv=0 if i else RSV1)
        assert peer.close_code() == 1009


@pytest.mark.plain
def test_memory_of_a_connection_does_not_grow_with_agreement(start, routes, redis, figure):
    """Neither by having agreed, nor by having sent and heard deflated messages."""
    n = 1000
    cost = {}
    for offer in (None, OFFER):
        gateway = start("--config", routes, "--workers", "1", redis=redis)
        with connect(gateway, offer) as peer:  # what a worker takes once
            redis.publish("board", event(1))
            peer.receive_bits()
            peer.send_frame(TEXT, deflated(b'{"type":"ping"}') if offer else b'{"type":"ping"}', rsv=RSV1 if offer else 0)
            assert peer.receive()["type"] == "pong"
        before = gateway.resident_kib()
        peers = [connect(gateway, offer) for _ in range(n)]
        redis.publish("board", event(2))
        for peer in peers:
            assert peer.receive_bits()[0] == (0xC1 if offer else 0x81)
            peer.send_frame(TEXT, deflated(b'{"type":"ping"}') if offer else b'{"type":"ping"}', rsv=RSV1 if offer else 0)
        for peer in peers:
            assert peer.receive()["type"] == "pong"
        cost[offer] = (gateway.resident_kib() - before) / n
        for peer in peers:
            peer.abandon()
        gateway.stop()
    figure("memory per connection", f"{cost[None]:.2f} KiB plain, {cost[OFFER]:.2f} KiB with permessage-deflate")
    assert cost[OFFER] < cost[None] + 0.3

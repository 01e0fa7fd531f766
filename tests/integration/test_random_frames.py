"""
A hundred thousand frames that chance made, of strangers, while somebody honest is served.

The seed of what they say is printed: random.Random(seed) makes the same bytes again.
"""

import random
import struct
import threading
import time
import zlib

from harness.gateway import TALKATIVE
from harness.wait import sized
from harness.websocket import PING, PONG, TEXT, WebSocket, apply_mask, handshake

FRAMES = sized(100_000, 10_000)
FRAMES_A_CONNECTION = 50
STRANGERS = 3  # at a time
ANSWER_SECONDS_MAX = sized(2, 10)
COMMANDS = (b'{"type":"ping"}', b'{"type":"subscribe","data":{"channel":"cards"}}', b'{"type":"unsubscribe","data":{"channel":"cards"}}',
            b'{"type":"subscribe","data":{"channel":"items:1","since":"start"}}', b'{"type":"auth","data":{"token":"a.b.c"}}', b"{", b"", "€".encode())
ROUTES = "routes: [{path: /ws/cards, channel: cards, compression: on, history: on}]"
OFFER = [("Sec-WebSocket-Extensions", "permessage-deflate")]


def payload(chance):
    kind = chance.randrange(4)
    if kind == 0:
        return chance.randbytes(chance.choice((0, 1, 2, 10, 125, 126, 1000)))
    text = chance.choice(COMMANDS)
    if kind == 1:
        stream = zlib.compressobj(chance.randrange(10), zlib.DEFLATED, -15)
        text = bytearray(stream.compress(text) + stream.flush(zlib.Z_SYNC_FLUSH))
        if chance.randrange(2):
            text[chance.randrange(len(text))] ^= 1 << chance.randrange(8)
        return bytes(text[:-4])
    return text


def one_frame(chance):
    """Nothing but noise, a frame that may be good, or one whose head says what is not so."""
    kind = chance.randrange(8)
    if kind == 0:
        return chance.randbytes(chance.randint(1, 64))
    data = payload(chance)
    first = chance.choice((0x81, 0x81, 0xC1, 0xC1, 0x01, 0x41, 0x80, 0x00, 0x89, 0x8A, 0x88, 0x82, chance.randrange(256)))
    length = len(data) if kind > 1 else chance.choice((0, 1, len(data) + 1, 125, 65535, 1 << 40, 1 << 63))
    if length < 126:
        head = bytes((first, 0x80 | length))
    elif length < 1 << 16:
        head = struct.pack(">BBH", first, 0xFE, length)
    else:
        head = struct.pack(">BBQ", first, 0xFF, length)
    key = chance.randbytes(4)
    return head + key + apply_mask(data, key)


def say_all(gateway, chance, n, failures):
    """One stranger after the other, until so many frames are said; most do not wait for what they hear."""
    try:
        while n > 0:
            with WebSocket(gateway.address, tls=gateway.tls) as peer:
                peer.send_raw(handshake("/ws/cards", OFFER if chance.randrange(4) else ()))
                if chance.randrange(4):
                    peer.read_response()
                for _ in range(0, FRAMES_A_CONNECTION, 10):
                    peer.send_raw(b"".join(one_frame(chance) for _ in range(10)))
                if not chance.randrange(10):
                    peer.finish()
                    peer.expect_end()
            n -= FRAMES_A_CONNECTION
    except Exception as failure:  # pylint: disable=broad-except
        failures.append(failure)


def test_a_hundred_thousand_random_frames_keep_nobody_from_being_served(start, redis, tmp_path, figure):
    (tmp_path / "tidegate.yaml").write_text(ROUTES, encoding="utf-8")
    gateway = start("--config", tmp_path / "tidegate.yaml", *TALKATIVE, redis=redis)
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    failures, slowest, n = [], 0.0, 0
    strangers = [threading.Thread(target=say_all, args=(gateway, random.Random(seed + i), FRAMES // STRANGERS, failures))
                 for i in range(STRANGERS)]
    with gateway.connect() as honest:
        for stranger in strangers:
            stranger.start()
        while any(stranger.is_alive() for stranger in strangers):
            began = time.monotonic()
            redis.publish("cards", f'{{"type":"n","number":{n}}}')
            assert honest.receive()["number"] == n
            honest.send_frame(TEXT, b'{"type":"ping"}')
            assert honest.receive()["type"] == "pong"
            honest.send_frame(PING, b"%d" % n)
            assert honest.receive_frame() == (PONG, b"%d" % n)
            slowest, n = max(slowest, time.monotonic() - began), n + 1
    assert not failures, f"seed {seed}: {failures[0]!r}"
    assert n > 10 and slowest < ANSWER_SECONDS_MAX, f"seed {seed}"
    gateway.check()
    figure(f"slowest of {n} rounds beside {FRAMES} random frames (seed {seed})", f"{slowest * 1000:.0f} ms")

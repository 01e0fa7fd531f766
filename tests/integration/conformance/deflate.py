"""permessage-deflate (12 and 13): texts of all kinds and sizes, parameters of all kinds, and what is broken."""

import random
import zlib

from conformance.case import (BINARY_REFUSED, NOT_UTF_8, PROTOCOL, TOO_BIG, Case, echo, in_fragments, last, more, ping, pong,
                              text_frame)
from conformance.limits import MESSAGE_BYTES_MAX, text_of
from harness.websocket import BINARY, CLOSE, PING, PONG, frame

RSV1 = 4
TAIL = b"\x00\x00\xff\xff"
OFFER = "permessage-deflate"
AGREED = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"


def deflated(data, level=9, bits=15, strategy=zlib.Z_DEFAULT_STRATEGY, memory=8, flush=zlib.Z_SYNC_FLUSH):
    stream = zlib.compressobj(level, zlib.DEFLATED, -bits, memory, strategy)
    return (stream.compress(data) + stream.flush(flush)).removesuffix(TAIL)


def message(payload, size=0):
    """The frames of a deflated message, in fragments of this size."""
    return b"".join(in_fragments(payload, size or len(payload) or 1, rsv=RSV1))


def case(name, payload, text=None, code=0, size=0, **more_of_it):
    return Case(name, [message(payload, size)], [] if text is None else [echo(text)], code, offer=OFFER, **more_of_it)


def noise(size):
    """A text that hardly gets smaller."""
    return random.Random(size).randbytes(size // 2).hex().encode()


KINDS = {"of one letter": lambda n: b"a" * n, "of all kinds of characters": text_of, "of noise": noise}


def texts():
    """12: sizes by kinds of text; the ways to make them and to send them vary."""
    sizes = (0, 16, 64, 256, 1024, 4096, 8192, 16384, 32768, 65536, 131072)
    for what, make in KINDS.items():
        for size in sizes:
            data = make(size)
            yield case(f"12 a text {what}, {size} bytes", deflated(data), data)
            yield case(f"12 a text {what}, {size} bytes, in fragments", deflated(data), data, size=max(1, len(deflated(data)) // 7))
    data = text_of(40000)
    for bits in range(9, 16):
        yield Case(f"13 a client's window of {bits} bits", [message(deflated(data, bits=bits))], [echo(data)],
                   offer=f"{OFFER}; client_max_window_bits={bits}")
    for level in range(10):
        yield case(f"13 level {level}", deflated(data, level), data)
    for strategy in (zlib.Z_FILTERED, zlib.Z_HUFFMAN_ONLY, zlib.Z_RLE, zlib.Z_FIXED):
        yield case(f"13 strategy {strategy}", deflated(data, strategy=strategy), data)
    for memory in (1, 9):
        yield case(f"13 memory level {memory}", deflated(data, memory=memory), data)
    yield case("13 in fragments of a byte", deflated(b"Hello" * 30), b"Hello" * 30, size=1)
    yield case("13 byte by byte", deflated(text_of(500)), text_of(500), chop=1)
    hundred = [b'{"number":%d}' % i for i in range(100)]
    yield Case("13 a hundred texts", [b"".join(message(deflated(text)) for text in hundred)], list(map(echo, hundred)), offer=OFFER)


def forms():
    """RFC 7692 section 7.2.3: the same text as all the streams that it may be."""
    hello = b"Hello"
    yield case("7.2.3.1 one block", bytes.fromhex("f248cdc9c90700"), hello)
    yield case("7.2.3.1 one block in two fragments", bytes.fromhex("f248cdc9c90700"), hello, size=3)
    yield case("7.2.3.3 a block without compression", bytes.fromhex("000500faff48656c6c6f00"), hello)
    yield case("7.2.3.4 a last block", bytes.fromhex("f348cdc9c9070000"), hello)
    yield case("7.2.3.5 two blocks", bytes.fromhex("f248050000 00ffffcac9c90700".replace(" ", "")), hello)
    yield case("7.2.3.6 an empty text", b"\x00", b"")
    yield case("7.2.3.6 an empty text of no byte", b"", b"")
    yield case("7.2.3.6 an empty text of an empty fixed block", b"\x02\x00", b"")
    # The window of the last message is gone: client_no_context_takeover was agreed.
    yield Case("7.2.3.2 the window of the message before", [message(bytes.fromhex("f248cdc9c90700")), message(b"\xf2\x00\x11\x00\x00")],
               [echo(hello)], NOT_UTF_8, offer=OFFER)
    yield Case("7.2.3 the same message twice", [message(bytes.fromhex("f248cdc9c90700")) * 2], [echo(hello)] * 2, offer=OFFER)
    for name, flush in (("sync", zlib.Z_SYNC_FLUSH), ("full", zlib.Z_FULL_FLUSH)):
        stream = zlib.compressobj(9, zlib.DEFLATED, -15)
        data = b"".join(stream.compress(text_of(3000)) + stream.flush(flush) for _ in range(5)).removesuffix(TAIL)
        yield case(f"13 five {name} flushes", data, text_of(3000) * 5)
    data = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = data.compress(text_of(3000)) + data.flush(zlib.Z_FINISH)
    yield case("13 a finished stream without a byte behind it", data, text_of(3000))
    yield case("13 a finished stream", data + b"\x00", text_of(3000))
    yield case("13 two finished streams", (data * 2) + b"\x00", text_of(3000) * 2)


def mixed():
    hello = deflated(b"Hello")
    plain = text_frame(b"plain")
    yield Case("13 a text that is not deflated", [plain], [echo(b"plain")], offer=OFFER)
    yield Case("13 deflated and not, in turn", [message(hello) + plain + message(hello) + plain],
               [echo(b"Hello"), echo(b"plain")] * 2, offer=OFFER)
    yield Case("13 a ping amid a deflated text", [frame(1, hello[:3], fin=False, rsv=RSV1), ping(b"p"), last(hello[3:])],
               [pong(b"p"), echo(b"Hello")], offer=OFFER)
    yield Case("13 empty fragments around a deflated text",
               [frame(1, b"", fin=False, rsv=RSV1), more(b""), more(hello), more(b""), last()], [echo(b"Hello")], offer=OFFER)
    yield Case("13 a plain text in fragments where deflate was agreed", in_fragments(b"plain text", 3), [echo(b"plain text")],
               offer=OFFER)
    yield Case("13 a deflated text where deflate was not agreed", [message(hello)], [], PROTOCOL)
    yield Case("13 deflated binary", [frame(BINARY, hello, rsv=RSV1)], [], BINARY_REFUSED, offer=OFFER)


def broken():
    hello = deflated(b"Hello")
    for rsv in range(1, 8):
        if rsv != RSV1:
            yield Case(f"13 reserved bits {rsv:03b}", [text_frame(hello, rsv=rsv)], [], PROTOCOL, offer=OFFER)
        for opcode, what in ((PING, "a ping"), (PONG, "a pong"), (CLOSE, "a close")):
            yield Case(f"13 reserved bits {rsv:03b} on {what}", [frame(opcode, b"\x03\xe8", rsv=rsv)], [], PROTOCOL, offer=OFFER)
        yield Case(f"13 reserved bits {rsv:03b} on a continuation",
                   [frame(1, hello[:3], fin=False, rsv=RSV1) + last(hello[3:], rsv=rsv)], [], PROTOCOL, offer=OFFER)
    for what, payload in (("a block of a kind that there is not", b"\x06"), ("bytes of ones", b"\xff" * 10),
                          ("a block that ends too early", deflated(text_of(1000))[:-20]),
                          ("a stored block whose length is wrong", b"\x00\x05\x00\xfb\xffHello\x00"),
                          ("a stored block that ends too early", b"\x00\x05\x00\xfa\xffHel"),
                          ("a distance that leads before the beginning", b"\xf2\x00\x11\x00\x00"),
                          ("a stream with zlib's head", zlib.compress(b"Hello")),
                          ("a stream with gzip's head", b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03" + hello)):
        yield case(f"13 {what}", payload, code=NOT_UTF_8)
    for what, text in (("not UTF-8", b"<\xff>"), ("a surrogate", b"<\xed\xa0\x80>"), ("a cut character", b"<\xe2\x82"),
                       ("an overlong", b"<\xc0\xaf>")):
        yield case(f"13 a deflated text that is {what}", deflated(text), code=NOT_UTF_8)
        yield case(f"13 a deflated text that is {what}, in fragments", deflated(text), code=NOT_UTF_8, size=2)
    yield case("13 a text of one byte more than is allowed", deflated(b"a" * (MESSAGE_BYTES_MAX + 1)), code=TOO_BIG)
    yield case("13 a text of 64 MiB", deflated(b"a" * (64 << 20)), code=TOO_BIG)
    yield case("13 a text of all that is allowed", deflated(b"a" * MESSAGE_BYTES_MAX), b"a" * MESSAGE_BYTES_MAX)


CASES = [*texts(), *forms(), *mixed(), *broken()]

# What an offer is answered with, RFC 7692 section 7.1. None: without an extension, and the connection is a plain one.
FULL = AGREED + "; server_max_window_bits=15"
OFFERS = {
    "permessage-deflate": AGREED,
    "permessage-deflate; client_max_window_bits": AGREED,
    **{f"permessage-deflate; client_max_window_bits={bits}": AGREED for bits in range(8, 16)},
    "permessage-deflate; server_max_window_bits=15": FULL,
    **{f"permessage-deflate; server_max_window_bits={bits}": None for bits in range(8, 15)},
    "permessage-deflate; server_no_context_takeover": AGREED,
    "permessage-deflate; client_no_context_takeover": AGREED,
    "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=15; client_max_window_bits=9": FULL,
    'permessage-deflate; client_max_window_bits="12"': AGREED,
    'permessage-deflate; server_max_window_bits="15"': FULL,
    "permessage-deflate;client_max_window_bits;server_no_context_takeover": AGREED,
    "permessage-deflate ; client_max_window_bits = 12": AGREED,
    "permessage-deflate; client_max_window_bits=7": None,
    "permessage-deflate; client_max_window_bits=16": None,
    "permessage-deflate; client_max_window_bits=08": None,
    "permessage-deflate; client_max_window_bits=": None,
    "permessage-deflate; client_max_window_bits=x": None,
    "permessage-deflate; client_max_window_bits=-9": None,
    "permessage-deflate; server_max_window_bits": None,
    "permessage-deflate; server_max_window_bits=016": None,
    "permessage-deflate; server_max_window_bits=99999999999999999999": None,
    "permessage-deflate; server_no_context_takeover=1": None,
    "permessage-deflate; client_no_context_takeover=true": None,
    "permessage-deflate; server_no_context_takeover; server_no_context_takeover": None,
    "permessage-deflate; client_max_window_bits=10; client_max_window_bits=10": None,
    "permessage-deflate; unheard_of": None,
    "permessage-deflate; unheard_of=1": None,
    'permessage-deflate; client_max_window_bits="12': None,
    # No offer stands inside a quoted string.
    'x; y=",permessage-deflate; client_max_window_bits,"': None,
    'x; y="\\",permessage-deflate,\\""': None,
    '",permessage-deflate,"': None,
    'x; y="permessage-deflate': None,
    'permessage-deflate; client_max_window_bits=" 12"': None,
    'x; y=",", permessage-deflate': AGREED,
    'x; y="\\"", permessage-deflate': AGREED,
    "permessage-deflate;": None,
    "permessage-deflate client_max_window_bits": None,
    "permessage-deflates": None,
    "permessage": None,
    "x-webkit-deflate-frame": None,
    "permessage-bzip2": None,
    "permessage-deflate; server_max_window_bits=10, permessage-deflate": AGREED,
    "permessage-deflate; unheard_of, permessage-deflate; server_max_window_bits=15": FULL,
    "x-webkit-deflate-frame, permessage-deflate": AGREED,
    ", permessage-deflate": AGREED,
    "permessage-deflate; server_max_window_bits=8, permessage-deflate; server_max_window_bits=9": None,
}

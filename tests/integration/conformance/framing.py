"""Frames of all lengths, pings, reserved bits, opcodes, fragments (1 to 5 and 10)."""

import struct

from conformance.case import (BINARY_REFUSED, PROTOCOL, Case, close, echo, in_fragments, last, more, ping, pong,
                              text_frame)
from harness.websocket import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, apply_mask, frame

LENGTHS = (0, 1, 125, 126, 127, 128, 255, 256, 1000, 65535, 65536, 65537)
DATA_OPCODES = (3, 4, 5, 6, 7)
CONTROL_OPCODES = (11, 12, 13, 14, 15)


def lengths():
    for n in LENGTHS:
        yield Case(f"1.1 text of {n} bytes", [text_frame(b"*" * n)], [echo(b"*" * n)])
        yield Case(f"1.2 binary of {n} bytes", [frame(BINARY, b"\xfe" * n)], [], BINARY_REFUSED)
    for chop in (1, 2, 3, 7, 64, 997):
        n = 300 if chop < 64 else 65536
        yield Case(f"1.1 text of {n} bytes in pieces of {chop}", [text_frame(b"*" * n)], [echo(b"*" * n)], chop=chop)
    yield Case("1.1 two texts in one segment", [text_frame(b"a") + text_frame(b"b")], [echo(b"a"), echo(b"b")])
    yield Case("1.1 twenty texts in one segment", [b"".join(text_frame(b"%d" % i) for i in range(20))],
               [echo(b"%d" % i) for i in range(20)])
    data = text_frame(b"abc")
    yield Case("1.1 a head in one segment and its payload in the next", [data[:6], data[6:]], [echo(b"abc")])


def masked(key, text):
    return bytes([0x81, 0x80 | len(text)]) + key + apply_mask(text, key)


def masks():
    for key in (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\0\0\0\1", b"\1\0\0\0", b"\x80\x00\x80\x00"):
        yield Case(f"1.3 masked with {key.hex()}", [masked(key, b"Hello")], [echo(b"Hello")])
    for opcode in (TEXT, BINARY, CONTINUATION, PING, PONG, CLOSE):
        payload = b"\x03\xe8" if opcode == CLOSE else b"Hello"
        yield Case(f"1.3 opcode {opcode} without a mask", [frame(opcode, payload, mask=False)], [], PROTOCOL)
    yield Case("1.3 the second of two without a mask", [text_frame(b"a") + text_frame(b"b", mask=False)], [echo(b"a")], PROTOCOL)


def widths():
    """RFC 6455 section 5.2: the fewest bytes that can say a length MUST be used. The top bit of eight bytes is 0, and no control
    frame has a length in more than one."""
    for n, head in ((5, b"\x81\xfe" + struct.pack(">H", 5)), (0, b"\x81\xfe" + struct.pack(">H", 0)),
                    (125, b"\x81\xfe" + struct.pack(">H", 125)), (5, b"\x81\xff" + struct.pack(">Q", 5)),
                    (126, b"\x81\xff" + struct.pack(">Q", 126)), (65535, b"\x81\xff" + struct.pack(">Q", 65535))):
        yield Case(f"1.4 length {n} in {len(head) - 2} bytes", [head + b"\0\0\0\0" + b"x" * n], [], PROTOCOL)
        yield Case(f"1.4 length {n} in {len(head) - 2} bytes, behind a text, byte by byte", [text_frame(b"a") + head], [echo(b"a")], PROTOCOL,
                   chop=1)
    yield Case("1.4 a ping with a length in 2 bytes", [b"\x89\xfe" + struct.pack(">H", 3) + b"\0\0\0\0abc"], [], PROTOCOL)
    yield Case("1.4 a ping with a length in 8 bytes", [b"\x89\xff" + struct.pack(">Q", 3) + b"\0\0\0\0abc"], [], PROTOCOL)
    for top in (1 << 63, (1 << 63) + 5, (1 << 64) - 1):
        yield Case(f"1.4 length {top:#x}", [b"\x81\xff" + struct.pack(">Q", top) + b"\0\0\0\0"], [], PROTOCOL)


def pings():
    for what, payload in (("nothing", b""), ("a text", b"Hello, world!"), ("no text", bytes(range(130, 255))[:125]),
                          ("not UTF-8", b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff"), ("125 bytes", b"\xfe" * 125)):
        yield Case(f"2 a ping with {what}", [ping(payload)], [pong(payload)])
        yield Case(f"2 a ping with {what}, byte by byte", [ping(payload)], [pong(payload)], chop=1)
        yield Case(f"2 a pong with {what} that nobody asked for, then a ping", [frame(PONG, payload) + ping(b"after")],
                   [pong(b"after")])
    for n in (126, 127, 65535):
        yield Case(f"2 a ping of {n} bytes", [ping(b"\xfe" * n)], [], PROTOCOL)
        yield Case(f"2 a pong of {n} bytes", [frame(PONG, b"\xfe" * n)], [], PROTOCOL)
    ten = b"".join(ping(b"payload-%d" % i) for i in range(10))
    for chop in (0, 1, 5):
        yield Case(f"2 ten pings{f' in pieces of {chop}' if chop else ''}", [ten], [pong(b"payload-%d" % i) for i in range(10)],
                   chop=chop)


def reserved_bits():
    for rsv in range(1, 8):
        for what, data in (("a text", text_frame(b"Hello", rsv=rsv)), ("an empty text", text_frame(b"", rsv=rsv)),
                           ("binary", frame(BINARY, b"\0\xff", rsv=rsv)), ("a ping", frame(PING, b"x", rsv=rsv)),
                           ("a pong", frame(PONG, b"", rsv=rsv)), ("a close", frame(CLOSE, b"\x03\xe8", rsv=rsv)),
                           ("a first fragment", frame(TEXT, b"x", rsv=rsv, fin=False))):
            yield Case(f"3 reserved bits {rsv:03b} on {what}", [data], [], PROTOCOL)
        yield Case(f"3 reserved bits {rsv:03b} behind a text", [text_frame(b"a"), text_frame(b"b", rsv=rsv), ping()],
                   [echo(b"a")], PROTOCOL)
        yield Case(f"3 reserved bits {rsv:03b} behind a text, byte by byte", [text_frame(b"a") + text_frame(b"b", rsv=rsv)],
                   [echo(b"a")], PROTOCOL, chop=1)
        yield Case(f"3 reserved bits {rsv:03b} on a continuation",
                   [text_frame(b"a", fin=False), last(b"b", rsv=rsv)], [], PROTOCOL)


def opcodes():
    for opcode in DATA_OPCODES + CONTROL_OPCODES:
        yield Case(f"4 opcode {opcode}", [frame(opcode)], [], PROTOCOL)
        yield Case(f"4 opcode {opcode} with a payload", [frame(opcode, b"reserved opcode payload")], [], PROTOCOL)
        yield Case(f"4 opcode {opcode} that is not the last fragment", [frame(opcode, b"x", fin=False)], [], PROTOCOL)
        yield Case(f"4 opcode {opcode} behind a text, before a ping", [text_frame(b"a") + frame(opcode) + ping()],
                   [echo(b"a")], PROTOCOL)
        yield Case(f"4 opcode {opcode} amid a text, byte by byte", [text_frame(b"a", fin=False) + frame(opcode, b"x")],
                   [], PROTOCOL, chop=1)


def fragments():
    first, end = text_frame(b"frag", fin=False), last(b"ment")
    whole = echo(b"fragment")
    for chop in (0, 1, 3):
        how = f", in pieces of {chop}" if chop else ""
        yield Case(f"5 two fragments{how}", [first, end], [whole], chop=chop)
        yield Case(f"5 two fragments in one segment{how}", [first + end], [whole], chop=chop)
        yield Case(f"5 a ping between fragments{how}", [first, ping(b"p"), end], [pong(b"p"), whole], chop=chop)
        yield Case(f"5 a pong between fragments{how}", [first, frame(PONG, b"p"), end], [whole], chop=chop)
        yield Case(f"5 five fragments with pings between two{how}",
                   [text_frame(b"1", fin=False), more(b"2"), ping(b"a"), more(b"3"), more(b"4"), ping(b"b"), last(b"5")],
                   [pong(b"a"), pong(b"b"), echo(b"12345")], chop=chop)
        yield Case(f"5 a continuation of nothing that is the last{how}", [last(b"x"), text_frame(b"a")], [], PROTOCOL, chop=chop)
        yield Case(f"5 a continuation of nothing that is not the last{how}", [more(b"x"), text_frame(b"a")], [], PROTOCOL,
                   chop=chop)
        yield Case(f"5 a continuation behind a whole text{how}", [text_frame(b"a"), last(b"x")], [echo(b"a")], PROTOCOL, chop=chop)
        yield Case(f"5 a continuation behind a message in fragments{how}", [first, end, last(b"x")], [whole], PROTOCOL, chop=chop)
        yield Case(f"5 a text amid fragments{how}", [first, text_frame(b"x")], [], PROTOCOL, chop=chop)
        yield Case(f"5 another first fragment amid fragments{how}", [first, text_frame(b"x", fin=False)], [], PROTOCOL, chop=chop)
    yield Case("5 binary amid fragments", [first, frame(BINARY, b"x")], [], PROTOCOL)
    yield Case("5 binary in fragments", [frame(BINARY, b"x", fin=False), last(b"y")], [], BINARY_REFUSED)
    for opcode, what in ((PING, "ping"), (PONG, "pong"), (CLOSE, "close")):
        yield Case(f"5 a {what} in fragments", [frame(opcode, b"\x03\xe8", fin=False), last(b"x")], [], PROTOCOL)
        yield Case(f"5 a {what} that is not the last, amid fragments", [first, frame(opcode, b"\x03\xe8", fin=False)], [], PROTOCOL)
    empty = text_frame(b"", fin=False)
    yield Case("5 three empty fragments", [empty, more(b""), last()], [echo(b"")])
    yield Case("5 an empty first and last fragment", [empty, more(b"middle"), last()], [echo(b"middle")])
    yield Case("5 a text of a hundred empty fragments and one byte", [empty + more(b"") * 100 + last(b"x")], [echo(b"x")])
    yield Case("5 two messages in fragments", [first + end + first + end], [whole, whole])
    yield Case("5 a close amid fragments", [first + close(1000)], [], 1000)


def auto_fragments():
    data = b"".join(b"%07d\n" % i for i in range(8192))
    for size in (1300, 4096, 65535):
        yield Case(f"10 a text of 64 KiB in fragments of {size}", [b"".join(in_fragments(data, size))], [echo(data)])
    yield Case("10 a text of 1,000 bytes in fragments of one", [b"".join(in_fragments(data[:1000], 1))], [echo(data[:1000])])


CASES = [*lengths(), *masks(), *widths(), *pings(), *reserved_bits(), *opcodes(), *fragments(), *auto_fragments()]

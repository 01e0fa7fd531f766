"""Close frames of all kinds, and what comes behind them (7 in the Autobahn test suite)."""

import struct

from conformance.case import NO_CODE, NOT_UTF_8, PROTOCOL, TOO_BIG, Case, close, echo, last, ping, pong, text_frame
from harness.websocket import BINARY, CLOSE, PONG, frame

# RFC 6455 section 7.4 and the registry behind it: 1004 to 1006 and 1015 are never on the wire.
GOOD_CODES = (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999)
BAD_CODES = (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 9999, 65535)


def codes():
    for code in GOOD_CODES:
        yield Case(f"7.7 close {code}", [close(code)], [], code)
        yield Case(f"7.7 close {code} with a reason", [close(code, "good bye, κόσμε".encode())], [], code)
    for code in BAD_CODES:
        yield Case(f"7.9 close {code}", [close(code)], [], PROTOCOL)
        yield Case(f"7.9 close {code} with a reason", [close(code, b"reason")], [], PROTOCOL)


def payloads():
    yield Case("7.3 close without a payload", [frame(CLOSE)], [], NO_CODE)
    yield Case("7.3 close with one byte", [frame(CLOSE, b"\x03")], [], PROTOCOL)
    yield Case("7.3 close with a code alone", [frame(CLOSE, b"\x03\xe8")], [], 1000)
    yield Case("7.3 close with the longest reason", [close(1000, b"*" * 123)], [], 1000)
    yield Case("7.3 close with a reason too long", [close(1000, b"*" * 124)], [], PROTOCOL)
    yield Case("7.3 close of 64 KiB", [close(1000, b"*" * 65535)], [], PROTOCOL)
    yield Case("7.3 close byte by byte", [close(1001, b"going away")], [], 1001, chop=1)
    whole = close(4000, b"bye")
    for at in range(1, len(whole)):
        yield Case(f"7.3 close cut behind {at} bytes", [whole[:at], whole[at:]], [], 4000)
    for what, reason in (("not UTF-8", b"\xff"), ("a cut character", "€".encode()[:2]), ("a surrogate", b"\xed\xa0\x80"),
                         ("an overlong", b"\xc0\xaf"), ("good and bad", "κόσμε".encode() + b"\xed\xa0\x80edited")):
        yield Case(f"7.5 a reason that is {what}", [close(1000, reason)], [], NOT_UTF_8)
    yield Case("7.5 a reason with NUL", [close(1000, b"\x00")], [], 1000)


def order():
    yield Case("7.1 a text, heard, then a close", [text_frame(b"a")], [echo(b"a")])
    yield Case("7.1 two closes", [close(1000) + close(1001)], [], 1000)
    yield Case("7.1 a ping behind a close", [close(1000) + ping(b"late")], [], 1000)
    yield Case("7.1 a pong behind a close", [close(1000) + frame(PONG, b"late")], [], 1000)
    yield Case("7.1 a text behind a close", [close(1000) + text_frame(b"late")], [], 1000)
    yield Case("7.1 a violation behind a close", [close(1000) + frame(3) + b"\xff" * 500], [], 1000)
    yield Case("7.1 not UTF-8 behind a close", [close(1000) + text_frame(b"\xff")], [], 1000)
    yield Case("7.1 256 KiB behind a close", [close(1000) + text_frame(b"x" * (256 << 10))], [], 1000)
    yield Case("7.1 a close amid a message, and its rest", [text_frame(b"a", fin=False), close(1000), last(b"b")], [], 1000)
    yield Case("7.1 a close amid a character", [text_frame(b"\xe2\x82", fin=False), close(1000)], [], 1000)
    yield Case("7.1 a ping before a close", [ping(b"early")], [pong(b"early")])
    # A client may say goodbye, or something wrong, right behind its last question.
    for what, data, code in (("a close", close(1000), 1000), ("a close without a code", frame(CLOSE), NO_CODE),
                             ("binary", frame(BINARY, b"x"), 1003), ("a violation", frame(3), PROTOCOL),
                             ("not UTF-8", text_frame(b"\xff"), NOT_UTF_8), ("too much", text_frame(b"x" * (3 << 20)), TOO_BIG)):
        yield Case(f"7.1 three texts and {what} behind them", [text_frame(b"a") + text_frame(b"b") + text_frame(b"c") + data],
                   [echo(b"a"), echo(b"b"), echo(b"c")], code)
    yield Case("7.1 too much and a close", [text_frame(b"x" * (3 << 20)) + close(1000)], [], TOO_BIG)
    yield Case("7.1 binary and a close", [frame(BINARY, b"x") + close(1000)], [], 1003)
    yield Case("7.1 a close with a length in 2 bytes", [b"\x88\xfe" + struct.pack(">H", 2) + b"\0\0\0\0\x03\xe8"], [], PROTOCOL)


CASES = [*codes(), *payloads(), *order()]

"""Large messages, large numbers of small ones, in few bytes at a time; short, since time is not what it is about (9)."""

from conformance.case import TOO_BIG, Case, echo, in_fragments, pong, ping, text_frame

MESSAGE_BYTES_MAX = 1 << 20  # of the gateway that runs these

UNIT = "<é€😀 0123456789>".encode()


def text_of(size):
    """Whole characters, and ASCII behind them."""
    return (UNIT * (size // len(UNIT))).ljust(size, b".")


def large():
    for size in (64 << 10, 256 << 10, MESSAGE_BYTES_MAX):
        data = text_of(size)
        yield Case(f"9.1 a text of {size >> 10} KiB", [text_frame(data)], [echo(data)])
        for piece in (64, 1024, 16384, 65536):
            if size // piece > 5000:
                continue
            yield Case(f"9.3 a text of {size >> 10} KiB in fragments of {piece}", [b"".join(in_fragments(data, piece))], [echo(data)])
    for chop in (64, 256, 1024, 2048):
        data = text_of(128 << 10)
        yield Case(f"9.5 a text of 128 KiB in pieces of {chop}", [text_frame(data)], [echo(data)], chop=chop)


def too_large():
    over = text_of(MESSAGE_BYTES_MAX + 1)
    yield Case("9.9 a text of one byte more than is allowed", [text_frame(over)], [], TOO_BIG)
    yield Case("9.9 the same in fragments", [b"".join(in_fragments(over, 65536))], [], TOO_BIG)
    yield Case("9.9 a head that promises 8 EiB", [b"\x81\xff\x7f" + b"\xff" * 7 + b"\0\0\0\0" + b"x" * (MESSAGE_BYTES_MAX + 20000)], [],
               TOO_BIG)


def many():
    for size in (0, 16, 64, 256, 1024):
        data = b"." * size
        yield Case(f"9.7 500 texts of {size} bytes", [text_frame(data) * 500], [echo(data)] * 500)
    yield Case("9.7 500 pings", [b"".join(ping(b"%d" % i) for i in range(500))], [pong(b"%d" % i) for i in range(500)])


CASES = [*large(), *too_large(), *many()]

"""UTF-8, whole, cut anywhere, and broken; a broken text ends the connection as soon as that is certain (6)."""

from conformance.case import NOT_UTF_8, Case, echo, in_fragments, last, more, ping, pong, text_frame

# RFC 3629: the first and the last code point of each length, the ones around the surrogates, and those that are no characters.
GOOD = {
    "of ASCII": b"Hello, world!",
    "of all lengths": "κόσμε aé€😀".encode(),
    "with NUL": b"a\x00b",
    "with DEL": b"\x7f",
    "with a byte order mark": "\ufeffa".encode(),
    **{f"with U+{code:04X}": b"<" + chr(code).encode() + b">" for code in (
        0x80, 0x7FF, 0x800, 0xFFF, 0x1000, 0xCFFF, 0xD000, 0xD7FF, 0xE000, 0xFFFD, 0xFDD0, 0xFFFE, 0xFFFF, 0x10000, 0x1FFFF,
        0x3FFFF, 0x40000, 0xFFFFF, 0x100000, 0x10FFFF)},
}

# What breaks it stands behind "<" and before ">".
BROKEN = {
    "the first continuation byte alone": b"\x80",
    "the last continuation byte alone": b"\xbf",
    "six continuation bytes": b"\x80\xbf\x80\xbf\x80\xbf",
    **{f"byte {byte:#x}": bytes([byte]) for byte in (0xC0, 0xC1, 0xF5, 0xF7, 0xF8, 0xFB, 0xFC, 0xFD, 0xFE, 0xFF)},
    "the lead of two without more": b"\xc3",
    "the lead of three without more": b"\xe2",
    "the lead of three and one": b"\xe2\x82",
    "the lead of four without more": b"\xf0",
    "the lead of four and one": b"\xf0\x9f",
    "the lead of four and two": b"\xf0\x9f\x98",
    "leads in a row": b"\xc3\xe2\xf0",
    "a lead behind one": b"\xc3\xc3\xa9",
    "an overlong slash of two": b"\xc0\xaf",
    "an overlong slash of three": b"\xe0\x80\xaf",
    "an overlong slash of four": b"\xf0\x80\x80\xaf",
    "an overlong slash of five": b"\xf8\x80\x80\x80\xaf",
    "an overlong slash of six": b"\xfc\x80\x80\x80\x80\xaf",
    "an overlong NUL of two": b"\xc0\x80",
    "an overlong NUL of three": b"\xe0\x80\x80",
    "the largest overlong of two": b"\xc1\xbf",
    "the largest overlong of three": b"\xe0\x9f\xbf",
    "the largest overlong of four": b"\xf0\x8f\xbf\xbf",
    "the first surrogate": b"\xed\xa0\x80",
    "the last high surrogate": b"\xed\xaf\xbf",
    "the first low surrogate": b"\xed\xb0\x80",
    "the last surrogate": b"\xed\xbf\xbf",
    "a pair of surrogates": b"\xed\xa0\xbd\xed\xb8\x80",
    "the first past the last code point": b"\xf4\x90\x80\x80",
    "a sequence of five": b"\xf8\x88\x80\x80\x80",
    "a sequence of six": b"\xfc\x84\x80\x80\x80\x80",
}
LEADS = {"two": "é", "three": "€", "four": "😀"}


def good():
    for what, data in GOOD.items():
        yield Case(f"6 a text {what}", [text_frame(data)], [echo(data)])
        yield Case(f"6 a text {what}, a byte a fragment", [b"".join(in_fragments(data, 1))], [echo(data)])
        yield Case(f"6 a text {what}, byte by byte", [text_frame(data)], [echo(data)], chop=1)
    data = "κόσμε".encode()
    yield Case("6 a ping amid a character", [text_frame(data[:1], fin=False), ping(b"\xff"), last(data[1:])],
               [pong(b"\xff"), echo(data)])


def broken():
    for what, data in BROKEN.items():
        data = b"<" + data + b">"
        yield Case(f"6 {what}", [text_frame(b"before"), text_frame(data), ping(b"after")], [echo(b"before")], NOT_UTF_8)
        yield Case(f"6 {what}, a byte a fragment", in_fragments(data, 1), [], NOT_UTF_8)
        # Nothing comes behind these bytes: whoever waits for the end of the message waits for ever.
        yield Case(f"6 {what}, in a message without an end", [text_frame(data, fin=False)], [], NOT_UTF_8)
        yield Case(f"6 {what}, in a frame without an end", [text_frame(data + b"z" * 1000)[:-1000]], [], NOT_UTF_8)


def cut():
    for what, character in LEADS.items():
        data = character.encode()
        for n in range(1, len(data)):
            yield Case(f"6 a text that ends {n} bytes into {what}", [text_frame(b"a" + data[:n])], [], NOT_UTF_8)
            yield Case(f"6 a message that ends {n} bytes into {what}, with an empty fragment",
                       [text_frame(b"a" + data[:n], fin=False), last()], [], NOT_UTF_8)
            yield Case(f"6 fragments cut {n} bytes into {what}, with empty ones between",
                       [text_frame(data[:n], fin=False), more(b"") * 3, last(data[n:])], [echo(data)])
            yield Case(f"6 a character of {what} that begins anew in the next text",
                       [text_frame(data[:n]), text_frame(data[n:])], [], NOT_UTF_8) if n == 1 else \
                Case(f"6 {n} bytes of {what} and a letter in the next fragment",
                     [text_frame(data[:n], fin=False), more(b"a")], [], NOT_UTF_8)


CASES = [*good(), *broken(), *cut()]

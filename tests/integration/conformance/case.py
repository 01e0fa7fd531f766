"""
Case: what a client says on a connection whose server echoes texts, and all that it must hear until the connection ends.
"""

import dataclasses
import struct

from harness.websocket import CLOSE, CONTINUATION, PING, PONG, TEXT, frame

OPEN = 0  # stands for: the connection goes on, and a close of 1000 is answered like any other
NO_CODE = 1005

PROTOCOL, BINARY_REFUSED, NOT_UTF_8, TOO_BIG = 1002, 1003, 1007, 1009


@dataclasses.dataclass
class Case:
    name: str                      # begins with the number of the section
    sent: list                     # of bytes; each is a segment of its own
    heard: list = dataclasses.field(default_factory=list)  # of (opcode, payload), in this order
    code: int = OPEN               # of the close frame that comes behind that
    offer: str = None              # Sec-WebSocket-Extensions
    chop: int = 0                  # not 0: the bytes go out in pieces of so many


def echo(text):
    return TEXT, text


def pong(payload=b""):
    return PONG, payload


def text_frame(text, **kind):
    return frame(TEXT, text, **kind)


def more(data, **kind):
    """A frame that goes on with a message, and not the last."""
    return frame(CONTINUATION, data, fin=False, **kind)


def last(data=b"", **kind):
    return frame(CONTINUATION, data, **kind)


def ping(payload=b""):
    return frame(PING, payload)


def close(code=1000, reason=b""):
    return frame(CLOSE, struct.pack(">H", code) + reason)


def in_fragments(data, size, **first):
    """The frames of one text, each with so many bytes; `first` is for the first frame alone."""
    pieces = [data[i:i + size] for i in range(0, len(data), size)] or [b""]
    if len(pieces) == 1:
        return [frame(TEXT, pieces[0], **first)]
    return [frame(TEXT, pieces[0], fin=False, **first), *map(more, pieces[1:-1]), last(pieces[-1])]

"""Which of several Redis servers has a channel, where a gateway's `redis` is a list of them."""

from __future__ import annotations

import binascii
from typing import Union

SLOTS = 16384


def slot_of(name: Union[str, bytes]) -> int:
    """The slot of a channel or a key, as Redis Cluster computes it: by what stands between its first { and the next }."""
    name = name.encode() if isinstance(name, str) else name
    start = name.find(b"{")
    end = name.find(b"}", start + 1)
    if start >= 0 and end > start + 1:
        name = name[start + 1:end]
    return binascii.crc_hqx(name, 0) % SLOTS


def shard_of(name: Union[str, bytes], n: int) -> int:
    """The place, 0 to n - 1, of the server that has this channel or key (the jump hash of Lamping and Veach)."""
    key, at, following = slot_of(name), -1, 0
    while following < n:
        at = following
        key = (key * 2862933555777941757 + 1) & 0xFFFFFFFFFFFFFFFF
        following = int((at + 1) * (2147483648.0 / ((key >> 33) + 1)))
    return at

"""
Ports: numbers for servers that cannot be told "any free one".

They are taken from below the kernel's ephemeral range. A port of that range may be handed to any connecting socket
while the server is down for a restart; worse, a client that redials a dead server on such a port can end up
connected to itself.

Each process has a block of them, which it locks until it ends, and goes round in it: so nobody else's server listens where
one of ours is down for a restart, or about to listen.
"""

import functools
import itertools
import os
import random
import socket

LOWEST, BLOCK, BLOCKS = 21000, 100, 100


@functools.cache
def _block_of(_):
    """The lock of this process, and its ports, again and again. An abstract socket's name goes with its process."""
    for number in random.sample(range(BLOCKS), BLOCKS):
        lock = socket.socket(socket.AF_UNIX)
        try:
            lock.bind(f"\0tidegate-ports-{number}")
        except OSError:
            lock.close()
            continue
        first = LOWEST + number * BLOCK
        return lock, itertools.cycle(range(first, first + BLOCK))
    raise AssertionError("each block of ports is another process'")


def free_port():
    for port in _block_of(os.getpid())[1]:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port

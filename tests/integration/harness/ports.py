"""
Ports: numbers for servers that cannot be told "any free one".

They are taken from below the kernel's ephemeral range. A port of that range may be handed to any connecting socket
while the server is down for a restart; worse, a client that redials a dead server on such a port can end up
connected to itself.
"""

import os
import random
import socket

LOWEST, HIGHEST = 21000, 31000

_random = random.Random(os.getpid())


def free_port():
    while True:
        port = _random.randint(LOWEST, HIGHEST)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port

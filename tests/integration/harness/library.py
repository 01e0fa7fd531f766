"""
Library: clients that nobody here wrote, Python's `websockets`, many at a time.

The same code runs on the releases of Debian 12 (10) and 13 (15), whose interfaces agree in what is used here.
"""

import asyncio
import json

import websockets

from harness.wait import PATIENCE_SECONDS

CONNECTS_AT_ONCE = 20  # a page does not open hundreds in one breath, and a listen queue is finite


def run(coroutine, seconds=4 * PATIENCE_SECONDS):
    return asyncio.run(asyncio.wait_for(coroutine, seconds))


def connect(url, compression=None, **options):
    # compression=None: what is on the wire stays readable; max_size: the tests send large events on purpose
    return websockets.connect(url, max_size=None, compression=compression, open_timeout=PATIENCE_SECONDS, **options)


async def connect_all(urls, **options):
    """Clients in the order of their addresses."""
    gate = asyncio.Semaphore(CONNECTS_AT_ONCE)

    async def one(url):
        async with gate:
            return await connect(url, **options)

    return await asyncio.gather(*(one(url) for url in urls))


async def collect(client, n, seconds=2 * PATIENCE_SECONDS):
    """The next n messages."""
    async def read():
        return [json.loads(await client.recv()) for _ in range(n)]

    return await asyncio.wait_for(read(), seconds)


async def close_all(clients):
    await asyncio.gather(*(client.close() for client in clients))


async def close_code(client, seconds=PATIENCE_SECONDS):
    """The code with which the gateway closes, whatever comes before it."""
    async def read():
        while True:
            await client.recv()

    try:
        await asyncio.wait_for(read(), seconds)
    except websockets.exceptions.ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd else None

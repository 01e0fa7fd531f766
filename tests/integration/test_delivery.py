"""The main job: published once in Redis, received by each client of each gateway. A library nobody here wrote."""

import asyncio
import errno
import json

import pytest

from harness import library, seccomp
from harness.gateway import BINARY
from harness.wait import sized

CLIENTS_PER_GATEWAY = 50
EVENTS = sized(1000, 300)


@pytest.fixture
def two_gateways(start, redis):
    return start(redis=redis), start(redis=redis)


def publish_numbered(redis, channel, n):
    """Published one by one, as a backend does, in pipelines short enough that clients keep up."""
    for first in range(0, n, 100):
        pipeline = redis.client.pipeline(transaction=False)
        for number in range(first, min(first + 100, n)):
            pipeline.publish(channel, json.dumps({"type": "card_updated", "data": {"number": number}}))
        pipeline.execute()


async def everyone_has_all(redis, gateways, path, channel):
    """Each of 50 clients on each gateway has all events, in order, once, and then nothing but the marker."""
    urls = [gateway.url(path) for gateway in gateways for _ in range(CLIENTS_PER_GATEWAY)]
    clients = await library.connect_all(urls)
    readers = [asyncio.ensure_future(library.collect(client, EVENTS + 1)) for client in clients]
    await asyncio.get_running_loop().run_in_executor(None, publish_numbered, redis, channel, EVENTS)
    redis.publish(channel, '{"type":"marker"}')
    for events in await asyncio.gather(*readers):
        assert events.pop()["type"] == "marker"
        assert [event["data"]["number"] for event in events] == list(range(EVENTS))
        assert all(event["channel"] == channel and event["type"] == "card_updated" for event in events)
    await library.close_all(clients)


def test_every_client_of_two_gateways_has_every_card_event_in_order_once(redis, two_gateways):
    library.run(everyone_has_all(redis, two_gateways, "/ws/cards", "cards"))


def test_every_client_of_an_execution_has_its_events_in_order_once(redis, two_gateways):
    library.run(everyone_has_all(redis, two_gateways, "/ws/execution/e-1", "execution:e-1"))


def test_a_topic_declared_only_in_yaml_is_delivered_alike(redis, start, tmp_path):
    file = tmp_path / "tidegate.yaml"
    file.write_text("routes:\n  - path: /ws/nova/{item_id}\n    channel: nova:{item_id}\n", encoding="utf-8")
    gateways = [start("--config", file, redis=redis) for _ in range(2)]
    library.run(everyone_has_all(redis, gateways, "/ws/nova/n-1", "nova:n-1"))


def test_a_topic_name_in_yaml_declares_both_endpoints(redis, start, tmp_path):
    file = tmp_path / "tidegate.yaml"
    file.write_text("topics: [comets]\n", encoding="utf-8")
    gateway = start("--config", file, redis=redis)
    with gateway.connect("/ws/comets") as everything, gateway.connect("/ws/comets/halley") as one:
        redis.publish("comets", '{"type":"all"}')
        redis.publish("comets:halley", '{"type":"one"}')
        assert everything.receive()["type"] == "all"
        assert one.receive()["type"] == "one"


def test_an_execution_never_hears_another_one(redis, two_gateways):
    async def scene():
        urls = [gateway.url(f"/ws/execution/{name}") for gateway in two_gateways for name in ("a", "b", "a.b", "A")]
        clients = await library.connect_all(urls)
        for number in range(100):
            for name in ("a", "b", "a.b", "A"):
                redis.publish(f"execution:{name}", json.dumps({"type": name, "data": number}))
        redis.publish("execution", '{"type":"nobody"}')
        for name in ("a", "b", "a.b", "A"):
            redis.publish(f"execution:{name}", '{"type":"marker"}')
        for url, client in zip(urls, clients):
            name = url.rpartition("/")[2]
            events = await library.collect(client, 101)
            assert [event["type"] for event in events] == [name] * 100 + ["marker"]
            assert [event["data"] for event in events[:-1]] == list(range(100))
        await library.close_all(clients)

    library.run(scene())


def test_a_library_subscribes_pings_and_closes(redis, gateway):
    async def scene():
        async with library.connect(gateway.url("/ws/cards")) as client:
            await client.send(json.dumps({"type": "subscribe", "id": "s", "data": {"channel": "items:lib"}}))
            answer = json.loads(await client.recv())
            assert (answer["type"], answer["id"]) == ("subscribed", "s")
            redis.publish("items:lib", '{"type":"hello"}')
            assert json.loads(await client.recv())["type"] == "hello"
            await asyncio.wait_for(await client.ping(b"library"), 10)
        return client

    client = library.run(scene())
    assert client.close_code == 1000


def test_a_library_that_offers_compression_is_served(redis, gateway):
    async def scene():
        async with library.websockets.connect(gateway.url("/ws/cards"), compression="deflate") as client:
            redis.publish("cards", '{"type":"hello"}')
            assert json.loads(await client.recv())["type"] == "hello"

    library.run(scene())


def test_several_channels_of_one_route_are_joined_at_once(redis, start, tmp_path):
    file = tmp_path / "tidegate.yaml"
    file.write_text("routes:\n  - path: /ws/board/{id}\n    channels: ['board:{id}', cards]\n", encoding="utf-8")
    gateway = start("--config", file, redis=redis)
    with gateway.connect("/ws/board/7") as peer:
        redis.publish("cards", '{"type":"card"}')
        redis.publish("board:7", '{"type":"board"}')
        assert [peer.receive()["channel"] for _ in range(2)] == ["cards", "board:7"]


def test_a_prefix_stays_between_redis_and_the_gateway(own_redis, start):
    gateway = start("--channel-prefix", "app1:", redis=own_redis)
    with gateway.connect("/ws/cards") as peer:
        assert own_redis.publish("cards", '{"type":"not ours"}') == 0
        assert own_redis.publish("app1:cards", '{"type":"ours"}') == 1
        event = peer.receive()
        assert (event["type"], event["channel"]) == ("ours", "cards")


@pytest.mark.parametrize("call", [seccomp.IO_URING_SETUP, seccomp.IO_URING_ENTER])
def test_where_io_uring_is_forbidden_or_of_no_use_clients_notice_nothing(start, redis, tmp_path, call):
    gateway = start("--workers", "1", redis=redis, binary=seccomp.refusing(tmp_path, BINARY, call, errno.EPERM))
    peers = [gateway.connect() for _ in range(20)]
    for number in range(2):
        redis.publish("cards", json.dumps({"type": "n", "data": number}))
        assert [peer.receive()["data"] for peer in peers] == [number] * 20
    assert gateway.metric("tidegate_io_uring") == 0
    for peer in peers:
        peer.abandon()

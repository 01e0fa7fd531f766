"""Commands about connections from Python, in threads and under asyncio (src/clients/python/tidegate/control.py)."""

import asyncio
import sys
import time

import pytest
import redis as redis_py
import redis.asyncio as redis_asyncio

from harness import tokens
from harness.gateway import ROOT
from harness.wait import until
from harness.websocket import Closed

sys.path.insert(0, str(ROOT / "src/clients/python"))

from tidegate import AsyncControl, Control, Refused  # noqa: E402  # pylint: disable=wrong-import-position

# The gateway's part is in test_control.py.
pytestmark = pytest.mark.plain

ISSUER = tokens.Issuer()
PREFIX = "app:"


@pytest.fixture
def pair(start, own_redis, tmp_path):
    file = tmp_path / "tidegate.yaml"
    file.write_text(f"token_secret: {ISSUER.secret}\nchannel_prefix: '{PREFIX}'\n"
                    "routes: [{path: /ws/cards, channel: cards, auth: optional}]\n", encoding="utf-8")
    gateways = [start("--config", file, redis=own_redis) for _ in range(2)]
    until("both are announced", lambda: len(gateways[0].api("/nodes")["nodes"]) == 2)
    return gateways


def peer(gateway, user):
    return gateway.connect("/ws/cards", [("Authorization", "Bearer " + ISSUER.token(sub=user))])


def end_of(socket):
    with pytest.raises(Closed) as closed:
        while True:
            socket.receive_text()
    socket.close(closed.value.code)
    return closed.value.code


def test_each_call_says_what_all_gateways_have_done(pair, own_redis):
    control = Control(redis_py.Redis(port=own_redis.port), prefix=PREFIX)
    his, other = [peer(gateway, "42") for gateway in pair], peer(pair[0], "43")
    assert control.subscribe("secret", user="43").n == 1
    assert other.receive()["data"] == {"channel": "secret"}
    assert control.unsubscribe("secret", user="43").n == 1
    assert control.refresh("43").n == 1
    told = control.disconnect(user="42", code=4100, reason="moved")
    assert (told.n, sorted(told.nodes.values()), told.silent) == (2, [1, 1], ())
    assert [end_of(socket) for socket in his] == [4100, 4100]
    assert control.revoke(user="43", until=time.time() + 60).n == 1
    assert end_of(other) == 4001
    assert control.revoke(token="a", until=time.time() + 60).n == 0
    with pytest.raises(Refused, match="disconnect takes one of"):
        control.disconnect(user="42", conn="a.1")
    control.close()


def test_under_asyncio_the_same(pair, own_redis):
    socket = peer(pair[1], "42")

    async def steer():
        control = AsyncControl(redis_asyncio.Redis(port=own_redis.port), prefix=PREFIX)
        told = await control.subscribe("secret", user="42")
        assert (told.n, len(told.nodes), told.silent) == (1, 2, ())
        assert (await control.unsubscribe("secret", user="42")).n == 1
        assert (await control.refresh("nobody")).n == 0
        assert (await control.revoke(user="42", until=time.time() + 60)).n == 1
        with pytest.raises(Refused, match="4000 to 4999"):
            await control.disconnect(route="/ws/cards", code=1000)
        await control.close()

    asyncio.run(steer())
    assert end_of(socket) == 4001


def test_who_does_not_answer_is_named(pair, own_redis):
    own_redis.client.set("tg:{app:nodes}:gone", "{}", px=15000)
    own_redis.client.sadd("tg:{app:nodes}", "gone", "over")
    control = Control(redis_py.Redis(port=own_redis.port), prefix=PREFIX, seconds=0.5)
    assert control.refresh("nobody").silent == ("gone",)
    own_redis.client.publish("app:tg:c:x", "nonsense")
    control.close()

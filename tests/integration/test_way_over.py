"""The way over from a manager inside the application: a client hears the same from both, and both hear everything meanwhile."""

import asyncio
import contextlib
import datetime
import json
import re
import shutil
import socket
import sys
import threading

import fastapi
import pytest
import redis.asyncio as redis_asyncio
import redis.exceptions
import uvicorn

from harness.gateway import ROOT, run
from harness.ports import free_port
from harness.process import Process
from harness.wait import until
from harness.websocket import WebSocket

sys.path.insert(0, str(ROOT / "src/clients/python"))

# pylint: disable=wrong-import-position
from tidegate import AsyncWorker, Manager  # noqa: E402

pytestmark = pytest.mark.plain

PAGE = (ROOT / "docs/from-fastapi.md").read_text(encoding="utf-8")
ADDED = re.compile(r',"timestamp":"[^"]+","channel":"[^"]+"\}$')  # what the gateway adds to an event


def block(beginning):
    """The fenced block of the page that begins so."""
    (found,) = [text for text in re.findall(r"^```\w*\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL) if text.startswith(beginning)]
    return found


class Application:
    """A FastAPI application with the manager of the page, under uvicorn, in a thread with a loop of its own."""

    def __init__(self, manager):
        self.names = {"json": json, "now": lambda: datetime.datetime.now(datetime.timezone.utc).isoformat(), "move": self.move}
        exec(block("class ConnectionManager"), self.names)  # pylint: disable=exec-used
        self.old = self.names["ConnectionManager"]()
        self.loop = asyncio.new_event_loop()
        self.manager = self.run(self.made(manager))
        self.server = uvicorn.Server(uvicorn.Config(self.endpoints(), port=0, log_level="warning", ws="websockets", lifespan="off"))
        self.thread = threading.Thread(target=self.loop.run_until_complete, args=(self.server.serve(),), daemon=True)
        self.thread.start()
        until("the application listens", lambda: self.server.started)
        self.address = self.server.servers[0].sockets[0].getsockname()

    def run(self, work):
        return self.loop.run_until_complete(work)

    async def made(self, manager):
        return manager(self.old)

    def endpoints(self):
        application = fastapi.FastAPI()

        async def serve(socket, item=None):
            await self.manager.connect(socket, item)
            try:
                while True:
                    await self.manager.handle_message(socket, json.loads(await socket.receive_text()))
            except fastapi.WebSocketDisconnect:
                self.manager.disconnect(socket, item)

        @application.websocket("/ws/cards")
        async def cards(socket: fastapi.WebSocket):
            await serve(socket)

        @application.websocket("/ws/cards/{item_id}")
        async def item(socket: fastapi.WebSocket, item_id: str):
            await serve(socket, item_id)

        return application

    async def move(self, data):
        """What the application does when a client asks for it."""
        await self.manager.broadcast({"type": "card_updated", "data": {**data, "by": "Ünal"}})
        await self.manager.broadcast_to_item(data["card"], {"type": "moved", "data": data["to"]})

    def stop(self):
        self.server.should_exit = True
        self.thread.join()
        self.loop.close()


@pytest.fixture
def application():
    with contextlib.ExitStack() as open_ones:

        def start(manager):
            made = Application(manager)
            open_ones.callback(made.stop)
            return made

        yield start


@pytest.fixture
def gateway(start, redis, tmp_path):
    (tmp_path / "tidegate.yaml").write_text(block("redis: redis://redis").replace("redis: redis:", "x-redis: redis:"), encoding="utf-8")
    node = start("--config", tmp_path / "tidegate.yaml", redis=redis)
    until("it hears answers", lambda: any(name.startswith(b"tg:r:") for name in redis.client.pubsub_channels()))
    return node


@pytest.fixture
def worker(redis):
    """The worker of the page, which does what the application does."""
    made = threading.Event()
    names = {"AsyncWorker": AsyncWorker}
    code = block("worker = AsyncWorker").replace("redis.asyncio.Redis()", "client")

    async def work():
        client = names["client"] = fresh(redis)
        manager = Manager(client, "cards")

        async def move(data):
            await manager.broadcast({"type": "card_updated", "data": {**data, "by": "Ünal"}})
            await manager.broadcast_to_item(data["card"], {"type": "moved", "data": data["to"]})

        names["move"] = move
        exec(code, names)  # pylint: disable=exec-used
        made.set()
        await names["worker"].run()

    thread = threading.Thread(target=lambda: asyncio.run(work()), daemon=True)
    thread.start()
    until("the worker is made", made.is_set)
    yield
    names["worker"].stop()
    thread.join()
    redis.client.delete("cards-actions")


def fresh(server):
    return redis_asyncio.Redis(host="127.0.0.1", port=server.port)


def accepts(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def heard_by_a_client(address):
    """What a client of such an application says, and the texts that it hears for it, by socket."""
    with WebSocket.connect(address, "/ws/cards") as board, WebSocket.connect(address, "/ws/cards/card-7") as card:
        board.send({"type": "ping"})
        texts = [board.receive_text()]
        board.send({"type": "action", "data": {"name": "move", "card": "card-7", "to": "done"}})
        texts += [board.receive_text(), card.receive_text()]
        card.send({"type": "ping"})
        texts.append(card.receive_text())
        board.send({"type": "ping"})
        return [*texts, board.receive_text()]


@pytest.mark.usefixtures("worker")
def test_a_client_hears_from_the_gateway_what_it_heard_from_the_application(application, gateway):
    before = heard_by_a_client(application(lambda old: old).address)
    after = heard_by_a_client(gateway.address)
    assert len(before) == len(after) == 5
    for old, new in zip(before, after):
        if json.loads(old)["type"] == "pong":
            assert {name: type(value) for name, value in json.loads(old).items()} == {
                name: type(value) for name, value in json.loads(new).items()}
        else:
            assert ADDED.search(new), new
            assert ADDED.sub("}", new) == old


def test_while_clients_move_those_of_both_hear_everything_once(application, gateway, redis):
    side = application(lambda old: Manager(fresh(redis), "cards", beside=old))
    with WebSocket.connect(side.address, "/ws/cards") as there, WebSocket.connect(gateway.address, "/ws/cards") as here:
        for n in range(3):
            there.send({"type": "action", "data": {"card": f"card-{n}", "to": "done"}})
        for peer in (there, here):
            assert [peer.receive()["data"]["card"] for _ in range(3)] == ["card-0", "card-1", "card-2"]
        there.send({"type": "ping"})
        here.send({"type": "ping"})
        assert there.receive()["type"] == here.receive()["type"] == "pong"


def test_when_redis_is_away_those_of_the_application_hear_all_the_same_and_the_caller_is_told(own_redis):
    class Old:
        heard = []

        async def broadcast(self, message):
            self.heard.append(message)

    async def say():
        manager = Manager(fresh(own_redis), "cards", beside=Old())
        await manager.broadcast("1")
        own_redis.kill()
        with pytest.raises(redis.exceptions.ConnectionError):
            await manager.broadcast("2")

    asyncio.run(say())
    assert Old.heard == ["1", "2"]


def test_with_a_history_it_is_in_the_log_and_any_id_makes_a_channel(redis):
    async def say():
        manager = Manager(fresh(redis), "items", history=True)
        await manager.broadcast_to_item("a b/ü", {"type": "x"})
        await manager.close()

    redis.client.flushall()
    redis.client.function_load(run("functions").stdout, replace=True)
    asyncio.run(say())
    assert redis.client.exists("tg:s:{items:a%20b%2F%C3%BC}")


def test_what_sockets_were_asked_is_said_to_be_elsewhere_now():
    with pytest.raises(AttributeError, match="clients connect to a gateway"):
        Manager(redis_asyncio.Redis(), "cards").connect  # pylint: disable=expression-not-assigned


@pytest.mark.parametrize("share,answers", [("0%", '{"type": "pong"'), ("100%", '{"type":"pong"')])
def test_the_balancer_of_the_page_sends_clients_to_both(share, answers, application, gateway, tmp_path):
    """All clients of a test have one address, so the share decides for all of them."""
    port = free_port()
    lines = (block("split_clients").replace("10% gateways;", f"{share} gateways;" if share != "0%" else "")
             .replace("*   application;", "*   application;" if share != "100%" else "")
             .replace("127.0.0.1:8080", f"127.0.0.1:{gateway.address[1]}").replace("listen 80", f"listen 127.0.0.1:{port}")
             .replace("127.0.0.1:8000", f"127.0.0.1:{application(lambda old: old).address[1]}"))
    (tmp_path / "nginx.conf").write_text(f"daemon off;\nmaster_process off;\npid {tmp_path}/pid;\nerror_log stderr;\nevents {{}}\n"
                                         f"http {{ access_log off;\n{lines} }}", encoding="utf-8")
    balancer = Process([shutil.which("nginx") or "/usr/sbin/nginx", "-c", tmp_path / "nginx.conf", "-e", "stderr"], tmp_path, "nginx")
    try:
        until("nginx listens", lambda: accepts(port))
        with WebSocket.connect(("127.0.0.1", port), "/ws/cards") as peer:
            peer.send({"type": "ping"})
            assert peer.receive_text().startswith(answers)
    finally:
        balancer.stop()

"""The readers of the Python package who hear who comes and goes, in threads and under asyncio."""

import asyncio
import sys
import threading

import pytest
import redis.asyncio

from harness.gateway import ROOT
from harness.wait import until

sys.path.insert(0, str(ROOT / "src/clients/python"))

# pylint: disable=wrong-import-position
from tidegate import AsyncLifecycle, Lifecycle, LifecycleEvent, _work  # noqa: E402

# The gateway is not what they look at.
pytestmark = pytest.mark.plain

STREAM = "sessions"
CLAIM_SECONDS = 0.5


class Desk:
    """Readers of a stream, and what they heard."""

    def __init__(self, server, is_async):
        self.server, self.is_async, self.readers = server, is_async, []

    def say(self, number, event="connected", **more):
        fields = {"event": event, "conn": f"n.{number}", "user": "42", "route": "/ws/{a}", "vars": '{"a":"b"}', "at": "1500", "node": "n", **more}
        self.server.client.xadd(STREAM, fields)

    def reader(self, handlers, starts=True, **options):
        kind = AsyncLifecycle if self.is_async else Lifecycle
        client = redis.asyncio.Redis(port=self.server.port) if self.is_async else self.server.client
        one = kind(client, STREAM, claim_seconds=CLAIM_SECONDS, **options)
        for events, handler in handlers.items():
            one.on(*events.split())(self.written(handler))
        if starts:
            self.start(one)
        return one

    def written(self, handler):
        async def other(event):
            return await asyncio.get_running_loop().run_in_executor(None, handler, event)
        return other if self.is_async else handler

    def start(self, one):
        target = (lambda: asyncio.run(one.run(signals=False))) if self.is_async else lambda: one.run(signals=False)
        thread = threading.Thread(target=target, daemon=True)
        thread.start()
        self.readers.append((one, thread))
        return thread

    def pending(self, group="tidegate"):
        return self.server.client.xpending(STREAM, group)["pending"]

    def stop(self):
        for one, _ in self.readers:
            one.stop()
        for _, thread in self.readers:
            thread.join(15)
            assert not thread.is_alive()


@pytest.fixture(params=["threads", "asyncio"])
def desk(request, own_redis, monkeypatch):
    monkeypatch.setattr(_work, "BLOCK_SECONDS", 0.1)
    desk = Desk(own_redis, request.param == "asyncio")
    yield desk
    desk.stop()


def test_each_event_comes_to_its_handler_in_order_and_to_each_group(desk):
    heard, others = [], []
    desk.say(1)
    desk.reader({"connected disconnected": heard.append, "occupied": others.append})
    desk.reader({"": others.append}, group="second")
    until("it is heard", lambda: len(heard) == 1)
    assert heard[0] == LifecycleEvent(heard[0].entry, "connected", "n", 1.5, conn="n.1", user="42", route="/ws/{a}", vars={"a": "b"})
    desk.say(1, "disconnected", code="4222", reason="disconnected")
    desk.server.client.xadd(STREAM, {"event": "occupied", "channel": "cards", "at": "2000", "node": "n"})
    desk.server.client.xadd(STREAM, {"nobody": "writes that"})
    until("all is heard", lambda: len(heard) + len(others) == 2 + 3 + 1)
    assert [event.event for event in heard] == ["connected", "disconnected"]
    assert (heard[1].code, heard[1].reason) == (4222, "disconnected")
    assert {event.channel for event in others if event.event == "occupied"} == {"cards"}
    until("all is acknowledged", lambda: desk.pending() == desk.pending("second") == 0)
    assert desk.server.client.xlen(STREAM) == 4


def test_what_a_handler_failed_at_is_handed_on_again(desk):
    heard = []

    def fail_once(event):
        heard.append(event.conn)
        if heard == ["n.1"]:
            raise ValueError("the store is away")

    desk.reader({"": fail_once})
    desk.say(1)
    desk.say(2)
    until("it is handed on again", lambda: sorted(heard) == ["n.1", "n.1", "n.2"])
    until("all is acknowledged", lambda: desk.pending() == 0)


def test_what_a_reader_that_died_had_not_acknowledged_is_taken_over(desk):
    heard = []
    for number in range(150):
        desk.say(number)
    desk.server.client.xgroup_create(STREAM, "tidegate", id="0")
    taken = desk.server.client.xreadgroup("tidegate", "dead", {STREAM: ">"}, count=120)
    assert len(taken[0][1]) == 120
    desk.reader({"": lambda event: heard.append(event.conn)})
    until("all are heard", lambda: len(heard) >= 150)
    until("all is acknowledged", lambda: desk.pending() == 0)
    assert sorted(heard) == sorted(f"n.{number}" for number in range(150))


def test_a_reader_that_is_stopped_gives_back_what_it_has_not_begun(desk):
    heard, begun, go_on = [], threading.Event(), threading.Event()

    def wait(event):
        heard.append(event.conn)
        begun.set()
        go_on.wait(15)

    for number in range(5):
        desk.say(number)
    one = desk.reader({"": wait})
    assert begun.wait(15)
    one.stop()
    go_on.set()
    desk.readers[0][1].join(15)
    assert heard == ["n.0"] and desk.pending() == 4
    desk.reader({"": lambda event: heard.append(event.conn)})
    until("the others are heard", lambda: heard == [f"n.{number}" for number in range(5)])


def test_a_reader_goes_on_after_redis_was_away_even_where_it_forgot_the_group(desk):
    heard = []
    desk.reader({"": lambda event: heard.append(event.conn)})
    desk.say(1)
    until("it is heard", lambda: heard == ["n.1"])
    desk.server.kill()
    desk.server.start()  # empty
    desk.say(2)
    until("it goes on", lambda: heard == ["n.1", "n.2"])

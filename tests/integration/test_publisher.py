"""The publisher in Python that backends copy: once, in time, over a failover, and under asyncio without holding it up."""

import asyncio
import contextlib
import json
import os
import signal
import sys
import threading
import time

import pytest
import redis as redis_py
import redis.asyncio as redis_asyncio
import redis.asyncio.sentinel  # noqa: F401
import redis.sentinel  # noqa: F401

from harness.gateway import ROOT, run
from harness.ports import free_port
from harness.process import Process
from harness.redis_server import RedisServer
from harness.wait import until

sys.path.insert(0, str(ROOT / "src/clients/python"))

# pylint: disable=wrong-import-position
from tidegate import AsyncPublisher, NotPublished, Publisher, _redis  # noqa: E402

# Nothing of the gateway runs but `tidegate functions`.
pytestmark = pytest.mark.plain

EVENT = {"type": "n", "data": 7}
DEADLINE_SECONDS = 2
LONGER = 3  # how many times its deadline a call may take on a busy machine before we call it broken


def load(server):
    server.client.function_load(run("functions").stdout, replace=True)


@pytest.fixture
def server(own_redis):
    load(own_redis)
    return own_redis


class Call(threading.Thread):
    """One publication in a thread: what came of it, and how long it took."""

    def __init__(self, kind, server, deadline=DEADLINE_SECONDS, path=None):
        super().__init__(daemon=True)
        self.kind, self.deadline, self.answer = kind, deadline, None
        self.where = {"unix_socket_path": str(path)} if path else {"port": server.port}
        self.start()

    def run(self):
        begin = time.monotonic()
        try:
            self.answer = self.publish()
        except Exception as error:  # pylint: disable=broad-except
            self.answer = error
        self.seconds = time.monotonic() - begin

    def publish(self):
        if self.kind == "threads":
            return Publisher(redis_py.Redis(**self.where), deadline_seconds=self.deadline).publish("cards", EVENT, "key")

        async def publish():
            publisher = AsyncPublisher(redis_asyncio.Redis(**self.where), deadline_seconds=self.deadline)
            try:
                return await publisher.publish("cards", EVENT, "key")
            finally:
                await publisher.close()

        return asyncio.run(publish())

    def result(self):
        self.join(LONGER * max(self.deadline, DEADLINE_SECONDS))
        assert not self.is_alive(), "still blocked long after its deadline"
        return self.answer


@pytest.fixture(params=["threads", "asyncio"])
def kind(request):
    return request.param


def test_what_it_says_is_in_the_log_and_it_tells_where(server, kind):
    first, again = (Call(kind, server).result() for _ in range(2))
    assert first.startswith("1-") and again == first
    assert server.client.xlen("tg:s:{cards}") == 1, "the same key is the same event"


def publish_all(kind, server, *lists, **options):
    """What each list of events is answered, under one key."""
    if kind == "threads":
        with contextlib.closing(Publisher(redis_py.Redis(port=server.port), **options)) as publisher:
            return [publisher.publish_all("cards", events, "key") for events in lists]

    async def publish():
        publisher = AsyncPublisher(redis_asyncio.Redis(port=server.port), **options)
        try:
            return [await publisher.publish_all("cards", events, "key") for events in lists]
        finally:
            await publisher.close()

    return asyncio.run(publish())


def test_several_are_one_call_and_each_is_told_where(server, kind):
    events = [{"type": "n", "data": number} for number in range(1000)]
    nothing, first, again = publish_all(kind, server, [], events, events)
    tag = first[0].split("-")[1]
    assert nothing == [] and first == again == [f"{offset}-{tag}" for offset in range(1, 1001)]
    logged = server.client.xrange("tg:s:{cards}")
    assert [(entry.decode(), json.loads(fields[b"d"])) for entry, fields in logged] == list(zip(first, events))
    with pytest.raises(ValueError, match="1001 events"):
        publish_all(kind, server, [EVENT] * 1001)


@pytest.mark.parametrize("no_list", [json.dumps(EVENT), json.dumps(EVENT).encode(), EVENT, {7}])
def test_an_event_is_no_list_of_events(server, kind, no_list):
    with pytest.raises(TypeError, match="a list of events"):
        publish_all(kind, server, no_list)
    assert server.client.dbsize() == 0


def test_a_key_of_fewer_events_names_no_ids_that_cannot_be(server, kind):
    with pytest.raises(ValueError, match="fewer events"):
        publish_all(kind, server, [EVENT], [EVENT] * 2)


def test_several_wait_for_a_library_that_knows_them(own_redis, kind):
    own_redis.client.function_load("#!lua name=tidegate\nredis.register_function('tidegate_publish', function() return 1 end)")
    with pytest.raises(NotPublished, match="not found"):
        publish_all(kind, own_redis, [EVENT, EVENT], deadline_seconds=0.5)
    own_redis.client.function_load(run("functions").stdout, replace=True)
    assert len(publish_all(kind, own_redis, [EVENT, EVENT])[0]) == 2


def test_the_deadline_holds_while_redis_is_frozen(server, kind):
    os.kill(server.process.pid, signal.SIGSTOP)
    try:
        call = Call(kind, server)
        assert isinstance(call.result(), NotPublished)
        assert "key key" in str(call.answer)
    finally:
        os.kill(server.process.pid, signal.SIGCONT)
    assert Call(kind, server).result().startswith("1-")
    assert server.client.xlen("tg:s:{cards}") == 1, "what the frozen one had been sent counts as the same event"


def test_the_deadline_holds_while_nobody_listens(own_redis, kind):
    own_redis.kill()
    assert isinstance(Call(kind, own_redis, deadline=0.5).result(), NotPublished)


def moods(server):
    """How to put Redis into a mood, and how to lift it."""
    client = server.client
    return {
        "READONLY": (lambda: client.slaveof("127.0.0.1", 1), lambda: client.slaveof()),
        "MASTERDOWN": (lambda: (client.config_set("replica-serve-stale-data", "no"), client.slaveof("127.0.0.1", 1)),
                       lambda: client.slaveof()),
        "NOREPLICAS": (lambda: client.config_set("min-replicas-to-write", 1),
                       lambda: client.config_set("min-replicas-to-write", 0)),
        "OOM": (lambda: client.config_set("maxmemory", 1), lambda: client.config_set("maxmemory", 0)),
        "not found": (lambda: client.execute_command("FUNCTION", "FLUSH"), lambda: load(server)),
    }


@pytest.mark.parametrize("mood", ["READONLY", "MASTERDOWN", "NOREPLICAS", "OOM", "not found"])
def test_it_waits_for_redis_to_be_itself_again(server, kind, mood):
    begin, end = moods(server)[mood]
    begin()
    before = server.client.info("commandstats").get("cmdstat_fcall", {}).get("rejected_calls", 0)
    call = Call(kind, server, deadline=10)
    until("a refusal or two", lambda: refusals(server) > before + 1)
    assert call.is_alive(), call.answer
    end()
    assert call.result().startswith("1-")


def refusals(server):
    stats = server.client.info("commandstats").get("cmdstat_fcall", {})
    return stats.get("rejected_calls", 0) + stats.get("failed_calls", 0)


def test_what_will_not_get_better_is_said_at_once(server, kind):
    for rights in (["-fcall"], ["reset"]):  # no right to it, then no such user
        server.client.execute_command("ACL", "SETUSER", "default", *rights)
        call = Call(kind, server, deadline=30)
        assert isinstance(call.result(), redis_py.RedisError), call.answer
        assert call.seconds < 30 / 2, "it tried on"


def test_after_a_failover_it_finds_the_new_primary_behind_the_same_address(tmp_path, kind):
    """Its connection to the old primary stays open, so it has to let go of it."""
    servers = []
    try:
        for name in ("a", "b"):
            (tmp_path / name).mkdir()
            servers.append(RedisServer(tmp_path / name))
        old, new = servers
        load(old)
        address = tmp_path / "primary"
        address.symlink_to(old.socket_path)
        new.follow(old)

        async def publish():
            where = {"unix_socket_path": str(address)}
            if kind == "threads":
                publisher = Publisher(redis_py.Redis(**where))
                say = lambda key: asyncio.to_thread(publisher.publish, "cards", EVENT, key)  # noqa: E731
            else:
                publisher = AsyncPublisher(redis_asyncio.Redis(**where))
                say = lambda key: publisher.publish("cards", EVENT, key)  # noqa: E731
            await say("first")
            await asyncio.to_thread(until, "the replica has it", lambda: new.client.xlen("tg:s:{cards}") == 1)
            new.client.slaveof()
            old.client.slaveof("127.0.0.1", new.port)
            second = asyncio.ensure_future(say("second"))
            await asyncio.to_thread(until, "refused by the old primary", lambda: refusals(old) > 0)
            address.unlink()
            address.symlink_to(new.socket_path)
            answer = await second
            if kind == "asyncio":
                await publisher.close()
            return answer

        assert asyncio.run(publish()).startswith("2-")
        assert new.client.xlen("tg:s:{cards}") == 2
    finally:
        for server in servers:
            server.stop()


class SentinelProcess:
    """A Sentinel that watches a primary, and may appoint another alone."""

    def __init__(self, directory, primary):
        self.port = free_port()
        config = directory / "sentinel.conf"
        config.write_text(f"port {self.port}\nbind 127.0.0.1\ndir {directory}\n"
                          f"sentinel monitor ours 127.0.0.1 {primary.port} 1\n", encoding="ascii")
        self.process = Process(["redis-server", config, "--sentinel"], directory, "sentinel")
        self.client = redis_py.Redis(port=self.port)
        until("the Sentinel knows the replica", self.knows_replica)

    def knows_replica(self):
        try:
            replicas = self.client.execute_command("SENTINEL", "REPLICAS", "ours")
        except redis_py.ConnectionError:
            return False
        if isinstance(replicas, dict):  # what redis-py makes of the answer depends on its version
            replicas = list(replicas.values())
        return [fields for fields in replicas if "master-link-status" in str(fields) and "'ok'" in str(fields)
                or isinstance(fields, dict) and fields.get("master-link-status") == "ok"]


def test_where_a_sentinel_says_it_goes(tmp_path):
    stopped = []
    try:
        for name in ("a", "b", "sentinel"):
            (tmp_path / name).mkdir()
        old, new = RedisServer(tmp_path / "a"), RedisServer(tmp_path / "b")
        stopped += [old.stop, new.stop]
        load(old)
        new.follow(old)
        sentinel = SentinelProcess(tmp_path / "sentinel", old)
        stopped.append(sentinel.process.kill)
        where = [("127.0.0.1", sentinel.port)]
        threads = Publisher(redis_py.sentinel.Sentinel(where, socket_timeout=1).master_for("ours"))

        async def publish():
            loop = AsyncPublisher(redis_asyncio.sentinel.Sentinel(where, socket_timeout=1).master_for("ours"))
            for key in ("before", "after"):
                for say in (lambda key: asyncio.to_thread(threads.publish, "cards", EVENT, key),
                            lambda key: loop.publish("cards", EVENT, key + "-asyncio")):
                    await say(key)
                if key == "before":
                    await asyncio.to_thread(until, "the replica has it", lambda: new.client.xlen("tg:s:{cards}") == 2)
                    sentinel.client.execute_command("SENTINEL", "FAILOVER", "ours")
                    await asyncio.to_thread(until, "a new primary", lambda: new.client.info("replication")["role"] == "master")
                    # Sentinel tells the old one after ten seconds. Until then it acknowledges what is lost, and no
                    # publisher can know.
                    old.client.slaveof("127.0.0.1", new.port)
            await loop.close()

        asyncio.run(publish())
        assert new.client.xlen("tg:s:{cards}") == 4
    finally:
        for stop in reversed(stopped):
            stop()


def test_the_loop_goes_on_while_it_waits_and_who_gives_up_harms_nobody(server):
    async def talk():
        publisher = AsyncPublisher(redis_asyncio.Redis(port=server.port), deadline_seconds=20)
        await publisher.publish("cards", {"type": "first"}, "first")
        os.kill(server.process.pid, signal.SIGSTOP)
        try:
            impatient = asyncio.ensure_future(publisher.publish("cards", {"type": "impatient"}, "impatient"))
            patient = asyncio.ensure_future(publisher.publish("others", {"type": "patient"}, "patient"))
            begin = time.monotonic()
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(impatient, 0.2)
            assert time.monotonic() - begin < 2, "the loop was held up"
        finally:
            os.kill(server.process.pid, signal.SIGCONT)
        answers = await patient, await publisher.publish("others", {"type": "next"}, "next")
        await publisher.close()
        return answers

    patient, following = asyncio.run(talk())
    assert patient.startswith("1-") and following.startswith("2-"), "each has its own answer"


# What redis-py says for one answer of Redis, by version: the class that it has for the word, without the word, or else
# a ResponseError with all of the text.
TEXTS = {"LOADING": "Redis is loading the dataset in memory", "READONLY": "You can't write against a read only replica.",
         "OOM": "command not allowed when used memory > 'maxmemory'.", "MASTERDOWN": "Link with MASTER is down",
         "NOREPLICAS": "Not enough good replicas to write.", "MISCONF": "Redis is configured to save RDB snapshots",
         "TRYAGAIN": "Multiple keys request during rehashing of slot", "CLUSTERDOWN": "The cluster is down",
         "BUSY": "Redis is busy running a script."}


@pytest.mark.parametrize("word", sorted(TEXTS))
def test_a_mood_is_known_by_its_word_and_by_the_class_that_a_version_has_for_it(word):
    classes = {word: name for name, word in _redis.RETRIED.items()}
    assert _redis.word_of(redis_py.ResponseError(f"{word} {TEXTS[word]}")) == word
    if word in classes:
        stand_in = type(classes[word], (redis_py.ResponseError,), {})
        assert _redis.word_of(stand_in(TEXTS[word])) == word


@pytest.mark.parametrize("text", ["WRONGPASS invalid username-password pair", "NOPERM this user has no permissions",
                                  "WRONGTYPE Operation against a key", "wrong number of arguments"])
def test_other_errors_are_final(text):
    assert _redis.word_of(redis_py.ResponseError(text)) is None
    assert _redis.word_of(redis_py.AuthenticationError(text)) is None


def test_a_client_that_it_cannot_copy_and_a_deadline_that_it_cannot_keep_are_refused(server):
    with pytest.raises(TypeError):
        Publisher(redis_asyncio.Redis(port=server.port))
    with pytest.raises(TypeError):
        AsyncPublisher(server.client)
    with pytest.raises(ValueError):
        Publisher(server.client, deadline_seconds=200)

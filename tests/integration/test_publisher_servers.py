"""The Python package where Redis is more than one address: sentinels that name the primary, and servers side by side."""

import asyncio
import contextlib
import json
import socket
import sys
import threading
import time

import pytest

from harness.cluster import Cluster
from harness.gateway import ROOT, run
from harness.redis_server import DurableRedis
from harness.sentinels import Sentinels
from harness.wait import until

sys.path.insert(0, str(ROOT / "src/clients/python"))

# pylint: disable=wrong-import-position
from tidegate import AsyncControl, AsyncPublisher, AsyncWorker, Control, NotPublished, Presence, Publisher, shard_of  # noqa: E402
from tidegate._cluster import Seeds  # noqa: E402
from tidegate._servers import Named, Servers, split_urls  # noqa: E402
from tidegate._redis import THREADS  # noqa: E402

pytestmark = pytest.mark.plain

ASKED_SECONDS = 0.5
BUSY = 10  # times as long on a busy machine
N = 3


class InALoop:
    """An AsyncPublisher that is called as a Publisher is."""

    def __init__(self, where, **options):
        self.loop = asyncio.new_event_loop()
        self.publisher = AsyncPublisher(where, **options)

    def publish(self, *arguments):
        return self.loop.run_until_complete(self.publisher.publish(*arguments))

    def close(self):
        self.loop.run_until_complete(self.publisher.close())
        self.loop.close()


@pytest.fixture
def publishers_of():
    """publishers_of(where) is one of either kind, for threads and for asyncio."""
    made = []

    def make(where, **options):
        made.extend((Publisher(where, **options), InALoop(where, **options)))
        return made[-2:]

    yield make
    for publisher in made:
        publisher.close()


def say(publishers, data, channel="cards"):
    for publisher in publishers:
        publisher.publish(channel, {"type": "n", "data": data})


def load(*servers):
    for server in servers:
        server.client.function_load(run("functions").stdout, replace=True)


@pytest.fixture
def sentinels(tmp_path):
    made = Sentinels(tmp_path)
    load(made.primary())
    yield made
    made.stop()


def other(sentinels, old):
    return next(server for server in sentinels.servers if server is not old)


def entries(server):
    return [json.loads(fields[b"d"])["data"] for _, fields in server.client.xrange("tg:s:{cards}")]


def test_they_follow_a_planned_failover_within_half_a_second_of_the_sentinels(sentinels, publishers_of):
    """The old primary takes writes for 11 s more, and throws them away."""
    publishers, old = publishers_of(sentinels.url), sentinels.primary()
    say(publishers, 0)
    new = other(sentinels, old)
    until("the replica has it", lambda: entries(new) == [0, 0])
    sentinels.failover()
    until("all name it", lambda: all(int(client.sentinel_get_master_addr_by_name("mymaster")[1]) == new.port
                                     for _, client in sentinels.sentinels))
    named = time.monotonic()

    def there():
        for publisher, data in zip(publishers, (1, 2)):
            publisher.publish("cards", {"type": "n", "data": data})
        return entries(new)[-2:] == [1, 2]

    until("both say it there", there)
    assert time.monotonic() - named < BUSY * ASKED_SECONDS


def test_they_wait_for_the_next_primary_and_do_without_sentinels(sentinels, publishers_of):
    publishers, old = publishers_of(sentinels.url.replace("://", "://sentinel.invalid,")), sentinels.primary()
    sentinels.sentinels[0][0].kill()
    say(publishers, 0)
    new = other(sentinels, old)
    until("the replica has it", lambda: entries(new) == [0, 0])
    old.kill()
    say(publishers, 1)
    assert entries(new) == [0, 0, 1, 1]
    for process, _ in sentinels.sentinels[1:]:
        process.kill()
    say(publishers, 2)
    assert entries(new)[-2:] == [2, 2], "without any they stay where they are"


# --- several ------------------------------------------------------------------------------------------------------


@pytest.fixture
def servers(tmp_path):
    made = []
    for i in range(N):
        (tmp_path / f"redis{i}").mkdir()
        made.append(DurableRedis(tmp_path / f"redis{i}"))
    yield made
    for server in made:
        server.stop()


@pytest.fixture
def urls(servers):
    return ",".join(server.url for server in servers)


def test_each_event_goes_to_the_server_of_its_channel(servers, urls, publishers_of):
    load(*servers)
    publishers = [*publishers_of(urls), *publishers_of([server.url for server in servers])]
    for number in range(6):
        channel = f"items:{number}"
        say(publishers, number, channel)
        assert [server.client.xlen(f"tg:s:{{{channel}}}") for server in servers] == [4 * (i == shard_of(channel, N)) for i in range(N)]


def test_control_reaches_all_gateways(servers, urls, start):
    gateways = [start(redis=urls, name=name) for name in ("one", "two")]
    until("both are announced", lambda: len(gateways[0].api("/nodes")["nodes"]) == 2)
    control = Control(urls)
    outcomes = [control.disconnect(user="nobody") for _ in range(4)]  # whose answers come from different servers
    assert [(outcome.n, len(outcome.nodes), outcome.silent) for outcome in outcomes] == [(0, 2, ())] * 4
    control.close()

    async def ask():
        control = AsyncControl(urls)
        outcome = await control.disconnect(user="nobody")
        await control.close()
        return outcome

    assert len(asyncio.run(ask()).nodes) == 2
    assert Presence(urls).roll("cards").n_users == 0


async def asked_and_answered(where, gateway):
    worker = AsyncWorker(where, "asked")

    @worker.action("*")
    async def echo(action):
        return action.data

    running = asyncio.ensure_future(worker.run(signals=False))

    def ask():
        with gateway.connect("/ws/asks") as peer:
            return until("it is answered", lambda: peer.ask({"type": "action", "id": 1, "data": {"x": 1}}).get("data"))

    try:
        return await asyncio.to_thread(ask)
    finally:
        worker.stop()
        await running


def test_a_worker_reads_from_one_server_and_answers_on_another(servers, urls, start, tmp_path):
    (tmp_path / "routes.yaml").write_text("routes:\n  - {path: /ws/asks, channel: asks, actions: asked}\n", encoding="utf-8")
    gateway = start("--config", str(tmp_path / "routes.yaml"), redis=urls)

    assert asyncio.run(asked_and_answered(urls, gateway)) == {"x": 1}


# --- a cluster ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    made = Cluster(tmp_path_factory.mktemp("cluster"))
    load(*made.primaries)
    yield made
    made.stop()


def test_each_event_goes_to_the_server_of_its_slot_also_when_that_has_moved(cluster, publishers_of):
    publishers = publishers_of(cluster.url)
    for channel in cluster.one_of_each("items:{}"):
        say(publishers, 1, channel)
        assert cluster.owner(channel).client.xlen(f"tg:s:{{{channel}}}") == 2
    target = next(server for server in cluster.primaries if server is not cluster.owner("cards"))
    say(publishers, 0)
    cluster.move(cluster.slot("cards"), target)
    say(publishers, 1)
    assert entries(target) == [0, 0, 1, 1]


@pytest.mark.parametrize("kind", ["unknown-endpoint", "hostname"])
def test_servers_may_have_names_or_not_know_how_they_are_reached(cluster, publishers_of, start, kind):
    for server in cluster.primaries:
        server.client.config_set("cluster-announce-hostname", "localhost" if kind == "hostname" else "")
        server.client.config_set("cluster-preferred-endpoint-type", kind)
    until("all know", lambda: all(
        (address.decode() if address else "") == ("localhost" if kind == "hostname" else "")
        for server in cluster.primaries for *_, (address, *_) in server.client.execute_command("CLUSTER", "SLOTS")))
    publishers, gateway = publishers_of(cluster.url), start(redis=cluster.url)
    for channel in cluster.one_of_each("items:{}"):
        with gateway.connect(f"/ws/{channel.replace(':', '/')}") as peer:
            say(publishers, kind, channel)
            assert [peer.receive()["data"] for _ in publishers] == [kind, kind]


def test_an_event_waits_for_its_slot_that_is_on_its_way(cluster, publishers_of):
    publishers = publishers_of(cluster.url, deadline_seconds=5)
    slot, source = cluster.slot("moving"), cluster.owner("moving")
    target = next(server for server in cluster.primaries if server is not source)
    say(publishers, 0, "moving")
    target.cluster("SETSLOT", slot, "IMPORTING", source.id)
    source.cluster("SETSLOT", slot, "MIGRATING", target.id)
    keys = source.client.execute_command("CLUSTER GETKEYSINSLOT", slot, 100)
    source.client.execute_command("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)
    saying = threading.Thread(target=say, args=(publishers, 1, "moving"))
    saying.start()
    until("it was sent on", lambda: source.client.info("errorstats").get("errorstat_ASK"))
    for server in (target, source):
        server.cluster("SETSLOT", slot, "NODE", target.id)
    saying.join()
    assert target.client.xlen("tg:s:{moving}") == 4


def test_a_worker_and_control_find_their_servers_in_a_cluster(cluster, start, tmp_path):
    (tmp_path / "routes.yaml").write_text("routes:\n  - {path: /ws/asks, channel: asks, actions: asked}\n", encoding="utf-8")
    gateway = start("--config", str(tmp_path / "routes.yaml"), redis=cluster.url)
    assert asyncio.run(asked_and_answered(cluster.url, gateway)) == {"x": 1}
    until("it is announced", lambda: gateway.api("/nodes")["state"] == "complete")
    with contextlib.closing(Control(cluster.url)) as control:
        until("it is there", lambda: len(control.disconnect(user="nobody").nodes) == 1)
    assert Presence(cluster.url).roll("cards").n_users == 0


# --- a cluster whose servers do not agree ---------------------------------------------------------------------------


class Said:
    """A server that says of each slot that it is here, or what it is told to say; and answers one command."""

    def __init__(self, fcall, slots=None):
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        here = f"*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$9\r\n127.0.0.1\r\n:{self.port}\r\n"
        self.answers = {b"CLUSTER": here if slots is None else slots, b"FCALL": fcall}
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self.answer, args=(self.listening.accept()[0],), daemon=True).start()

    def answer(self, link):
        with contextlib.suppress(OSError), link, link.makefile("rb") as said:
            for line in said:
                words = [said.read(int(said.readline()[1:]) + 2)[:-2] for _ in range(int(line[1:]))]
                link.sendall(self.answers.get(words[0].upper(), "+OK\r\n").encode())

    def close(self):
        self.listening.shutdown(socket.SHUT_RDWR)
        self.listening.close()


@pytest.fixture
def said():
    made = []

    def make(*arguments):
        made.append(Said(*arguments))
        return made[-1]

    yield make
    for one in made:
        one.close()


PUBLISHED = "*1\r\n$3\r\n1-7\r\n"
DOWN = "-CLUSTERDOWN The cluster is down\r\n"


@pytest.mark.parametrize("first", [(DOWN,), (DOWN, "*0\r\n")], ids=["cut off", "reset"])
def test_a_server_that_knows_less_than_the_others_is_not_asked_for_ever(said, publishers_of, first):
    ports = [said(*first).port, said(PUBLISHED).port]
    for publisher in publishers_of("redis://" + ",".join(f"127.0.0.1:{port}" for port in ports), deadline_seconds=8):
        assert [publisher.publish("cards", {}) for _ in range(3)] == ["1-7"] * 3


@pytest.mark.parametrize("host", ["127.0.0.1", ""])
def test_where_a_redirection_sends_them_they_ask(said, publishers_of, host):
    now = said(PUBLISHED)
    before = said(f"-MOVED 7 {host}:{now.port}\r\n")
    for publisher in publishers_of(f"redis+cluster://127.0.0.1:{before.port}", deadline_seconds=8):
        assert publisher.publish("cards", {}) == "1-7"


@pytest.mark.parametrize("url", ["redis://{}", "redis+sentinel://{}/mymaster"], ids=["cluster", "sentinels"])
def test_the_deadline_holds_however_many_are_frozen(publishers_of, url):
    with socket.create_server(("", 0), backlog=200) as frozen:
        hosts = ",".join(f"127.0.0.{i}:{frozen.getsockname()[1]}" for i in range(1, 51))
        for publisher in publishers_of(url.format(hosts), deadline_seconds=1):
            begin = time.monotonic()
            with pytest.raises(NotPublished):
                publisher.publish("cards", {})
            assert time.monotonic() - begin < 5


# --- what is written ----------------------------------------------------------------------------------------------


def test_urls_are_read_as_the_gateways_read_them():
    assert split_urls("redis://a,rediss+sentinel://b,c/m,unix:///x") == ["redis://a", "rediss+sentinel://b,c/m", "unix:///x"]
    named = Named.parse("rediss+sentinel://me:p%40%2F@s1:1,[::1]:2,s3/my%20m/4?sentinel_user=u&sentinel_password=p%26")
    assert named == Named(True, [("s1", 1), ("::1", 2), ("s3", 26379)], "my m", 4, {"username": "me", "password": "p@/"},
                          {"username": "u", "password": "p&"})
    assert Named.parse("redis://h") is None
    assert Named.parse("redis+sentinel://:a@b%23c@h1/m")[1:5:3] == ([("h1", 26379)], {"password": "a@b#c"})
    assert Seeds.parse("redis://me:p%40@h1:1,[::1]:2,h3") == Seeds(False, [("h1", 1), ("::1", 2), ("h3", 6379)], {"username": "me", "password": "p@"})
    assert Seeds.parse("rediss+cluster://h1").tls and Seeds.parse("redis://h1/0") is None
    for wrong in ("redis+sentinel://h", "redis+sentinel:///m", "redis+sentinel://h:x/m"):
        with pytest.raises(ValueError):
            Named.parse(wrong)
    with pytest.raises(ValueError):
        Servers(THREADS, [], 1, "it")

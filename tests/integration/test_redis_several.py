"""Several Redis servers side by side: each has its channels, and is away alone."""

import contextlib
import json
import sys
import threading

import pytest

from harness.cluster import NODE_TIMEOUT_MS, ClusterRedis
from harness.gateway import ROOT, run
from harness.prometheus import promtool, scrape
from harness.redis_server import DurableRedis
from harness.wait import pass_time, until

sys.path.insert(0, str(ROOT / "src/clients/python"))

# pylint: disable=wrong-import-position
from tidegate import Publisher  # noqa: E402
from tidegate.sharding import shard_of, slot_of  # noqa: E402

pytestmark = pytest.mark.plain

N = 3
SETTLE_SECONDS = 30  # docs/redis.md: so long a start waits for servers that are away
ROUTES = """
topics: []
routes:
  - {path: "/ws/items/{id}", channel: "items:{id}", history: {size: 100}}
"""


@pytest.fixture
def servers(tmp_path):
    made = []
    for i in range(N):
        folder = tmp_path / f"redis{i}"
        folder.mkdir()
        made.append(DurableRedis(folder))
    yield made
    for server in made:
        server.stop()


@pytest.fixture
def urls(servers):
    return ",".join(server.url for server in servers)


def one_of_each(kind):
    """A channel of this kind for each server."""
    found = {}
    for number in range(1000):
        found.setdefault(shard_of(f"{kind}:{number}", N), f"{kind}:{number}")
    return [found[i] for i in range(N)]


def ready(gateway):
    answer = gateway.get("/ready")
    return answer.status, answer.json()


def test_the_command_line_and_the_helper_agree_with_redis(servers, urls):
    """Slots as Redis says; servers as the vectors of the unit test say."""
    assert slot_of("tg:s:{items:42}") == slot_of("items:42") == 12580
    assert [shard_of("items:42", n) for n in (1, 2, 3)] == [0, *(shard_of("tg:m:{items:42}", n) for n in (2, 3))]
    for name in ("cards", "items:1", "items:2", "items:3", "items:44"):
        place = shard_of(name, N)
        assert run("shard", name, "--redis", urls).stdout.split() == [str(place), f"127.0.0.1:{servers[place].port}/0"]
    prefixed = run("shard", "cards", "--redis", urls, "--channel-prefix", "app:").stdout
    assert prefixed.startswith(f"{shard_of('app:cards', N)} ")
    assert run("shard", "--key", "tg:a:{x}", "--redis", urls, "--channel-prefix", "app:").stdout.startswith(f"{shard_of('x', N)} ")


def test_one_that_is_away_takes_its_own_channels_along_and_no_others(servers, urls, start, tmp_path):
    (tmp_path / "routes.yaml").write_text(ROUTES, encoding="utf-8")
    gateway = start("--config", str(tmp_path / "routes.yaml"), redis=urls)
    channels = one_of_each("items")
    peers = [gateway.connect(f"/ws/{channel.replace(':', '/')}") for channel in channels]
    aware = gateway.connect(f"/ws/{channels[1].replace(':', '/')}?since=now")
    assert aware.receive()["type"] == "subscribed"

    def hears(place, data):
        assert run("publish", channels[place], json.dumps({"type": "n", "data": data}), "--redis", urls).returncode == 0
        assert peers[place].receive()["data"] == data

    for place in range(N):
        until("it is heard", lambda place=place: servers[place].subscribers(channels[place]) == 1)
        hears(place, place)
    assert ready(gateway)[1]["broker"]["state"] == "ready"
    servers[1].kill()
    until("it is partial", lambda: ready(gateway)[1]["broker"]["state"] == "partial")
    status, said = ready(gateway)
    assert (status, said["ready"], said["broker"]["degraded"]) == (200, True, [f"127.0.0.1:{servers[1].port}/0"])
    hears(0, 10)
    hears(2, 12)
    said = [aware.receive() for _ in range(2)]
    assert [said[0]["data"], said[1]["type"], said[1]["data"]] == [1, "degraded", {"reason": "upstream", "channel": channels[1]}]
    servers[1].start()
    until("it is ready", lambda: ready(gateway)[1]["broker"]["state"] == "ready")
    until("it is heard", lambda: servers[1].subscribers(channels[1]) == 1)
    hears(1, 11)
    said = [aware.receive() for _ in range(2)]
    assert [said[0]["type"], said[0]["data"], said[1]["data"]] == ["restored", {"channel": channels[1]}, 11]


def test_each_server_is_measured_and_shown_by_itself(servers, urls, start, chromium):
    gateway = start(redis=urls)
    chromium.show(f"http://{gateway.admin}/", "document.getElementById('state').textContent", lambda state: state == "ready")
    servers[1].kill()
    until("it is partial", lambda: ready(gateway)[1]["broker"]["state"] == "partial")
    metrics = scrape(gateway)
    names = [f"127.0.0.1:{server.port}" for server in servers]
    assert [metrics.get("tidegate_redis_shard_ready", shard=name) for name in names] == [1, 0, 1]
    assert [metrics.get("tidegate_redis_shard_reconnects_total", shard=name) for name in names] == [0, 1, 0]
    assert all(0 < metrics.get("tidegate_redis_shard_probe_seconds", shard=name) < 60 for name in (names[0], names[2]))
    assert metrics.get("tidegate_redis_probe_seconds") > 0 and metrics.get("tidegate_redis_ready") == 0
    assert metrics.get("tidegate_redis_shard_channels", shard=names[shard_of("tg:control", N)]) >= 1
    code, said = promtool("check", "metrics", text=metrics.text)
    assert (code, said.strip()) == (0, "")
    told = run("status", "--admin", gateway.admin).stdout.splitlines()
    shown = [next(line for line in told if name in line) for name in names]
    assert ["away" in line for line in shown] == [False, True, False] and "lost 1 times: " in shown[1]
    seen = chromium.look("[...document.querySelectorAll('#servers tr')].map(row => row.children[1].textContent)", lambda seen: "away" in seen)
    assert seen == ["ready", "away", "ready"]
    assert chromium.look("document.getElementById('broker').textContent", bool) == "1 of 3 servers are away"


def test_gateways_whose_lists_differ_in_their_order_notice_each_other(servers, urls, start):
    """They never meet in the list of nodes, for each has another first server."""
    turned = ",".join(reversed(urls.split(",")))
    gateways = [start(redis=urls, name=name) for name in ("one", "same", "too")]
    until("one says it is there", lambda: servers[0].client.get("tg:{nodes}:urls"))
    assert not any(gateway.api("/status")["broker"]["urls_differ"] for gateway in gateways)
    gateways.append(start(redis=turned, name="turned"))
    for gateway in gateways:
        until("it notices", lambda gateway=gateway: gateway.api("/status")["broker"]["urls_differ"])
        assert "another list of Redis servers" in run("status", "--admin", gateway.admin).stdout
    line, = gateways[-1].lines("another gateway has another list of Redis servers")
    assert line.fields["other"] == gateways[0].api("/status")["broker"]["urls_hash"] != line.fields["redis_urls_hash"]


def test_control_needs_the_server_of_its_channel_and_no_other(servers, urls, start):
    gateway = start(redis=urls)
    place = shard_of("tg:control", N)
    command = {"do": "disconnect", "user": "42"}
    for away in (place + 1) % N, place:
        servers[away].kill()
        until("it is partial", lambda: ready(gateway)[1]["broker"]["state"] == "partial")
        told = [gateway.post("/control", command).status for _ in range(4)]  # whose answers come from different servers
        assert told == [503 if away == place else 200] * 4
        servers[away].start()
        until("it is ready", lambda: ready(gateway)[1]["broker"]["state"] == "ready")


def test_actions_go_on_where_the_server_of_their_answers_is_away(servers, urls, start, tmp_path):
    streams = one_of_each("asked")
    lines = [f"  - {{path: /ws/{i}, channel: asks, actions: {{stream: '{stream}'}}}}\n" for i, stream in enumerate(streams)]
    (tmp_path / "routes.yaml").write_text("topics: []\nroutes:\n" + "".join(lines), encoding="utf-8")
    gateway = start("--config", str(tmp_path / "routes.yaml"), redis=urls)
    node = gateway.get("/ready").json()["node"]
    away = shard_of(f"tg:r:{node}", N)
    place = (away + 1) % N
    until("it hears answers", lambda: servers[away].subscribers(f"tg:r:{node}") == 1)
    heard = []

    def answer_the_first():
        entries = servers[place].client.xread({streams[place]: "0"}, count=1, block=20000)
        fields = {name.decode(): value.decode() for name, value in entries[0][1][0][1].items()}
        heard.append(fields["reply"])
        with contextlib.closing(Publisher(servers[shard_of(fields["reply"], N)].client)) as publisher:
            publisher.publish(fields["reply"], {"action": fields["id"], "data": "done"})

    backend = threading.Thread(target=answer_the_first)
    with gateway.connect(f"/ws/{place}") as peer:
        servers[away].kill()
        until("it is partial", lambda: ready(gateway)[1]["broker"]["state"] == "partial")
        backend.start()
        until("another channel is followed", lambda: peer.ask({"type": "action", "id": 1, "data": {}}).get("data") == "done")
    backend.join()
    assert heard[0].startswith(f"tg:r:{node}:") and shard_of(heard[0], N) != away


def test_where_the_server_of_control_goes_away_gateways_that_knew_it_go_on(servers, urls, start):
    gateway = start(redis=urls)
    control = servers[shard_of("tg:control", N)]
    control.kill()
    until("it is partial", lambda: ready(gateway)[1]["broker"]["state"] == "partial")
    status, said = ready(gateway)
    assert (status, said["ready"], said["missing"]) == (200, True, ["control"])
    control.start()
    until("it is heard", lambda: ready(gateway)[1]["missing"] == [])
    assert ready(gateway)[0] == 200


def test_a_server_that_is_in_a_cluster_has_no_place_in_a_list(servers, tmp_path, start):
    """Its channels would be where nobody else looks for them. No waiting makes that good."""
    (tmp_path / "member").mkdir()
    member = ClusterRedis(tmp_path / "member", NODE_TIMEOUT_MS)
    try:
        gateway = start(redis=f"{servers[0].url},{member.url}", ready=False)
        says = "it is in a cluster, and stands in a list of several servers"

        def is_told():
            status, body = ready(gateway)
            broker = body["broker"]
            return (status == 503 and body["missing"] == ["broker"] and [one.get("reason") for one in broker["servers"]] == [None, says]
                    and broker["reason"].startswith("a server of the list is in a cluster"))

        until("it is told", is_told)
        gateway.wait_for_line("redis", reason=says)
        pass_time(SETTLE_SECONDS)
        assert is_told()
        member.kill()
        until("it is away, and no longer said to be in a cluster",
              lambda: not ready(gateway)[1]["broker"].get("reason", "").startswith("a server of the list is in a cluster"))
    finally:
        member.stop()


def test_a_start_waits_for_all_of_them(servers, urls, start):
    servers[2].kill()
    gateway = start(redis=urls, ready=False)
    until("two are there", lambda: len(ready(gateway)[1]["broker"]["degraded"]) == 1)
    assert ready(gateway)[0] == 503
    servers[2].start()
    gateway.wait_until_ready()


@pytest.mark.parametrize("text, says", [
    ("[\"redis://h3\", \"redis://h1,h2\"]", "a Redis Cluster cannot be one of several"),
    ("redis-sentinel://h1/m", "is written redis+sentinel://HOST/NAME"),
    ("redis://:hunter2@h1,redis://h1", "two of the Redis URLs name the same server"),
    ("[redis://h1, h2]", "starts with its scheme"),
    ("[]", "it is empty"),
    ("redis+sentinel://:hunter2@s1,s2", "needs the name of the primary"),
])
def test_a_wrong_list_is_one_line(tmp_path, text, says):
    path = tmp_path / "t.yaml"
    path.write_text(f"redis: {text}\n", encoding="utf-8")
    result = run("check", str(path))
    assert result.returncode == 2 and says in result.stderr and "hunter2" not in result.stderr, result.stderr


def test_a_list_in_yaml_is_what_a_comma_is_elsewhere(tmp_path):
    path = tmp_path / "t.yaml"
    path.write_text("redis:\n  - redis://:hunter2@h1\n  - rediss://h2/3\n", encoding="utf-8")
    printed = run("check", str(path)).stdout
    assert "redis://:***@h1:6379/0,rediss://h2:6379/3 " in printed and "hunter2" not in printed

"""Redis Cluster: each channel is heard where its slot is, in both ways, and commands find their way.

What takes longer, a failover or slots that move while events flow, is a fault: tests/fault/cluster.py.
"""

import json
import queue
import re
import sys
import threading

import pytest

from harness.authority import Authority
from harness.cluster import N_SLOTS, NODE_TIMEOUT_MS, Cluster, ClusterRedis, TlsClusterRedis
from harness.gateway import ROOT, run
from harness.ports import free_port
from harness.redis_server import RedisServer
from harness.wait import until

sys.path.insert(0, str(ROOT / "src/clients/python"))

# pylint: disable=wrong-import-position
from tidegate import Change, Presence  # noqa: E402

pytestmark = pytest.mark.plain

SHARED_ROUTES = """
tickets: true
default_routes: false
routes:
  - {path: /ws/cards, channel: cards, auth: none}
  - {path: "/ws/plain/{id}", channel: "plain:{id}", auth: none}
  - {path: "/ws/kept/{id}", channel: "kept:{id}", history: {size: 100}, auth: none}
  - {path: "/ws/room/{id}", channel: "room:{id}", history: on, presence: {grace: 0s}, auth: optional}
  - {path: "/ws/seen/{id}", channel: "seen:{id}", lifecycle: sessions, auth: none}
  - {path: "/ws/acts/{id}", channel: "acts:{id}", actions: {stream: stream-of-actions, timeout: 5s}, auth: none}
  - {path: "/ws/me", channels: ["user:{token.sub}"]}
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    made = Cluster(tmp_path_factory.mktemp("cluster"))
    yield made
    made.stop()


@pytest.fixture(scope="module")
def redis(cluster):
    return cluster.url


def path_of(channel):
    return "/ws/" + channel.replace(":", "/")


def event(data):
    return json.dumps({"type": "n", "data": data})


def publish(gateway, channel, data):
    assert gateway.post("/publish", {"channel": channel, "payload": {"type": "n", "data": data}}).status == 200


def hears(cluster, gateway, peer, channel):
    """By PUBLISH at any server, SPUBLISH at the owner, and through a gateway: each once."""
    for server in cluster.primaries:
        server.publish(channel, event(f"at {server.port}"))
        assert peer.receive()["data"] == f"at {server.port}"
    assert cluster.owner(channel).client.execute_command("SPUBLISH", channel, event("sharded")) == 1
    assert peer.receive()["data"] == "sharded"
    publish(gateway, channel, "by a gateway")
    assert peer.receive()["data"] == "by a gateway"


def is_heard(server, channel):
    """By SSUBSCRIBE."""
    return server.client.execute_command("PUBSUB SHARDNUMSUB", channel)[1] == 1


def is_settled(gateway):
    return gateway.get("/ready").json()["broker"]["state"] == "ready"


def other_than(cluster, server):
    return next(one for one in cluster.primaries if one is not server)


@pytest.mark.parametrize("pattern", ["plain:{}", "kept:{}"])
def test_whatever_is_published_anywhere_comes_once(cluster, gateway, pattern):
    for channel in cluster.one_of_each(pattern):
        with gateway.connect(path_of(channel)) as peer:
            hears(cluster, gateway, peer, channel)


def test_a_slot_that_moves_takes_its_channel_along(cluster, gateway):
    channel = "kept:moves"
    with gateway.connect(path_of(channel)) as peer:
        hears(cluster, gateway, peer, channel)
        old = cluster.owner(channel)
        for target in (other_than(cluster, old), old):
            moves = gateway.metric("tidegate_redis_slot_moves_total")
            cluster.move(cluster.slot(channel), target)
            until("it is heard there", lambda target=target: is_heard(target, channel))
            hears(cluster, gateway, peer, channel)
            until("it is counted", lambda moves=moves: gateway.metric("tidegate_redis_slot_moves_total") > moves)
    assert is_settled(gateway)


def begin_move(slot, source, target):
    """The two keys of a channel's log have gone, and the slot is where it was."""
    target.cluster("SETSLOT", slot, "IMPORTING", source.id)
    source.cluster("SETSLOT", slot, "MIGRATING", target.id)
    keys = source.client.execute_command("CLUSTER GETKEYSINSLOT", slot, 100)
    assert len(keys) == 2
    source.client.execute_command("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)


def test_commands_follow_a_slot_through_its_move(cluster, gateway):
    """Nobody listens to the channel, so that nothing but the answers tells of the move."""
    channel = "kept:quiet"
    slot, source = cluster.slot(channel), cluster.owner(channel)
    target = other_than(cluster, source)
    publish(gateway, channel, 1)
    begin_move(slot, source, target)
    publish(gateway, channel, 2)  # ASK: the keys have gone
    assert gateway.metric('tidegate_redis_redirects_total{kind="ask"}') >= 1
    for server in cluster.primaries:
        server.cluster("SETSLOT", slot, "NODE", target.id)
    publish(gateway, channel, 3)
    publish(gateway, channel, 4)
    assert gateway.metric('tidegate_redis_redirects_total{kind="moved"}') >= 1
    assert [entry.split()[-1] for entry in logged(target, channel)] == ["1}", "2}", "3}", "4}"]
    with gateway.connect(path_of(channel)) as peer:
        hears(cluster, gateway, peer, channel)
    cluster.move(slot, source)


def logged(server, channel):
    return [fields[b"d"].decode().replace('":', '": ') for _, fields in server.client.xrange(f"tg:s:{{{channel}}}")]


def test_gateways_know_each_other_and_share_what_is_revoked(cluster, gateway, start):
    other = start(redis=cluster.url)
    ids = {one.api("/status")["node"] for one in (gateway, other)}
    until("they know each other", lambda: {node["node"] for node in gateway.api("/nodes")["nodes"]} == ids)
    for one in (gateway, other):
        assert one.post("/control", {"do": "disconnect", "user": "42"}).json()["nodes"]
    assert gateway.post("/control", {"do": "revoke", "user": "42", "issued_before": 10**9, "until": 2 * 10**9}).status == 200
    key = "tg:{revoked}"
    until("it is kept", lambda: cluster.owner(key).client.zcard(key) == 1)


def n_present(peer, channel):
    """Connections without a user. Events that come before are left out."""
    peer.send({"type": "presence", "id": 1, "data": {"channel": channel}})
    while (answer := peer.receive()).get("id") != 1:
        pass
    return answer["data"].get("n_anonymous")


def test_presence_is_told_over_all_nodes(cluster, gateway, start, config):
    other = start("--config", config, redis=cluster.url)
    for channel in cluster.one_of_each("room:{}"):
        with gateway.connect(path_of(channel)) as peer, other.connect(path_of(channel)):
            until("both are counted", lambda peer=peer, channel=channel: n_present(peer, channel) == 2)


@pytest.mark.parametrize("pubsub", ["both", "classic"])
def test_who_comes_and_goes_is_followed_in_python_through_a_move_of_the_slot(cluster, start, config, pubsub):
    """Whichever way gateways publish; each change once."""
    gateway = start("--config", config, "--redis-pubsub", pubsub, redis=cluster.url)
    channel, heard = f"room:followed-{pubsub}", queue.Queue()
    owner = cluster.owner(channel)
    presence = Presence(cluster.url)

    def follow():
        for change in presence.follow(channel):
            heard.put(change)
            if change.n_anonymous == 3:
                return

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    until("it follows", lambda: owner.client.execute_command("PUBSUB", "SHARDNUMSUB", channel)[1] == 1)
    with gateway.connect(path_of(channel)):
        assert heard.get(timeout=60) == Change(0, 1)
        cluster.move(cluster.slot(channel), other_than(cluster, owner))
        missed = heard.get(timeout=60)
        assert missed == Change(0, 1, missed=True)
        with gateway.connect(path_of(channel)):
            assert heard.get(timeout=60) == Change(0, 2)
            assert presence.roll(channel).n_anonymous == 2
            with gateway.connect(path_of(channel)):
                assert heard.get(timeout=60) == Change(0, 3)
    thread.join(15)
    assert not thread.is_alive()
    presence.close()


def test_who_comes_and_goes_is_said_where_the_stream_is(cluster, gateway, start, config):
    other = start("--config", config, redis=cluster.url)
    owner = cluster.owner("sessions").client
    with gateway.connect("/ws/seen/1"), other.connect("/ws/seen/2"), other.connect("/ws/seen/1"):
        until("all are said", lambda: owner.xlen("sessions") == 5)
        assert owner.hgetall("tg:o:{sessions}") == {b"seen:1": b"2", b"seen:2": b"1"}
    until("all have gone", lambda: owner.xlen("sessions") == 10)
    assert not owner.exists("tg:o:{sessions}")


def test_a_ticket_is_found_wherever_its_key_is(cluster, gateway):
    for name in cluster.one_of_each("tg:t:a-ticket-has-32-letters-or-some-more-{}"):
        cluster.owner(name).client.set(name, json.dumps({"sub": "43"}))
        with gateway.connect("/ws/me?ticket=" + name.removeprefix("tg:t:")) as peer:
            cluster.primaries[0].publish("user:43", event(1))
            assert peer.receive()["data"] == 1


def test_an_action_is_answered(cluster, gateway):
    """The stream is on one server, and the channel of the answer on another."""
    stream = "stream-of-actions"
    client = cluster.owner(stream).client
    with gateway.connect("/ws/acts/1") as peer:
        peer.send({"type": "action", "id": 7, "data": {"a": 1}})
        until("it waits", lambda: client.xlen(stream) == 1)
        (entry, fields), = client.xrange(stream)
        channel = fields[b"reply"].decode()
        cluster.owner(channel).client.fcall(
            "tidegate_publish", 2, f"tg:s:{{{channel}}}", f"tg:m:{{{channel}}}",
            json.dumps({"action": fields[b"id"].decode(), "data": "done"}), channel, "spublish", 1001, 60000, "abcdefgh")
        answer = peer.receive()
        assert (answer["id"], answer["data"]) == (7, "done")
        client.xdel(stream, entry)


@pytest.mark.parametrize("way, hears_publish, hears_spublish", [("sharded", 0, 1), ("classic", 1, 0), ("both", 1, 1)])
def test_one_way_alone_can_be_chosen(cluster, start, config, way, hears_publish, hears_spublish):
    gateway = start("--config", config, "--redis-pubsub", way, redis=cluster.url)
    with gateway.connect("/ws/plain/chosen") as peer:
        assert sum(server.subscribers("plain:chosen") for server in cluster.primaries) == hears_publish
        cluster.primaries[0].publish("plain:chosen", event("classic"))
        if hears_publish:
            assert peer.receive()["data"] == "classic"
        assert cluster.owner("plain:chosen").client.execute_command("SPUBLISH", "plain:chosen", event("sharded")) == hears_spublish
        publish(gateway, "plain:chosen", "mine")
        expected = ["sharded"] * hears_spublish + ["mine"]
        assert [peer.receive()["data"] for _ in expected] == expected


def test_one_address_leads_to_the_cluster_that_is_there(cluster, start, config):
    gateway = start("--config", config, redis=cluster.primaries[1].url)
    broker = gateway.get("/ready").json()["broker"]
    assert (broker["cluster"], len(broker["servers"]), broker["degraded"]) == (True, 3, [])
    for channel in cluster.one_of_each("kept:{}"):
        with gateway.connect(path_of(channel)) as peer:
            hears(cluster, gateway, peer, channel)


def is_cluster(gateway):
    broker = gateway.get("/ready").json()["broker"]
    return broker["state"] == "ready" and broker.get("cluster", False)


def test_a_server_that_is_made_a_cluster_later_is_followed(tmp_path, start, config):
    """It starts anew for that, without its logs, and its clients connect again."""
    server = RedisServer(tmp_path)
    try:
        gateway = start("--config", config, redis=server.url)
        with gateway.connect("/ws/plain/later") as peer:
            server.kill()
            server.options = ("--cluster-enabled", "yes", "--cluster-port", str(free_port()))
            server.start()
            server.client.execute_command("CLUSTER ADDSLOTSRANGE", 0, N_SLOTS - 1)
            until("it is known", lambda: is_cluster(gateway))
            until("it is heard", lambda: server.client.execute_command("PUBSUB SHARDNUMSUB", "plain:later")[1] == 1)
            publish(gateway, "plain:later", "in the cluster")
            assert peer.receive()["data"] == "in the cluster"
    finally:
        server.stop()


def test_a_server_that_sends_us_elsewhere_is_asked_again_whether_it_is_in_a_cluster(cluster, start, config):
    """It had not let us ask, and says nothing when it does."""
    def allow(*rights):
        for server in cluster.primaries:
            server.client.execute_command("ACL SETUSER", "late", "on", ">SECRET", "+@all", "~*", "&*", *rights)

    allow("-cluster")
    gateway = start("--config", config, redis=cluster.primaries[0].url.replace("redis://", "redis://late:SECRET@"), ready=False)
    until("it takes it for a server alone", lambda: is_settled(gateway) and not is_cluster(gateway))
    allow("+cluster")
    far = next(channel for channel in cluster.one_of_each("kept:{}") if cluster.owner(channel) is not cluster.primaries[0])
    assert gateway.post("/publish", {"channel": far, "payload": {"type": "n"}}).status != 200  # MOVED
    until("it is known", lambda: is_cluster(gateway))
    publish(gateway, far, "found")


class AgedRedis(ClusterRedis):
    """The first one is of before Redis 7, until it is replaced."""

    def _listens(self, port):
        gone = ("SSUBSCRIBE", "SUNSUBSCRIBE", "SPUBLISH") if getattr(self, "is_old", "redis0" in str(self.directory)) else ()
        return (*super()._listens(port), *(word for name in gone for word in ("--rename-command", name, "")))


@pytest.mark.parametrize("pubsub", ["auto", "sharded"])
def test_sharded_channels_are_back_when_the_last_old_server_is_replaced(tmp_path, start, config, pubsub):
    """Others go on publishing the classic way for a moment, so both are heard, whatever is wanted in the end."""
    made = Cluster(tmp_path, n=2, make=AgedRedis)
    try:
        gateway = start("--config", config, "--redis-pubsub", pubsub, redis=made.url)
        gateway.wait_for_line("this cluster knows no sharded channels")
        old, _ = made.primaries
        channel = next(channel for channel in made.one_of_each("plain:{}") if made.owner(channel) is old)
        with gateway.connect(path_of(channel)) as peer:
            publish(gateway, channel, "by PUBLISH")
            assert peer.receive()["data"] == "by PUBLISH"
            old.kill()
            old.is_old = False
            old.start()
            gateway.wait_for_line("all servers of this cluster know sharded channels now")
            until("it is heard", lambda: is_heard(old, channel))
            until("it is ready", lambda: is_settled(gateway))
            publish(gateway, channel, "settled")
            while peer.receive()["data"] != "settled":
                pass  # a channel that moves is heard at two servers for a moment, and one event may count twice
            hears(made, gateway, peer, channel)
        assert len(gateway.lines("knows no sharded channels")) == 1
    finally:
        made.stop()


def test_another_redis_at_the_address_of_a_server_is_not_taken_for_it(tmp_path, start, config):
    """Somebody else is given the address of one that has gone: it is in a cluster of its own, or in none. (Its bus is elsewhere, or the
    other server would notice, too, and name that address no more.)"""
    made = Cluster(tmp_path, n=2)
    try:
        gateway = start("--config", config, redis=made.url)
        _, gone = made.primaries

        def is_left_out(why):
            reasons = [one.get("reason", "") for one in gateway.get("/ready").json()["broker"]["servers"]
                       if one["address"].startswith(f"127.0.0.1:{gone.port}")]
            return reasons and all(reason.startswith(why) for reason in reasons)

        gone.kill()
        (gone.directory / "nodes.conf").unlink()
        gone.options = tuple(str(free_port()) if word == str(gone.bus_port) else word for word in gone.options)
        gone.start()
        gone.cluster("ADDSLOTSRANGE", 0, N_SLOTS - 1)
        until("it is left out", lambda: is_left_out("another Redis has the address of one of ours"))
        assert gone.client.keys() == []
        gone.kill()
        gone.options = ()
        gone.start()
        until("it is left out", lambda: is_left_out("it is in no cluster: another Redis has the address of one of ours"))
        assert gone.client.keys() == []
    finally:
        made.stop()


def test_slots_that_no_server_has_are_told(tmp_path, start, config):
    """Another Redis has the address of one, down to its bus: the others name that address no more, and nobody else has the slots."""
    made = Cluster(tmp_path, n=2)
    try:
        gateway = start("--config", config, redis=made.url)
        kept, gone = made.primaries

        def told():
            broker = gateway.get("/ready").json()["broker"]
            return broker["state"], broker.get("reason"), len(broker["servers"])

        assert told() == ("ready", None, 2)
        gone.kill()
        (gone.directory / "nodes.conf").unlink()
        gone.start()
        until("it is told", lambda: told() == ("partial", f"no server has {N_SLOTS // 2} of the cluster's {N_SLOTS} slots", 1))
        gateway.wait_for_line("no server has some slots of the cluster", slots=str(N_SLOTS // 2))
        assert gateway.get("/ready").status == 200 and gateway.metric("tidegate_redis_ready") == 0
        kept.cluster("FORGET", gone.id)
        kept.cluster("ADDSLOTSRANGE", N_SLOTS // 2, N_SLOTS - 1)
        until("it is over", lambda: told() == ("ready", None, 1))
        gateway.wait_for_line("each slot of the cluster has a server again")
    finally:
        made.stop()


def test_commands_follow_a_slot_to_a_server_that_has_none_yet(tmp_path, start, config):
    """So begins the move of slots to a server that is new."""
    made = Cluster(tmp_path, n=1)
    try:
        source, = made.primaries
        (tmp_path / "new").mkdir()
        made.servers.append(target := ClusterRedis(tmp_path / "new", NODE_TIMEOUT_MS))
        target.client.execute_command("CLUSTER MEET", "127.0.0.1", source.port, source.bus_port)
        made.wait_until_all_know_all()
        gateway = start("--config", config, redis=made.url)
        channel = "kept:new"
        publish(gateway, channel, 1)
        begin_move(made.slot(channel), source, target)
        publish(gateway, channel, 2)
        target.client.execute_command("ASKING")
        assert len(logged(target, channel)) == 2
        until("it is let go", lambda: not is_client(gateway, target))
    finally:
        made.stop()


def is_client(gateway, server):
    name = "tidegate-" + gateway.api("/status")["node"]
    return any(client["name"] == name for client in server.client.client_list())


def test_a_primary_that_is_cut_off_from_the_others_is_not_believed_again(tmp_path, start, config):
    """It goes on claiming its slots, which another one has. (Of two claims it takes the later one, and that is its own.)"""
    made = Cluster(tmp_path, n=2)
    try:
        other, lone = made.primaries
        gateway = start("--config", config, redis=made.url)
        until("it is known", lambda: is_client(gateway, lone))
        other.cluster("FORGET", lone.id)
        other.cluster("ADDSLOTSRANGE", N_SLOTS // 2, N_SLOTS - 1)
        until("it is let go", lambda: not is_client(gateway, lone))
        server, = gateway.get("/ready").json()["broker"]["servers"]
        assert server["address"].startswith(f"127.0.0.1:{other.port}")
    finally:
        made.stop()


def test_a_cluster_that_is_being_made_is_waited_for(tmp_path, start, config):
    server = ClusterRedis(tmp_path, NODE_TIMEOUT_MS)
    try:
        gateway = start("--config", config, redis=server.url, ready=False)
        says = "it is in cluster mode, and no server has slots yet"
        until("it says so", lambda: gateway.get("/ready").json()["broker"].get("reason") == says)
        server.cluster("ADDSLOTSRANGE", 0, N_SLOTS - 1)
        until("it is ready", lambda: is_settled(gateway))
        assert gateway.get("/ready").json()["broker"]["cluster"]
        publish(gateway, "kept:late", 1)
    finally:
        server.stop()


@pytest.mark.parametrize("found", [False, True], ids=["by a list", "by one address"])
def test_events_flow_over_tls(tmp_path, start, config, found):
    authority = Authority(tmp_path)
    certificate = authority.issue("redis", "IP:127.0.0.1")
    made = Cluster(tmp_path, n=2, make=lambda folder, timeout_ms: TlsClusterRedis(folder, timeout_ms, authority, certificate))
    try:
        urls = made.primaries[0].url if found else made.url.replace("redis:", "rediss:")
        gateway = start("--config", config, "--redis-ca", authority.certificate, redis=urls)
        for channel in made.one_of_each("kept:{}"):
            with gateway.connect(path_of(channel)) as peer:
                hears(made, gateway, peer, channel)
                target = other_than(made, made.owner(channel))
                made.move(made.slot(channel), target)
                until("it is heard there", lambda target=target, channel=channel: is_heard(target, channel))
                hears(made, gateway, peer, channel)
    finally:
        made.stop()


def test_a_server_that_is_in_no_cluster_is_said_to_be_none(tmp_path, start):
    alone = RedisServer(tmp_path)
    try:
        gateway = start(redis=f"redis+cluster://127.0.0.1:{alone.port}", ready=False)
        says = f"127.0.0.1:{alone.port} is no cluster: write a list for several servers"
        until("it says so", lambda: gateway.get("/ready").json()["broker"].get("reason") == says)
    finally:
        alone.stop()


def test_a_user_with_the_rights_of_the_page_needs_no_others(cluster, start, config):
    page = (ROOT / "docs/redis.md").read_text(encoding="utf-8")
    rights = re.search(r"ACL SETUSER tidegate on >SECRET (.*)", page)[1].split()
    more = re.search(r"needs `(\+ssubscribe [^`]*)`", page)[1].split()
    for server in cluster.primaries:
        server.client.execute_command("ACL SETUSER", "tidegate", "on", ">SECRET", *rights, *more,
                                      *"+hget +hdel +hlen +hscan +zscore +zrangebyscore +srandmember +xlen".split(), "~stream-of-actions")
        server.client.execute_command("ACL LOG", "RESET")
    gateway = start("--config", config, redis=cluster.url.replace("redis://", "redis://tidegate:SECRET@"))
    for channel in cluster.one_of_each("kept:{}"):
        with gateway.connect(path_of(channel)) as peer:
            hears(cluster, gateway, peer, channel)
            cluster.move(cluster.slot(channel), other_than(cluster, cluster.owner(channel)))
            publish(gateway, channel, "after a move")
            assert peer.receive()["data"] == "after a move"
    assert [server.client.execute_command("ACL LOG") for server in cluster.primaries] == [[], [], []]


def test_the_command_line_publishes_to_it_and_names_slots(cluster, gateway, redis):
    assert run("shard", "cards", "--redis", redis).stdout.startswith("10010 cluster of 127.0.0.1:")
    for channel in cluster.one_of_each("kept:{}"):
        with gateway.connect(path_of(channel)) as peer:
            result = run("publish", "--history", channel, event("by hand"), "--redis", redis)
            assert result.returncode == 0, result.stderr
            assert peer.receive()["data"] == "by hand"

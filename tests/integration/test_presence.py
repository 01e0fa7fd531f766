"""Who is on a channel, over all nodes."""

import asyncio
import contextlib
import json
import re
import shlex
import signal
import sys
import threading

import pytest
import redis.asyncio as redis_asyncio
import redis.exceptions as redis_errors

from harness.gateway import ROOT, TALKATIVE, run
from harness.redis_server import RedisServer
from harness.tokens import SECRET, Issuer
from harness.wait import pass_time, until

sys.path.insert(0, str(ROOT / "src/clients/python"))

# pylint: disable=wrong-import-position
from tidegate import AsyncPresence, Change, Presence, Roll  # noqa: E402
from tidegate.sharding import shard_of  # noqa: E402

CONFIG = """
routes:
  - path: /ws/cards
    channel: cards
    auth: optional
    history: on
    presence: {grace: %s, info: name}
  - path: "/ws/cards/{name}"
    channel: "cards:{name}"
    auth: optional
    history: on
    presence: {grace: 0s}
  - path: "/ws/rooms/{room}"
    channel: "room:{room}"
    auth: optional
    presence: {grace: 0s, list: false}
  - path: /ws/quiet
    channel: quiet
    auth: optional
    presence: {grace: 0s, events: false}
  - path: /ws/plain
    channel: plain
    auth: optional
"""


def publish(redis, channel):
    """From then on presence stands in the channel's log."""
    def published():
        try:
            return redis.client.fcall("tidegate_publish", 2, f"tg:s:{{{channel}}}", f"tg:m:{{{channel}}}", '{"type":"begun"}', channel,
                                      "publish", 1000, 86400000, "ABCDEFGH")
        except redis_errors.ResponseError:  # the library is being loaded
            return None

    until("the log has begun", published)


@pytest.fixture
def issuer():
    return Issuer()


@pytest.fixture
def gateways(start, own_redis, tmp_path):
    """gateways(n, grace) are running, one after the other."""

    def start_some(count=1, grace="0s", redis=own_redis, *options):
        file = tmp_path / "tidegate.yaml"
        file.write_text(CONFIG % grace, encoding="utf-8")
        some = [start("--config", file, "--token-secret", SECRET, *TALKATIVE, *options, redis=redis) for _ in range(count)]
        if isinstance(redis, RedisServer):
            publish(redis, "cards")
        return some

    return start_some


def connect(gateway, issuer, user=None, name=None, path="/ws/cards", **options):
    headers = []
    if user:
        more = {"name": name} if name else {}
        headers.append(("Authorization", f"Bearer {issuer.token(sub=user, **more)}"))
    return gateway.connect(path, headers, **options)


def ask(peer, channel="cards"):
    """What the gateway says of a channel; events that come before are left out."""
    peer.send({"type": "presence", "id": 1, "data": {"channel": channel}})
    while (answer := peer.receive()).get("id") != 1:
        pass
    return answer


def present(peer, channel="cards"):
    data = ask(peer, channel)["data"]
    if "users" not in data:
        return data["code"]
    return sorted(user["user"] for user in data["users"]), data["n_anonymous"]


def numbers(peer, channel):
    data = ask(peer, channel)["data"]
    return (data["n_users"], data["n_anonymous"]) if "n_users" in data else data["code"]


def changes(peer, until_users):
    """The presence events, up to the one that says so many users."""
    events = []
    while not events or events[-1]["data"]["n_users"] != until_users:
        event = peer.receive()
        if event["type"] == "presence_changed":
            events.append(event)
    return [event["data"] for event in events]


def test_users_are_one_however_many_connections_and_nodes_they_have(gateways, issuer):
    one, two = gateways(2)
    with connect(one, issuer) as watcher:
        until("it is there", lambda: present(watcher) == ([], 1))
        with connect(one, issuer, "42", "Zoë \"Z\"") as ada, connect(two, issuer, "42", "Zoë \"Z\"") as again, \
                connect(two, issuer, "7"):
            until("both are there", lambda: present(watcher) == (["42", "7"], 1))
            infos = {user["user"]: user.get("info") for user in ask(watcher)["data"]["users"]}
            assert infos["42"] == "Zoë \"Z\"" and infos["7"] is None
            ada.close()
            until("one connection left", lambda: one.metric("tidegate_connections") == 1)
            assert present(again)[0] == ["42", "7"]
        until("all have gone", lambda: present(watcher) == ([], 1))


def test_an_operator_sees_how_many_are_here(gateways, issuer):
    """By the node that is asked, without a call to Redis; channels without presence have no such number."""
    one, two = gateways(2)
    with connect(one, issuer, "42") as ada, connect(one, issuer, "42"), connect(one, issuer), connect(two, issuer, "7"), \
            connect(one, issuer, path="/ws/plain"):
        until("all are there", lambda: present(ada) == (["42", "7"], 1))
        rows = {row["channel"]: row for row in one.get("/channels").json()["channels"]}
        assert rows["cards"] == {"channel": "cards", "subscribers": 3, "users": 1, "anonymous": 1, "history": True}
        assert "users" not in rows["plain"]
        shown = one.get("/channels/cards").json()
        assert (shown["users"], shown["anonymous"]) == (1, 1)
        until("it is counted", lambda: one.get("/status").json()["presence_users"] == 2)
        assert "2 users of channels are here" in run("status", "--admin", one.admin).stdout
    until("nobody is here", lambda: one.get("/status").json()["presence_users"] == 0)
    assert "users of channels" not in run("status", "--admin", one.admin).stdout


def test_each_join_and_leave_is_told_once_and_in_the_order_of_the_log(gateways, issuer, own_redis):
    one, two = gateways(2)
    with connect(one, issuer) as watcher:
        until("it is there", lambda: present(watcher) == ([], 1))
        with connect(two, issuer, "42", "Ada"):
            (*_, event) = changes(watcher, 1)
            assert event["joined"] == [{"user": "42", "info": "Ada"}] and event["left"] == []
            with connect(one, issuer, "7"):
                assert changes(watcher, 2)[-1]["joined"] == [{"user": "7"}]
            assert changes(watcher, 1)[-1] == {"joined": [], "left": [{"user": "7"}], "n_users": 1, "n_anonymous": 1}
    entries = [json.loads(fields[b"d"]) for _, fields in own_redis.client.xrange("tg:s:{cards}")]
    told = [(name, user["user"]) for entry in entries if entry["type"] == "presence_changed"
            for name in ("joined", "left") for user in entry["data"][name]]
    assert told[:3] == [("joined", "42"), ("joined", "7"), ("left", "7")]


@pytest.mark.plain
def test_what_stands_in_redis_is_what_the_page_says(gateways, issuer, own_redis):
    (gateway,) = gateways()
    page = (ROOT / "docs/presence.md").read_text(encoding="utf-8")
    with connect(gateway, issuer) as watcher, connect(gateway, issuer, "42", "Ada"), connect(gateway, issuer, "42", "Ada"):
        until("all are there", lambda: present(watcher) == (["42"], 1))
        until("both connections", lambda: own_redis.client.hget("tg:q:{cards}", "42")[:1] == b"2")
        kept = {key.decode(): value.decode() for key, value in own_redis.client.hgetall("tg:q:{cards}").items()}
        assert kept == {"42": '2 {"user":"42","info":"Ada"}', "": "1 "}
        assert all(json.dumps(value) in page for value in kept.values())
        (command,) = re.findall(r"redis-cli (FCALL_RO .*)", page)
        answer = own_redis.client.execute_command(*shlex.split(command))
        assert answer == [1, 1, b'{"user":"42","info":"Ada"}']


@pytest.mark.plain
def test_a_page_that_is_loaded_anew_is_silent(gateways, issuer):
    (gateway,) = gateways(grace="3s")
    with connect(gateway, issuer) as watcher, connect(gateway, issuer, path="/ws/plain") as asker:
        until("it is there", lambda: present(asker) == ([], 1))
        for _ in range(3):
            with connect(gateway, issuer, "42"):
                until("it is there", lambda: present(asker) == (["42"], 1))
        with connect(gateway, issuer, "marker"):
            events = changes(watcher, 2)
        told = [user["user"] for event in events for user in event["joined"]]
        assert told == ["42", "marker"] and not any(event["left"] for event in events)


@pytest.mark.plain
def test_without_a_list_only_numbers_are_told(gateways, issuer):
    (gateway,) = gateways()
    with connect(gateway, issuer, path="/ws/rooms/1") as watcher, connect(gateway, issuer, "42", path="/ws/rooms/1"):
        until("both are there", lambda: ask(watcher, "room:1")["data"] == {"channel": "room:1", "n_users": 1, "n_anonymous": 1})
        with connect(gateway, issuer, "7", path="/ws/rooms/1"):
            assert changes(watcher, 2)[-1] == {"n_users": 2, "n_anonymous": 1}


def test_a_channel_that_nobody_may_hear_cannot_be_asked_about(gateways, issuer):
    (gateway,) = gateways()
    with connect(gateway, issuer, path="/ws/plain") as peer:
        assert ask(peer, "plain")["data"]["code"] == "unsupported"
        assert ask(peer, "nowhere:1:2")["data"]["code"] == "forbidden"
        peer.send({"type": "presence", "id": 2})
        assert peer.receive()["data"]["code"] == "missing_channel"


def test_subscribing_is_being_there_and_unsubscribing_is_leaving(gateways, issuer):
    (gateway,) = gateways()
    with connect(gateway, issuer, "42", path="/ws/plain") as peer:
        for verb, users in (("subscribe", ["42"]), ("unsubscribe", [])):
            peer.ask({"type": verb, "data": {"channel": "quiet"}})
            until(verb, lambda users=users: present(peer, "quiet") == (users, 0))


def test_a_node_alone_knows_who_is_there(gateways, issuer):
    (gateway,) = gateways(redis=None)
    with connect(gateway, issuer) as watcher:
        until("it is there", lambda: present(watcher) == ([], 1))
        with connect(gateway, issuer, "42", "Ada"), connect(gateway, issuer, "42", "Ada"):
            assert changes(watcher, 1)[-1]["joined"] == [{"user": "42", "info": "Ada"}]
            assert present(watcher) == (["42"], 1)
        assert changes(watcher, 0)[-1]["left"] == [{"user": "42", "info": "Ada"}]


def test_presence_begins_and_ends_with_a_reload(gateways, issuer, tmp_path):
    (gateway,) = gateways()
    file = tmp_path / "tidegate.yaml"
    text = file.read_text(encoding="utf-8")
    with connect(gateway, issuer, "42") as peer:
        until("it is there", lambda: present(peer) == (["42"], 0))
        for new, there in ((text.replace("presence: {grace: 0s, info: name}", "presence: off"), "unsupported"), (text, ["42"])):
            file.write_text(new, encoding="utf-8")
            assert gateway.get("/reload", "POST").status == 200
            if there == "unsupported":
                assert ask(peer)["data"]["code"] == there
            else:
                until("it is there again", lambda: present(peer) == (["42"], 0))


def die(gateway):
    """Without a word."""
    gateway.process.ended = True
    gateway.process.kill()


LEASE = ("--node-lease", "1500ms")


def told(redis, channel="cards"):
    """Who joined and left, in the order of the channel's log."""
    entries = [json.loads(fields[b"d"]) for _, fields in redis.client.xrange(f"tg:s:{{{channel}}}")]
    return [(name, user["user"]) for entry in entries if entry["type"] == "presence_changed"
            for name in ("joined", "left") for user in entry["data"][name]]


def test_a_gateway_that_is_killed_leaves_nobody_behind_and_each_leave_is_told_once(gateways, issuer, own_redis):
    one, two, three = gateways(3, "0s", own_redis, *LEASE)
    users = [str(number) for number in range(60)]
    with connect(one, issuer, path="/ws/plain") as asker, connect(three, issuer, "both"):
        peers = [connect(two, issuer, user) for user in [*users, "both"]]
        until("all are there", lambda: own_redis.client.hlen("tg:q:{cards}") == 61)
        die(two)
        until("they have left", lambda: present(asker)[0] == ["both"])
        until("it is cleared up", lambda: one.metric("tidegate_dead_nodes_cleared_total") +
              three.metric("tidegate_dead_nodes_cleared_total") == 1)
        for peer in peers:
            peer.socket.close()
        assert sorted(told(own_redis)) == sorted([("joined", "both"), *((word, user) for user in users for word in ("joined", "left"))])
        dead = [key for key in own_redis.client.keys("tg:p:{cards}:*") if own_redis.client.hexists(key, "0")]
        assert not dead and own_redis.client.zcard("tg:{nodes}:dead") == 0


@pytest.mark.plain
def test_a_gateway_that_was_away_for_longer_than_its_lease_puts_its_users_back(gateways, issuer, own_redis):
    one, two = gateways(2, "0s", own_redis, *LEASE)
    with connect(one, issuer, path="/ws/plain") as asker, connect(two, issuer, "42"):
        until("it is there", lambda: present(asker) == (["42"], 0))
        two.process.signal(signal.SIGSTOP)
        try:
            until("it counts as dead", lambda: present(asker) == ([], 0))
        finally:
            two.process.signal(signal.SIGCONT)
        until("it is there again", lambda: present(asker) == (["42"], 0))
    until("it has left", lambda: own_redis.client.hlen("tg:q:{cards}") == 0)
    assert told(own_redis) == [("joined", "42"), ("left", "42")] * 2


@pytest.mark.plain
def test_what_the_last_gateway_left_is_cleared_up_by_the_next(gateways, issuer, own_redis):
    (one,) = gateways(1, "0s", own_redis, *LEASE)
    with connect(one, issuer, "42") as peer:
        until("it is there", lambda: present(peer) == (["42"], 0))
        die(one)
    assert own_redis.client.hlen("tg:q:{cards}") == 1
    (two,) = gateways(1, "0s", own_redis, *LEASE)
    with connect(two, issuer, path="/ws/plain") as asker:
        until("nobody is there", lambda: present(asker) == ([], 0))
    assert told(own_redis) == [("joined", "42"), ("left", "42")]


def test_presence_is_right_again_after_redis_was_away(gateways, issuer, own_redis):
    (gateway,) = gateways()
    with connect(gateway, issuer) as watcher, connect(gateway, issuer, "42") as ada:
        until("both are there", lambda: present(watcher) == (["42"], 1))
        own_redis.kill()
        until("it is away", lambda: gateway.get("/ready").status == 503)
        ada.close()
        with connect(gateway, issuer, "7"):
            own_redis.start()
            gateway.wait_until_ready()
            until("the truth", lambda: present(watcher) == (["7"], 1))


@pytest.mark.plain
def test_backends_ask_and_follow_in_python(gateways, issuer, own_redis):
    (gateway,) = gateways()
    ada = {"user": "42", "info": "Ada"}
    heard = []

    def follow():
        for change in Presence(own_redis.client).follow("cards"):
            heard.append(change)
            if change.left:
                return

    async def ask():
        client = redis_asyncio.Redis(port=own_redis.port)
        try:
            follower = AsyncPresence(client).follow("cards")
            first = asyncio.ensure_future(follower.__anext__())
            await asyncio.to_thread(until, "it follows, too", lambda: own_redis.client.pubsub_numsub("cards")[0][1] == 3)
            own_redis.client.publish("cards", json.dumps({"type": "presence_changed", "data": {"n_users": 7, "n_anonymous": 1}}))
            change = await first
            await follower.aclose()
            return change, await AsyncPresence(client).roll("cards")
        finally:
            await client.close()

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    until("it follows", lambda: own_redis.client.pubsub_numsub("cards")[0][1] >= 1)
    with connect(gateway, issuer, "42", "Ada"):
        until("it is there", lambda: own_redis.client.hlen("tg:q:{cards}") == 1)
        assert Presence(own_redis.client).roll("cards") == Roll(1, 0, [ada])
        assert asyncio.run(ask()) == (Change(7, 1), Roll(1, 0, [ada]))
    thread.join(15)
    assert heard == [Change(1, 0, joined=[ada]), Change(7, 1), Change(0, 0, left=[ada])]


@pytest.mark.plain
@pytest.mark.parametrize("how", ["ends", "is silent"])
def test_a_follower_in_python_comes_back_and_says_that_it_was_away(own_redis, monkeypatch, caplog, how):
    monkeypatch.setattr("tidegate.presence.QUIET_SECONDS", 0.3)
    monkeypatch.setattr("tidegate.presence.REDIS_SECONDS", 2.0)
    own_redis.client.function_load(run("functions").stdout, replace=True)
    own_redis.client.save()
    heard = {"threads": [], "asyncio": []}

    def numbers_of(kind):
        return [(change.n_users, change.missed) for change in heard[kind]]

    def follow():
        for change in Presence(own_redis.client).follow("cards"):
            heard["threads"].append(change)
            if change.n_users == 9:
                return

    async def follow_too():
        client = redis_asyncio.Redis(port=own_redis.port)
        async for change in AsyncPresence(client).follow("cards"):
            heard["asyncio"].append(change)
            if change.n_users == 9:
                break
        await client.close()

    def both_hear(n_users):
        """Said again until then: on a busy machine one takes Redis for silent at any time, and comes back."""
        own_redis.client.publish("cards", json.dumps({"type": "presence_changed", "data": {"n_users": n_users, "n_anonymous": 0}}))
        return all((n_users, False) in numbers_of(kind) for kind in heard)

    def both_find_it_silent():
        return len({record.thread for record in caplog.records if "Redis is silent" in record.getMessage()}) == 2

    threads = [threading.Thread(target=follow, daemon=True), threading.Thread(target=lambda: asyncio.run(follow_too()), daemon=True)]
    for thread in threads:
        thread.start()
    until("both have heard it", lambda: both_hear(7))
    caplog.clear()
    if how == "ends":
        own_redis.kill()
        own_redis.start()
    else:
        own_redis.process.signal(signal.SIGSTOP)
        try:
            until("both find it silent", both_find_it_silent)
        finally:
            own_redis.process.signal(signal.SIGCONT)
    until("both say it", lambda: all((0, True) in numbers_of(kind) for kind in heard))
    until("both hear what follows", lambda: both_hear(9))
    for thread in threads:
        thread.join(15)
    assert [numbers_of(kind)[-1] for kind in heard] == [(9, False)] * 2


def test_what_a_redis_forgot_that_kept_the_leases_is_said_again(gateways, issuer, own_redis):
    (gateway,) = gateways()
    with connect(gateway, issuer) as watcher, connect(gateway, issuer, "gone") as gone:
        until("two are there", lambda: present(watcher) == (["gone"], 1))
        assert own_redis.client.zcard("tg:{nodes}:leases") == 1
        own_redis.client.save()
        gone.close()
        with connect(gateway, issuer, "7"):
            until("the truth", lambda: present(watcher) == (["7"], 1))
            own_redis.kill()
            until("it is away", lambda: gateway.get("/ready").status == 503)
            own_redis.start()  # from the snapshot, where the lease is; the gateway may be back before anybody can look
            gateway.wait_until_ready()
            until("the truth again", lambda: present(watcher) == (["7"], 1))


def test_of_several_servers_one_goes_away_and_forgets_and_the_others_go_on(gateways, issuer, own_redis, second_redis):
    rooms = {shard_of(f"room:{number}", 2): f"room:{number}" for number in range(64)}
    (gateway,) = gateways(1, "0s", f"{own_redis.url},{second_redis.url}", *LEASE)
    paths = [f"/ws/rooms/{rooms[place][5:]}" for place in (0, 1)]
    with connect(gateway, issuer, path=paths[0]) as first, connect(gateway, issuer, "42", path=paths[1]) as second:
        until("one is here", lambda: numbers(first, rooms[0]) == (0, 1))
        until("one is there", lambda: numbers(second, rooms[1]) == (1, 0))
        second_redis.kill()
        until("it is partial", lambda: gateway.get("/ready").json()["broker"]["state"] == "partial")
        pass_time(2)  # longer than a lease
        with connect(gateway, issuer, "7", path=paths[0]):
            until("who comes meanwhile is here", lambda: numbers(first, rooms[0]) == (1, 1))
        second_redis.start()  # empty
        until("it is said again there", lambda: numbers(second, rooms[1]) == (1, 0))
        until("and is the truth here", lambda: numbers(first, rooms[0]) == (0, 1))


@pytest.mark.plain
def test_who_died_has_left_the_channels_of_servers_that_are_there(gateways, issuer, own_redis, second_redis):
    """What the dead gateway held at a server that is away waits for that, and nothing else does."""
    rooms = [f"room:{number}" for number in range(60)]
    here, there = ([room for room in rooms if shard_of(room, 2) == place] for place in (0, 1))
    stay, dies = gateways(2, "0s", f"{own_redis.url},{second_redis.url}", *LEASE)

    def left(server, names):
        return not any(server.client.exists(f"tg:q:{{{room}}}") for room in names)

    with contextlib.ExitStack() as peers:
        for room in rooms:
            peers.enter_context(connect(dies, issuer, "dies", path=f"/ws/rooms/{room[5:]}"))
        until("all are there", lambda: len(own_redis.client.keys("tg:q:*")) == len(here) and
              len(second_redis.client.keys("tg:q:*")) == len(there))
        second_redis.client.save()
        second_redis.kill()
        until("it is away", lambda: stay.get("/ready").json()["broker"]["state"] == "partial")
        die(dies)
        until("who died has left here", lambda: left(own_redis, here))
        second_redis.start()
        until("and there", lambda: left(second_redis, there))
        until("it is over", lambda: own_redis.client.zcard("tg:{nodes}:dead") == 0)


@pytest.mark.plain
def test_who_died_before_the_server_of_the_leases_forgot_them_is_missed_all_the_same(gateways, issuer, own_redis, second_redis):
    """Also the name that a living gateway had before."""
    room = next(f"room:{number}" for number in range(64) if shard_of(f"room:{number}", 2) == 1)
    path = f"/ws/rooms/{room[5:]}"
    stay, dies = gateways(2, "0s", f"{own_redis.url},{second_redis.url}", *LEASE)
    with connect(stay, issuer, "stays", path=path) as peer, connect(stay, issuer, "leaves", path=path) as leaving:
        with connect(dies, issuer, "dies", path=path):
            until("all are there", lambda: numbers(peer, room) == (3, 0))
            own_redis.kill()
            die(dies)
        until("it is away", lambda: stay.get("/ready").json()["broker"]["state"] == "partial")
        own_redis.start()  # empty
        until("who died has left", lambda: numbers(peer, room) == (2, 0))
        leaving.close()
        until("who left has left", lambda: numbers(peer, room) == (1, 0))
        until("nothing is left but of one name", lambda: len(second_redis.client.keys("tg:p:*")) == len(second_redis.client.keys("tg:n:*")) ==
              second_redis.client.scard("tg:{nodes}:holders") == 1)
        until("each connection counts once", lambda: second_redis.client.hget(f"tg:q:{{{room}}}", "stays").startswith(b"1 "))


def test_a_name_that_nobody_publishes_to_gets_no_log_by_those_who_are_there(gateways, issuer, own_redis):
    (gateway,) = gateways()
    with connect(gateway, issuer, path="/ws/cards/any") as watcher, connect(gateway, issuer, "42", path="/ws/cards/any"):
        assert changes(watcher, 1)[-1]["joined"] == [{"user": "42"}]
        assert own_redis.client.xlen("tg:s:{cards:any}") == 0
        assert own_redis.client.pttl("tg:m:{cards:any}") <= 75000

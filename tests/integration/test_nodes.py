"""Nodes of one Redis know each other: each announces itself there, and goes when it goes."""

import json
import signal
import time

import pytest

from harness.wait import until

RIGHTS = "~* &* +@all"
KEY, SET = "tg:{nodes}:*", "tg:{nodes}"


@pytest.fixture(autouse=True)
def empty(redis):
    redis.client.flushall()


def nodes_of(gateway):
    """The ids that it lists."""
    return {node["node"] for node in gateway.api("/nodes")["nodes"]}


def rejected(server, command):
    """How often Redis refused it."""
    return server.client.info("commandstats").get(f"cmdstat_{command}", {}).get("rejected_calls", 0)


def own_id(gateway):
    return gateway.api("/status")["node"]


def test_each_lists_all_with_itself_first(start, redis):
    gateways = [start(redis=redis) for _ in range(3)]
    ids = {own_id(gateway) for gateway in gateways}
    assert len(ids) == 3
    for gateway in gateways:
        until("it lists all three", lambda: nodes_of(gateway) == ids)
        told = gateway.api("/nodes")
        assert told["state"] == "complete"
        assert told["node"] == told["nodes"][0]["node"] == own_id(gateway)
    with gateways[0].connect():
        other = own_id(gateways[0])

        def counted():
            return [node["connections"] for node in gateways[1].api("/nodes")["nodes"] if node["node"] == other] == [1]

        until("the other node tells of the connection", counted)


def test_one_that_ends_takes_leave(start, redis):
    stays, goes = start(redis=redis), start(redis=redis)
    ids = {own_id(stays), own_id(goes)}
    until("both are there", lambda: nodes_of(stays) == ids)
    goes.stop()
    assert nodes_of(stays) == {own_id(stays)}
    assert len(redis.client.keys(KEY)) == 1
    assert redis.client.smembers(SET) == {own_id(stays).encode()}


def test_one_that_dies_is_forgotten_when_its_word_expires(start, redis):
    stays = start(redis=redis)
    redis.client.set("tg:{nodes}:dead", '{"node":"dead"}', px=15000)
    redis.client.sadd(SET, "dead")  # behind its word, for an id without one is removed
    until("it is listed while its word holds", lambda: "dead" in nodes_of(stays))
    until("ours is there", lambda: redis.client.pttl(f"tg:{{nodes}}:{own_id(stays)}") > 0)
    assert redis.client.pttl(f"tg:{{nodes}}:{own_id(stays)}") <= 15000
    redis.client.delete("tg:{nodes}:dead")  # as when its time is over
    assert "dead" not in nodes_of(stays)
    until("its id is removed", lambda: redis.client.smembers(SET) == {own_id(stays).encode()})


def test_what_others_write_there_is_not_trusted(start, redis):
    node = start(redis=redis)
    wrong = {"text": "not json", "list": "[1]", "half": '{"node":', "huge": '{"node":"%s"}' % ("x" * 20000), "\n": '{"node":"n"}'}
    for name, text in wrong.items():
        redis.client.set("tg:{nodes}:" + name, text)
        redis.client.sadd(SET, name)
    redis.client.set("tg:{nodes}:good", '{"node":"good"}')
    redis.client.sadd(SET, "good")
    assert nodes_of(node) == {own_id(node), "good"}


def test_applications_that_share_a_redis_do_not_see_each_other(start, redis):
    ours, theirs = start("--channel-prefix", "a:", redis=redis), start("--channel-prefix", "b:", redis=redis)
    until("both are announced", lambda: redis.client.scard("tg:{a:nodes}") == redis.client.scard("tg:{b:nodes}") == 1)
    assert nodes_of(ours) == {own_id(ours)}
    assert nodes_of(theirs) == {own_id(theirs)}


def test_alone_it_lists_itself(start):
    told = start().api("/nodes")
    assert (told["state"], len(told["nodes"])) == ("alone", 1)


def test_without_the_rights_it_says_so_once_and_goes_on(start, redis, tmp_path):
    redis.client.execute_command("ACL", "SETUSER", "poor", "reset", "on", ">secret", *RIGHTS.split(),
                                 "-sadd", "-sscan", "-srem", "-getrange")
    try:
        before = rejected(redis, "sadd")
        node = start(redis=f"redis://poor:secret@127.0.0.1:{redis.port}")
        line = node.wait_for_line("redis does not let nodes announce themselves")
        assert "sscan" in line.fields["needs"]
        told = node.api("/nodes")
        assert (told["state"], len(told["nodes"])) == ("forbidden", 1)
        assert "+sscan" in told["message"]
        with node.connect() as peer:
            redis.publish("cards", '{"type":"still"}')
            assert peer.receive()["type"] == "still"
        # SET is allowed: an announcement that half succeeds is no news either.
        until("it announced itself again", lambda: rejected(redis, "sadd") >= before + 2)
        node.api("/nodes")
        assert len(node.lines("redis does not let nodes announce themselves")) == 1
        redis.client.execute_command("ACL", "SETUSER", "poor", "+@all")
        until("it lists itself again", lambda: node.api("/nodes")["state"] == "complete")
        node.stop()
    finally:
        redis.client.acl_deluser("poor")


MANY = 66000


def test_a_set_with_very_many_members_costs_nobody_the_link_and_is_cleaned(start, redis):
    node = start(redis=redis)
    until("it is announced", lambda: redis.client.scard(SET) == 1)
    pipe = redis.client.pipeline(transaction=False)
    for first in range(0, MANY, 1000):
        pipe.sadd(SET, *[f"dead-{number}" for number in range(first, first + 1000)])
    pipe.sadd(SET, "huge", "list", "x" * 1000)
    pipe.set("tg:{nodes}:huge", '{"node":"' + "x" * (8 << 20) + '"}')
    pipe.rpush("tg:{nodes}:list", "no string")
    pipe.execute()
    for _ in range(5):
        told = node.api("/nodes")
        assert told["node"] == own_id(node)
        assert told["state"] in ("partial", "complete")
    until("the dead ones are removed", lambda: (node.api("/nodes"), redis.client.scard(SET))[1] <= 3)
    assert node.api("/nodes")["state"] == "complete"
    assert redis.client.smembers(SET) >= {own_id(node).encode()}
    assert node.metric("tidegate_redis_reconnects_total") == 0


def test_more_nodes_than_are_listed_are_said_to_be_more(start, redis):
    node = start(redis=redis)
    pipe = redis.client.pipeline(transaction=False)
    for number in range(3000):
        pipe.sadd(SET, f"n-{number}")
        pipe.set(f"tg:{{nodes}}:n-{number}", json.dumps({"node": f"n-{number}", "host": 7, "port": 8, "pulse": {}}))
    pipe.execute()
    told = node.api("/nodes")
    assert told["state"] == "partial" and "more" in told["message"]
    assert 400 < len(told["nodes"]) <= 501


def test_a_redis_that_hangs_is_not_waited_for(start, own_redis):
    """The broker takes some seconds to call the link lost. An operator who asks meanwhile is answered."""
    node = start(redis=own_redis)

    def answered_meanwhile():
        node.wait_until_ready()
        own_redis.process.signal(signal.SIGSTOP)
        try:
            told = node.api("/nodes")
            return (told["state"], len(told["nodes"]), node.get("/ready").status) == ("unavailable", 1, 200)
        finally:
            own_redis.process.signal(signal.SIGCONT)

    until("it is answered before the link counts as lost", answered_meanwhile)


def test_a_redis_that_is_away_leaves_this_node(start, own_redis):
    node = start(redis=own_redis)
    until("it is announced", lambda: own_redis.client.scard(SET) == 1)
    own_redis.kill()
    until("it says so", lambda: node.api("/nodes")["state"] == "unavailable")
    assert len(node.api("/nodes")["nodes"]) == 1
    started = time.monotonic()
    node.stop()
    assert time.monotonic() - started < 60, "its leave is not waited for without end"

"""What Redis, or a proxy before it, answers to a gateway: which answers refuse it, and which are none of its business."""

import json

import pytest

from harness.moody_redis import MoodyRedis
from harness.wait import until

MISCONF = ("-MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. Commands that may "
           "modify the data set are disabled")
LOADING = "-LOADING Redis is loading the dataset in memory"
BUSY = "-BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."


@pytest.fixture
def moody():
    """moody(COMMAND="-answer", …) is a server that says so."""
    servers = []

    def make(**settings):
        servers.append(MoodyRedis(**settings))
        return servers[-1]

    yield make
    for server in servers:
        server.stop()


# What a server says that passes events on all the same: none of it refuses the gateway.
COURTESIES = [
    {"PING": MISCONF},
    {"PING": "-ERR unknown command 'PING'"},
    {"PING": "-ERR command 'PING' is not allowed"},
    {"PING": "-NOPERM this user has no permissions to run the 'ping' command"},
    {"PING": "-NOREPLICAS Not enough good replicas to write."},
    {"PING": "-CLUSTERDOWN The cluster is down"},
    {"PING": "-READONLY You can't write against a read only replica."},
    {"PING": "-upstream failure"},
    {"PING": "$-1"},
    {"CLIENT": "-unsupported command"},
    {"CLIENT": "-ERR unknown command 'CLIENT'"},
    {"CLIENT": "-ERR Unknown subcommand or wrong number of arguments for 'SETNAME'. Try CLIENT HELP."},
    {"CLIENT": "-ERR Syntax error, try CLIENT (LIST | KILL ip:port)"},
    {"CLIENT": "-ERR command 'CLIENT' is not allowed"},
    {"CLIENT": "-ERR invalid request"},
    {"CLIENT": "-ERR Client names cannot contain spaces, newlines or special characters."},
    {"CLIENT": "-NOPERM this user has no permissions to run the 'client|setname' command"},
    {"CLIENT": "-ERR wrong number of arguments for 'client' command"},
    {"CLIENT": "*3\r\n+OK\r\n+OK\r\n+OK"},  # of a proxy that asked three servers
    {"CLIENT": "-unsupported command", "PING": "-unsupported command"},
    {"FCALL": "-ERR command 'fcall' is not allowed", "FUNCTION": "-unsupported command", "SCRIPT": "-unsupported command"},
    {"SET": MISCONF, "SADD": MISCONF, "SCAN": "-unsupported command"},
]

# What is a refusal: the answers, the path of the URL, and what /ready and the log say.
REFUSALS = [
    ({"CLIENT": "-NOAUTH Authentication required."}, "", "NOAUTH"),
    ({"PING": "-NOAUTH Authentication required."}, "", "NOAUTH"),
    ({"CLIENT": "-DENIED Redis is running in protected mode"}, "", "DENIED"),
    ({"CLIENT": "-ERR max number of clients reached"}, "", "max number of clients"),
    ({"CLIENT": "-ERR max number of clients + cluster connections reached"}, "", "max number of clients"),
    ({"PING": LOADING}, "", "LOADING"),
    ({"PING": "-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'."}, "", "MASTERDOWN"),
    ({"AUTH": "-WRONGPASS invalid username-password pair or user is disabled."}, ":s3cret@", "at AUTH"),
    ({"AUTH": "-ERR invalid password"}, ":s3cret@", "invalid password"),
    ({"AUTH": "-unsupported command"}, ":s3cret@", "at AUTH"),
    ({"SELECT": "-ERR SELECT is not allowed in cluster mode"}, "/1", "at SELECT: a cluster has no databases"),
    ({"SELECT": "-ERR DB index is out of range"}, "/1", "DB index"),
    ({"SELECT": "-unsupported command"}, "/1", "at SELECT"),
    ({"SUBSCRIBE": "-NOPERM this user has no permissions to run the 'subscribe' command"}, "", "SUBSCRIBE tidegate:probe:"),
    ({"SUBSCRIBE": "-unsupported command"}, "", "SUBSCRIBE tidegate:probe:"),
    ({"PUBLISH": "-NOPERM this user has no permissions to access one of the channels used as arguments"}, "",
     "PUBLISH tidegate:probe:"),
    ({"PUBLISH": BUSY}, "", "PUBLISH tidegate:probe:"),
]


def name_of(answers):
    return " ".join(f"{command} {answer[:40]}" for command, answer in answers.items())


@pytest.mark.parametrize("answers", COURTESIES, ids=name_of)
def test_a_courtesy_that_is_not_returned_refuses_nobody(start, moody, answers):
    server = moody(**answers)
    gateway = start(redis=server.url)
    with gateway.connect("/ws/cards") as peer:
        assert server.publish("cards", '{"type":"hello"}') == 1
        assert peer.receive()["type"] == "hello"
    assert not gateway.lines("redis cannot be reached")


@pytest.mark.parametrize("answers, where, said", REFUSALS, ids=lambda value: name_of(value) if isinstance(value, dict) else value)
def test_a_refusal_is_said_with_its_reason(start, moody, answers, where, said):
    server = moody(**answers)
    login, database = (where, "") if where.endswith("@") else ("", where)
    gateway = start(redis=f"redis://{login}127.0.0.1:{server.port}{database}", ready=False)
    line = gateway.wait_for_line("redis cannot be reached, trying on")
    assert said in line.fields["reason"]
    answer = gateway.get("/ready")
    assert answer.status == 503
    assert said in answer.json()["broker"]["reason"]
    assert "s3cret" not in gateway.process.stderr() + answer.body.decode()


@pytest.mark.parametrize("answers", [{"PING": LOADING}, {"PUBLISH": "-NOPERM not this channel"}], ids=name_of)
def test_a_refusal_ends_when_it_is_mended(start, moody, answers):
    server = moody(**answers)
    gateway = start(redis=server.url, ready=False)
    gateway.wait_for_line("redis cannot be reached, trying on")
    server.answers.clear()
    gateway.wait_until_ready()


def test_a_redis_that_is_busy_for_a_moment_keeps_its_link(start, moody):
    """The probe comes after 4 s of silence; a refused one is missed, and one that comes back makes up for it."""
    server = moody()
    gateway = start(redis=server.url)
    with gateway.connect("/ws/cards") as peer:
        server.answers["PUBLISH"] = BUSY
        asked = server.asked.count("PUBLISH")
        until("a probe was refused", lambda: server.asked.count("PUBLISH") > asked)
        server.answers.clear()
        asked = server.asked.count("PUBLISH")
        until("the next was not", lambda: server.asked.count("PUBLISH") > asked)
        server.publish("cards", '{"type":"still"}')
        assert peer.receive()["type"] == "still"
    assert gateway.metric("tidegate_redis_reconnects_total") == 0


def test_nobody_is_told_subscribed_before_a_probe_came_back(start, moody):
    """Both connections are well, and lead to different servers: what is published never arrives."""
    server = moody(echoes=False)
    gateway = start(redis=server.url, ready=False)
    with gateway.connect("/ws/cards") as peer:
        until("it is subscribed, unproven", lambda: server.asked.count("SUBSCRIBE") >= 2)
        server.hang_up()
        until("it is again", lambda: server.asked.count("SUBSCRIBE") >= 4)
        answer = peer.ask({"type": "subscribe", "id": 1, "data": {"channel": "cards"}})
        while answer["type"] == "degraded":
            answer = peer.receive()
        assert (answer["type"], answer["data"]["code"]) == ("error", "unavailable")
        server.echoes = True
        gateway.wait_until_ready()
        answer = peer.ask({"type": "subscribe", "id": 2, "data": {"channel": "cards"}})
        while answer["type"] in ("degraded", "restored"):
            answer = peer.receive()
        assert answer["type"] == "subscribed"
        assert server.publish("cards", json.dumps({"type": "hello"})) == 1
        assert peer.receive()["type"] == "hello"

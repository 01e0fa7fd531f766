"""Reload: routes and limits change while clients are connected, whole or not at all, and nobody is disconnected."""

import asyncio
import http.client
import json
import signal

import pytest

from harness import library
from harness.gateway import run
from harness.wait import PATIENCE_SECONDS, sized, until
from harness.websocket import Refused

CLIENTS = sized(300, 60)
ROUNDS = sized(40, 16)  # reloads under load
EVENTS = 25  # of each channel in a round

FIRST = """
routes:
  - path: /ws/old
    channel: old
  - path: /ws/changing
    channel: before
"""
SECOND = """
subscriptions_max: 2
log_level: debug
routes:
  - path: /ws/new
    channel: new
  - path: /ws/changing
    channel: after
"""
WRONG = """
subscriptions_max: 2
routes:
  - path: /ws/new
    chanel: new
"""
LONG = {"type": "ping", "data": {"pad": "x" * 200}}


class Configured:
    """A gateway with a file that can be written anew."""

    def __init__(self, start, folder, text=FIRST, *options, **settings):
        self.file = folder / "tidegate.yaml"
        self.write(text)
        self.gateway = start("--config", self.file, *options, **settings)

    def write(self, text):
        self.file.write_text(text, encoding="utf-8")

    def ask(self, text=None):
        """POST /reload, with another file: status and answer."""
        if text is not None:
            self.write(text)
        connection = http.client.HTTPConnection(*self.gateway.admin_address, timeout=PATIENCE_SECONDS)
        try:
            connection.request("POST", "/reload")
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def applied(self, text=None):
        status, answer = self.ask(text)
        assert (status, answer["result"]) == (200, "applied"), answer
        return answer["waits_for_restart"]

    def hang_up(self):
        self.gateway.process.signal(signal.SIGHUP)

    def counts(self):
        return tuple(int(self.gateway.metric(f'tidegate_config_reloads_total{{result="{result}"}}'))
                     for result in ("applied", "refused"))


@pytest.fixture
def configured(start, tmp_path):
    return Configured(start, tmp_path)


def status_of(gateway, path):
    """Of a new connection: 101 or what it was refused with."""
    try:
        gateway.connect(path).abandon()
        return 101
    except Refused as refusal:
        return refusal.status


def eventually(gateway, path, status):
    """Each worker hears of a reload by itself."""
    until(f"{path} answers {status}", lambda: all(status_of(gateway, path) == status for _ in range(8)))


def subscribe(peer, channel):
    answer = peer.ask({"type": "subscribe", "data": {"channel": channel}})
    return answer["type"] if answer["type"] != "error" else answer["data"]["code"]


def allowed(peer, channel):
    """May it subscribe to it? Its worker may hear of a reload a moment later."""
    until(f"it may subscribe to {channel}", lambda: subscribe(peer, channel) == "subscribed")


# --- what changes ---------------------------------------------------------------------------------


def test_routes_come_change_and_go(configured):
    gateway = configured.gateway
    assert [status_of(gateway, path) for path in ("/ws/old", "/ws/new")] == [101, 404]
    assert configured.applied(SECOND) == []
    eventually(gateway, "/ws/new", 101)
    eventually(gateway, "/ws/old", 404)
    with gateway.connect("/ws/changing") as peer:
        assert gateway.publish("after", '{"type":"n","data":1}').returncode == 0
        assert peer.receive()["channel"] == "after"
    assert configured.counts() == (1, 0)


def test_connections_of_a_route_that_went_stay(configured):
    gateway = configured.gateway
    with gateway.connect("/ws/old") as gone, gateway.connect("/ws/changing") as changed:
        configured.applied(SECOND)
        eventually(gateway, "/ws/old", 404)
        for peer, channel in ((gone, "old"), (changed, "before")):
            assert gateway.publish(channel, '{"type":"n","data":1}').returncode == 0
            assert peer.receive()["channel"] == channel
        # They go on by their old table: what the new one has is not for them.
        assert subscribe(gone, "before") == "subscribed"
        assert subscribe(gone, "new") == "forbidden"


def test_connections_of_a_route_that_stayed_may_subscribe_to_what_is_new(configured):
    with configured.gateway.connect("/ws/cards") as peer:
        assert subscribe(peer, "new") == "forbidden"
        configured.applied(SECOND)
        allowed(peer, "new")


def test_limits_hold_for_who_is_connected(configured):
    with configured.gateway.connect("/ws/cards") as peer:
        configured.applied(SECOND)
        allowed(peer, "new")
        assert subscribe(peer, "after") == "too_many_subscriptions"
        assert peer.ask(LONG)["type"] == "pong"
        configured.applied(SECOND + "message_bytes_max: 128\n")
        # Its worker may hear of it a moment later, and closes only for what is too large.
        until("it is closed", lambda: closed_for_size(peer))


def closed_for_size(peer):
    peer.send(LONG)
    opcode, payload = peer.receive_frame()
    return opcode == 8 and payload[:2] == (1009).to_bytes(2, "big")


def test_the_keepalive_changes_for_who_is_connected(configured):
    with configured.gateway.connect("/ws/cards") as peer:
        configured.applied(FIRST + "ping_interval: 200ms\n")  # 25 s before: longer than we wait
        assert peer.receive_frame()[0] == 9


def test_larger_events_are_let_through(start, redis, tmp_path):
    configured = Configured(start, tmp_path, FIRST + "event_bytes_max: 1KiB\n", redis=redis)
    event = json.dumps({"type": "n", "data": "x" * 4000})
    with configured.gateway.connect("/ws/cards") as peer:
        redis.client.publish("cards", event)
        until("it is dropped", lambda: configured.gateway.metric('tidegate_events_dropped_total{reason="too_big"}') == 1)
        configured.applied(FIRST + "event_bytes_max: 8KiB\n")
        redis.client.publish("cards", event)
        assert peer.receive()["data"] == "x" * 4000


def test_the_log_level_changes(configured):
    with configured.gateway.connect("/ws/cards"):
        configured.gateway.wait_for_line("client connected")
    configured.applied(FIRST + "log_level: error\n")
    configured.applied(FIRST + "log_level: info\n")
    configured.gateway.wait_for_line("configuration applied")  # which is written behind the answer
    assert len(configured.gateway.lines("configuration applied")) == 1


def test_who_may_speak_for_others_changes(configured):
    gateway = configured.gateway

    def believed():
        with gateway.connect("/ws/cards", [("X-Forwarded-For", "192.0.2.77")]):
            pass
        return gateway.lines("client connected", remote="192.0.2.77")

    assert not believed()
    configured.applied(FIRST + "trusted_proxies: [127.0.0.0/8]\n")
    until("the header is believed", believed)


def test_what_needs_a_restart_is_named(configured):
    assert configured.applied(FIRST + "workers: 7\nio_uring: false\n") == ["io_uring"]  # --workers counts more
    assert configured.gateway.lines("some options wait for a restart", options="io_uring")
    assert configured.applied(FIRST) == []


# --- what is refused ------------------------------------------------------------------------------


def test_a_wrong_file_is_refused_whole_and_the_old_one_goes_on(configured):
    gateway = configured.gateway
    with gateway.connect("/ws/old") as peer:
        status, answer = configured.ask(WRONG)
        assert status == 400
        assert answer["error"]["code"] == "bad_config"
        assert "tidegate.yaml:5: unknown key 'chanel'" in answer["error"]["message"]
        assert gateway.lines("configuration refused")
        assert configured.counts() == (0, 1)
        assert gateway.metric("tidegate_config_last_reload_successful") == 0
        assert (status_of(gateway, "/ws/old"), status_of(gateway, "/ws/new")) == (101, 404)
        assert subscribe(peer, "before") == "subscribed"
        assert subscribe(peer, "cards") == "subscribed"  # of the limit of the wrong file, 2, this is one too many
        configured.applied(SECOND)
        assert gateway.metric("tidegate_config_last_reload_successful") == 1


def test_a_file_that_is_gone_is_refused(configured):
    configured.file.unlink()
    assert configured.ask()[0] == 400
    assert configured.counts() == (0, 1)


def test_while_it_drains_it_is_refused(start, tmp_path):
    configured = Configured(start, tmp_path, FIRST, "--drain-delay", "3600s")
    configured.gateway.process.signal(signal.SIGTERM)
    configured.gateway.wait_for_line("shutting down")
    status, answer = configured.ask(SECOND)
    assert (status, answer["error"]["code"]) == (409, "draining")
    configured.hang_up()
    configured.gateway.wait_for_line("configuration not read")
    assert configured.counts() == (0, 0)
    assert configured.gateway.process.insist(signal.SIGTERM) == 128 + signal.SIGTERM
    configured.gateway.process.ended = True


# --- who asks -------------------------------------------------------------------------------------


def test_sighup_twice_is_no_end(configured):
    gateway = configured.gateway
    before = gateway.metric("tidegate_config_last_reload_success_timestamp_seconds")
    with gateway.connect("/ws/old") as peer:
        configured.write(SECOND)
        configured.hang_up()
        configured.hang_up()
        gateway.wait_for_line("configuration applied", asked_by="SIGHUP")
        eventually(gateway, "/ws/new", 101)
        assert peer.ask({"type": "ping"})["type"] == "pong"
    assert configured.counts()[0] in (1, 2)  # signals of one moment are one
    assert gateway.metric("tidegate_config_last_reload_success_timestamp_seconds") >= before > 0


def test_the_command_says_what_came_of_it(configured):
    admin = ("--admin", configured.gateway.admin)
    configured.write(SECOND + "io_uring: false\n")
    result = run("reload", *admin)
    assert (result.returncode, result.stdout) == (0, "applied\nwaits for a restart: io_uring\n")
    configured.write(WRONG)
    result = run("reload", *admin)
    assert (result.returncode, result.stdout) == (1, "")
    assert "unknown key 'chanel'" in result.stderr
    result = run("reload", "--admin", "127.0.0.1:1")
    assert result.returncode == 1
    assert "127.0.0.1:1" in result.stderr


def test_it_is_asked_with_post(configured):
    answer = configured.gateway.get("/reload")
    assert (answer.status, answer.headers["Allow"]) == (405, "POST")
    assert configured.counts() == (0, 0)


def test_while_redis_is_away(start, own_redis, tmp_path):
    configured = Configured(start, tmp_path, redis=own_redis)
    gateway = configured.gateway
    own_redis.kill()
    until("/ready says 503", lambda: gateway.get("/ready").status == 503)
    with gateway.connect("/ws/cards") as peer:
        configured.applied(SECOND.replace("channel: new", "channel: new\n    history: on"))
        eventually(gateway, "/ws/new", 101)
        with gateway.connect("/ws/new") as new:
            own_redis.start()
            gateway.wait_until_ready()
            until("it is subscribed again", lambda: own_redis.client.publish("cards", '{"type":"n","data":1}'))
            assert peer.receive()["data"] == 1
            until("so is the new one", lambda: own_redis.client.pubsub_numsub("new")[0][1])
            assert gateway.publish("new", '{"type":"n","data":2}').returncode == 0
            event = new.receive()
            assert (event["data"], "pos" in event) == (2, True)


# --- history --------------------------------------------------------------------------------------

KEPT = """
topics: []
routes:
  - path: /ws/cards
    channel: cards
    history: {history}
"""


def append(server, channel, number, ttl_ms=86400000):
    """One entry, as a backend does it."""
    server.client.execute_command(
        "FCALL", "tidegate_publish", 2, f"tg:s:{{{channel}}}", f"tg:m:{{{channel}}}",
        json.dumps({"type": "n", "data": number}), channel, "publish", 1001, ttl_ms, "abcdefgh")


def test_a_history_begins_for_who_listens_already(start, redis, tmp_path):
    configured = Configured(start, tmp_path, KEPT.format(history="off"), redis=redis)
    gateway = configured.gateway
    load_library(redis)
    with gateway.connect("/ws/cards") as listener:
        configured.applied(KEPT.format(history="on"))

        def resumes():
            with gateway.connect("/ws/cards?since=now") as peer:
                return peer.receive()["data"]["recoverable"]

        until("the channel can be resumed", resumes)
        append(redis, "cards", 1)
        event = listener.receive()
        while "pos" not in event:  # until the log has caught up
            append(redis, "cards", 1)
            event = listener.receive()
        configured.applied(KEPT.format(history="off"))
        until("it no longer can", lambda: not resumes())
        redis.client.delete("tg:s:{cards}", "tg:m:{cards}")


def test_with_the_first_history_backends_can_publish_to_it(start, own_redis, tmp_path):
    without = "control: false\n"  # commands to connections want the library, too
    configured = Configured(start, tmp_path, without + KEPT.format(history="off"), redis=own_redis)
    assert not own_redis.client.function_list()
    configured.applied(without + KEPT.format(history="on"))
    # Though nobody listens to such a channel here.
    until("the library is there", own_redis.client.function_list)
    append(own_redis, "cards", 1)


def test_another_size_and_time_reach_channels_that_are_there(start, redis, tmp_path):
    configured = Configured(start, tmp_path, KEPT.format(history="{size: 1000, ttl: 1h}"), redis=redis)
    gateway = configured.gateway
    with gateway.connect("/ws/cards") as peer:
        for number in range(3):
            assert gateway.publish("cards", json.dumps({"type": "n", "data": number})).returncode == 0
            assert peer.receive()["data"] == number
        assert redis.client.pttl("tg:s:{cards}") <= 4500_000
        configured.applied(KEPT.format(history="{size: 1, ttl: 48h}"))
        # A look at its tail is enough, and comes by itself; so does the next publication.
        until("it is kept for longer", lambda: redis.client.pttl("tg:s:{cards}") > 4500_000)
        until("it is trimmed", lambda: (
            gateway.publish("cards", '{"type":"n","data":' + '"' + "x" * 1000 + '"}'),
            redis.client.xlen("tg:s:{cards}") < 100)[1])


# --- under load -----------------------------------------------------------------------------------


def load_library(server):
    source = run("functions").stdout
    server.client.function_load(source[source.index("#!lua"):], replace=True)


def test_reloads_under_load_disconnect_nobody_and_lose_nothing(start, redis, tmp_path, figure):
    """Routes come, change and go, a history begins and ends, limits change; each client has every event, in order, once."""
    load_library(redis)
    configured = Configured(start, tmp_path, FIRST, redis=redis)
    gateway = configured.gateway
    paths = ["/ws/old", "/ws/changing", "/ws/cards"]
    n_events = ROUNDS * EVENTS

    def version(number):
        if number == ROUNDS - 1:
            return FIRST
        history = "\n  - path: /ws/cards\n    channel: cards\n    history: on\n" if number % 3 else ""
        return (SECOND if number % 2 else FIRST) + history + f"\noutbox_bytes_max: {number + 4}MiB\n"

    def publish(first):
        for number in range(first, first + EVENTS):
            redis.client.publish("old", json.dumps({"type": "n", "data": number}))
            redis.client.publish("before", json.dumps({"type": "n", "data": number}))
            append(redis, "cards", number)

    async def read(client):
        heard = []
        while len(heard) < n_events:
            message = json.loads(await client.recv())
            if message["type"] == "n":
                heard.append(message["data"])
        return heard

    async def scene():
        clients = await library.connect_all([gateway.url(paths[i % 3]) for i in range(CLIENTS)])
        readers = [asyncio.ensure_future(read(client)) for client in clients]
        for number in range(ROUNDS):
            publishing = asyncio.get_running_loop().run_in_executor(None, publish, number * EVENTS)
            reloading = asyncio.get_running_loop().run_in_executor(None, configured.applied, version(number))
            await asyncio.gather(publishing, reloading)
        heard = await asyncio.gather(*readers)
        assert all(client.close_code is None for client in clients), "nobody was disconnected"
        await library.close_all(clients)
        return heard

    heard = library.run(scene(), seconds=8 * PATIENCE_SECONDS)
    for numbers in heard:
        assert numbers == list(range(n_events))
    assert configured.counts() == (ROUNDS, 0)
    assert not gateway.lines("client disconnected", code="1012")
    figure("reloads under load", f"{ROUNDS} with {CLIENTS} clients, {len(heard) * n_events} deliveries, "
                                 "0 disconnects, 0 lost, 0 doubled")

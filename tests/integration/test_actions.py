"""What clients ask of backends, through Redis, and the answers."""

import json
import signal
import threading

import pytest

from harness.gateway import run
from harness.wait import until
from harness.websocket import TEXT, frame

STREAM = "cards-actions"
CONFIG = """
routes:
  - path: /ws/cards
    channel: cards
    actions: {stream: cards-actions, timeout: 2s, in_flight: 3, backlog: 5}
  - path: "/ws/execution/{execution_id}/{step}"
    channel: "execution:{execution_id}"
    actions: run-actions
  - path: /ws/plain
    channel: plain
"""
GROUP = "tidegate"


class Backend(threading.Thread):
    """Reads the stream as docs/actions.md says, and answers each action by answer(fields), which yields answers."""

    def __init__(self, redis, answer, stream=STREAM):
        super().__init__(daemon=True)
        self.redis, self.answer, self.stream, self.goes_on, self.seen = redis, answer, stream, True, []
        redis.client.xgroup_create(stream, GROUP, id="0", mkstream=True)
        self.start()

    def run(self):
        while self.goes_on:
            for _, entries in self.redis.client.xreadgroup(GROUP, "one", {self.stream: ">"}, count=10, block=100) or []:
                for entry, raw in entries:
                    fields = {key.decode(): value.decode() for key, value in raw.items()}
                    self.seen.append(fields)
                    for answer in self.answer(fields):
                        reply(self.redis, fields, answer)
                    with self.redis.client.pipeline() as pipeline:
                        pipeline.xack(self.stream, GROUP, entry).xdel(self.stream, entry).execute()

    def stop(self):
        self.goes_on = False
        self.join()


def reply(redis, fields, answer):
    channel = fields["reply"]
    return redis.client.fcall("tidegate_publish", 2, f"tg:s:{{{channel}}}", f"tg:m:{{{channel}}}",
                              json.dumps({"action": fields["id"], **answer}), channel, "publish", 1001, 60000, "abcdefgh")


def echo(fields):
    yield {"data": json.loads(fields["data"])}


@pytest.fixture
def gateway(start, own_redis, tmp_path):
    file = tmp_path / "tidegate.yaml"
    file.write_text(CONFIG, encoding="utf-8")
    gateway = start("--config", file, redis=own_redis)
    until("it hears answers", lambda: b"tg:r:" in b" ".join(own_redis.client.pubsub_channels()))
    return gateway


@pytest.fixture
def backends():
    started = []

    def start_one(*arguments, **settings):
        started.append(Backend(*arguments, **settings))
        return started[-1]

    yield start_one
    for backend in started:
        backend.stop()


def act(peer, data, **members):
    peer.send({"type": "action", "id": 0, "data": data, **members})


def test_an_action_is_answered_by_a_backend(gateway, own_redis, backends):
    backend = backends(own_redis, echo)
    with gateway.connect("/ws/cards") as peer:
        act(peer, {"name": "move", "to": "done"}, id=7, key="k1")
        answer = peer.receive()
        assert (answer["type"], answer["id"], answer["data"]) == ("reply", 7, {"name": "move", "to": "done"})
        assert "more" not in answer
    fields = backend.seen[0]
    node = fields["reply"].removeprefix("tg:r:")
    assert fields["id"] == f"{fields['conn']}.1" and fields["conn"].startswith(f"{node}.")
    assert {key: fields[key] for key in ("user", "route", "vars", "key", "data")} == {
        "user": "", "route": "/ws/cards", "vars": "{}", "key": "k1", "data": '{"name": "move", "to": "done"}'}
    seconds, micros = own_redis.client.time()
    assert 0 < int(fields["deadline"]) - (seconds * 1000 + micros // 1000) <= 2000
    until("the backend has taken it out", lambda: own_redis.client.xlen(STREAM) == 0)
    assert gateway.metric("tidegate_actions_sent_total") == gateway.metric("tidegate_actions_answered_total") == 1
    assert gateway.metric("tidegate_action_seconds_count") == 1


def test_the_variables_of_the_path_and_any_json_travel_as_they_stand(gateway, own_redis, backends):
    backend = backends(own_redis, echo, "run-actions")
    with gateway.connect("/ws/execution/42/one.two") as peer:
        peer.send_text('{"type":"action","data": [1.0e2,{"a" :"\\u00e9"}],"id":"x"}')
        assert peer.receive_text().startswith('{"type":"reply","id":"x","data":[100.0, {"a": "')
        act(peer, None)
        assert peer.receive()["data"] is None
    assert backend.seen[0]["data"] == '[1.0e2,{"a" :"\\u00e9"}]'
    assert json.loads(backend.seen[0]["vars"]) == {"execution_id": "42", "step": "one.two"}
    assert backend.seen[1]["data"] == "null" and backend.seen[1]["key"] == ""


def test_an_action_without_an_id_hears_errors_only(gateway, own_redis, backends):
    """As clients of old do, whose server never answered what went well."""
    def judge(fields):
        yield {"data": "part", "more": True}
        yield {"error": {"code": "no", "message": "no"}} if fields["data"] == "1" else {"data": "well"}

    backends(own_redis, judge)
    with gateway.connect("/ws/cards") as peer:
        for data in (0, 1):
            peer.send({"type": "action", "data": data})
        answer = peer.receive()
        assert answer["data"]["code"] == "no" and "id" not in answer
        act(peer, 0, id="q")
        assert [peer.receive()["data"] for _ in range(2)] == ["part", "well"]
    assert gateway.metric("tidegate_actions_answered_total") == 3


def test_an_answer_in_a_thousand_parts_arrives_whole_and_in_order(gateway, own_redis, backends):
    def count(fields):
        yield from ({"data": number, "more": True} for number in range(999))
        yield {"data": 999}

    backends(own_redis, count)
    with gateway.connect("/ws/cards") as peer:
        act(peer, 0, id=1)
        parts = [peer.receive() for _ in range(1000)]
    assert [part["data"] for part in parts] == [*range(1000)]
    assert [part.get("more", False) for part in parts] == [True] * 999 + [False]


def test_an_answer_has_an_end(gateway, own_redis, backends):
    def go_on(fields):
        with own_redis.client.pipeline(transaction=False) as pipeline:
            for _ in range(10_001):
                channel = fields["reply"]
                pipeline.publish(channel, json.dumps({"action": fields["id"], "more": True}))
            pipeline.execute()
        return ()

    backends(own_redis, go_on)
    with gateway.connect("/ws/cards") as peer:
        act(peer, 0, id=1)
        for _ in range(10_000):
            assert peer.receive()["more"]
        last = peer.receive()
        assert (last["type"], last["id"], last["data"]["code"]) == ("error", 1, "too_long")


def test_a_backend_refuses_in_its_own_words(gateway, own_redis, backends):
    backends(own_redis, lambda fields: [{"error": {"code": "wip_limit", "message": "the column \"test\" is full"}}])
    with gateway.connect("/ws/cards") as peer:
        act(peer, 0, id=1)
        answer = peer.receive()
        assert (answer["type"], answer["id"]) == ("error", 1)
        assert answer["data"] == {"code": "wip_limit", "message": 'the column "test" is full'}


def test_actions_of_one_connection_keep_their_order(gateway, own_redis, backends):
    backend = backends(own_redis, echo)
    with gateway.connect("/ws/cards") as peer:
        for number in range(60):
            act(peer, number)
            if number % 3 == 2:
                assert sorted(peer.receive()["data"] for _ in range(3)) == [number - 2, number - 1, number]
    assert [json.loads(fields["data"]) for fields in backend.seen] == [*range(60)]


def test_no_more_are_in_flight_than_the_route_allows_and_time_ends_them(gateway, own_redis):
    with gateway.connect("/ws/cards") as peer:
        for number in range(4):
            act(peer, number, id=number)
        refused = peer.receive()
        assert (refused["id"], refused["data"]["code"]) == (3, "too_many_actions")
        late = [peer.receive() for _ in range(3)]
        assert [(answer["id"], answer["data"]["code"]) for answer in late] == [(0, "timeout"), (1, "timeout"), (2, "timeout")]
        act(peer, 4, id=4)
        until("it is in the stream", lambda: own_redis.client.xlen(STREAM) == 4)
        for _, raw in own_redis.client.xrange(STREAM):
            reply(own_redis, {key.decode(): value.decode() for key, value in raw.items()}, {"data": "late?"})
        assert (peer.receive()["id"]) == 4
    assert gateway.metric("tidegate_action_answers_dropped_total") == 3
    assert gateway.metric("tidegate_actions_timed_out_total") == 3


def test_each_action_that_was_sent_is_counted_at_its_end(gateway, own_redis, backends):
    """Answered, timed out, refused, or abandoned with its connection: the sum is what was sent."""
    with gateway.connect("/ws/cards") as peer:
        act(peer, 0, id=0)
        assert peer.receive()["data"]["code"] == "timeout"
        backends(own_redis, lambda fields: [{"data": 1}] if fields["data"] == "1" else [])
        act(peer, 1, id=1)
        assert peer.receive()["data"] == 1
        act(peer, 2, id=2)
        act(peer, 3, id=3)
        until("they were sent", lambda: gateway.metric("tidegate_actions_sent_total") == 4)
    until("it has gone", lambda: gateway.metric("tidegate_actions_abandoned_total") == 2)
    totals = gateway.get("/status").json()["totals"]
    assert [totals[f"actions_{what}"] for what in ("sent", "answered", "timed_out", "refused", "abandoned")] == [4, 1, 1, 0, 2]
    shown = run("status", "--admin", gateway.admin)
    assert "1 answered of 4, 1 timed out, 0 refused, 2 abandoned" in shown.stdout


def test_a_full_stream_is_busy_at_once(gateway, own_redis):
    for _ in range(5):
        own_redis.client.xadd(STREAM, {"id": "of nobody"})
    with gateway.connect("/ws/cards") as peer:
        act(peer, 0, id=1)
        answer = peer.receive()
        assert answer["data"]["code"] == "busy" and answer["data"]["retry_after_ms"] > 0
    assert own_redis.client.xlen(STREAM) == 5
    assert gateway.metric('tidegate_actions_refused_total{reason="busy"}') == 1


def test_a_crowd_that_asks_at_once_fills_the_stream_and_the_rest_is_busy(start, own_redis, tmp_path):
    """What comes together goes to Redis together: in the order of each connection, up to the bound and not beyond it."""
    file = tmp_path / "tidegate.yaml"
    file.write_text(CONFIG.replace("in_flight: 3, backlog: 5", "in_flight: 200, backlog: 100"), encoding="utf-8")
    gateway = start("--config", file, redis=own_redis)
    until("it hears answers", lambda: b"tg:r:" in b" ".join(own_redis.client.pubsub_channels()))
    with gateway.connect("/ws/cards") as peer:
        texts = [json.dumps({"type": "action", "id": number, "data": number}).encode() for number in range(150)]
        peer.send_raw(b"".join(frame(TEXT, text) for text in texts))
        refused = [peer.receive() for _ in range(50)]
        assert {answer["data"]["code"] for answer in refused} == {"busy"} and [answer["id"] for answer in refused] == [*range(100, 150)]
    entries = [raw for _, raw in own_redis.client.xrange(STREAM)]
    assert [int(raw[b"data"]) for raw in entries] == [*range(100)]
    assert len({raw[b"id"] for raw in entries}) == 100 and len({raw[b"conn"] for raw in entries}) == 1
    assert own_redis.client.info("commandstats")["cmdstat_fcall"]["calls"] < 100, "several in a call"


def test_one_event_may_hold_several_answers(gateway, own_redis):
    """A worker that has several for a gateway says them at once, and what makes no sense among them hurts no other."""
    with gateway.connect("/ws/cards") as peer, gateway.connect("/ws/cards") as other:
        act(peer, 0, id=1)
        act(peer, 0, id=2)
        until("both are in the stream", lambda: own_redis.client.xlen(STREAM) == 2)
        act(other, 0, id=3)  # of another thread: it might have been the first
        until("they are in the stream", lambda: own_redis.client.xlen(STREAM) == 3)
        ids = [raw[b"id"].decode() for _, raw in own_redis.client.xrange(STREAM)]
        channel = own_redis.client.xrange(STREAM)[0][1][b"reply"].decode()
        answers = [{"action": ids[0], "data": "part", "more": True}, 7, {"action": ids[0], "data": "end"}, {"action": "of nobody"}, [],
                   {"action": ids[2], "error": {"code": "no", "message": "no"}}, {"action": ids[1]}]
        own_redis.client.fcall("tidegate_publish", 2, f"tg:s:{{{channel}}}", f"tg:m:{{{channel}}}", json.dumps(answers), channel, "publish",
                               1001, 60000, "abcdefgh")
        assert [(answer["id"], answer.get("data")) for answer in (peer.receive() for _ in range(3))] == [(1, "part"), (1, "end"), (2, None)]
        assert other.receive()["data"]["code"] == "no"
    assert gateway.metric("tidegate_action_answers_dropped_total") == 3


def test_a_library_that_knows_one_action_a_call_loses_none(gateway, own_redis):
    """Of an older gateway, where this one may load no other: what it left out is said to be refused."""
    own_redis.client.function_load("""#!lua name=tidegate
redis.register_function('tidegate_version', function() return 1000 end)
redis.register_function('tidegate_action', function(k, a) return redis.call('XADD', k[1], '*', 'id', a[3], 'data', a[9], 'reply', a[10]) end)
redis.register_function('tidegate_publish', function() end)
redis.register_function('tidegate_read', function() end)
""", replace=True)
    with gateway.connect("/ws/cards") as peer:
        peer.send_raw(b"".join(frame(TEXT, json.dumps({"type": "action", "id": number, "data": number}).encode()) for number in range(3)))
        answers = [peer.receive() for _ in range(3)]
        codes = sorted((answer["id"], answer["data"]["code"]) for answer in answers)
    said = {int(raw[b"data"]) for _, raw in own_redis.client.xrange(STREAM)}
    assert codes == [(number, "timeout" if number in said else "busy") for number in range(3)] and 0 in said


def test_a_path_without_actions_says_so(gateway):
    with gateway.connect("/ws/plain") as peer:
        act(peer, 0, id=1)
        assert peer.receive()["data"]["code"] == "unsupported"


def test_without_redis_actions_are_unavailable_and_nothing_waits(gateway, own_redis, backends):
    own_redis.kill()
    until("it has noticed", lambda: gateway.metric("tidegate_redis_ready") == 0)
    with gateway.connect("/ws/cards") as peer:
        act(peer, 0, id=1)
        assert peer.receive()["data"]["code"] == "unavailable"
        own_redis.start()
        until("it is back", lambda: gateway.metric("tidegate_redis_ready") == 1)
        backends(own_redis, echo)

        def answered():
            act(peer, 1, id=2)
            return peer.receive()["type"] == "reply"

        until("actions are carried again", answered)
    assert gateway.metric('tidegate_actions_refused_total{reason="unavailable"}') >= 1


def test_an_action_under_way_when_redis_dies_is_unknown(gateway, own_redis):
    with gateway.connect("/ws/cards") as peer:
        own_redis.process.signal(signal.SIGSTOP)
        act(peer, 0, id=1)
        until("it was handed on", lambda: gateway.metric("tidegate_actions_sent_total") == 1)
        own_redis.kill()
        assert peer.receive()["data"]["code"] == "unknown"


def test_memory_carries_no_actions_and_says_why(start, tmp_path):
    file = tmp_path / "tidegate.yaml"
    file.write_text(CONFIG, encoding="utf-8")
    with start("--config", file).connect("/ws/cards") as peer:
        act(peer, 0, id=1)
        answer = peer.receive()
        assert answer["data"]["code"] == "unavailable" and "without Redis" in answer["data"]["message"]


def test_a_stream_that_is_something_else_is_an_error_and_a_line_in_the_log(gateway, own_redis):
    own_redis.client.set(STREAM, "a string")
    with gateway.connect("/ws/cards") as peer:
        act(peer, 0, id=1)
        assert peer.receive()["data"]["code"] == "unavailable"
    line = gateway.wait_for_line("redis refused a call of our library", function="tidegate_action")
    assert "WRONGTYPE" in line.fields["reason"]


@pytest.mark.parametrize("answer", [
    "{}", '{"action":7}', '{"action":"x"}', '{"action":"NODE"}', '{"action":"NODE.1"}', '{"action":"NODE.1.x"}',
    '{"action":"NODE.1.1.1"}', '{"action":"NODE.99999999999999999999.1"}', '{"action":"OTHER.1.1"}', '[1]', '"x"',
    '{"action":"NODE.1.1","error":"no object"}', '{"action":"NODE.1.1","error":{"code":7}}',
], ids=str)
def test_an_answer_that_makes_no_sense_is_counted_and_hurts_nobody(gateway, own_redis, backends, answer):
    channel = next(name for name in own_redis.client.pubsub_channels() if name.startswith(b"tg:r:")).decode()
    node = channel.removeprefix("tg:r:")
    own_redis.publish(channel, answer.replace("NODE", node).replace("OTHER", "0" * len(node)))
    until("it is counted", lambda: gateway.metric("tidegate_action_answers_dropped_total") == 1)
    gateway.wait_for_line("a backend's answer makes no sense", channel=channel)
    backends(own_redis, echo)
    with gateway.connect("/ws/cards") as peer:
        act(peer, "still there", id=1)
        assert peer.receive()["data"] == "still there"


def test_an_answer_for_nobody_is_dropped(gateway, own_redis, backends):
    """Twice, for a connection that has gone, and for another connection than the action is of."""
    seen = []

    def twice(fields):
        seen.append(fields)
        yield {"data": 1}
        yield {"data": 2}

    backends(own_redis, twice)
    with gateway.connect("/ws/cards") as peer, gateway.connect("/ws/cards") as other:
        act(peer, 0, id=1)
        assert peer.receive()["data"] == 1
        act(other, 0, id=2)
        assert other.receive()["data"] == 1
        node, conn, number = seen[0]["id"].split(".")
        reply(own_redis, {**seen[0], "id": f"{node}.{int(conn) + 2}.{number}"}, {"data": "for another"})
        until("all are counted", lambda: gateway.metric("tidegate_action_answers_dropped_total") == 3)
        peer.send({"type": "ping"})
        assert peer.receive()["type"] == "pong"
        other.send({"type": "ping"})
        assert other.receive()["type"] == "pong"


def test_answers_given_while_the_link_was_lost_are_heard_when_it_is_back(gateway, own_redis):
    with gateway.connect("/ws/execution/1/2") as peer:
        act(peer, "later", id=1)
        until("it is in the stream", lambda: own_redis.client.xlen("run-actions") == 1)
        fields = {key.decode(): value.decode() for key, value in own_redis.client.xrange("run-actions")[0][1].items()}
        with own_redis.client.pipeline() as pipeline:  # in one step: the answer is published while nobody listens
            pipeline.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
            channel = fields["reply"]
            pipeline.fcall("tidegate_publish", 2, f"tg:s:{{{channel}}}", f"tg:m:{{{channel}}}",
                           json.dumps({"action": fields["id"], "data": "while you were away"}), channel, "publish", 1001,
                           60000, "abcdefgh")
            pipeline.execute()
        assert peer.receive()["data"] == "while you were away"


def test_a_reload_that_brings_actions_carries_them(start, own_redis, backends, tmp_path):
    file = tmp_path / "tidegate.yaml"
    file.write_text("routes: [{path: /ws/cards, channel: cards}]\n", encoding="utf-8")
    gateway = start("--config", file, redis=own_redis)
    backends(own_redis, echo)
    with gateway.connect("/ws/cards") as old:
        file.write_text(CONFIG, encoding="utf-8")
        assert gateway.get("/reload", "POST").status == 200
        until("it hears answers", lambda: b"tg:r:" in b" ".join(own_redis.client.pubsub_channels()))
        act(old, 0, id=1)
        assert old.receive()["data"]["code"] == "unsupported", "a connection keeps the route that it came by"
        with gateway.connect("/ws/cards") as peer:
            def answered():
                act(peer, 1, id=2)
                return peer.receive()["type"] == "reply"
            until("actions are carried", answered)

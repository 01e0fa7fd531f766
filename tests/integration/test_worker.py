"""The worker of the Python package, in threads and under asyncio: each action once, answered, in order, over deaths."""

import asyncio
import json
import signal
import socket
import sys
import threading

import pytest
import redis.asyncio

from harness.gateway import ROOT, run
from harness.process import Process, clean_environment
from harness.wait import pass_time, until

sys.path.insert(0, str(ROOT / "src/clients/python"))

# pylint: disable=wrong-import-position
from tidegate import ActionError, AsyncWorker, Lifecycle, Worker, _memory, _redis, _together, _work, shard_of  # noqa: E402
from tidegate.action import read_entry  # noqa: E402

# The gateway is not what they look at.
pytestmark = pytest.mark.plain

STREAM = "work"
REPLY = "tg:r:node"
CLAIM_SECONDS = 0.6


class Bench:
    """A Redis with our functions, entries as a gateway writes them, and the answers that were published."""

    def __init__(self, server):
        self.server, self.n, self.workers = server, 0, []
        server.client.function_load(run("functions").stdout, replace=True)

    def ask(self, data, conn="node.1", key="", seconds=10, user="42", reply=REPLY):
        self.n += 1
        now, micros = self.server.client.time()
        fields = {"id": f"{conn}.{self.n}", "conn": conn, "user": user, "route": "/ws/cards", "vars": '{"a":"b"}', "key": key,
                  "data": json.dumps(data), "reply": reply, "deadline": int(now * 1000 + micros // 1000 + seconds * 1000)}
        self.server.client.xadd(STREAM, fields)
        return fields["id"]

    def answers(self):
        """Those that were said together, too, one by one."""
        said = self.said()
        return [answer for event in said for answer in (event if isinstance(event, list) else [event])]

    def said(self):
        entries = self.server.client.xrange(f"tg:s:{{{REPLY}}}")
        return [json.loads(fields[b"d"]) for _, fields in entries]

    def await_answers(self, n):
        until(f"{n} answers", lambda: len(self.answers()) >= n)
        return self.answers()

    def left(self):
        return self.server.client.xlen(STREAM)

    def start(self, worker):
        target = (lambda: asyncio.run(worker.run())) if isinstance(worker, AsyncWorker) else lambda: worker.run(signals=False)
        thread = threading.Thread(target=target, daemon=True)
        thread.start()
        self.workers.append((worker, thread))
        return worker

    def stop(self):
        for worker, _ in self.workers:
            worker.stop()
        for _, thread in self.workers:
            thread.join(15)
            assert not thread.is_alive()


@pytest.fixture
def bench(own_redis, monkeypatch):
    monkeypatch.setattr(_work, "BLOCK_SECONDS", 0.1)  # how long stop() may take
    bench = Bench(own_redis)
    yield bench
    bench.stop()


@pytest.fixture(params=["threads", "asyncio"])
def make(request, bench):
    """make(**handlers) is a running worker; handlers are written once, for threads."""
    def one(once=(), at_once=16, name=None, starts=True, where=None, **handlers):
        settings = {"claim_seconds": CLAIM_SECONDS, "at_once": at_once, "name": name}
        if request.param == "threads":
            worker = Worker(where or bench.server.client, STREAM, **settings)
        else:
            worker = AsyncWorker(where or redis.asyncio.Redis(port=bench.server.port), STREAM, **settings)
        for action, handler in handlers.items():
            written = handler if request.param == "threads" else under_asyncio(handler)
            worker.action(action.replace("any", "*"), once=action in once)(written)
        return bench.start(worker) if starts else worker
    return one


def under_asyncio(handler):
    if handler.__code__.co_flags & 0x20:  # a generator
        async def parts(action):
            for part in handler(action):
                yield part
        return parts

    async def other(action):
        return await asyncio.get_running_loop().run_in_executor(None, handler, action)
    return other


def test_an_action_is_carried_out_answered_and_taken_out(bench, make):
    make(move=lambda action: [action.user, action.vars, action.data["to"], action.route])
    asked = bench.ask({"name": "move", "to": "done"})
    assert bench.await_answers(1) == [{"action": asked, "data": ["42", {"a": "b"}, "done", "/ws/cards"]}]
    until("it is taken out", lambda: bench.left() == 0)
    assert bench.server.client.xpending(STREAM, "tidegate")["pending"] == 0


def test_what_goes_wrong_is_told(bench, make):
    def refuse(action):
        raise ActionError("wip_limit", "full")

    def fail(action):
        raise KeyError("secret")

    def lose(action):
        raise redis.ConnectionError("of the handler's own")

    make(refuse=refuse, fail=fail, lose=lose, odd=lambda action: {1, 2}, nan=lambda action: float("nan"))
    asked = [bench.ask({"name": name}) for name in ("refuse", "fail", "unheard")] + [bench.ask(7)]
    asked += [bench.ask({"name": name}) for name in ("lose", "odd", "nan")]
    answers = {answer["action"]: answer["error"] for answer in bench.await_answers(7)}
    assert [answers[one]["code"] for one in asked[4:]] == ["failed"] * 3
    assert answers[asked[0]] == {"code": "wip_limit", "message": "full"}
    assert answers[asked[1]] == {"code": "failed", "message": "the worker failed"}
    assert answers[asked[2]]["code"] == answers[asked[3]]["code"] == "unknown_action"


def test_what_has_no_name_is_for_the_handler_of_all_others(bench, make):
    make(any=lambda action: action.data)
    bench.ask([1, 2])
    assert bench.await_answers(1)[0]["data"] == [1, 2]


def test_parts_come_in_order_and_end(bench, make):
    def count(action):
        yield from range(50)

    make(count=count)
    bench.ask({"name": "count"})
    answers = bench.await_answers(51)
    assert [answer.get("data") for answer in answers] == [*range(50), None]
    assert [answer.get("more", False) for answer in answers] == [True] * 50 + [False]


def test_a_key_that_was_answered_is_answered_again_and_not_carried_out(bench, make):
    done = []
    make(pay=lambda action: done.append(action.key) or len(done))
    asked = [bench.ask({"name": "pay"}, key="k")]
    bench.await_answers(1)
    asked += [bench.ask({"name": "pay"}, key="k") for _ in range(2)] + [bench.ask({"name": "pay"}, key="other")]
    answers = bench.await_answers(4)
    assert [answer["data"] for answer in answers if answer["action"] in asked[:3]] == [1, 1, 1]
    assert sorted(done) == ["k", "other"]
    bench.ask({"name": "pay"}, key="k", user="43")
    bench.await_answers(5)
    assert sorted(done) == ["k", "k", "other"], "another's key is another key"


def test_actions_of_one_connection_are_carried_out_in_order_and_others_do_not_wait(bench, make):
    done, gate = [], threading.Event()

    def work(action):
        if action.conn == "node.1":
            gate.wait(30)
        done.append((action.conn, action.data["n"]))

    make(work=work)
    for n in range(20):
        bench.ask({"name": "work", "n": n}, conn="node.1")
    bench.ask({"name": "work", "n": 0}, conn="node.2")
    until("the other connection's is done", lambda: ("node.2", 0) in done)
    assert done == [("node.2", 0)]
    gate.set()
    bench.await_answers(21)
    assert [n for conn, n in done if conn == "node.1"] == [*range(20)]


def test_no_more_than_it_may_are_carried_out_at_once(bench, make):
    lock, now, most = threading.Lock(), [0], [0]

    def work(action):
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        pass_time(0.02)
        with lock:
            now[0] -= 1

    make(at_once=3, work=work)
    for n in range(30):
        bench.ask({"name": "work"}, conn=f"node.{n}")
    bench.await_answers(30)
    assert most[0] == 3


def test_what_ends_while_an_answer_is_published_is_said_in_one_call(bench, make, monkeypatch):
    """None of these events is larger than what the least of gateways takes."""
    monkeypatch.setattr(_together, "TURN_SECONDS", 60)
    first, others, begun = threading.Event(), threading.Event(), []

    def work(action):
        begun.append(action.id)
        (others if action.data["n"] else first).wait(30)
        return action.data["n"]

    worker = make(work=work)
    for n in range(5):
        bench.ask({"name": "work", "n": n}, conn=f"node.{n}")
    until("all are under way", lambda: len(begun) == 5)
    bench.server.process.signal(signal.SIGSTOP)
    try:
        first.set()
        until("one is at it", lambda: REPLY in worker.sayings.newest and REPLY not in worker.sayings.gathered)
        others.set()
        until("the others wait", lambda: (call := worker.sayings.gathered.get(REPLY)) and len(call.items) == 4)
    finally:
        bench.server.process.signal(signal.SIGCONT)
    assert sorted(answer["data"] for answer in bench.await_answers(5)) == list(range(5))
    until("all are taken out", lambda: bench.left() == 0)
    assert [len(event) for event in bench.said() if isinstance(event, list)] == [4] and len(bench.said()) == 2
    until("nothing is remembered of it", lambda: not worker.sayings.newest and not worker.removals.newest)


class Paper:
    """As much of a worker as calls that are made together need."""

    lock, new_event, wait_for = threading.Lock(), threading.Event, staticmethod(threading.Event.wait)


def test_who_comes_while_a_call_is_under_way_shares_the_next_one_up_to_its_bound():
    calls = []

    def carry_out(items):
        calls.append(items)
        yield "carried out"

    together = _together.Together(Paper(), carry_out, 100)
    first, second, third, large = (together.do("there", n, n_bytes) for n, n_bytes in ((0, 10), (1, 40), (2, 60), (3, 10)))
    assert next(first) == "carried out"
    turns = [next(second), next(third), next(large)]
    elsewhere = together.do("elsewhere", 4)
    assert next(elsewhere) == "carried out"
    assert next(first, "over") == "over" and turns[0]()
    assert second.send(None) == "carried out" and next(second, "over") == "over"
    assert turns[1]() and next(third, "over") == "over"
    assert turns[2]() and next(large) == "carried out" and next(large, "over") == "over"
    assert calls == [[0], [4], [1, 2], [3]]
    assert list(together.newest) == ["elsewhere"]


def test_no_event_of_several_answers_is_larger_than_what_every_gateway_takes(bench, make):
    gate = threading.Event()

    def work(action):
        gate.wait(30)
        return "x" * action.data["n"]

    make(work=work)
    sizes = [300, 20, 450, 10, 2000]
    for n in sizes:
        bench.ask({"name": "work", "n": n}, conn=f"node.{n}")
    gate.set()
    assert sorted(len(answer["data"]) for answer in bench.await_answers(5)) == sorted(sizes)
    assert all(len(json.dumps(event)) <= 1024 for event in bench.said() if isinstance(event, list))


def test_who_makes_a_call_for_others_and_fails_fails_for_all(bench, make):
    """They are taken over, and answered then."""
    gate, begun, worker = threading.Event(), [], None

    def work(action):
        begun.append(action.id)
        gate.wait(30)
        return "done"

    worker = make(work=work, starts=False)
    publish_all, failed = worker.sayings.carry_out, []

    def fail_once(answers):
        if not failed:
            failed.extend(answers)
            raise ValueError("for one, as it thinks")
        yield from publish_all(answers)

    worker.sayings.carry_out = fail_once
    bench.start(worker)
    asked = {bench.ask({"name": "work"}, conn=f"node.{n}") for n in range(4)}
    until("all are under way", lambda: len(begun) == 4)
    gate.set()
    assert {answer["action"] for answer in bench.await_answers(4)} == asked and failed
    until("all are taken out", lambda: bench.left() == 0)


def test_what_nobody_waits_for_is_dropped(bench, make):
    done = []
    bench.ask({"name": "work", "n": "late"}, seconds=-1)
    bench.ask({"name": "work", "n": "in time"}, conn="node.2")
    make(work=lambda action: done.append(action.data["n"]))
    bench.await_answers(1)
    until("both are taken out", lambda: bench.left() == 0)
    assert done == ["in time"]


def test_what_is_no_action_is_removed_and_the_next_is_carried_out(bench, make):
    bench.server.client.xadd(STREAM, {"some": "thing"})
    bench.server.client.xadd(STREAM, {"id": "x", "conn": "y", "user": "", "route": "/", "vars": "{}", "key": "", "data": "}", "reply": "r",
                                      "deadline": "1"})
    make(work=lambda action: 1)
    bench.ask({"name": "work"})
    bench.await_answers(1)
    until("all are taken out", lambda: bench.left() == 0)


def leave_behind(bench, n=1):
    """Reads entries as a worker that dies before it does anything."""
    try:
        bench.server.client.xgroup_create(STREAM, "tidegate", id="0", mkstream=True)
    except redis.ResponseError:
        pass
    assert bench.server.client.xreadgroup("tidegate", "dead", {STREAM: ">"}, count=n)


def begin(bench, once=False):
    """As a worker does that dies at the first entry of the stream: where the key is."""
    action = read_entry(*bench.server.client.xrange(STREAM)[0])
    where = _memory.where(STREAM, action)
    bench.server.client.set(where, _memory.claim(action, once).text())
    return where


def test_what_a_dead_worker_left_is_taken_over(bench, make):
    bench.ask({"name": "work"})
    leave_behind(bench)
    make(work=lambda action: "done")
    assert bench.await_answers(1)[0]["data"] == "done"
    until("it is taken out", lambda: bench.left() == 0)


def test_what_takes_long_is_not_taken_over_from_the_living(bench, make):
    done = []

    def work(action):
        pass_time(3 * CLAIM_SECONDS)
        done.append(action.id)
        return len(done)

    make(name="one", work=work)
    make(name="two", work=work)
    bench.ask({"name": "work"})
    assert [answer["data"] for answer in bench.await_answers(1)] == [1]
    until("it is taken out", lambda: bench.left() == 0)
    assert len(done) == 1


def test_what_must_happen_once_is_not_begun_again_behind_a_dead_worker(bench, make):
    bench.ask({"name": "pay"}, key="k")
    leave_behind(bench)
    done = []
    worker = make(once=("pay",), pay=lambda action: done.append(1), starts=False)
    begin(bench, once=True)
    bench.start(worker)
    assert bench.await_answers(1)[0]["error"]["code"] == "interrupted"
    assert not done
    bench.ask({"name": "pay"}, key="fresh")
    bench.await_answers(2)
    assert done == [1]


def test_redis_may_go_and_come_back(bench, make):
    make(work=lambda action: action.data["n"])
    bench.ask({"name": "work", "n": 1})
    bench.await_answers(1)
    bench.server.kill()
    bench.server.start()
    bench.server.client.function_load(run("functions").stdout, replace=True)
    bench.ask({"name": "work", "n": 2}, conn="node.2")
    assert bench.await_answers(1)[-1]["data"] == 2


# --- a key that is said again while the first is under way ---

def test_a_server_of_answers_that_is_away_holds_up_nobody_for_longer_than_its_clients_wait(bench, make):
    with socket.create_server(("127.0.0.1", 0)) as frozen:
        here = shard_of(STREAM, 2)
        where = [f"redis://127.0.0.1:{bench.server.port if i == here else frozen.getsockname()[1]}" for i in range(2)]
        lost, heard = (next(f"tg:r:{i}" for i in range(100) if shard_of(f"tg:r:{i}", 2) == at) for at in (1 - here, here))
        done = []
        make(where=where, at_once=1, move=lambda action: done.append(action.conn))
        for i in range(2):
            bench.ask({"name": "move"}, conn=f"lost.{i}", seconds=2, key=str(i), reply=lost)
        until("they are begun", lambda: done)
        bench.ask({"name": "move"}, conn="heard", seconds=25, reply=heard)
        until("the other is answered", lambda: bench.server.client.xlen(f"tg:s:{{{heard}}}"), seconds=20)
        until("nothing is left", lambda: bench.left() == 0)
        assert done.count("lost.0") == 1


def test_a_key_that_is_under_way_waits_and_hears_the_same(bench, make):
    done, gate = [], threading.Event()

    def pay(action):
        done.append(action.conn)
        gate.wait(30)
        return "paid"

    make(name="one", at_once=2, pay=pay, other=lambda action: "other")
    make(name="two", at_once=2, pay=pay, other=lambda action: "other")
    first = bench.ask({"name": "pay"}, key="k")
    until("it is begun", lambda: done)
    again = [bench.ask({"name": "pay"}, conn=f"node.{n}", key="k") for n in range(2, 8)]
    bench.ask({"name": "other"}, conn="node.9")
    assert bench.await_answers(1)[0]["data"] == "other", "nobody else waits"
    gate.set()
    answers = {answer["action"]: answer["data"] for answer in bench.await_answers(8)}
    assert [answers[asked] for asked in (first, *again)] == ["paid"] * 7
    assert done == ["node.1"]
    until("all are taken out", lambda: bench.left() == 0)


def test_what_waits_for_a_key_holds_the_line_of_its_connection(bench, make):
    done, gate = [], threading.Event()

    def work(action):
        if action.conn == "node.1":
            gate.wait(30)
        done.append((action.conn, action.data["n"]))

    make(work=work)
    bench.ask({"name": "work", "n": 1}, key="k")
    until("it is begun", lambda: bench.server.client.keys("tg:k:*"))
    bench.ask({"name": "work", "n": 1}, conn="node.2", key="k")
    bench.ask({"name": "work", "n": 2}, conn="node.2")
    bench.ask({"name": "work", "n": 3}, conn="node.3")
    until("others are carried out", lambda: ("node.3", 3) in done)
    assert done == [("node.3", 3)]
    gate.set()
    bench.await_answers(4)
    assert done == [("node.3", 3), ("node.1", 1), ("node.2", 2)]


def test_a_key_whose_worker_died_is_taken_over_with_its_entry(bench, make):
    bench.ask({"name": "pay"}, key="k")
    leave_behind(bench)
    begin(bench)
    done = []
    make(pay=lambda action: done.append(action.conn) or "paid")
    bench.ask({"name": "pay"}, conn="node.2", key="k")
    assert [answer["data"] for answer in bench.await_answers(2)] == ["paid", "paid"]
    assert done == ["node.1"], "the second waits for the first, which somebody takes over"


@pytest.mark.parametrize("first", ["who was away", "who took it over"])
def test_who_was_away_too_long_says_no_answer_of_his_own(bench, make, first):
    """Both carry it out, for nobody can reach who is away. But one answer is said and remembered: of who has the claim."""
    gates, done = {"one": threading.Event(), "two": threading.Event()}, []

    def handler(name):
        def pay(action):
            done.append(name)
            gates[name].wait(30)
            return name
        return pay

    away = make(name="one", starts=False, pay=handler("one"))
    bench.server.client.xgroup_create(STREAM, "tidegate", id="0", mkstream=True)
    away._keep_house = lambda: iter(())  # pylint: disable=protected-access  # its link is cut: nothing says that it lives
    bench.start(away)
    asked = bench.ask({"name": "pay"}, key="k")
    until("it is begun", lambda: done == ["one"])
    make(name="two", pay=handler("two"))
    until("it is taken over", lambda: done == ["one", "two"])
    if first == "who was away":
        gates["one"].set()
        until("the first has given up", lambda: not away.lines)
        assert not bench.answers() and bench.left() == 1
        gates["two"].set()
    else:
        gates["two"].set()
        bench.await_answers(1)
        gates["one"].set()
        until("the first has given up", lambda: not away.lines)
    until("it is taken out", lambda: bench.left() == 0)
    assert [(answer["action"], answer["data"]) for answer in bench.answers()] == [(asked, "two")]
    bench.ask({"name": "pay"}, conn="node.2", key="k")
    assert bench.await_answers(2)[1]["data"] == "two"


def test_a_claim_that_changes_while_it_is_taken_over_is_seen(bench, make):
    """The worker that was away answers between the two steps of the one that takes over."""
    bench.ask({"name": "pay"}, key="k")
    leave_behind(bench)
    where, done = begin(bench), []
    worker = make(starts=False, pay=lambda action: done.append(1))
    swap = worker.kind.swap

    def late(client, key, was, becomes, seconds):
        if '"attempt"' in was and was != becomes and not done:
            action = read_entry(*bench.server.client.xrange(STREAM)[0])
            bench.server.client.set(where, _memory.answered(action, ['"data": "of the first"']).text())
        return swap(client, key, was, becomes, seconds)

    worker.kind = worker.kind._replace(swap=late)
    bench.start(worker)
    assert bench.await_answers(1)[0]["data"] == "of the first" and not done


@pytest.mark.parametrize("once", [False, True])
def test_a_key_whose_action_is_dropped_is_free_again(bench, make, once):
    bench.ask({"name": "pay"}, key="k", seconds=-1)
    leave_behind(bench)
    begin(bench, once)
    make(once=("pay",) if once else (), pay=lambda action: "paid")
    bench.ask({"name": "pay"}, conn="node.2", key="k")
    answer, = bench.await_answers(1)
    assert answer["error"]["code"] == "interrupted" if once else answer["data"] == "paid"
    until("both are taken out", lambda: bench.left() == 0)


def test_parts_are_repeated_as_they_were(bench, make):
    def count(action):
        yield from range(3)

    make(count=count)
    asked = bench.ask({"name": "count"}, key="k")
    bench.await_answers(4)
    again = bench.ask({"name": "count"}, conn="node.2", key="k")
    answers = bench.await_answers(8)
    first, second = ([{**answer, "action": 0} for answer in answers if answer["action"] == one] for one in (asked, again))
    assert len(first) == 4 and first == second


def test_an_answer_that_is_too_long_to_keep_is_not_repeated(bench, make):
    done = []

    def long(action):
        done.append(1)
        yield from ["x" * 100_000] * 3

    make(long=long)
    bench.ask({"name": "long"}, key="k")
    bench.await_answers(4)
    bench.ask({"name": "long"}, key="k")
    assert bench.await_answers(5)[-1]["error"]["code"] == "carried_out"
    assert len(done) == 1


def test_a_key_with_other_data_is_refused(bench, make):
    make(pay=lambda action: action.data["sum"])
    bench.ask({"name": "pay", "sum": 1}, key="k")
    assert bench.await_answers(1)[0]["data"] == 1
    bench.ask({"sum": 1, "name": "pay"}, key="k")
    assert bench.await_answers(2)[-1]["data"] == 1
    bench.ask({"name": "pay", "sum": 2}, key="k")
    assert bench.await_answers(3)[-1]["error"]["code"] == "key_reused"


# --- stopping ---

def test_stop_ends_what_is_under_way_and_gives_the_rest_back(bench, make):
    done, gate = [], threading.Event()

    def work(action):
        done.append(action.data["n"])
        if action.data["n"] == 0:
            gate.wait(30)

    old = make(name="old", work=work)
    for n in range(5):
        bench.ask({"name": "work", "n": n})
    until("it has all of them", lambda: done and bench.server.client.xpending(STREAM, "tidegate")["pending"] == 5)
    old.stop()
    pass_time(3 * CLAIM_SECONDS)
    until("it is kept from others, however long it takes", lambda: bench.server.client.xpending_range(
        STREAM, "tidegate", "-", "+", 1)[0]["time_since_delivered"] < 1000 * CLAIM_SECONDS)  # it grows where nobody keeps it
    gate.set()
    bench.await_answers(1)
    until("it has stopped", lambda: not bench.workers[0][1].is_alive())
    assert done == [0]
    idle = [entry["time_since_delivered"] for entry in bench.server.client.xpending_range(STREAM, "tidegate", "-", "+", 9)]
    assert len(idle) == 4 and min(idle) > 1_000_000, "whoever looks next takes them"
    make(name="new", work=work)
    bench.await_answers(5)
    assert sorted(done) == [*range(5)]


def test_a_worker_that_ends_takes_its_name_along_unless_something_is_left_under_it(bench, make):
    """Each start has a name of its own, and Redis keeps all of them; deleting one deletes what is pending under it."""
    gate, begun = threading.Event(), threading.Event()

    def work(_):
        begun.set()
        return gate.wait(30) and "done"

    def names():
        return [consumer["name"].decode() for consumer in bench.server.client.xinfo_consumers(STREAM, "tidegate")]

    make(name="first", work=lambda action: "done")
    bench.ask({"name": "work"})
    bench.await_answers(1)
    bench.stop()
    bench.workers.clear()
    assert names() == []
    second = make(name="second", work=work)
    for _ in range(3):
        bench.ask({"name": "work"})
    until("one is begun", begun.is_set)
    until("others are taken", lambda: bench.server.client.xpending(STREAM, "tidegate")["pending"] == 3)
    second.stop()
    gate.set()
    bench.stop()
    assert names() == ["second"] and bench.server.client.xpending(STREAM, "tidegate")["pending"] == 2


@pytest.mark.parametrize("how", ["trimmed", "deleted"])
def test_what_is_taken_out_of_the_stream_meanwhile_is_answered_all_the_same(bench, make, how):
    """By an operator who makes room: the answer is said, and nothing stays pending."""
    gate = threading.Event()
    worker = make(work=lambda action: gate.wait(30) and "done")
    bench.ask({"name": "work"})
    until("it is begun", lambda: worker.lines)
    if how == "trimmed":
        bench.server.client.xtrim(STREAM, maxlen=0, approximate=False)
    else:
        bench.server.client.xdel(STREAM, bench.server.client.xrange(STREAM)[0][0])
    pass_time(2 * CLAIM_SECONDS)  # it has kept house meanwhile
    gate.set()
    assert [answer["data"] for answer in bench.await_answers(1)] == ["done"]
    until("nothing is pending", lambda: bench.server.client.xpending(STREAM, "tidegate")["pending"] == 0)
    bench.ask({"name": "work"}, conn="node.2")
    bench.await_answers(2)


def test_a_worker_ends_though_redis_is_away(bench, make):
    worker = make(work=lambda action: 1)
    bench.ask({"name": "work"})
    bench.await_answers(1)
    until("nothing is under way", lambda: bench.left() == 0)  # what was carried out is taken out, however long Redis is away
    bench.server.kill()
    worker.stop()
    until("it has stopped", lambda: not bench.workers[0][1].is_alive())
    bench.server.start()


# --- what others leave ---

def test_what_was_left_is_found_behind_all_that_is_under_way(bench, make):
    for n in range(60):
        bench.ask({"name": "other"}, conn=f"node.{n}")
    leave_behind(bench, 60)
    last = bench.ask({"name": "work"}, conn="left")
    leave_behind(bench)
    entry = bench.server.client.xrevrange(STREAM, count=1)[0][0]
    bench.server.client.xclaim(STREAM, "tidegate", "dead", 0, [entry], idle=100_000_000)
    worker = make(at_once=1, work=lambda action: "found", starts=False)
    worker.claim_seconds = 30
    bench.start(worker)
    assert bench.await_answers(1) == [{"action": last, "data": "found"}]


def test_a_stream_that_is_deleted_begins_anew(bench, make):
    make(work=lambda action: action.data["n"])
    bench.ask({"name": "work", "n": 1})
    bench.await_answers(1)
    bench.server.client.flushall()
    bench.ask({"name": "work", "n": 2})
    assert bench.await_answers(1)[0]["data"] == 2


def test_a_stream_that_is_something_else_ends_the_worker(bench, make):
    bench.server.client.set(STREAM, "text")
    worker = make(work=lambda action: 1, starts=False)
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        if isinstance(worker, AsyncWorker):
            asyncio.run(worker.run())
        else:
            worker.run(signals=False)


# --- moods of Redis ---

MOODS = {
    "READONLY": ("REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE"),
    "NOREPLICAS": ("CONFIG SET min-replicas-to-write 1", "CONFIG SET min-replicas-to-write 0"),
}


@pytest.mark.parametrize("mood", [*MOODS, "away"])
def test_what_was_carried_out_while_redis_takes_no_writes_is_answered_and_not_repeated(bench, make, mood):
    done, gate, client = [], threading.Event(), bench.server.client
    client.config_set("appendfsync", "always")
    client.config_set("appendonly", "yes")
    until("the log is written", lambda: not client.info("persistence")["aof_rewrite_in_progress"])
    bench.server.options = ("--appendonly", "yes", "--appendfsync", "always")

    def work(action):
        done.append(action.id)
        gate.wait(30)
        return "done"

    make(work=work)
    bench.ask({"name": "work"}, key="k")
    until("it is carried out", lambda: done)
    if mood == "away":
        bench.server.kill()
    else:
        client.execute_command(*MOODS[mood][0].split(" "))
    gate.set()
    pass_time(0.5)
    if mood == "away":
        bench.server.start()
    else:
        client.execute_command(*MOODS[mood][1].split(" "))
    until("it is taken out", lambda: settled(bench))
    assert [answer["data"] for answer in bench.answers()] == ["done"]
    assert len(done) == 1


def settled(bench):
    try:
        return bench.left() == 0
    except redis.RedisError:
        return False


# --- handlers ---

def test_what_ends_a_program_does_not_end_a_worker(bench, make):
    def leave(action):
        sys.exit(3)

    def leave_later(action):
        yield 1
        sys.exit(3)

    make(leave=leave, later=leave_later, work=lambda action: 1)
    bench.ask({"name": "leave"})
    assert bench.await_answers(1)[0]["error"]["code"] == "failed"
    bench.ask({"name": "later"})
    assert bench.await_answers(3)[-1]["error"]["code"] == "failed"
    bench.ask({"name": "work"})
    assert bench.await_answers(4)[-1]["data"] == 1


def test_parts_without_an_end_are_ended(bench, make, monkeypatch):
    monkeypatch.setattr(_work, "PARTS_MAX", 5)
    ended = []

    def go_on(action):
        try:
            while True:
                yield 1
        finally:
            ended.append(1)

    make(go_on=go_on)
    bench.ask({"name": "go_on"})
    answers = bench.await_answers(6)
    assert [answer.get("more") for answer in answers] == [True] * 5 + [None]
    assert answers[-1]["error"]["code"] == "too_long"
    until("the handler is told", lambda: ended)


def test_the_answers_have_one_form_whatever_redis_py_is_told(monkeypatch):
    """Under protocol 3 redis-py has other answers, and others from release to release; 4.3 knows no protocol."""
    monkeypatch.setattr(redis, "__version__", "5.0.1")
    for kind, client in ((_redis.THREADS, redis.Redis()), (_redis.ASYNCIO, redis.asyncio.Redis())):
        client.connection_pool.connection_kwargs["protocol"] = 3
        assert _redis.own_pool(kind, client, 1, "it").connection_kwargs["protocol"] == 2
    monkeypatch.setattr(redis, "__version__", "4.3.4")
    assert "protocol" not in _redis.own_pool(_redis.THREADS, redis.Redis(), 1, "it").connection_kwargs


@pytest.mark.parametrize("kind", [Worker, AsyncWorker, Lifecycle])
def test_a_stream_that_no_route_can_have_is_refused(kind):
    """Such as the text of a pattern whose variable nobody has replaced."""
    client = redis.asyncio.Redis() if kind is AsyncWorker else redis.Redis()
    for stream in ("acts:{item}", ""):
        with pytest.raises(ValueError, match="is no name of a stream: write it as the route"):
            kind(client, stream)


def test_a_wrong_client_is_refused():
    with pytest.raises(TypeError, match="Worker wants a redis"):
        Worker(redis.asyncio.Redis(), STREAM)


PROGRAM = """
import sys, redis
from tidegate import Worker
client = redis.Redis(port=int(sys.argv[1]))
worker = Worker(redis.Redis(port=int(sys.argv[1])), "work")
@worker.action("slow")
def slow(action):
    client.set("begun", 1)
    client.blpop("nobody puts anything there", timeout=1)
    return "finished"
worker.run()
"""


ASYNC_PROGRAM = """
import asyncio, sys, redis.asyncio
from tidegate import AsyncWorker
async def main():
    client = redis.asyncio.Redis(port=int(sys.argv[1]))
    worker = AsyncWorker(client, "work")
    @worker.action("slow")
    async def slow(action):
        await client.set("begun", 1)
        await client.blpop("nobody puts anything there", timeout=1)
        return "finished"
    await worker.run()
asyncio.run(main())
"""


@pytest.mark.parametrize("program", [PROGRAM, ASYNC_PROGRAM], ids=["threads", "asyncio"])
def test_sigterm_finishes_what_is_under_way(bench, tmp_path, program):
    environment = clean_environment({"PYTHONPATH": str(ROOT / "src/clients/python")})
    process = Process([sys.executable, "-c", program, str(bench.server.port)], tmp_path, "worker", environment)
    bench.ask({"name": "slow"})
    until("it has begun", lambda: bench.server.client.get("begun"))
    process.signal(signal.SIGTERM)
    assert bench.await_answers(1)[0]["data"] == "finished"
    assert process.popen.wait(15) == 0
    process.kill()  # looks for what it left
    process.ended = True
    assert bench.left() == 0

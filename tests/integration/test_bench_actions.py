"""`tidegate bench --actions`: what it measures, and that it would notice what goes wrong."""

import json
import signal
import threading

import pytest

from harness.gateway import BINARY, TALKATIVE, run
from harness.process import Process
from harness.wait import PATIENCE_SECONDS, until

pytestmark = pytest.mark.plain

STREAM = "bench-actions"
CONFIG = f"routes: [{{path: /ws/cards, channel: cards, actions: {{stream: {STREAM}, timeout: 1s}}}}]\n"


@pytest.fixture
def bench(start, own_redis, tmp_path):
    """bench(*words) is the exit code, and the figures."""
    file = tmp_path / "tidegate.yaml"
    file.write_text(CONFIG, encoding="utf-8")
    gateway = start("--config", file, *TALKATIVE, redis=own_redis)
    until("it hears answers", lambda: b"tg:r:" in b" ".join(own_redis.client.pubsub_channels()))

    def one(*words):
        done = run("bench", "--url", gateway.url(""), "--path", "/ws/cards", "--redis", own_redis.url, "--actions", STREAM, "--connections", 20,
                   "--warmup", "0.1", "--duration", "0.5", "--server-pid", gateway.process.pid, *words)
        assert done.stdout, done.stderr
        return done.returncode, json.loads(done.stdout.splitlines()[-1])

    return one


@pytest.mark.parametrize("words", [("--window", "32", "--workers", "2"), ("--rate", "100")], ids=" ".join)
def test_what_goes_well_is_measured(bench, own_redis, words):
    code, figures = bench(*words)
    assert code == 0 and figures["clean"]
    assert figures["actions"] == figures["answered"] > 0
    assert figures["refused"] == figures["lost"] == figures["doubled"] == figures["twice"] == 0
    assert 0 < figures["latency_p50_us"] <= figures["latency_p99_us"] <= figures["latency_max_us"]
    assert 0 < figures["redis_p50_us"] <= figures["redis_p99_us"]
    assert figures["redis_cpu_us_per_action"] > 0 and figures["server_cpu_us_per_action"] > 0
    assert own_redis.client.xlen(STREAM) == 0


def beside(redis, ending, each):
    """Reads the stream as another worker would, and does this with what it gets."""
    until("there is a stream", lambda: redis.client.exists(STREAM) and redis.client.xinfo_groups(STREAM))
    while not ending.is_set():
        for _, entries in redis.client.xreadgroup("tidegate", "other", {STREAM: ">"}, count=1, block=20) or []:
            for _, fields in entries:
                each(fields)


@pytest.mark.parametrize("each, figure", [
    (lambda redis, fields: None, "lost"),
    (lambda redis, fields: [redis.client.xadd(STREAM, fields) for _ in range(2)], "twice"),
], ids=["lost", "twice"])
def test_what_goes_wrong_is_noticed(bench, own_redis, each, figure):
    ending = threading.Event()
    thread = threading.Thread(target=beside, args=(own_redis, ending, lambda fields: each(own_redis, fields)), daemon=True)
    thread.start()
    code, figures = bench("--window", "8")
    ending.set()
    thread.join()
    assert code == 1 and not figures["clean"] and figures[figure] > 0


def test_who_says_more_than_the_gateway_reads_is_told_so(start, own_redis, tmp_path):
    """What is over the rate of messages is not read, and so never ends: the report has the word."""
    file = tmp_path / "tidegate.yaml"
    file.write_text(CONFIG, encoding="utf-8")
    gateway = start("--config", file, "--message-rate", 5, "--message-burst", 5, redis=own_redis)
    until("it hears answers", lambda: b"tg:r:" in b" ".join(own_redis.client.pubsub_channels()))
    process = Process([BINARY, "bench", "--url", gateway.url(""), "--path", "/ws/cards", "--redis", own_redis.url, "--actions", STREAM,
                       "--connections", 1, "--warmup", "0.1", "--duration", "0.2", "--window", "4"], tmp_path, "bench")
    until("it was too much", lambda: gateway.metric("tidegate_messages_over_rate_total") > 0)
    process.popen.send_signal(signal.SIGINT)  # or it waits for answers for as long as any route would
    process.ended = process.popen.wait(PATIENCE_SECONDS) is not None
    assert process.popen.returncode == 1 and "the first that was not answered: rate" in process.stdout()


@pytest.mark.parametrize("words, sentence", [
    (("--actions", "s"), "--path"), (("--actions", "s", "--path", "/ws/cards", "--open-only"), "--open-only"),
    (("--actions", "s", "--path", "/ws/cards", "--workers", "0"), "--workers"),
], ids=str)
def test_wrong_words_are_one_line(words, sentence):
    done = run("bench", *words)
    assert (done.returncode, done.stdout) == (2, "") and sentence in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize("how", ["entries", "workers"])
def test_a_stream_of_somebody_elses_is_refused(bench, own_redis, how):
    own_redis.client.xgroup_create(STREAM, "tidegate", mkstream=True)
    if how == "entries":
        own_redis.client.xadd(STREAM, {"data": "{}"})
    else:
        own_redis.client.xgroup_createconsumer(STREAM, "tidegate", "worker")
    with pytest.raises(AssertionError, match="has entries or workers already"):
        bench()
    assert own_redis.client.xlen(STREAM) == (how == "entries")


def test_what_somebody_else_says_meanwhile_stays(bench, own_redis):
    ending = threading.Event()

    def say():
        until("there is a group", lambda: own_redis.client.exists(STREAM) and own_redis.client.xinfo_groups(STREAM))
        own_redis.client.xadd(STREAM, {"data": '{"name":"theirs"}', "id": "1", "reply": "nobody"})
        ending.set()

    thread = threading.Thread(target=say, daemon=True)
    thread.start()
    code, figures = bench("--window", "8")
    thread.join()
    assert ending.is_set() and code == 0 and figures["clean"]
    assert [fields[b"data"] for _, fields in own_redis.client.xrange(STREAM)] == [b'{"name":"theirs"}']


def test_a_stream_of_another_type_is_one_line(bench, own_redis):
    own_redis.client.set(STREAM, "a string")
    with pytest.raises(AssertionError, match="WRONGTYPE"):
        bench()

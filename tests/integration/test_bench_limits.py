"""`tidegate bench --limit uring`, the least that sending through io_uring costs, and `--history`, which publishes as backends do that want it."""

import json

import pytest

from harness.gateway import TALKATIVE, run
from harness.wait import until

pytestmark = pytest.mark.plain

SECONDS = 60  # several runs of half a second, on a machine that does other things
URING = ("--limit", "uring")


def figures(*words):
    done = run("bench", *words, "--warmup", "0.1", "--duration", "0.3")
    if "no io_uring" in done.stderr:
        pytest.skip("this kernel forbids io_uring")
    return json.loads(done.stdout.splitlines()[-1]) if done.stdout else {}


def measured(*words):
    """Figures of a run in which something was delivered in the measured time, and nothing was under way for too long."""
    def some():
        found = figures(*words)
        assert not found.get("doubled") and not found.get("reordered") and not found.get("misdelivered")
        return found.get("deliveries") and found["clean"] and found
    return until("something is measured", some, SECONDS)


@pytest.mark.parametrize("words", [("--channels", 1), ("--channels", 40), ("--slow", 20, "--payload", 8192, "--rate", 100)])
def test_through_the_ring_everything_arrives_in_order(words):
    assert measured(*URING, "--connections", 60, *words)["target"] == "limit-uring"


def test_history_publishes_into_the_logs(start, redis, tmp_path):
    file = tmp_path / "tidegate.yaml"
    file.write_text('routes: [{path: "/ws/b/{id}", channel: "b:{id}", history: on}]\n', encoding="utf-8")
    gateway = start("--config", file, *TALKATIVE, redis=redis)
    measured("--history", "--url", gateway.url(""), "--redis", redis.url, "--path", "/ws/b/{n}", "--channel", "b:{n}", "--channels", 5,
             "--connections", 20, "--rate", 100)
    with gateway.connect("/ws/b/3?since=start") as peer:
        assert next(message for message in iter(peer.receive, None) if message["type"] == "bench")["pos"]


def test_what_is_due_at_once_for_a_channel_goes_into_its_log_in_one_call(start, own_redis, tmp_path):
    file = tmp_path / "tidegate.yaml"
    file.write_text('routes: [{path: "/ws/b/{id}", channel: "b:{id}", history: on}]\n', encoding="utf-8")
    gateway = start("--config", file, *TALKATIVE, redis=own_redis)
    words = ("--history", "--url", gateway.url(""), "--redis", own_redis.url, "--path", "/ws/b/{n}", "--channel", "b:{n}", "--connections", 20)
    found = measured(*words, "--window", 64)
    assert own_redis.client.info("commandstats")["cmdstat_fcall"]["calls"] < found["events_all"] / 2
    assert own_redis.client.hget("tg:m:{b:0}", "n"), "in the log"


def test_what_does_not_belong_beside_it_is_refused():
    done = run("bench", "--history", *URING)
    assert done.returncode == 2 and "--history" in done.stderr

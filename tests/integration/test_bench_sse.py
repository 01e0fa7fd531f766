"""`tidegate bench --sse`: the same measurement with clients that hear server-sent events."""

import json

import pytest

from harness.gateway import TALKATIVE, run
from harness.wait import until

pytestmark = pytest.mark.plain


def figures(gateway, redis, *words):
    done = run("bench", "--url", gateway.url(""), "--redis", redis.url, "--sse", "--connections", 50, "--warmup", "0.1", "--duration", "0.5", *words)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout.splitlines()[-1])


def some(*of_what):
    """The figures, if anything came in so short a time."""
    code, found = figures(*of_what)
    assert code == 0 and found["clean"]
    return found["deliveries"] and found


@pytest.mark.parametrize("history", [False, True])
def test_streams_are_measured_as_sockets_are(start, redis, tmp_path, history):
    file = tmp_path / "tidegate.yaml"
    file.write_text(f'routes: [{{path: "/ws/b/{{id}}", channel: "b:{{id}}", history: {"on" if history else "off"}}}]\n', encoding="utf-8")
    gateway = start("--config", file, *TALKATIVE, redis=redis)
    found = until("something is measured", lambda: some(gateway, redis, "--path", "/sse/b/{n}", "--channel", "b:{n}", "--channels", 5))
    assert found["lost"] == found["doubled"] == found["reordered"] == 0
    assert gateway.metric('tidegate_transport_connections_opened_total{transport="sse"}') % 50 == 0


def test_without_a_path_it_has_streams_of_its_own(start, redis):
    gateway = start(*TALKATIVE, redis=redis)
    assert until("something is measured", lambda: some(gateway, redis))


def test_what_does_not_belong_beside_it_is_refused():
    for words in (("--deflate",), ("--limit", "each"), ("--actions", "a", "--path", "/ws/cards")):
        done = run("bench", "--sse", *words)
        assert done.returncode == 2 and "--sse" in done.stderr or "beside" in done.stderr

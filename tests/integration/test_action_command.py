"""`tidegate action`: asks as clients do, prints the parts of the answer, and says by its exit code whether anybody knows what became of it."""

import subprocess

import pytest

from harness.authority import Authority
from harness.gateway import BINARY, run
from harness.process import clean_environment
from harness.tokens import SECRET, Issuer
from harness.wait import pass_time, until
from test_actions import Backend, echo

REFUSED, WRONG, UNKNOWN = 1, 2, 3
CONFIG = """
routes:
  - {path: /ws/cards, channel: cards, actions: {stream: cards-actions, timeout: 1s}}
  - {path: /ws/plain, channel: plain}
"""


@pytest.fixture
def node(start, own_redis, tmp_path):
    """node(*options) is a gateway with routes that carry actions; node.file its configuration."""
    file = tmp_path / "tidegate.yaml"
    file.write_text(CONFIG, encoding="utf-8")

    def one(*options, **settings):
        gateway = start("--config", file, *options, redis=own_redis, **settings)
        until("it hears answers", lambda: b"tg:r:" in b" ".join(own_redis.client.pubsub_channels()))
        return gateway

    return one


@pytest.fixture
def backend(own_redis):
    started = []

    def one(answer):
        started.append(Backend(own_redis, answer))
        return started[-1]

    yield one
    for each in started:
        each.stop()


def act(gateway, *words, path="/ws/cards"):
    return run("action", "--url", gateway.url("").rstrip("/"), path, *words, env={})


def test_an_answer_is_printed_as_it_stands(node, backend):
    asked = backend(echo)
    done = act(node(), '{"name": "move", "to": 1.0}', "--key", "k1", "--id", "q")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.replace(" ", "") == '{"name":"move","to":1.0}\n'
    assert asked.seen[0]["key"] == "k1" and asked.seen[0]["data"] == '{"name": "move", "to": 1.0}'


def test_parts_are_printed_as_they_come_and_events_are_none(node, backend, own_redis):
    gateway = node()

    def parts(fields):
        yield {"data": "one", "more": True}
        own_redis.publish("cards", '{"type":"reply","id":7,"data":"no answer"}')
        until("the first is printed", lambda: process.stdout.readline() == '"one"\n')
        yield {"data": {"two": 2}, "more": True}
        yield {}

    backend(parts)
    with subprocess.Popen([BINARY, "action", "--url", gateway.url("").rstrip("/"), "/ws/cards", "0", "--id", "7"], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=clean_environment({})) as process:
        assert process.wait(20) == 0
        assert process.stdout.read().replace(" ", "") == '{"two":2}\n'
        assert process.stderr.read() == ""


@pytest.mark.parametrize("answer, words, status", [
    ({"error": {"code": "wip_limit", "message": "full"}}, "wip_limit: full", REFUSED),
    (None, "timeout: no backend answered in time", UNKNOWN),
], ids=["a backend's", "nobody's"])
def test_an_error_is_a_line_and_an_exit_code(node, backend, answer, words, status):
    backend(lambda fields: [answer] if answer else [])
    done = act(node(), "1")
    assert (done.returncode, done.stdout) == (status, "")
    assert done.stderr.startswith(f"tidegate: action: {words}") and done.stderr.count("\n") == 1


def test_what_was_not_sent_is_refused(node, own_redis):
    gateway = node()
    assert "unsupported: " in act(gateway, "1", path="/ws/plain").stderr
    refused = act(gateway, "1", path="/ws/nowhere").stderr
    assert refused.startswith("tidegate: action: the gateway refused /ws/nowhere: HTTP/1.1 404 Not Found: not_found: ")
    assert refused.count("\n") == 1
    done = run("action", "--url", f"ws://127.0.0.1:{own_redis.port}", "/ws/cards", "1")
    assert done.returncode == REFUSED and "no gateway answers at" in done.stderr
    gateway.stop()
    done = act(gateway, "1")
    assert done.returncode == REFUSED and "Connection refused" in done.stderr


def test_it_waits_no_longer_than_it_may(node):
    done = act(node(), "1", "--timeout", "1s", "--token", "ey.no.token")
    assert (done.returncode, done.stdout) == (UNKNOWN, "")
    assert "timeout: " in done.stderr or "no answer in time" in done.stderr


def test_events_of_the_path_do_not_make_it_wait_longer(node, backend, own_redis, tmp_path):
    (tmp_path / "tidegate.yaml").write_text(CONFIG.replace("1s", "20s"), encoding="utf-8")

    def never(_):
        for _ in range(15):
            pass_time(0.2)
            own_redis.publish("cards", '{"type":"n"}')
        yield {"data": "late"}

    backend(never)
    done = act(node(), "1", "--timeout", "1s")
    assert (done.returncode, done.stdout) == (UNKNOWN, "") and "no answer in time" in done.stderr


@pytest.mark.parametrize("words", [
    ["cards", "1"], ["/ws/ca rds", "1"], ["/ws/cards", "{"], ["/ws/cards"], ["/ws/cards", "1", "--key", ""], ["/ws/cards", "1", "--key", "x" * 65],
    ["/ws/cards", "1", "--url", "http://127.0.0.1"], ["/ws/cards", "1", "--timeout", "soon"], ["/ws/cards", "1", "--token", "/nowhere"],
], ids=lambda words: " ".join(words)[:30])
def test_wrong_words_are_a_line_and_exit_2(words):
    done = run("action", *words)
    assert (done.returncode, done.stdout) == (WRONG, "")
    assert done.stderr.startswith("tidegate: ") and done.stderr.count("\n") == 1


def test_a_token_is_shown_out_of_a_file(node, backend, tmp_path):
    asked = backend(lambda fields: [{"data": fields["user"]}])
    gateway = node("--token-secret", SECRET)
    assert "401 Unauthorized: token_missing: " in act(gateway, "1").stderr
    file = tmp_path / "token"
    file.write_text(Issuer().token(sub="ada") + "\n", encoding="ascii")
    assert act(gateway, "1", "--token", file).stdout == '"ada"\n'
    assert len(asked.seen) == 1


def test_over_tls_this_machine_is_believed_and_others_by_their_authority(node, backend, tmp_path, own_redis):
    backend(echo)
    authority = Authority(tmp_path)
    certificate, key = authority.issue("gateway", "IP:127.0.0.1")
    other = Authority(tmp_path, "other")
    gateway = node("--tls-certificate", certificate, "--tls-key", key, tls=authority.client())
    assert act(gateway, "1").stdout == "1\n"
    assert act(gateway, "2", "--ca", authority.certificate).stdout == "2\n"
    refused = act(gateway, "3", "--ca", other.certificate)
    assert refused.returncode == REFUSED and "the certificate of 127.0.0.1" in refused.stderr
    own = run("action", "--listen", f"127.0.0.1:{gateway.address[1]}", "--tls-certificate", certificate, "/ws/cards", "4")
    assert own.stdout == "4\n", own.stderr

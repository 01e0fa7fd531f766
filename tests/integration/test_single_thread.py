"""
One thread that hears Redis and serves clients, which is the default where the process may use one CPU. The suite
integration-address runs all other tests with it, too.
"""

import base64
import contextlib
import json
import os
import pathlib
import re
import select
import socket
import ssl

import pytest

from harness.gateway import over_tls, run
from harness.wait import sized


def names_of_threads(gateway):
    return {(task / "comm").read_text().strip() for task in pathlib.Path(f"/proc/{gateway.process.pid}/task").iterdir()}


def rows(configuration):
    """The first two words of each line that `tidegate check` prints."""
    return [line.split()[:2] for line in configuration.splitlines()]


@pytest.fixture
def on_cpus():
    """on_cpus(n_cpus, act) is what act() gives, whose children may use so many CPUs."""
    allowed = os.sched_getaffinity(0)

    def act_on(n_cpus, act):
        if len(allowed) < n_cpus:
            pytest.skip(f"needs {n_cpus} CPUs")
        os.sched_setaffinity(0, sorted(allowed)[:n_cpus])
        try:
            if ["workers", str(n_cpus)] not in rows(run("check").stdout):
                pytest.skip(f"needs {n_cpus} CPUs, and a quota bounds them")
            return act()
        finally:
            os.sched_setaffinity(0, allowed)

    return act_on


@pytest.fixture
def serve(start, redis, on_cpus):
    """serve(n_cpus, *options) is a gateway that may use so many CPUs."""
    return lambda n_cpus, *options: on_cpus(n_cpus, lambda: start(*options, redis=redis))


@pytest.mark.parametrize("n_cpus, options, has_worker", [
    (1, ["--workers", "0", "--single-thread", "auto"], False),
    (1, ["--workers", "1", "--single-thread", "auto"], False),
    (1, ["--workers", "2"], True),
    (1, ["--workers", "1", "--single-thread", "false"], True),
    (2, ["--workers", "1", "--single-thread", "auto"], True),
    (2, ["--workers", "0", "--single-thread", "true"], False),
])
def test_one_cpu_and_one_worker_make_one_thread(serve, redis, n_cpus, options, has_worker):
    gateway = serve(n_cpus, *options)
    assert ("tg-worker-0" in names_of_threads(gateway)) == has_worker
    with gateway.connect("/ws/cards") as client:
        redis.publish("cards", '{"type":"n"}')
        assert client.receive()["type"] == "n"


@pytest.mark.parametrize("n_cpus, value", [(1, "true"), (2, "false")])
def test_check_says_when_auto_is_true(on_cpus, n_cpus, value):
    checked = on_cpus(n_cpus, lambda: run("check", "--workers", "1"))
    assert re.search(rf"^single_thread +{value} +default \(auto: true with one worker and one CPU\)$", checked.stdout, re.MULTILINE)


def test_a_single_thread_has_one_worker():
    refused = run("check", "--single-thread", "true", "--workers", "2")
    assert refused.returncode == 2
    assert "a single thread has one worker: set workers to 1" in refused.stderr
    taken = run("check", "--single-thread", "on").stdout
    assert ["workers", "1"] in rows(taken)


def test_mail_that_comes_while_other_mail_waits_is_taken(start, redis):
    """A turn has 20 ms for events, and what is left waits behind sockets: what Redis sends meanwhile must wake the worker."""
    gateway = start("--single-thread", "true", redis=redis)
    bench = run("bench", "--url", gateway.url(""), "--redis", redis.url, "--connections", "300", "--window", "2000",
                "--warmup", "0", "--duration", "1")
    assert bench.returncode == 0, bench.stdout + bench.stderr


def hello():
    """The first bytes of a client of TLS, which cost the server far more than the client."""
    context, out = ssl.create_default_context(), ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), out, server_hostname="localhost").do_handshake()
    return out.read()


def test_a_crowd_of_handshakes_holds_up_neither_probes_nor_publications(start, redis):
    """All of the crowd is ready at once: whoever had to stand behind it would see its end."""
    gateway = start("--single-thread", "true", "--connections-per-address", "0", *over_tls(), redis=redis)
    greeting = hello()
    with contextlib.ExitStack() as ends:
        crowd = [ends.enter_context(socket.create_connection(gateway.address)) for _ in range(sized(2000, 1500))]
        for one in crowd:
            one.sendall(greeting)
        last, n_answered = select.poll(), 0
        last.register(crowd[-1], select.POLLIN)
        while not last.poll(0):
            assert gateway.get("/live").status == 200
            assert gateway.post("/publish", {"channel": "cards", "payload": {}}).status == 200
            n_answered += 1
    assert n_answered >= 5


@pytest.mark.plain
def test_what_the_worker_cannot_take_is_passed_over_and_not_left_in_redis(start, own_redis, tmp_path):
    """Redis gives up a subscriber for whom too much waits, and then all its clients have a gap."""
    own_redis.client.config_set("client-output-buffer-limit", "pubsub 0 0 0")
    routes = tmp_path / "tidegate.yaml"
    routes.write_text("""routes:
  - path: /ws/cards
    channel: cards
    compression: on
    slow: {policy: drop_oldest, bytes: 1MiB, age: none}
""", encoding="utf-8")
    gateway = start("--single-thread", "true", "--config", routes, redis=own_redis)
    crowd = [gateway.connect(headers=[("Sec-WebSocket-Extensions", "permessage-deflate")]) for _ in range(10)]
    event = json.dumps({"type": "n", "data": base64.b64encode(os.urandom(75_000)).decode()})  # dear to deflate
    for _ in range(40):
        pipeline = own_redis.client.pipeline(transaction=False)
        for _ in range(40):
            pipeline.publish("cards", event)
        pipeline.execute()
        assert gateway.get("/live").status == 200
    gateway.wait_for_line("events passed over: this worker cannot keep up", channel="cards")
    for client in crowd:
        client.abandon()

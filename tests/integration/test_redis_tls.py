"""Redis over TLS: who is believed, who is told why not, and that events flow as they do without it."""

import json
import os
import socket
import subprocess

import pytest

from harness.authority import Authority
from harness.gateway import BINARY, run
from harness.process import clean_environment
from harness.redis_server import RedisServer, TlsRedis
from harness.wait import PATIENCE_SECONDS, until

LARGE_BYTES = 300_000  # many records of TLS, and more than one read
MANY = 3000
FLOOD_BYTES = 2_500_000
CARDS_LOG = """
routes:
  - path: /ws/cards
    channel: cards
    history: on
"""


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory):
    """An authority that nobody was told of."""
    return Authority(tmp_path_factory.mktemp("stranger"), "stranger")


@pytest.fixture
def serve(tmp_path):
    """serve(authority, *names) is a Redis with a certificate for these."""
    servers = []

    def serve_one(authority, *names, **settings):
        certificate = authority.issue(f"redis-{len(servers)}", *names)
        servers.append(TlsRedis(tmp_path, authority, certificate, **settings))
        return servers[-1]

    yield serve_one
    for server in servers:
        server.stop()


@pytest.fixture
def tls_redis(serve, authority):
    return serve(authority, "IP:127.0.0.1")


def reason(gateway):
    """Why /ready says no, once it was tried."""
    def look():
        said = gateway.get("/ready").json()["broker"].get("reason", "")
        return said if said != "not connected yet" else None

    return until("a reason why not", look)


def test_events_flow_and_flow_again_after_a_kill(start, tls_redis, authority):
    gateway = start("--redis-ca", authority.certificate, redis=tls_redis)
    with gateway.connect("/ws/cards") as peer:
        pipeline = tls_redis.client.pipeline(transaction=False)
        for number in range(MANY):
            pipeline.publish("cards", json.dumps({"type": "n", "data": number}))
        pipeline.publish("cards", json.dumps({"type": "large", "data": "x" * LARGE_BYTES}))
        pipeline.execute()
        assert [peer.receive()["data"] for _ in range(MANY)] == list(range(MANY))
        assert len(peer.receive()["data"]) == LARGE_BYTES
        tls_redis.kill()
        gateway.wait_for_line("redis is lost, dialling again")
        tls_redis.start()
        gateway.wait_for_line("redis is back")
        until("it listens again", lambda: tls_redis.subscribers("cards") == 1)
        tls_redis.publish("cards", '{"type":"again"}')
        assert peer.receive()["type"] == "again"


@pytest.mark.parametrize("size", (1000, 16_000, 100_000))
def test_a_flood_is_heard_to_its_end(start, tls_redis, authority, size):
    """More than a turn of the bus takes, in records that end anywhere: no event waits for the next one."""
    gateway = start("--redis-ca", authority.certificate, "--outbox-bytes-max", "64MiB", redis=tls_redis)
    with gateway.connect("/ws/cards") as peer:
        pipeline = tls_redis.client.pipeline(transaction=False)
        for number in range(FLOOD_BYTES // size):
            pipeline.publish("cards", json.dumps({"type": "n", "data": [number, "x" * size]}))
        pipeline.execute()
        assert [peer.receive()["data"][0] for _ in range(FLOOD_BYTES // size)] == list(range(FLOOD_BYTES // size))


def test_what_is_published_through_it_arrives(start, tls_redis, authority, tmp_path):
    """Commands larger than a record, and logs, by the admin port and by the command line."""
    (tmp_path / "tidegate.yaml").write_text(CARDS_LOG, encoding="utf-8")
    gateway = start("--config", str(tmp_path / "tidegate.yaml"), "--redis-ca", authority.certificate, redis=tls_redis)
    by_hand = ("--redis", tls_redis.url, "--redis-ca", authority.certificate)
    with gateway.connect("/ws/cards") as peer:
        payload = {"type": "large", "data": "x" * LARGE_BYTES}
        assert gateway.post("/publish", {"channel": "cards", "payload": payload, "history": True}).status == 200
        assert peer.receive()["data"] == payload["data"]
        plain = run("publish", *by_hand, "cards", '{"type":"plain"}')
        assert plain.stdout == "published, nodes subscribed in Redis: 1\n", plain.stderr
        assert peer.receive()["type"] == "plain"
        logged = run("publish", *by_hand, "--history", "cards", '{"type":"logged"}')
        assert logged.stdout.startswith("published to the channel's log: "), logged.stderr
        assert peer.receive()["type"] == "logged"


def test_a_certificate_by_nobody_known_is_refused(start, serve, stranger, authority):
    server = serve(stranger, "IP:127.0.0.1")
    gateway = start("--redis-ca", authority.certificate, redis=server, ready=False)
    assert "the certificate of Redis is refused" in reason(gateway)
    start("--redis-ca", authority.certificate, "--redis-tls-verify", "off", redis=server)


def test_a_certificate_of_another_host_is_refused(start, serve, authority):
    server = serve(authority, "DNS:redis.example")
    ours = ("--redis-ca", authority.certificate)
    gateway = start(*ours, redis=server, ready=False)
    assert "IP address mismatch" in reason(gateway)
    gateway = start(*ours, "--redis-tls-name", "other.example", redis=server, ready=False)
    assert "hostname mismatch" in reason(gateway)
    start(*ours, "--redis-tls-name", "redis.example", redis=server)
    start(*ours, "--redis-tls-verify", "ca", redis=server)


def test_shows_the_certificate_that_redis_asks_for(start, serve, authority):
    server = serve(authority, "IP:127.0.0.1", asks_clients=True)
    gateway = start("--redis-ca", authority.certificate, redis=server, ready=False)
    assert "certificate" in reason(gateway)
    certificate, key = authority.issue("gateway")
    start("--redis-ca", authority.certificate, "--redis-cert", certificate, "--redis-key", key, redis=server)


def test_says_what_to_look_at_where_one_side_speaks_tls(start, tls_redis, authority, tmp_path):
    gateway = start(redis=f"redis://127.0.0.1:{tls_redis.port}", ready=False)
    assert "does it want rediss://" in reason(gateway)
    plain = RedisServer(tmp_path)
    gateway = start("--redis-ca", authority.certificate, redis=plain.url.replace("redis:", "rediss:"), ready=False)
    assert "is TLS on there?" in reason(gateway)
    plain.stop()


def test_part_of_a_record_stops_nothing(start):
    """One byte of a record, and silence: whoever stops there is waited for beside all other work."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(PATIENCE_SECONDS)
        gateway = start(redis=f"rediss://127.0.0.1:{server.getsockname()[1]}", ready=False)
        peer, _ = server.accept()
        with peer:
            peer.sendall(b"\x16")
            assert "is TLS on there?" in reason(gateway)
            assert gateway.get("/live").status == 200


@pytest.mark.parametrize("options, said", [
    (["--redis-tls-verify", "ca"], "redis_tls_verify: ca wants redis_ca"),
    (["--redis-ca", "/nowhere.pem"], "redis_ca: /nowhere.pem: "),
    (["--redis-cert", "/nowhere.pem"], "redis_cert: /nowhere.pem: "),
    (["--redis-key", "/nowhere.key"], "redis_key is of no use without redis_cert"),
], ids=["verify", "ca", "cert", "key"])
def test_a_file_that_cannot_be_used_is_named_at_the_start(options, said):
    ended = run("serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--redis", "rediss://127.0.0.1:1", *options)
    assert ended.returncode == 1
    assert said in ended.stderr


def test_a_key_with_a_passphrase_is_refused_and_nobody_is_asked(authority, tmp_path):
    certificate, key = authority.issue("locked")
    locked = tmp_path / "locked.key"
    subprocess.run(["openssl", "pkey", "-in", key, "-aes256", "-passout", "pass:secret", "-out", locked], check=True)
    answers, nobody_answers = os.pipe()
    ended = subprocess.run([BINARY, "publish", "--redis", "rediss://127.0.0.1:1", "--redis-cert", certificate, "--redis-key", locked,
                            "cards", "{}"], stdin=answers, capture_output=True, text=True, check=False, start_new_session=True,
                           timeout=PATIENCE_SECONDS, env=clean_environment(None))
    os.close(answers)
    os.close(nobody_answers)
    assert ended.returncode == 1
    assert "redis_key: " in ended.stderr


@pytest.mark.parametrize("options", [["--redis-ca", "/ca.pem"], ["--redis-cert", "/c.pem"], ["--redis-key", "/c.key"],
                                     ["--redis-tls-name", "redis.example"], ["--redis-tls-verify", "off"]], ids=lambda row: row[0])
@pytest.mark.parametrize("command", [["check"], ["publish", "cards", "{}"]], ids=lambda row: row[0])
def test_what_is_for_tls_is_refused_where_there_is_none(command, options):
    ended = run(*command[:1], "--redis", "redis://127.0.0.1:1", *options, *command[1:])
    assert ended.returncode == 2
    assert f"{options[0]}: it is for TLS, and redis is without: write rediss://" in ended.stderr

"""Keys by URL: fetched at the start, renewed, and kept where their server is away, slow, or talks nonsense."""

import json
import threading
import time

import pytest

from harness.authority import Authority
from harness.gateway import Gateway, run
from harness.key_server import KeyServer
from harness.ports import free_port
from harness.tokens import Issuer, b64, jwks
from harness.wait import sized, until
from harness.websocket import exchange, handshake

ROUTES = """
auth: required
token_keys: [{keys}]
token_issuer: https://id.test
default_routes: false
routes:
  - {{path: /ws/cards, channel: cards}}
"""
FETCH_SECONDS = 5     # docs/limits.md, Keys and tickets
APART_SECONDS = 30
SECRET = "a-secret-that-everybody-can-fetch-is-none"
NOT_A_KEY = {"kty": "oct", "kid": "secret", "alg": "HS256", "k": b64(SECRET.encode())}


class Provider(Issuer):
    """Whose tokens say that they are his: keys from a URL are taken with token_issuer only."""

    def token(self, *texts, **more):
        return super().token(*texts, **{"iss": "https://id.test", **more})


@pytest.fixture(scope="module")
def keys():
    return [Provider("ES256", kid=f"key-{number}") for number in (1, 2)]


@pytest.fixture
def server(keys):
    server = KeyServer(keys[:1])
    yield server
    server.stop()


@pytest.fixture
def serve(start, tmp_path):
    """serve(url, *options) is a gateway that fetches its keys there."""
    def serve_one(url, *options, more="", **settings):
        config = tmp_path / "tidegate.yaml"
        config.write_text(ROUTES.format(keys=url) + more, encoding="utf-8")
        return start("--config", config, *options, **settings)

    return serve_one


def come(node, token):
    """The status of a handshake with this token, and its code."""
    answer = exchange(node.address, handshake("/ws/cards", [("Authorization", f"Bearer {token}")]))
    return answer.status if answer.status == 101 else (answer.status, json.loads(answer.body)["data"]["code"])


def missing(node):
    return node.get("/ready").json()["missing"]


def reason(node):
    return node.wait_for_line("keys cannot be fetched, clients with tokens wait").fields["reason"]


# Good keys

UNKNOWN_CURVE = {"kty": "EC", "crv": "P-521000", "kid": "odd", "x": "AA", "y": "AA"}


@pytest.fixture(scope="module")
def served(keys, tmp_path_factory):
    """A gateway, and its server: whose keys are mixed with others, and which wants nothing to be kept."""
    server = KeyServer([NOT_A_KEY, keys[1].jwk(use="enc"), UNKNOWN_CURVE, keys[0]])
    server.headers = {"Cache-Control": "no-cache, no-store, max-age=0, must-revalidate", "Expires": "0", "Pragma": "no-cache"}
    directory = tmp_path_factory.mktemp("served")
    (directory / "tidegate.yaml").write_text(ROUTES.format(keys=server.url), encoding="utf-8")
    server.began = time.monotonic()
    node = Gateway(directory, "--config", directory / "tidegate.yaml")
    yield node, server
    node.stop()
    server.stop()


def fetches_allowed(server):
    """Since the start, however often somebody wants one."""
    return 1 + int((time.monotonic() - server.began) / APART_SECONDS)


def test_who_has_a_token_of_their_issuer_is_let_in(served, keys):
    node, server = served
    assert come(node, keys[0].token()) == 101
    assert set(server.paths) == {"/keys"}
    assert node.metric('tidegate_keys_fetches_total{result="good"}') == server.asked
    assert 0 <= node.metric("tidegate_keys_age_seconds") < 60
    assert node.wait_for_line("keys fetched").fields["url"] == server.url


def test_what_is_not_to_be_used_of_a_set_is_skipped_and_the_rest_is_used(served, keys):
    """Keycloak 16064: a curve that nobody knows must not cost the other keys; and a URL brings no secrets."""
    node, server = served
    assert come(node, keys[0].token()) == 101
    assert node.metric("tidegate_keys") == 1
    assert node.wait_for_line("key is not used", kid="secret").fields["source"] == server.url
    assert come(node, Provider(secret=SECRET, kid="secret").token()) != 101


def test_what_the_server_says_of_caches_is_not_listened_to(served, keys):
    """Hasura 3655, 5781, 8299: `no-cache` stopped the start, and `max-age=0` made a request a second."""
    node, server = served
    for _ in range(20):
        assert come(node, keys[0].token()) == 101
    assert server.asked <= fetches_allowed(server)


def test_no_key_is_fetched_twice_in_half_a_minute_whoever_asks(served, keys):
    """Engram 1641: whoever makes up names must not use up what a rotation needs."""
    node, server = served
    for number in range(50):
        header = {"alg": "ES256", "kid": f"made-up-{number}"}
        assert come(node, keys[1].token(header=header)) == (503, "keys_refreshing")
    assert server.asked <= fetches_allowed(server)
    assert come(node, keys[0].token()) == 101
    assert node.metric('tidegate_handshakes_refused_total{reason="keys_refreshing"}') >= 50


def test_ready_waits_for_the_first_keys(serve, keys):
    """istio 27097, 37456: an issuer that comes later than we do must not be waited for for minutes."""
    port = free_port()
    node = serve(f"http://127.0.0.1:{port}/keys", ready=False)
    assert reason(node)
    assert missing(node) == ["keys"] and node.get("/ready").status == 503
    assert come(node, keys[0].token()) == (503, "keys_refreshing")
    server = KeyServer(keys[:1], port)
    try:
        node.wait_until_ready()
        assert come(node, keys[0].token()) == 101
    finally:
        server.stop()


def test_rotation_refuses_nobody(serve, server, keys):
    """istio 51581: no thread may go on refusing what another one takes."""
    server.publish(keys[0])
    node = serve(server.url, "--workers", "4")
    old, new = keys[0].token(), keys[1].token()
    server.publish(*keys)
    outcomes = {}

    def crowd():
        for number in range(sized(200, 40)):
            outcome = come(node, new if number % 2 else old)
            outcomes[outcome] = outcomes.get(outcome, 0) + 1

    threads = [threading.Thread(target=crowd) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(outcomes) <= {101, (503, "keys_refreshing")}, outcomes


def test_a_newer_token_by_a_newer_key_is_not_refused_either(served, keys):
    node, _ = served
    with node.connect("/ws/cards", [("Authorization", f"Bearer {keys[0].token()}"), ("Sec-WebSocket-Protocol", "tidegate.v1")]) as peer:
        later = peer.ask({"type": "auth", "id": 1, "data": {"token": keys[1].token()}})
        assert (later["type"], later["data"]["code"]) == ("error", "keys_refreshing")
        assert peer.ask({"type": "ping", "id": 2})["type"] == "pong"


def test_a_token_is_looked_at_by_the_keys_of_the_url_on_the_command_line_too(server, keys, tmp_path):
    config = tmp_path / "tidegate.yaml"
    config.write_text(ROUTES.format(keys=server.url), encoding="utf-8")
    for key, code in zip(keys, (0, 1)):
        assert run("token", "--config", config, key.token()).returncode == code
    server.mood = server.fail
    told = run("token", "--config", config, keys[0].token())
    assert told.returncode == 2 and "status 500" in told.stderr


# Bad servers, at the start

@pytest.mark.parametrize("mood, why", [
    ("fail", "500"), ("redirect", "redirect"), ("endless", "256 KiB"),
])
def test_says_what_is_wrong_with_the_server(serve, server, keys, mood, why):
    server.mood = getattr(server, mood)
    node = serve(server.url, ready=False)
    assert why in reason(node)
    assert missing(node) == ["keys"]
    assert "/elsewhere" not in server.paths
    assert node.metric('tidegate_keys_fetches_total{result="failed"}') >= 1
    server.mood = None
    node.wait_until_ready()
    assert come(node, keys[0].token()) == 101


def test_a_slow_server_is_waited_for_5_seconds(serve, server, keys):
    server.mood = server.dribble
    node = serve(server.url, ready=False)
    assert "within 5 s" in reason(node)
    server.mood = None
    node.wait_until_ready()
    assert come(node, keys[0].token()) == 101


@pytest.mark.parametrize("text", [b'{"keys":[', b'{"keys":[]}', json.dumps({"keys": [NOT_A_KEY]}).encode()])
def test_an_answer_without_a_key_is_none(serve, server, text):
    server.say(text)
    node = serve(server.url, ready=False)
    assert reason(node)
    assert missing(node) == ["keys"]


# Bad servers, later

def test_keys_that_are_there_outlive_their_server(start, tmp_path, server, keys):
    """istio 58101: a server that does not answer takes no key away. A reload fetches, and keeps what there was."""
    config = tmp_path / "tidegate.yaml"
    config.write_text(ROUTES.format(keys=server.url), encoding="utf-8")
    node = start("--config", config)
    for mood in (server.fail, None):
        server.mood = mood
        if not mood:
            server.say(b'{"keys":[]}')
        failed = node.metric('tidegate_keys_fetches_total{result="failed"}')
        assert node.post("/reload", {}).status == 200
        until("the fetch has failed", lambda: node.metric('tidegate_keys_fetches_total{result="failed"}') > failed)
        assert come(node, keys[0].token()) == 101
        assert node.get("/ready").status == 200
    assert node.wait_for_line("keys cannot be fetched, the old ones go on").fields["url"] == server.url
    server.mood = None
    server.publish(keys[1])
    assert node.post("/reload", {}).status == 200
    until("the new key has come", lambda: come(node, keys[1].token()) == 101)
    assert come(node, keys[0].token()) == (503, "keys_refreshing")


def test_a_file_that_breaks_does_not_stand_in_the_way_of_the_url(serve, server, keys, tmp_path):
    server.mood = server.fail
    file = tmp_path / "keys.json"
    file.write_text(jwks(keys[0]), encoding="utf-8")
    node = serve(f"{file}, {server.url}", ready=False)
    assert reason(node) and come(node, keys[0].token()) == 101
    file.write_text("{", encoding="utf-8")
    server.mood = None
    server.publish(keys[1])
    until("the keys of the URL have come", lambda: come(node, keys[1].token()) == 101)
    assert come(node, keys[0].token()) == 101


def test_ready_waits_for_the_keys_of_another_url(start, tmp_path, server, keys):
    config = tmp_path / "tidegate.yaml"
    config.write_text(ROUTES.format(keys=server.url), encoding="utf-8")
    node = start("--config", config)
    port = free_port()
    config.write_text(ROUTES.format(keys=f"http://127.0.0.1:{port}/keys"), encoding="utf-8")
    assert node.post("/reload", {}).status == 200
    assert missing(node) == ["keys"] and node.get("/ready").status == 503
    other = KeyServer(keys[1:], port)
    try:
        node.wait_until_ready()
        assert come(node, keys[1].token()) == 101
    finally:
        other.stop()


def test_another_url_brings_other_keys(start, tmp_path, server, keys):
    config = tmp_path / "tidegate.yaml"
    config.write_text(ROUTES.format(keys=server.url), encoding="utf-8")
    node = start("--config", config)
    other = KeyServer(keys[1:])
    try:
        config.write_text(ROUTES.format(keys=other.url), encoding="utf-8")
        assert node.post("/reload", {}).status == 200
        until("the other issuer's are let in", lambda: come(node, keys[1].token()) == 101)
        assert come(node, keys[0].token()) != 101
    finally:
        other.stop()


# https

@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def secure(authority, keys):
    server = KeyServer(keys[:1], tls=authority.issue("keys", "IP:127.0.0.1"))
    yield server
    server.stop()


def test_https_is_believed_by_the_authority_that_is_named(serve, secure, authority, keys):
    node = serve(secure.url, "--token-keys-ca", authority.certificate)
    assert come(node, keys[0].token()) == 101


def test_https_of_a_stranger_is_not_believed(serve, secure, keys):
    node = serve(secure.url, ready=False)
    assert "certificate" in reason(node).lower()
    assert secure.asked == 0
    assert come(node, keys[0].token()) == (503, "keys_refreshing")


def test_https_of_another_name_is_not_believed(serve, authority, keys):
    server = KeyServer(keys[:1], tls=authority.issue("elsewhere", "DNS:id.example.com"))
    try:
        node = serve(server.url, "--token-keys-ca", authority.certificate, ready=False)
        assert reason(node)
        assert server.asked == 0
    finally:
        server.stop()


def test_authorities_that_cannot_be_read_are_named(serve, secure, tmp_path):
    node = serve(secure.url, "--token-keys-ca", tmp_path / "no-such.pem", ready=False)
    assert "no-such.pem" in reason(node)


# What is configured

@pytest.mark.parametrize("url, why", [
    ("ftp://127.0.0.1/keys", "https://"), ("https://user:pass@id.example.com/keys", "password"), ("https:///keys", "https://"),
])
def test_a_url_that_cannot_be_is_refused(tmp_path, url, why):
    config = tmp_path / "tidegate.yaml"
    config.write_text(ROUTES.format(keys=json.dumps(url)), encoding="utf-8")
    told = run("check", "--config", config)
    assert told.returncode == 2 and "token_keys" in told.stderr and why in told.stderr
    assert "user:pass" not in told.stderr


def test_there_is_one_url(tmp_path):
    config = tmp_path / "tidegate.yaml"
    config.write_text(ROUTES.format(keys="https://a.example.com, https://b.example.com"), encoding="utf-8")
    told = run("check", "--config", config)
    assert told.returncode == 2 and "one URL" in told.stderr

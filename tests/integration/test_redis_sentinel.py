"""Sentinel: the gateway hears whichever server the sentinels name, and the one before for as long as it is there.

What takes longer is a fault: tests/fault/sentinels.py.
"""

import contextlib
import json
import sys

import pytest

from harness.authority import Authority
from harness.gateway import ROOT
from harness.ports import free_port
from harness.sentinels import Sentinels
from harness.wait import until

sys.path.insert(0, str(ROOT / "src/clients/python"))

# pylint: disable=wrong-import-position
from tidegate import Publisher  # noqa: E402

ROUTES = """
topics: []
routes:
  - {path: "/ws/plain/{id}", channel: "plain:{id}"}
  - {path: "/ws/kept/{id}", channel: "kept:{id}", history: {size: 100}}
"""

pytestmark = pytest.mark.plain

ELECTED_SECONDS = 60  # sentinels whose votes were split try again after twice their failover-timeout, 10 s

@pytest.fixture
def sentinels(tmp_path):
    made = Sentinels(tmp_path)
    yield made
    made.stop()


@pytest.fixture
def gateway(sentinels, start, tmp_path):
    (tmp_path / "routes.yaml").write_text(ROUTES, encoding="utf-8")
    return start("--config", str(tmp_path / "routes.yaml"), redis=sentinels.url)


def address(gateway):
    return gateway.get("/ready").json()["broker"]["address"]


def hears_of(peer, server, data):
    server.publish("plain:a", json.dumps({"type": "n", "data": data}))
    assert peer.receive()["data"] == data


def follows(gateway, peer, sentinels, old):
    """Everything flows from another server than that."""
    until("it moved", lambda: address(gateway) != f"127.0.0.1:{old.port}/0" and gateway.get("/ready").status == 200, ELECTED_SECONDS)
    new = next(server for server in sentinels.servers if server is not old)
    assert address(gateway) == f"127.0.0.1:{new.port}/0"
    until("it is subscribed", lambda: new.subscribers("plain:a") == 1)
    hears_of(peer, new, "new")
    return new


def test_a_planned_failover_loses_nothing_of_either_server(gateway, sentinels):
    old = sentinels.primary()
    with gateway.connect("/ws/plain/a") as peer:
        until("it is subscribed", lambda: old.subscribers("plain:a") == 1)
        hears_of(peer, old, "before")
        sentinels.failover()
        follows(gateway, peer, sentinels, old)
        assert old.client.info("replication")["role"] == "master", "it took too long for what is to be shown"
        hears_of(peer, old, "by one who has not noticed")
    assert gateway.get("/ready").status == 200


def test_a_killed_primary_is_followed(sentinels, start, tmp_path):
    """Also where one of the sentinels has a name that leads nowhere."""
    (tmp_path / "routes.yaml").write_text(ROUTES, encoding="utf-8")
    gateway = start("--config", str(tmp_path / "routes.yaml"), redis=sentinels.url.replace("://", "://sentinel.invalid,"))
    old = sentinels.primary()
    with gateway.connect("/ws/plain/a") as peer:
        until("it is subscribed", lambda: old.subscribers("plain:a") == 1)
        old.kill()
        follows(gateway, peer, sentinels, old)


def test_sentinels_have_a_password_of_their_own(tmp_path, start):
    made = Sentinels(tmp_path, n=2, password="hunter2")
    try:
        start(redis=made.url)
        gateway = start(redis=made.url.replace("hunter2", "wrong"), ready=False, name="wrong")
        until("it says why", lambda: "WRONGPASS" in gateway.get("/ready").json()["broker"]["reason"])
    finally:
        made.stop()


def test_sentinels_and_servers_may_speak_tls(tmp_path, start):
    """Gateways and the Python package; also where certificates have a name, and sentinels know addresses."""
    authority = Authority(tmp_path)
    made = Sentinels(tmp_path, n=2, tls=authority, tls_name="DNS:redis.example")
    try:
        (tmp_path / "routes.yaml").write_text(ROUTES, encoding="utf-8")
        gateway = start("--config", str(tmp_path / "routes.yaml"), "--redis-ca", authority.certificate, "--redis-tls-name", "redis.example", redis=made.url)
        old = made.primary()
        with gateway.connect("/ws/plain/a") as peer:
            until("it is subscribed", lambda: old.subscribers("plain:a") == 1)
            with contextlib.closing(Publisher(made.url, ssl_ca_certs=authority.certificate, ssl_check_hostname=False)) as publisher:
                until("the library is there", lambda: old.client.function_list("tidegate"))
                publisher.publish("plain:a", {"type": "n", "data": "logged"})
            assert peer.receive()["data"] == "logged"
            made.failover()
            follows(gateway, peer, made, old)
        nameless = start("--redis-ca", authority.certificate, redis=made.url, ready=False, name="nameless")
        until("it says why", lambda: "mismatch" in nameless.get("/ready").json()["broker"]["reason"])
    finally:
        made.stop()


def test_a_name_that_no_sentinel_knows_is_said(sentinels, start):
    gateway = start(redis=sentinels.url.replace("/mymaster", "/other"), ready=False)
    until("it says why", lambda: "no sentinel knows 'other'" in gateway.get("/ready").json()["broker"]["reason"])
    gateway.wait_for_line("redis cannot be reached, trying on", reason="no sentinel knows 'other'")


def test_what_stands_where_a_sentinel_or_a_server_was_expected_is_said(sentinels, start):
    server, sentinel, nobody, ghost = sentinels.servers[0].port, sentinels.ports[0], free_port(), free_port()
    sentinels.sentinels[0][1].execute_command("SENTINEL", "MONITOR", "ghost", "127.0.0.1", ghost, 2)
    for number, (url, reason) in enumerate([
            (f"redis+sentinel://127.0.0.1:{server}/mymaster", f"the sentinel 127.0.0.1:{server} is none"),
            (f"redis+sentinel://127.0.0.1:{nobody}/mymaster", f"the sentinel 127.0.0.1:{nobody}: connecting failed: Connection refused"),
            (f"redis+sentinel://127.0.0.1:{sentinel}/ghost",
             f"Sentinel names 127.0.0.1:{ghost}, which does not answer here: set replica-announce-ip"),
            (f"redis://127.0.0.1:{sentinel}", "this is a sentinel: write redis+sentinel://HOST:PORT/NAME")]):
        gateway = start(redis=url, ready=False, name=f"gateway{number}")
        until(f"it says {reason}", lambda: reason in gateway.get("/ready").json()["broker"]["reason"])
        assert any(line.fields["reason"].startswith(reason) for line in gateway.lines("redis cannot be reached, trying on"))


def test_the_first_primary_that_is_named_is_no_warning(gateway):
    gateway.wait_for_line("redis: the sentinels name the primary")
    assert not gateway.lines("redis: the sentinels name another primary")

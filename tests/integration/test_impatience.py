"""
Asked twice, asked too late, asked to leave: the orders of things that nobody expects, most of them while Redis is away.

Each was a crash, an answer that never came or a shutdown that took too long. The harness looks for sanitizers' reports and
for the exit status.
"""

import signal

import pytest

from harness.wait import until
from harness.websocket import WebSocket, handshake

CONFIG = """
routes:
  - path: /ws/cards
    channel: cards
    history: on
  - path: /ws/items/{id}
    channel: items:{id}
    history: on
"""
RECOVERY = {"type": "subscribe", "id": "recovery", "data": {"channel": "items:1", "since": "start"}}
PLAIN = {"type": "subscribe", "id": "plain", "data": {"channel": "items:1"}}
LEAVE = {"type": "unsubscribe", "id": "leave", "data": {"channel": "items:1"}}


@pytest.fixture
def gateway(start, own_redis, tmp_path):
    file = tmp_path / "tidegate.yaml"
    file.write_text(CONFIG, encoding="utf-8")
    return start("--config", file, "--shutdown-timeout", "8s", redis=own_redis)


@pytest.fixture
def away(gateway, own_redis):
    own_redis.kill()
    until("/ready says 503", lambda: gateway.get("/ready").status == 503)
    return gateway


def answers(peer, n):
    """The next n answers by their ids; what has none (degraded) is passed over."""
    heard = {}
    while len(heard) < n:
        message = peer.receive()
        if "id" in message:
            heard[message["id"]] = message["data"].get("code", message["type"])
    return heard


def test_a_plain_subscribe_and_a_recovery_of_one_channel_are_both_answered_whichever_is_first(away):
    with away.connect() as one, away.connect() as other:
        for peer, said in ((one, (PLAIN, RECOVERY)), (other, (RECOVERY, PLAIN))):
            for message in said:
                peer.send(message)
        for peer in (one, other):
            assert answers(peer, 2) == {"plain": "unavailable", "recovery": "unavailable"}
            assert peer.ask({"type": "ping"})["type"] == "pong"
        assert away.metric("tidegate_subscriptions") == 2


@pytest.mark.parametrize("said", [[PLAIN, RECOVERY], [RECOVERY, PLAIN]], ids=["plain first", "recovery first"])
def test_who_leaves_while_it_waits_leaves_nothing_behind(away, said):
    with away.connect() as peer:
        for message in said:
            peer.send(message)
        assert peer.ask({"type": "ping"})["type"] == "pong"
    until("its subscriptions are gone", lambda: away.metric("tidegate_subscriptions") == 0)


def test_a_second_recovery_meanwhile_is_told_that_there_is_one(away):
    with away.connect() as peer:
        peer.send(RECOVERY)
        peer.send(dict(RECOVERY, id="second"))
        assert answers(peer, 2) == {"second": "busy", "recovery": "unavailable"}


def test_unsubscribing_answers_the_recovery_first(away):
    with away.connect() as peer:
        peer.send(RECOVERY)
        peer.send(LEAVE)
        assert answers(peer, 2) == {"recovery": "unavailable", "leave": "unsubscribed"}


def test_a_gateway_ends_well_while_redis_owes_it_answers(gateway, own_redis):
    with gateway.connect("/ws/cards?since=now") as peer:
        assert peer.receive()["type"] == "subscribed"
        reads = gateway.metric("tidegate_log_reads_total")
        own_redis.process.signal(signal.SIGSTOP)
        try:
            until("a read is under way", lambda: gateway.metric("tidegate_log_reads_total") > reads)
            gateway.stop()  # fails unless it ends with 0
        finally:
            own_redis.process.signal(signal.SIGCONT)


def test_a_handshake_that_was_under_way_at_the_end_is_answered(gateway):
    """Refused by a worker that has heard of the end; one that has not lets it in and closes it. Silence is neither."""
    request = handshake("/ws/cards")
    with gateway.connect() as staying, WebSocket(gateway.address) as late:
        late.send_raw(request[:20])
        assert staying.ask({"type": "ping"})["type"] == "pong"
        gateway.process.signal(signal.SIGTERM)
        gateway.wait_for_line("shutting down")
        late.send_raw(request[20:])
        response = late.read_response()
        assert response is not None, "hung up on without an answer"
        late.pending = response.body
        assert response.status == 503 or (response.status == 101 and late.close_code() == 1012)
    gateway.process.end()

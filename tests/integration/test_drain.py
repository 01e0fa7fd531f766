"""Drain: a gateway that is told to stop is not ready, serves on, and then sends its clients away one after the other."""

import signal
import time

import pytest

from harness.wait import until
from harness.websocket import Closed, Refused, WebSocket, handshake

ROUTES = """
routes:
  - path: /ws/cards
    channel: cards
    history: on
"""
PATIENT = "3600s"  # longer than any test: what ends then was not waited for
BUSY = 40  # connections in the queue of the kernel


@pytest.fixture
def config(tmp_path):
    file = tmp_path / "tidegate.yaml"
    file.write_text(ROUTES, encoding="utf-8")
    return file


def ask_to_stop(gateway, number=signal.SIGTERM):
    gateway.process.signal(number)
    gateway.wait_for_line("shutting down")


def listen(gateway, path="/ws/cards"):
    """An open client that is known to be served."""
    peer = gateway.connect(path)
    assert peer.ask({"type": "ping"})["type"] == "pong"
    return peer


def answer_of(peer):
    """503, or the code with which one that was let in was closed; None: silence."""
    response = peer.read_response()
    if response is None or response.status != 101:
        return response and response.status
    peer.pending = response.body
    return peer.close_code()


def test_it_serves_on_through_the_delay_and_says_that_it_is_not_ready(start, redis):
    gateway = start("--drain-delay", PATIENT, redis=redis)
    with listen(gateway) as old:
        assert gateway.metric("tidegate_draining") == 0
        ask_to_stop(gateway)
        answer = gateway.get("/ready")
        assert (answer.status, answer.json()["missing"]) == (503, ["draining"])
        assert gateway.get("/live").status == 200
        assert gateway.metric("tidegate_draining") == 1
        with listen(gateway) as new:
            redis.client.publish("cards", '{"type":"n","data":1}')
            assert old.receive()["data"] == new.receive()["data"] == 1
            assert gateway.process.insist(signal.SIGTERM) == 128 + signal.SIGTERM
    gateway.process.ended = True


def test_after_the_delay_clients_are_closed(start):
    gateway = start("--drain-delay", "1s")
    with listen(gateway) as peer:
        asked = time.monotonic()
        ask_to_stop(gateway)
        assert peer.close_code() == 1012
        assert time.monotonic() - asked >= 1
    gateway.process.end()


def test_ctrl_c_skips_the_delay(start):
    gateway = start("--drain-delay", PATIENT)
    with listen(gateway) as peer:
        ask_to_stop(gateway, signal.SIGINT)
        assert peer.close_code() == 1012
    gateway.process.end()


def test_the_newest_goes_first_and_the_other_is_served_meanwhile(start):
    gateway = start("--workers", "1", "--drain-time", "4s")
    with listen(gateway) as old, listen(gateway) as new:
        began = time.monotonic()
        ask_to_stop(gateway)
        assert new.close_code() == 1012  # after 2 s
        try:
            assert old.ask({"type": "ping"})["type"] == "pong"
            assert old.close_code() == 1012
        except Closed as closed:  # we were too slow to ask before its turn came
            assert time.monotonic() - began >= 4
            assert closed.code == 1012
            old.close(1012)
    gateway.process.end()


def test_who_knows_recovery_is_told_when_to_come_back(start, config, redis):
    gateway = start("--config", config, "--drain-time", "2s", redis=redis)
    with gateway.connect("/ws/cards?since=now") as aware, listen(gateway) as unaware:
        assert aware.receive()["type"] == "subscribed"
        ask_to_stop(gateway)
        told = aware.receive()
        assert told["type"] == "reconnect"
        assert told["data"].keys() == {"reason", "after_ms"}
        assert told["data"]["reason"] == "drain"
        assert 0 <= told["data"]["after_ms"] <= 500
        assert aware.close_code() == 1012
        with pytest.raises(Closed) as closed:
            unaware.receive()
        assert closed.value.code == 1012
        unaware.close(1012)
    gateway.process.end()


def test_while_clients_are_sent_away_nobody_is_let_in(start):
    gateway = start("--workers", "1", "--drain-time", PATIENT)
    with listen(gateway), WebSocket(gateway.address, tls=gateway.tls) as silent:
        ask_to_stop(gateway)

        def refused():
            try:
                gateway.connect().abandon()
            except ConnectionRefusedError:
                return True
            except Refused as refusal:
                assert refusal.status == 503
                assert refusal.response.headers["retry-after"] == "1"
            return False

        until("the port is closed", refused)
        silent.send_raw(handshake("/ws/cards"))
        assert answer_of(silent) == 503
        assert gateway.process.insist(signal.SIGTERM) == 128 + signal.SIGTERM
    gateway.process.ended = True


def test_who_waits_in_the_queue_of_the_kernel_is_answered(start):
    gateway = start("--shutdown-timeout", PATIENT)
    gateway.process.signal(signal.SIGSTOP)
    try:
        queued = [WebSocket(gateway.address) for _ in range(BUSY)]
        if not gateway.tls:
            for peer in queued:
                peer.send_raw(handshake("/ws/cards"))
        gateway.process.signal(signal.SIGTERM)
    finally:
        gateway.process.signal(signal.SIGCONT)
    if gateway.tls:  # nothing can be asked before the gateway has said its word
        for peer in queued:
            peer.begin_tls(gateway.tls)
            peer.send_raw(handshake("/ws/cards"))
    answers = {answer_of(peer) for peer in queued}
    assert answers <= {503, 1012}
    for peer in queued:
        peer.abandon()
    gateway.process.end()


def test_a_handshake_that_waits_for_redis_is_answered(start, own_redis):
    gateway = start(redis=own_redis)
    own_redis.process.signal(signal.SIGSTOP)
    try:
        with WebSocket(gateway.address, tls=gateway.tls) as held:
            held.send_raw(handshake("/ws/items/held?token=secret"))
            until("its request was read", lambda: gateway.metric("tidegate_subscriptions") == 1)
            gateway.process.signal(signal.SIGTERM)
            answer = answer_of(held)
            assert answer in (503, 1012)
            if answer == 503:
                gateway.wait_for_line("handshake refused", code="draining", method="GET", path="/ws/items/held",
                                      remote="127.0.0.1")
    finally:
        own_redis.process.signal(signal.SIGCONT)
    gateway.process.end()

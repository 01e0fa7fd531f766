"""Connections over their life: kept alive, told apart, logged, and none of them another one's burden."""

import json
import resource
import socket

import pytest

from harness.wait import sized, until
from harness.websocket import PING, PONG, TEXT, Closed, exchange, frame, handshake

QUICK_KEEPALIVE = ("--ping-interval", "1s", "--pong-timeout", "1s")
CONNECTED, DISCONNECTED = "client connected", "client disconnected"


def test_pings_and_keeps_who_answers(start):
    gateway = start(*QUICK_KEEPALIVE)
    with gateway.connect() as peer:
        for _ in range(3):
            opcode, payload = peer.receive_frame()
            assert opcode == PING
            peer.send_frame(PONG, payload)
        assert peer.ask({"type": "ping"})["type"] == "pong"


def test_closes_who_never_answers_a_ping_and_who_spoke_once_and_then_fell_silent(start):
    gateway = start(*QUICK_KEEPALIVE)
    with gateway.connect() as deaf, gateway.connect() as silent:
        assert silent.receive_frame()[0] == PING
        silent.send({"type": "ping"})
        assert deaf.receive_frame()[0] == PING
        deaf.expect_end()  # whatever is sent to it, it says nothing
        with pytest.raises(Closed):
            while True:
                silent.receive_frame()
    until("both are logged", lambda: len(gateway.lines(DISCONNECTED)) == 2)
    until("the connections are gone from the count", lambda: gateway.metric("tidegate_connections") == 0)


def test_a_peer_that_vanished_is_cleaned_up(start):
    gateway = start(*QUICK_KEEPALIVE)
    peers = [gateway.connect() for _ in range(20)]
    until("all are counted", lambda: gateway.metric("tidegate_connections") == 20)
    for number, peer in enumerate(peers):
        if number % 2:  # a reset
            peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        peer.abandon()
    until("all are gone", lambda: gateway.metric("tidegate_connections") == 0)
    until("all are logged", lambda: len(gateway.lines(DISCONNECTED)) == 20)
    assert gateway.metric("tidegate_subscriptions") == 0


def test_a_client_that_never_reads_disturbs_nobody(start, redis):
    gateway = start("--outbox-bytes-max", "256KiB", "--event-bytes-max", "64KiB", "--workers", "1", redis=redis)
    with gateway.connect(receive_buffer=4096) as stuck, gateway.connect() as other:
        filler = "x" * 20000
        count = sized(600, 300)  # 12 MB: past what sockets and outbox hold
        for number in range(count):
            redis.publish("cards", json.dumps({"type": "n", "data": number, "filler": filler}))
            assert other.receive()["data"] == number
        until("the stuck one is closed", lambda: gateway.metric("tidegate_connections") == 1)
        line = gateway.wait_for_line(DISCONNECTED)
        assert line.fields["code"] == "4100", line
        assert stuck.socket.fileno() >= 0
        assert other.ask({"type": "ping"})["type"] == "pong"


def test_a_send_that_fails_touches_nobody_else(gateway, redis):
    for _ in range(20):
        victims = [gateway.connect("/ws/items/fail") for _ in range(5)]
        with gateway.connect("/ws/items/fail") as other:
            for victim in victims:
                victim.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                victim.abandon()
            for number in range(5):
                redis.publish("items:fail", json.dumps({"type": "n", "data": number}))
            assert [other.receive()["data"] for _ in range(5)] == list(range(5))


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_each_connection_is_two_log_lines(start, redis, log_format):
    gateway = start("--log-format", log_format, redis=redis)
    with gateway.connect("/ws/execution/e-7") as peer:
        peer.ask({"type": "ping"})
        redis.publish("execution:e-7", '{"type":"hello"}')
        peer.receive()
        peer.close(4321, b"bye\r\nbye")
        peer.close_code()
    closed = gateway.wait_for_line(DISCONNECTED)
    (opened,) = gateway.lines(CONNECTED, conn=closed.fields["conn"])
    assert opened.fields["route"] == closed.fields["route"] == "/ws/execution/{execution_id}"
    assert opened.fields["remote"] == closed.fields["remote"] == "127.0.0.1"
    assert closed.fields["code"] == "4321"
    assert int(closed.fields["duration_ms"]) >= 0
    assert (closed.fields["received"], closed.fields["sent"]) == ("1", "3")  # the answer, the event, the close frame
    assert closed.fields["reason"]
    assert "\r" not in closed.text


def test_every_line_of_the_json_log_is_json(start):
    gateway = start("--log-format", "json", "--log-level", "debug")
    with gateway.connect("/ws/items/a") as peer:
        peer.send_text('{"type":"\\u2028 \\n forged"}')
        peer.receive()
    gateway.wait_for_line(DISCONNECTED)
    for line in gateway.process.stderr().splitlines():
        members = json.loads(line)
        assert {"time", "level", "msg"} <= set(members), line


def test_client_text_cannot_forge_a_log_line(start):
    gateway = start("--log-level", "debug")
    forged = "2026-01-01T00:00:00.000Z ERROR forged"
    for headers in ([("X-Forwarded-For", "1.2.3.4\t" + forged)], [("User-Agent", forged + "\x1b[31m")]):
        with gateway.connect("/ws/cards", headers) as peer:
            peer.send_text('{"type":"x\\n%s"}' % forged)
            peer.receive()
            peer.close(4000, b"\n" + forged.encode())
            peer.close_code()
    until("all are logged", lambda: len(gateway.lines(DISCONNECTED)) == 2)
    exchange(gateway.address, handshake("/ws/cards", [("Origin", "http://x\x7f\x85" + forged)]))
    gateway.wait_for_line("origin is not allowed")
    text = gateway.process.stderr()
    assert not [line for line in text.splitlines() if line.startswith(forged)]
    assert "\x1b" not in text and "\x7f" not in text and "\x85" not in text


def remote_of(gateway, headers):
    """What the log calls a peer that sends these headers; its close code tells its line from others."""
    with gateway.connect("/ws/cards", headers) as peer:
        peer.close(4242)
        peer.close_code()
    return gateway.wait_for_line(DISCONNECTED, code="4242").fields["remote"]


def test_x_forwarded_for_is_believed_from_a_trusted_proxy(start):
    gateway = start("--trusted-proxies", "127.0.0.0/8,10.0.0.0/8")
    assert remote_of(gateway, [("X-Forwarded-For", "203.0.113.7")]) == "203.0.113.7"


@pytest.mark.parametrize("value, expected", [
    ("6.6.6.6, 203.0.113.7", "203.0.113.7"),  # what a client invents stands on the left
    ("203.0.113.7, 10.1.2.3", "203.0.113.7"),  # the rightmost hop that is not ours
    ("2001:db8::7", "2001:db8::7"),
    ("nonsense", "127.0.0.1"),
    ("203.0.113.7, nonsense", "127.0.0.1"),
])
def test_the_rightmost_untrusted_hop_counts(start, value, expected):
    gateway = start("--trusted-proxies", "127.0.0.0/8,10.0.0.0/8")
    assert remote_of(gateway, [("X-Forwarded-For", value)]) == expected


def test_x_forwarded_for_is_ignored_from_anybody_else(gateway):
    assert remote_of(gateway, [("X-Forwarded-For", "203.0.113.7")]) == "127.0.0.1"


def test_a_flood_of_messages_is_answered_or_cut_and_others_are_served(gateway):
    with gateway.connect() as flood:
        flood.send_raw(frame(TEXT, b"nonsense") * 5000)
        with gateway.connect() as other:
            assert other.ask({"type": "ping"})["type"] == "pong"
        try:
            answers = [flood.receive()["data"]["code"] for _ in range(5000)]
            assert set(answers) == {"bad_json"}
        except Closed as closed:
            assert closed.code in (4100, 4101, 1013)


def test_a_soft_limit_of_open_files_refuses_nobody(start):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))  # for the gateway, which inherits it
    try:
        gateway = start()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert int(gateway.wait_for_line("tidegate starts").fields["files"]) == min(hard, 262144)
    peers = [gateway.connect() for _ in range(100)]
    assert peers[-1].ask({"type": "ping"})["type"] == "pong"
    for peer in peers:
        peer.abandon()

"""The end: clients are told to come back, the process keeps its deadline, and impatience is respected."""

import json
import os
import pathlib
import signal
import threading

import pytest

from harness import library
from harness.wait import sized, until
from harness.websocket import Closed, Refused, WebSocket


def test_sigterm_closes_clients_with_1012_and_ends(start, redis):
    gateway = start(redis=redis)

    async def scene():
        clients = await library.connect_all([gateway.url("/ws/cards")] * 20)
        gateway.process.signal(signal.SIGTERM)
        return [await library.close_code(client) for client in clients]

    assert library.run(scene()) == [1012] * 20
    gateway.process.end()


def test_sigterm_ends_within_its_deadline_with_clients_that_say_nothing(start):
    gateway = start("--shutdown-timeout", "2s")
    with gateway.connect() as deaf, gateway.connect(receive_buffer=4096):
        gateway.process.signal(signal.SIGTERM)
        gateway.process.end()
        # Not because they were given up for silence, which takes 5 s.
        assert gateway.lines("shutdown deadline reached")
        assert deaf.close_code() == 1012


def test_sigterm_ends_at_once_without_clients(start):
    gateway = start("--shutdown-timeout", "60s")
    gateway.process.signal(signal.SIGTERM)
    gateway.process.end()  # sooner than that: nothing was waited for


def test_sigterm_ends_while_redis_is_away(start, own_redis):
    gateway = start(redis=own_redis)
    own_redis.kill()
    until("/ready says 503", lambda: gateway.get("/ready").status == 503)
    gateway.process.signal(signal.SIGTERM)
    gateway.process.end()


def test_no_new_client_is_kept_while_it_ends(start):
    gateway = start("--shutdown-timeout", "3s")
    with gateway.connect() as deaf:
        gateway.process.signal(signal.SIGTERM)
        assert deaf.receive_frame()[0] == 8
        try:
            # The worker of the deaf one knows; the other may hear of it a moment later.
            kept = gateway.connect().close_code() != 1012
        except (OSError, Closed, Refused):  # refused by the kernel, hung up on, or 503: each will do
            kept = False
        assert not kept
    gateway.process.end()


def test_sigint_ends_as_sigterm_does(start):
    gateway = start()
    with gateway.connect() as peer:
        gateway.process.signal(signal.SIGINT)
        assert peer.close_code() == 1012
    gateway.process.end()


def test_sigint_twice_ends_at_once(start):
    gateway = start("--shutdown-timeout", "60s")
    with gateway.connect() as deaf:
        gateway.process.signal(signal.SIGINT)
        assert deaf.receive_frame()[0] == 8  # and stays there: the orderly end would wait for it
        assert gateway.process.insist(signal.SIGINT) == 128 + signal.SIGINT
    gateway.process.ended = True


@pytest.mark.parametrize("both", [(signal.SIGTERM, signal.SIGTERM), (signal.SIGTERM, signal.SIGINT)])
def test_two_signals_at_once_are_one_wish(start, both):
    """As timeout(1) sends them, to the process and to its group. The drain goes on as the first one wanted it."""
    gateway = start("--drain-time", "1s", "--shutdown-timeout", "10s")
    with gateway.connect() as first, gateway.connect() as second:
        for wish in both:
            gateway.process.signal(wish)
        assert {first.close_code(), second.close_code()} == {1012}
    gateway.process.end()
    assert not [line for line in gateway.log() if line.message == "ending at once"]
    assert len([line for line in gateway.log() if line.message == "shutting down"]) == 1


def test_a_hangup_while_the_configuration_is_read_is_obeyed_afterwards(start, tmp_path):
    """It waits at the pipe that it reads its file from; the file that the signal is about comes behind it."""
    path = tmp_path / "tidegate.yaml"
    changed = tmp_path / "changed.yaml"
    changed.write_text("log_level: debug\n")
    os.mkfifo(path)

    def hang_up():
        writer = until("it reads its file", lambda: open_writer(path))
        os.kill(until("it has opened it", lambda: other_reader(path)), signal.SIGHUP)
        os.rename(changed, path)
        os.write(writer, b"log_level: info\n")
        os.close(writer)

    threading.Thread(target=hang_up, daemon=True).start()
    gateway = start("--config", str(path))
    gateway.wait_for_line("configuration applied", asked_by="SIGHUP")


def open_writer(fifo):
    """None while nobody reads."""
    try:
        return os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return None


def other_reader(fifo):
    """The process, not this one, that has the pipe open."""
    for link in pathlib.Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if os.readlink(link) == str(fifo) and int(link.parts[2]) != os.getpid():
                return int(link.parts[2])
        except OSError:
            pass
    return None


def test_ready_is_red_while_it_ends(start):
    gateway = start("--shutdown-timeout", "5s")
    with gateway.connect() as deaf:
        gateway.process.signal(signal.SIGTERM)
        assert deaf.receive_frame()[0] == 8
        try:
            assert gateway.get("/ready").status == 503
        except OSError:  # the listener is gone already: as red as can be
            pass
    gateway.process.end()


def test_a_gateway_with_many_clients_ends_in_time(start):
    gateway = start()
    peers = [gateway.connect(f"/ws/items/{number}") for number in range(sized(500, 100))]
    gateway.process.signal(signal.SIGTERM)
    assert {peer.close_code() for peer in peers} == {1012}
    gateway.process.end()


def test_a_publication_under_way_is_answered_before_the_end(start, own_redis):
    """Redis hangs, so nobody knows what became of it; that is an answer, and a connection that breaks is none."""
    gateway = start(redis=own_redis)
    one = {"channel": "cards", "payload": {"type": "x"}}
    bodies = [json.dumps(content).encode() for content in (one, [one, one])]
    own_redis.process.signal(signal.SIGSTOP)
    try:
        with WebSocket(gateway.admin_address) as single, WebSocket(gateway.admin_address) as several:
            for caller, body in zip((single, several), bodies):
                caller.send_raw(b"POST /publish HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
            for _ in range(3):  # behind them on the same listener: they have been read
                gateway.get("/live")
            gateway.process.signal(signal.SIGTERM)
            answers = [caller.read_response() for caller in (single, several)]
        gateway.process.end()
    finally:
        own_redis.process.signal(signal.SIGCONT)
    assert [answer.status for answer in answers] == [503, 503]
    for answer in answers:
        told = json.loads(answer.body)
        for publication in told if isinstance(told, list) else [told]:
            assert publication["error"]["code"] == "unknown"

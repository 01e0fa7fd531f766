"""The end: clients are told to come back, the process keeps its deadline, and impatience is respected."""

import signal

from harness import library
from harness.wait import sized, until
from harness.websocket import Closed, Refused


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
        gateway.process.signal(signal.SIGINT)
        assert gateway.process.wait() == 128 + signal.SIGINT
    gateway.process.ended = True


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

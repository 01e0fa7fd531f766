"""What one client, and one address, may cost: how much it may say, and how many connections it may have."""

import contextlib
import json
import multiprocessing
import socket
import time

import pytest

from harness.flood import command
from harness.gateway import run
from harness.wait import PATIENCE_SECONDS, until
from harness.websocket import CLOSE, PING, PONG, TEXT, WebSocket, frame, handshake

pytestmark = pytest.mark.plain

BURST = 200
OVER = 300


def codes(peer, n):
    """Of the next n answers: the type, or what an error says."""
    return [answer["data"]["code"] if answer["type"] == "error" else answer["type"]
            for answer in (peer.receive() for _ in range(n))]


def test_a_page_comes_back_with_all_its_channels_twice(gateway):
    with gateway.connect("/ws/cards") as peer:
        peer.send_raw(b"".join(command("subscribe", channel=f"items:{number}") for number in range(99)) * 2)
        assert set(codes(peer, 198)) == {"subscribed"}


def test_what_is_over_the_rate_is_told_once_and_the_connection_goes_on(gateway):
    with gateway.connect("/ws/cards") as peer:
        over = gateway.metric("tidegate_messages_over_rate_total")
        peer.send_raw(command("ping") * 3 * OVER)
        answers = []
        while "rate" not in answers:  # on a busy machine some are allowed anew while they are read
            answers += codes(peer, 1)
        assert len(answers) > BURST
        until("what was over is counted", lambda: gateway.metric("tidegate_messages_over_rate_total") > over)
        heard = gateway.metric("tidegate_messages_sent_total")
        until("it may say something again", lambda: peer.send({"type": "ping"}) or
              gateway.metric("tidegate_messages_sent_total") > heard)


def test_frames_that_are_no_messages_are_not_counted(gateway):
    with gateway.connect("/ws/cards") as peer:
        before, over = [gateway.metric(f"tidegate_messages_{name}_total") for name in ("received", "over_rate")]
        peer.send_raw(frame(PING, b"?") * OVER + frame(TEXT, b'{"type":"ping"}'))
        while peer.receive_frame()[0] == PONG:
            pass
        assert gateway.metric("tidegate_messages_received_total") == before + 1
        assert gateway.metric("tidegate_messages_over_rate_total") == over


def test_mistakes_end_the_connection_with_a_code_of_their_own(start, redis):
    gateway = start("--failures-max", "3", redis=redis)
    with gateway.connect("/ws/cards") as peer, gateway.connect("/ws/cards") as other:
        peer.send_raw(command("subscribe", channel="nobody") * 4)
        assert peer.close_code() == 4101
        assert gateway.wait_for_line("client disconnected", code="4101")
        until("it is counted", lambda: gateway.metric('tidegate_connections_closed_total{code="4101"}') == 1)
        assert other.ask({"type": "ping"})["type"] == "pong"


def test_a_flood_ends_the_connection_at_once(gateway):
    """And not when it was told so often that it says too much."""
    with gateway.connect("/ws/cards") as peer:
        peer.send_raw(command("ping") * 5000)
        while peer.receive_frame()[0] != CLOSE:
            pass
        assert gateway.wait_for_line("client disconnected", code="4101")


def test_bounds_follow_a_reload(start, redis, tmp_path):
    file = tmp_path / "tidegate.yaml"
    file.write_text("message_rate: 1\nmessage_burst: 2\n", encoding="utf-8")
    gateway = start("--config", file, redis=redis)
    with gateway.connect("/ws/cards") as peer:
        peer.send_raw(command("ping") * 9)
        assert codes(peer, 3) == ["pong", "pong", "rate"]
        file.write_text("message_rate: 0\n", encoding="utf-8")
        assert run("reload", "--admin", gateway.admin).returncode == 0
        peer.send_raw(command("ping") * OVER)
        assert codes(peer, OVER) == ["pong"] * OVER


def ask(address, *hops, source="127.0.0.1"):
    headers = [("X-Forwarded-For", ", ".join(hops))] if hops else []
    peer = socket.create_connection(address, timeout=PATIENCE_SECONDS, source_address=(source, 0))
    peer.sendall(handshake("/ws/cards", headers))
    return peer


def read_refusal(peer):
    """The code with which a handshake is refused, None if it is let in, and "hung up" without an answer."""
    try:
        answer = peer.recv(4096)
    except ConnectionResetError:
        answer = b""
    if answer.startswith(b"HTTP/1.1 101 "):
        return None
    if not answer:
        return "hung up"
    assert answer.startswith(b"HTTP/1.1 429 ") and b"\r\nRetry-After: 30\r\n" in answer
    return json.loads(answer.partition(b"\r\n\r\n")[2])["data"]["code"]


def refusal(address, *hops, source="127.0.0.1"):
    with ask(address, *hops, source=source) as peer:
        return read_refusal(peer)


def refusals(count, *asked, **source):
    """Of so many that ask at once."""
    with contextlib.ExitStack() as stack:
        return [read_refusal(peer) for peer in [stack.enter_context(ask(*asked, **source)) for _ in range(count)]]


def test_an_address_has_so_many_connections_and_others_are_not_touched(start, redis):
    gateway = start("--connections-per-address", "2", redis=redis)
    with gateway.connect(), gateway.connect():
        assert refusal(gateway.address) == "too_many_connections"
        assert refusal(gateway.address, source="127.0.0.2") is None
        line = gateway.wait_for_line("an address has more connections than it may", remote="127.0.0.1")
        assert line.level == "warn" and "trusted_proxies" in line.fields["remedy"]
        assert gateway.metric('tidegate_handshakes_refused_total{reason="too_many_connections"}') == 1
    until("both are gone", lambda: refusal(gateway.address) is None)


def test_a_page_can_see_why_its_address_is_refused(start, redis):
    gateway = start("--connections-per-address", "1", redis=redis)
    with gateway.connect(), gateway.connect(headers=[("Sec-WebSocket-Protocol", "tidegate.v1")]) as page:
        assert page.close_code() == 4101


def test_clients_behind_a_proxy_are_counted_by_the_address_that_it_names(start, redis):
    gateway = start("--connections-per-address", "1", "--trusted-proxies", "127.0.0.1,10.0.0.0/8", redis=redis)
    with gateway.connect("/ws/cards", [("X-Forwarded-For", "203.0.113.7")]):
        assert refusal(gateway.address, "203.0.113.7") == "too_many_connections"
        assert refusal(gateway.address, "6.6.6.6", "203.0.113.7") == "too_many_connections", "a client wrote the first hop"
        assert refusal(gateway.address, "203.0.113.7", "10.1.2.3") == "too_many_connections", "two proxies"
        assert refusal(gateway.address, "::ffff:203.0.113.7") == "too_many_connections"
        assert refusal(gateway.address, "203.0.113.8") is None
        assert refusal(gateway.address, "2001:db8::1") is None
    with gateway.connect("/ws/cards", [("X-Forwarded-For", "2001:db8:1:2::1")]):
        assert refusal(gateway.address, "2001:db8:1:2:3::1") == "too_many_connections"
        assert refusal(gateway.address, "2001:db8:1:3::1") is None
    with gateway.connect(), gateway.connect():
        assert refusal(gateway.address) is None, "the proxy itself has no bound: it names nobody"


def test_both_spellings_of_an_address_count_as_one(start, redis):
    """On a listener of both families, where IPv4 comes as ::ffff:127.0.0.1."""
    gateway = start("--listen", "[::]:0", "--connections-per-address", "1", redis=redis)
    address = ("127.0.0.1", gateway.address[1])
    with WebSocket.connect(address, "/ws/cards"):
        assert refusal(address) == "too_many_connections"
        assert gateway.lines("an address has more connections than it may", remote="127.0.0.1")
        assert refusal(address, source="127.0.0.2") is None


def test_a_hop_that_is_no_address_makes_nobody_of_a_client(start, redis):
    """What stands left of it a client may have written: so it counts as the proxy, and not by what is there."""
    gateway = start("--connections-per-address", "1", "--trusted-proxies", "127.0.0.1", redis=redis)
    with gateway.connect("/ws/cards", [("X-Forwarded-For", "203.0.113.7")]):
        for number in range(5):
            assert refusal(gateway.address, f"6.6.6.{number}", "203.0.113.7") == "too_many_connections"
            assert refusal(gateway.address, f"6.6.6.{number}", "unknown") is None


def test_nobody_gets_another_address_by_saying_so(start, redis):
    gateway = start("--connections-per-address", "1", redis=redis)
    with gateway.connect():
        assert refusal(gateway.address, "203.0.113.7") == "too_many_connections"


def test_private_peers_are_load_balancers_and_their_clients_come_at_a_bounded_pace(start, redis):
    gateway = start("--trusted-proxies", "127.0.0.2", redis=redis)
    assert set(refusals(150, gateway.address)) == {None}
    answers = refusals(600, gateway.address, "203.0.113.7", source="127.0.0.2")
    assert answers.count(None) >= 100 and "too_fast" in answers, "six seconds' worth at once"
    assert refusal(gateway.address, "203.0.113.8", source="127.0.0.2") is None


def test_without_a_bound_nobody_is_counted_and_a_reload_sets_one(start, redis, tmp_path):
    file = tmp_path / "tidegate.yaml"
    file.write_text("connections_per_address: 0\n", encoding="utf-8")
    gateway = start("--config", file, redis=redis)
    assert set(refusals(120, gateway.address)) == {None}
    file.write_text("connections_per_address: 1\n", encoding="utf-8")
    assert run("reload", "--admin", gateway.admin).returncode == 0
    with gateway.connect():
        assert refusal(gateway.address) == "too_many_connections"


def test_few_are_told_at_a_time_and_further_ones_cost_nothing(start, redis):
    """Sixteen that are over the bound and say nothing: the next is hung up on before its request is read."""
    gateway = start("--connections-per-address", "1", "--workers", "1", redis=redis)
    with contextlib.ExitStack() as stack:
        stack.enter_context(gateway.connect())
        for _ in range(16):
            stack.enter_context(socket.create_connection(gateway.address))
        assert refusal(gateway.address) == "hung up"
        assert refusal(gateway.address, source="127.0.0.2") is None
        assert gateway.metric('tidegate_handshakes_refused_total{reason="too_many_connections"}') == 1
    until("there is a place to be told again", lambda: refusal(gateway.address) != "hung up")


DRIBBLERS = 2000
SECONDS_MAX = 3  # for a new client beside them


def dribble(address, begin, ready):
    """So many who never get to the end of what they say; those who are cut off come again."""
    peers = []
    while True:
        while len(peers) < DRIBBLERS:
            peers.append(socket.create_connection(address))
            peers[-1].sendall(begin)
        ready.set()
        for number, peer in enumerate(peers):
            try:
                peer.send(b"x")
            except OSError:
                peers[number] = socket.create_connection(address)
                peers[number].sendall(begin)


@pytest.mark.parametrize("begin, options", [
    (b"GET /ws/cards HTTP/1.1\r\nHost: x\r\nX: ", ()),
    (b"PROXY TCP4 203.0", ("--proxy-protocol", "true", "--trusted-proxies", "127.0.0.1")),
], ids=["requests", "PROXY headers"])
def test_who_dribbles_keeps_nobody_waiting(start, figure, begin, options):
    gateway = start("--workers", "1", *options)
    context = multiprocessing.get_context("fork")
    ready = context.Event()
    crowd = context.Process(target=dribble, args=(gateway.address, begin, ready), daemon=True)
    crowd.start()
    took = []
    try:
        assert ready.wait(PATIENCE_SECONDS)
        for _ in range(20):
            began = time.monotonic()
            with WebSocket(gateway.address) as peer:
                peer.send_raw((b"PROXY TCP4 203.0.113.7 192.0.2.1 1 2\r\n" if options else b"") + handshake("/ws/cards"))
                assert peer.read_response().status == 101
            took.append(time.monotonic() - began)
        figure(f"slowest of 20 new clients beside {DRIBBLERS} that dribble", f"{max(took) * 1000:.0f} ms")
        assert max(took) < SECONDS_MAX
    finally:
        crowd.kill()
        crowd.join()

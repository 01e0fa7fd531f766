"""What one client may cost: how much it may say."""

import pytest

from harness.flood import command
from harness.gateway import run
from harness.wait import until
from harness.websocket import PING, PONG, TEXT, frame

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
        peer.send_raw(command("ping") * OVER)
        answers = codes(peer, BURST + 1)
        assert answers.count("pong") >= BURST and "rate" in answers
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
        assert gateway.metric('tidegate_connections_closed_total{code="4101"}') == 1
        assert other.ask({"type": "ping"})["type"] == "pong"


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

"""
The wire by the letter of RFC 6455 and RFC 7692: the tables in conformance/, over a gateway that says everything back.

That gateway is tidegate-echo, a program for this file alone: what is installed has no such route.
"""

import struct

import pytest

from conformance import closing, deflate, framing, limits, text
from conformance.case import NO_CODE, OPEN, close
from harness.gateway import BINARY, Gateway, TALKATIVE
from harness.websocket import CLOSE, PONG, TEXT, frame

CASES = [*framing.CASES, *text.CASES, *closing.CASES, *limits.CASES, *deflate.CASES]

ECHO = BINARY.with_name("tidegate-echo")
ROUTES = """
routes:
  - {path: /ws/cards, channel: cards}
  - {path: /echo, channels: [], compression: on}
"""


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    file = tmp_path_factory.mktemp("echo") / "tidegate.yaml"
    file.write_text(ROUTES, encoding="utf-8")
    return "--config", file, "--message-bytes-max", str(limits.MESSAGE_BYTES_MAX), "--outbox-bytes-max", "16MiB", *TALKATIVE


@pytest.fixture(scope="module")
def shared_gateway(tmp_path_factory, options):
    gateway = Gateway(tmp_path_factory.mktemp("gateway"), *options, binary=ECHO)
    yield gateway
    gateway.stop()


def connect(gateway, offer=None):
    return gateway.connect("/echo", [("Sec-WebSocket-Extensions", offer)] if offer else ())


def hear(peer, n):
    """So many frames, or those up to the close frame."""
    heard = []
    while len(heard) < n:
        heard.append(peer.receive_frame())
        if heard[-1][0] == CLOSE:
            break
    return heard


def run(gateway, case):
    """What the case heard, and the code with which it ended."""
    data = b"".join(case.sent)
    pieces = [data[i:i + case.chop] for i in range(0, len(data), case.chop)] if case.chop else case.sent
    with connect(gateway, case.offer) as peer:
        for piece in pieces:
            peer.send_raw(piece)
        heard = hear(peer, len(case.heard))
        if case.code == OPEN:
            peer.send_raw(close(1000))
        while not heard or heard[-1][0] != CLOSE:
            heard.append(peer.receive_frame())
        if case.code not in (OPEN, 1000, NO_CODE):
            peer.send_raw(close(1000))
        peer.expect_end()
        assert peer.pending == b"", "something came behind the close frame"
    *heard, (_, reason) = heard
    return heard, struct.unpack(">H", reason[:2])[0] if reason else NO_CODE


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_is_heard_as_the_rfc_says(shared_gateway, case):
    heard, code = run(shared_gateway, case)
    assert code == (case.code or 1000)
    # A pong may pass a text, or be passed by one: RFC 6455 section 5.5.3 wants it soon, not in an order.
    for opcode in (TEXT, PONG):
        assert [payload for kind, payload in heard if kind == opcode] == \
            [payload for kind, payload in case.heard if kind == opcode]
    assert len(heard) == len(case.heard)


def test_the_gateway_outlives_it_all(gateway):
    with connect(gateway, deflate.OFFER) as peer:
        peer.send_text("still there")
        assert peer.receive_text() == "still there"


@pytest.mark.parametrize("offer", deflate.OFFERS)
def test_an_offer_is_answered_as_the_rfc_says(shared_gateway, offer):
    with connect(shared_gateway, offer) as peer:
        assert peer.response.headers.get("sec-websocket-extensions") == deflate.OFFERS[offer]
        agreed = deflate.OFFERS[offer] is not None
        peer.send_raw(frame(TEXT, deflate.deflated(b"Hello"), rsv=deflate.RSV1 if agreed else 0) if agreed else frame(TEXT, b"Hello"))
        assert peer.receive_text() == "Hello"


def test_there_are_enough_of_them_and_each_has_a_name_of_its_own():
    assert len(CASES) + len(deflate.OFFERS) >= 300
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.plain
def test_what_is_installed_echoes_nothing(start, options):
    assert b"/echo" in ECHO.read_bytes()
    assert b"/echo" not in BINARY.read_bytes()
    with connect(start(*options)) as peer:
        assert peer.ask(["still there"])["data"]["code"] == "bad_json"

"""RFC 6455 to the letter: what hostile or broken frames lead to, and what fragmented honest ones do not."""

import json
import struct

import pytest

from harness.wait import SANITIZER, sized, until
from harness.websocket import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Closed, frame

MESSAGE_BYTES_MAX = 16 * 1024
PROMPT_SECONDS = sized(2, 5)  # less than what a peer that never answers a close is given
PING_TEXT = b'{"type":"ping","id":1}'


@pytest.fixture
def peer(gateway):
    with gateway.connect() as socket:
        yield socket


def message_of(size):
    """A good message of exactly this many bytes."""
    empty = json.dumps({"type": "ping", "data": {"filler": ""}})
    return json.dumps({"type": "ping", "data": {"filler": "x" * (size - len(empty))}}).encode()


PROTOCOL_ERRORS = {
    "an unmasked text": frame(TEXT, PING_TEXT, mask=False),
    "an unmasked ping": frame(PING, b"x", mask=False),
    "an unmasked close": frame(CLOSE, b"\x03\xe8", mask=False),
    "an unmasked empty text": frame(TEXT, b"", mask=False),
    "an unmasked long text": frame(TEXT, message_of(1000), mask=False),
    "the first reserved bit": frame(TEXT, PING_TEXT, rsv=4),
    "the second reserved bit": frame(TEXT, PING_TEXT, rsv=2),
    "the third reserved bit": frame(TEXT, PING_TEXT, rsv=1),
    "all reserved bits on a ping": frame(PING, b"", rsv=7),
    "reserved opcode 3": frame(3, b"x"),
    "reserved opcode 7": frame(7, b""),
    "reserved opcode 11": frame(11, b"x"),
    "reserved opcode 15": frame(15, b""),
    "a fragmented ping": frame(PING, b"x", fin=False),
    "a fragmented close": frame(CLOSE, b"\x03\xe8", fin=False),
    "a ping of 126 bytes": frame(PING, b"x" * 126),
    "a close of 126 bytes": frame(CLOSE, b"\x03\xe8" + b"x" * 124),
    "a continuation of nothing": frame(CONTINUATION, b"x"),
    "a last continuation of nothing": frame(CONTINUATION, b"x", fin=False),
    "a text within a fragmented text": frame(TEXT, b'{"a', fin=False) + frame(TEXT, PING_TEXT),
    "a continuation after the last": frame(TEXT, PING_TEXT) + frame(CONTINUATION, b"x"),
    "a close of one byte": frame(CLOSE, b"\x03"),
    "close code 0": frame(CLOSE, struct.pack(">H", 0)),
    "close code 999": frame(CLOSE, struct.pack(">H", 999)),
    "close code 1004": frame(CLOSE, struct.pack(">H", 1004)),
    "close code 1005": frame(CLOSE, struct.pack(">H", 1005)),
    "close code 1006": frame(CLOSE, struct.pack(">H", 1006)),
    "close code 1015": frame(CLOSE, struct.pack(">H", 1015)),
    "close code 1016": frame(CLOSE, struct.pack(">H", 1016)),
    "close code 2999": frame(CLOSE, struct.pack(">H", 2999)),
    "close code 5000": frame(CLOSE, struct.pack(">H", 5000)),
    "close code 65535": frame(CLOSE, struct.pack(">H", 65535)),
}


@pytest.mark.parametrize("what", PROTOCOL_ERRORS)
def test_a_protocol_error_closes_1002(peer, what):
    peer.send_raw(PROTOCOL_ERRORS[what])
    assert peer.close_code() == 1002


@pytest.mark.parametrize("data", [frame(BINARY, b"x"), frame(BINARY, b""), frame(BINARY, PING_TEXT),
                                  frame(BINARY, b"x", fin=False)])
def test_binary_closes_1003(peer, data):
    peer.send_raw(data)
    assert peer.close_code() == 1003


NOT_UTF_8 = {
    "a lone continuation byte": b'{"type":"\x80"}',
    "an overlong slash": b'{"type":"\xc0\xaf"}',
    "an overlong of three": b'{"type":"\xe0\x80\xaf"}',
    "a surrogate": b'{"type":"\xed\xa0\x80"}',
    "above the last code point": b'{"type":"\xf4\x90\x80\x80"}',
    "byte 0xff": b"\xff",
    "cut at the end": b'{"type":"\xe2\x82',
}


@pytest.mark.parametrize("what", NOT_UTF_8)
def test_text_that_is_not_utf_8_closes_1007(peer, what):
    peer.send_frame(TEXT, NOT_UTF_8[what])
    assert peer.close_code() == 1007


def test_text_that_is_not_utf_8_closes_1007_in_fragments_too(peer):
    peer.send_frame(TEXT, b'{"type":"\xe2\x82', fin=False)
    peer.send_frame(CONTINUATION, b'\x28"}')
    assert peer.close_code() == 1007


def test_a_close_reason_that_is_not_utf_8_closes_1007(peer):
    peer.close(1000, b"\xff\xfe")
    assert peer.close_code() == 1007


def test_a_message_at_the_bound_is_read(peer):
    peer.send_text(message_of(MESSAGE_BYTES_MAX))
    assert peer.receive()["type"] == "pong"


def test_a_fragmented_message_at_the_bound_is_read(peer):
    data = message_of(MESSAGE_BYTES_MAX)
    parts = [data[i:i + 4096] for i in range(0, len(data), 4096)]
    for number, part in enumerate(parts):
        peer.send_frame(CONTINUATION if number else TEXT, part, fin=number == len(parts) - 1)
    assert peer.receive()["type"] == "pong"


@pytest.mark.parametrize("size", [MESSAGE_BYTES_MAX + 1, 65536, 1 << 20, 8 << 20])
def test_a_message_past_the_bound_closes_1009(peer, size):
    peer.send_text(message_of(size))
    assert peer.close_code() == 1009


def test_fragments_past_the_bound_close_1009(peer):
    peer.send_frame(TEXT, b'{"type":"ping","data":{"filler":"', fin=False)
    for _ in range(MESSAGE_BYTES_MAX // 1024 + 1):
        peer.send_frame(CONTINUATION, b"x" * 1024, fin=False)
    assert peer.close_code() == 1009


def test_a_length_that_nobody_can_send_closes(peer):
    peer.send_raw(b"\x81\xff" + struct.pack(">Q", (1 << 62) + 5) + b"mask" + b"x" * MESSAGE_BYTES_MAX * 2)
    assert peer.close_code() in (1002, 1009)


def test_a_negative_length_closes(peer):
    peer.send_raw(b"\x81\xff" + struct.pack(">Q", 1 << 63) + b"mask")
    assert peer.close_code() in (1002, 1009)


def test_each_ping_of_a_burst_is_answered_in_order(peer):
    payloads = [f"ping {number}".encode() for number in range(10)]
    peer.send_raw(b"".join(frame(PING, payload) for payload in payloads))
    assert [peer.receive_frame() for _ in payloads] == [(PONG, payload) for payload in payloads]


@pytest.mark.parametrize("payload", [b"", b"x", b"\0\xff" * 60, b"x" * 125])
def test_a_pong_carries_what_the_ping_did(peer, payload):
    peer.send_frame(PING, payload)
    assert peer.receive_frame() == (PONG, payload)


def test_a_pong_that_nobody_asked_for_is_ignored(peer):
    peer.send_frame(PONG, b"unasked")
    assert peer.ask({"type": "ping"})["type"] == "pong"


def test_a_fragmented_message_may_be_interleaved_with_pings(peer):
    for number, byte in enumerate(PING_TEXT):
        last = number == len(PING_TEXT) - 1
        peer.send_frame(CONTINUATION if number else TEXT, bytes([byte]), fin=last)
        if not last:
            peer.send_frame(PING, b"%d" % number)
            assert peer.receive_frame() == (PONG, b"%d" % number)
    assert peer.receive()["id"] == 1


def test_a_fragmented_message_interleaved_with_pings_may_come_in_one_segment(peer):
    data = frame(TEXT, PING_TEXT[:5], fin=False)
    data += frame(PING, b"a") + frame(PING, b"b") + frame(CONTINUATION, b"", fin=False)
    data += frame(CONTINUATION, PING_TEXT[5:]) + frame(PING, b"c")
    peer.send_raw(data)
    got = [peer.receive_frame() for _ in range(4)]
    assert [payload for opcode, payload in got if opcode == PONG] == [b"a", b"b", b"c"]
    assert [json.loads(payload)["type"] for opcode, payload in got if opcode == TEXT] == ["pong"]


def test_a_frame_may_come_byte_by_byte(peer):
    for byte in frame(TEXT, PING_TEXT):
        peer.send_raw(bytes([byte]))
    assert peer.receive()["type"] == "pong"


@pytest.mark.parametrize("said", [frame(TEXT), frame(TEXT, fin=False) + frame(CONTINUATION)], ids=["whole", "in pieces"])
def test_an_empty_text_is_answered_like_any_other_that_is_no_json(peer, said):
    peer.send_raw(said)
    assert peer.receive()["data"]["code"] == "bad_json"
    assert peer.ask({"type": "ping"})["type"] == "pong"


def test_empty_pieces_without_end_cost_nothing(peer, gateway):
    peer.send_raw(frame(TEXT, b'{"type":', fin=False))
    before = gateway.resident_kib()
    for _ in range(sized(20, 2)):
        peer.send_raw(frame(CONTINUATION, fin=False) * 10_000)
    peer.send_raw(frame(CONTINUATION, b'"ping"}'))
    assert peer.receive()["type"] == "pong"
    if SANITIZER == "none":
        assert gateway.resident_kib() - before < 1024


def test_who_asks_and_says_no_more_is_answered(peer):
    peer.send_raw(frame(TEXT, PING_TEXT) * 50)
    peer.finish()
    assert [peer.receive()["type"] for _ in range(50)] == ["pong"] * 50
    peer.expect_end()


def test_a_character_may_be_cut_between_fragments(peer):
    data = '{"type":"ping","id":"é€😀"}'.encode()
    for number in range(len(data)):
        peer.send_frame(CONTINUATION if number else TEXT, data[number:number + 1], fin=number == len(data) - 1)
    assert peer.receive()["id"] == "é€😀"


def test_many_messages_in_one_segment_are_answered_in_order(peer):
    peer.send_raw(b"".join(frame(TEXT, b'{"type":"ping","id":%d}' % number) for number in range(100)))
    assert [peer.receive()["id"] for _ in range(100)] == list(range(100))


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, *range(1007, 1015), 3000, 3999, 4000, 4999])
def test_a_close_is_answered_with_its_code(peer, code):
    peer.close(code, b"bye")
    assert peer.close_code() == code


@pytest.mark.parametrize("reason", ["é" * 61, "€" * 41, "😀" * 30 + "abc"], ids=["2 bytes", "3 bytes", "4 bytes"])
def test_a_close_reason_may_be_as_long_as_it_can_be(peer, reason):
    peer.close(1000, reason.encode())
    assert peer.close_code() == 1000


def test_a_close_without_a_code_is_answered(peer):
    peer.send_frame(CLOSE)
    with pytest.raises(Closed) as closed:
        peer.receive_text()
    assert closed.value.code in (None, 1000)
    peer.expect_end()


@pytest.mark.parametrize("data, code", [(frame(CLOSE, b"\x03\xe8"), 1000), (frame(BINARY, b"x"), 1003)])
def test_a_closed_connection_is_hung_up_once_the_close_is_answered(peer, data, code):
    peer.send_raw(data)
    assert peer.close_code() == code
    peer.socket.settimeout(PROMPT_SECONDS)
    peer.expect_end()


def test_a_connection_that_broke_the_protocol_is_hung_up_too(peer):
    peer.send_raw(frame(TEXT, PING_TEXT, rsv=4))
    assert peer.close_code() == 1002
    peer.expect_end()


# What is closed for, in a form each, with the code that the document names. A peer may have said Close itself.
VIOLATIONS = {
    **{what: (data, 1002) for what, data in PROTOCOL_ERRORS.items()},
    **{what: (frame(TEXT, data), 1007) for what, data in NOT_UTF_8.items()},
    "not UTF-8 in fragments": (frame(TEXT, b"\xe2\x82", fin=False) + frame(CONTINUATION, b"\x28"), 1007),
    "cut before an empty last fragment": (frame(TEXT, b"\xe2\x82", fin=False) + frame(CONTINUATION), 1007),
    "a close reason that is not UTF-8": (frame(CLOSE, b"\x03\xe8\xff"), 1007),
    "a length with its top bit set": (b"\x81\xff" + struct.pack(">Q", 1 << 63) + b"mask", 1002),
    "a message too large": (frame(TEXT, b"x" * (MESSAGE_BYTES_MAX + 1)), 1009),
    "binary": (frame(BINARY, b"x"), 1003),
    "a ping before, and a violation": (frame(PING, b"x") + frame(3, b"x"), 1002),
    "a ping before, and a message too large": (frame(PING, b"x") + frame(TEXT, b"x" * (MESSAGE_BYTES_MAX + 1)), 1009),
    "binary, and a violation behind it": (frame(BINARY, b"x") + frame(3, b"x"), 1003),
    "a close of its own, and a violation behind it": (frame(CLOSE, b"\x03\xe8") + frame(3, b"x"), 1000),
    "a close of its own without a code": (frame(CLOSE), 1005),
}


def test_nothing_follows_a_close_frame_and_its_code_is_told_everywhere(start, redis):
    """All of them at once, while events are published, and with pings and a close behind each."""
    gateway = start(redis=redis)
    peers, ids = {}, {}
    for what in VIOLATIONS:
        known = len(gateway.lines("client connected"))
        peers[what] = gateway.connect()
        ids[what] = until("its line", lambda known=known: gateway.lines("client connected")[known:])[0].fields["conn"]
    with gateway.connect() as listener:
        for number, (what, peer) in enumerate(peers.items()):
            redis.publish("cards", f'{{"type":"e","number":{number}}}')
            peer.send_raw(VIOLATIONS[what][0])
            redis.publish("cards", f'{{"type":"e","number":{number}}}')
            peer.send_raw(frame(PING, b"late") * 3)
            redis.publish("cards", f'{{"type":"e","number":{number}}}')
        for _ in range(3 * len(peers)):
            assert listener.receive()["type"] == "e"
    told = {what: said_last(peer) for what, peer in peers.items()}
    assert told == {what: code for what, (_, code) in VIOLATIONS.items()}
    for what, (_, code) in VIOLATIONS.items():
        gateway.wait_for_line("client disconnected", conn=ids[what], code=str(code))
    departed = {row["id"]: row["code"] for row in gateway.api("/disconnects?limit=50")["disconnects"]}
    assert {what: code for what, code in told.items() if departed.get(int(ids[what]), code) != code} == {}
    for code in set(told.values()):
        until(f"{code} is counted", lambda code=code: gateway.metric(f'tidegate_connections_closed_total{{code="{code}"}}') >=
              list(told.values()).count(code))


def said_last(peer):
    """The code of the close frame; behind it comes nothing, and soon after the peer's answer the end."""
    peer.socket.settimeout(PROMPT_SECONDS)
    while True:
        opcode, payload = peer.receive_frame()
        assert opcode in (TEXT, PING, PONG, CLOSE)
        if opcode == CLOSE:
            break
    peer.close(1000)
    peer.expect_end()
    assert peer.pending == b""
    peer.abandon()
    return struct.unpack(">H", payload[:2])[0] if payload else 1005


def test_a_violation_behind_a_flood_is_read_to_its_end_and_costs_no_answer(gateway):
    with gateway.connect() as peer:
        peer.send_raw(frame(3, b"x") + b"\xff" * (1 << 20))
        assert said_last(peer) == 1002


def test_a_pong_is_no_text(peer):
    peer.send_text(PING_TEXT)
    peer.send_frame(PONG, b"\xff\xfe")
    peer.send_frame(TEXT, PING_TEXT[:5], fin=False)
    peer.send_frame(PONG, b"\xc3\x28")
    peer.send_frame(CONTINUATION, PING_TEXT[5:])
    assert [peer.receive()["type"] for _ in range(2)] == ["pong", "pong"]


def test_what_follows_a_close_is_not_read(peer):
    peer.send_raw(frame(CLOSE, b"\x03\xe8") + frame(TEXT, PING_TEXT))
    with pytest.raises(Closed) as closed:
        peer.receive_text()
    assert closed.value.code == 1000
    peer.expect_end()


def test_a_connection_cut_amid_a_frame_hurts_nobody(gateway):
    for cut in range(1, len(frame(TEXT, PING_TEXT))):
        with gateway.connect() as socket:
            socket.send_raw(frame(TEXT, PING_TEXT)[:cut])

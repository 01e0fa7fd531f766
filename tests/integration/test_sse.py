"""Server-sent events: the same events as on a WebSocket, by the same rules, on a stream that a browser opens again by itself."""

import json
import re
import signal
import socket
import sys
import time
from urllib.parse import quote

import pytest

from harness.event_stream import request
from harness.gateway import ROOT, run
from harness.tokens import Issuer
from harness.wait import until
from harness.websocket import Closed, Refused, WebSocket, exchange

sys.path.insert(0, str(ROOT / "src/clients/python"))

# pylint: disable=wrong-import-position
from tidegate import Publisher  # noqa: E402

ORIGIN = "https://app.example.com"
SHARED_ROUTES = f"""
origins: [same, "{ORIGIN}"]
ping_interval: 1s
routes:
  - {{path: /ws/cards, channel: cards}}
  - {{path: "/ws/kept/{{id}}", channel: "kept:{{id}}", history: {{size: 100}}}}
  - {{path: "/ws/pair/{{id}}", channels: ["left:{{id}}", "right:{{id}}"], history: {{size: 100}}}}
  - {{path: /ws/none, channel: none, sse: off}}
  - {{path: "/live/{{id}}", channel: "live:{{id}}", sse: "/events/{{id}}"}}
"""


@pytest.fixture
def publish(redis):
    helper = Publisher(redis.client, size=100)

    def one(channel, *numbers):
        for number in numbers:
            helper.publish(channel, {"type": "n", "data": number})

    return one


def numbers(stream, n):
    return [stream.receive()["data"] for _ in range(n)]


def test_it_hears_what_a_websocket_hears(gateway, redis):
    with gateway.connect("/ws/cards") as socket, gateway.stream() as stream:
        for data in [1, "x", None, {"a": [1, 2]}, "\u2028\u2029\x00\x0b\x85", "data: x\n\nid: 7\r\n"]:
            redis.publish("cards", json.dumps({"type": "n", "data": data}, ensure_ascii=False))
            text = stream.receive_text()
            assert text == socket.receive_text()
            assert json.loads(text)["data"] == data
        assert stream.response.headers["cache-control"].startswith("no-store")
        assert stream.response.headers["x-accel-buffering"] == "no"
        assert stream.last_id == "", "a channel without a history has no ids"


def test_an_event_of_several_lines_is_one_line(gateway, redis):
    with gateway.connect("/ws/cards") as socket, gateway.stream() as stream:
        redis.publish("cards", '{\n  "type": "n",\r\n\t"data":\r[1,\n2]\n}\n')
        assert stream.receive() == socket.receive()
        redis.publish("cards", '\n[1,\n\n2]\n')
        assert stream.receive()["data"] == socket.receive()["data"] == [1, 2]


def test_a_burst_comes_in_order(gateway, redis):
    with gateway.stream() as stream:
        pipe = redis.client.pipeline(transaction=False)
        for number in range(500):
            pipe.publish("cards", json.dumps({"type": "n", "data": number}))
        pipe.execute()
        assert numbers(stream, 500) == [*range(500)]


def test_other_places_and_none(gateway, redis):
    with gateway.stream("/events/7") as stream:
        redis.publish("live:7", '{"type":"n","data":1}')
        assert stream.receive()["channel"] == "live:7"
    for path, status in (("/sse/none", 404), ("/sse/nothing", 404), ("/live/7", 426), ("/sse/kept/%00", 400)):
        with pytest.raises(Refused) as refused:
            gateway.stream(path)
        assert refused.value.status == status, path
        assert refused.value.response.headers["content-type"] == "application/json"
    with pytest.raises(Refused) as refused:
        gateway.connect("/sse/cards")
    assert refused.value.status == 404, "it is no place of a WebSocket"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "NONSENSE"])
def test_other_methods_are_told_so(gateway, method):
    answer = exchange(gateway.address, request("/sse/cards", method=method))
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD, POST, OPTIONS")


def fields(answer):
    return {name: value for name, value in answer.headers.items() if name != "date"}


def total_refused(gateway):
    return gateway.get("/status").json()["totals"]["handshakes_refused"]


def test_head_is_told_the_fields_of_a_stream_and_opens_none(gateway):
    """RFC 9110 section 9.3.2: what looks whether a place is there asks so."""
    with gateway.stream(headers=[("Origin", ORIGIN)]) as stream:
        told = fields(stream.response)
    refused = 'tidegate_handshakes_refused_total{reason="head"}'
    opened, before, total = gateway.metric("tidegate_connections_opened_total"), gateway.metric(refused), total_refused(gateway)
    with WebSocket(gateway.address) as peer:
        peer.send_raw(request("/sse/cards", [("Origin", ORIGIN)], method="HEAD"))
        answer = peer.read_response()
        assert peer.socket.recv(1) == b"", "nothing follows, and no reset"
    assert (answer.status, answer.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert "content-length" not in answer.headers
    assert fields(answer) == told, "they are those of GET"
    until("it is counted", lambda: gateway.metric(refused) == before + 1)
    assert total_refused(gateway) == total, "it was not refused"
    assert gateway.metric("tidegate_connections_opened_total") == opened
    for path, sent, status in (("/sse/nothing", [], 405), ("/sse/kept/%00", [], 400), ("/sse/cards", [("Origin", "https://evil.example")], 403)):
        assert exchange(gateway.address, request(path, sent, method="HEAD")).status == status, path


def test_http_1_0_and_a_body(gateway, redis):
    with gateway.stream(version="HTTP/1.0") as stream:
        redis.publish("cards", '{"type":"n","data":1}')
        assert stream.receive()["data"] == 1
        assert "transfer-encoding" not in stream.response.headers
    answer = exchange(gateway.address, request("/sse/cards", [("Content-Length", "2")], body=b"{}"))
    assert answer.status == 400


def test_pages_of_other_sites(gateway):
    with gateway.stream(headers=[("Origin", ORIGIN)]) as stream:
        assert stream.response.headers["access-control-allow-origin"] == ORIGIN
        assert stream.response.headers["access-control-allow-credentials"] == "true"
        assert stream.response.headers["vary"] == "Origin"
    with pytest.raises(Refused) as refused:
        gateway.stream(headers=[("Origin", "https://evil.example")])
    assert refused.value.status == 403
    assert "access-control-allow-origin" not in refused.value.response.headers
    with pytest.raises(Refused) as refused:
        gateway.stream("/sse/nothing", headers=[("Origin", ORIGIN)])
    assert refused.value.response.headers["access-control-allow-origin"] == ORIGIN, "the page may know why"


def test_a_preflight_is_answered(gateway):
    asks = [("Origin", ORIGIN), ("Access-Control-Request-Method", "GET"), ("Access-Control-Request-Headers", "authorization")]
    before, total = gateway.metric('tidegate_handshakes_refused_total{reason="preflight"}'), total_refused(gateway)
    answer = exchange(gateway.address, request("/sse/cards", asks, method="OPTIONS"))
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert "Authorization" in answer.headers["access-control-allow-headers"] and "content-length" not in answer.headers
    assert gateway.metric('tidegate_handshakes_refused_total{reason="preflight"}') == before + 1
    assert total_refused(gateway) == total
    asks[0] = ("Origin", "https://evil.example")
    assert exchange(gateway.address, request("/sse/cards", asks, method="OPTIONS")).status == 403
    assert exchange(gateway.address, request("/ws/cards", asks, method="OPTIONS")).status == 405


def test_the_first_stream_is_told_where_it_is_and_comes_back_there(gateway, publish):
    publish("kept:a", 1, 2)
    with gateway.stream("/sse/kept/a") as stream:
        told = stream.receive()
        assert told["type"] == "subscribed" and told["data"]["pos"] == stream.last_id
        assert 1000 <= stream.retry_ms < 3000
        publish("kept:a", 3)
        event = stream.receive()
        assert (event["data"], event["pos"]) == (3, stream.last_id)
    with gateway.stream("/sse/kept/a") as other:  # what it hears, the node knows: the rest would come live, and is not counted
        other.receive()
        publish("kept:a", 4, 5)
        assert numbers(other, 2) == [4, 5]
    with gateway.stream("/sse/kept/a", last_id=stream.last_id) as again:
        told = again.receive()["data"]
        assert (told["recovered"], told["count"], told["pos"]) == (True, 2, stream.last_id)
        assert numbers(again, 2) == [4, 5]
        publish("kept:a", 6)
        assert numbers(again, 1) == [6]
    publish("kept:a", 7, 8)  # and here some may be replayed, and some come live
    with gateway.stream("/sse/kept/a", last_id=again.last_id) as last:
        told = last.receive()["data"]
        assert (told["recovered"], told["pos"]) == (True, again.last_id) and told["count"] in (0, 1, 2)
        assert numbers(last, 2) == [7, 8]


def test_since_in_the_url_gives_way_to_the_last_id(gateway, publish):
    publish("kept:b", 1, 2, 3)
    with gateway.stream("/sse/kept/b?since=start") as stream:
        stream.receive()
        assert numbers(stream, 2) == [1, 2]
    with gateway.stream("/sse/kept/b?since=start", last_id=stream.last_id) as stream:
        assert stream.receive()["data"]["count"] == 1
        assert numbers(stream, 1) == [3]


def test_the_last_id_may_stand_in_the_url_as_polyfills_bring_it_back(gateway, publish):
    publish("kept:d", 1, 2)
    with gateway.stream("/sse/kept/d?since=start") as stream:
        stream.receive()
        assert numbers(stream, 2) == [1, 2]
    publish("kept:d", 3)
    with gateway.stream(f"/sse/kept/d?since=start&lastEventId={quote(stream.last_id, safe='')}") as again:
        assert again.receive()["data"]["recovered"]
        assert numbers(again, 1) == [3]
    with gateway.stream("/sse/kept/d?lastEventId=x", last_id=again.last_id) as last:
        assert last.receive()["data"]["recovered"], "the header counts"
    with gateway.stream("/sse/kept/d?lastEventId=&since=start") as first:
        assert first.receive()["data"]["count"] == 3, "an empty one counts as absent, as an empty header does"
        assert numbers(first, 3) == [1, 2, 3]
    publish("left:d", 1)
    with gateway.stream("/sse/pair/d?since=start") as stream:
        until("an id of both", lambda: "," in stream.last_id or (stream.receive_block() and False))
    publish("right:d", 2)
    with gateway.stream("/sse/pair/d?lastEventId=" + quote(stream.last_id, safe="")) as again:
        heard = [again.receive() for _ in range(3)]
        assert all(one["data"]["recovered"] for one in heard if one["type"] == "subscribed")
        assert [one["data"] for one in heard if one["type"] == "n"] == [2]


@pytest.mark.parametrize("garbage", ["x", "0", "kept:c", "kept:c=", "=a.1.1", "kept:c=a.1.1,", "kept:c=a.1", ",", "a.1.1,b.1.1", "\xff",
                                     ",".join(f"c{n}=a.1.1" for n in range(17)), "7" * 4000])
def test_garbage_as_the_last_id_is_told_so(gateway, publish, garbage):
    publish("kept:c", 1)
    with gateway.stream("/sse/kept/c", last_id=garbage) as stream:
        told = stream.receive()["data"]
        assert (told["recovered"], told["reason"]) == (False, "format")
        assert told["pos"] == stream.last_id, "from there it can go on"
        publish("kept:c", 2)
        heard = until("what comes then", lambda: stream.receive()["data"])
        assert heard in (1, 2), "the node may hear of the first one only now"


def test_the_url_may_say_each_position_by_itself(gateway, publish):
    publish("left:b", 1)
    publish("right:b", 2)
    with gateway.stream("/sse/pair/b?since=start") as stream:
        places = {}

        def both_places():
            places.update(place.split("=") for place in stream.last_id.split(",") if place)
            return len(places) == 2 or (stream.receive_block() and False)

        until("an id of both", both_places)
    publish("left:b", 3)
    publish("right:b", 4)
    with gateway.stream("/sse/pair/b?" + "&".join(f"since={place}" for place in places.values())) as again:
        heard = [again.receive() for _ in range(4)]
        assert all(one["data"]["recovered"] for one in heard if one["type"] == "subscribed")
        assert sorted(one["data"] for one in heard if one["type"] == "n") == [3, 4]
        assert (again.joins, again.every_ms) == (["left:b", "right:b"], 1000)


def test_two_last_ids_are_garbage(gateway, publish):
    publish("kept:c", 1)
    with gateway.stream("/sse/kept/c", [("Last-Event-ID", "a.1.1"), ("Last-Event-ID", "a.1.1")]) as stream:
        assert stream.receive()["data"]["reason"] == "format"


def test_a_stream_of_two_channels_has_one_id_of_both(gateway, publish):
    publish("left:a", 1)
    with gateway.stream("/sse/pair/a") as stream:
        assert {stream.receive()["data"]["channel"] for _ in range(2)} == {"left:a", "right:a"}
        publish("left:a", 2)
        publish("right:a", 3)
        assert numbers(stream, 2) == [2, 3]
        places = {}

        def both_places():
            places.update(place.split("=") for place in stream.last_id.split(",") if place)
            done = {channel: pos.split(".")[1] for channel, pos in places.items()} == {"left:a": "2", "right:a": "1"}
            return done or (stream.receive_block() and False)

        until("an id of both", both_places)
    publish("right:a", 4)
    publish("left:a", 5, 6)
    with gateway.stream("/sse/pair/a", last_id=stream.last_id) as again:
        heard = [again.receive() for _ in range(5)]
        assert all(one["data"]["recovered"] for one in heard if one["type"] == "subscribed")
        assert sorted(one["data"] for one in heard if one["type"] == "n") == [4, 5, 6]
    with gateway.stream("/sse/pair/a", last_id=stream.last_id.split(",")[0]) as one_only:
        told = {}
        while len(told) < 2:
            message = one_only.receive()
            if message["type"] == "subscribed":
                told[message["data"]["channel"]] = message["data"]["recovered"]
        assert sorted(told.values()) == [False, True], "what nobody knows is told"


@pytest.mark.plain
def test_a_comment_is_the_heartbeat_and_no_line_is_empty_before_a_message(gateway, publish):
    with gateway.stream() as stream:
        lines = [stream.line() for _ in range(5)]
        assert lines[:2] == [":joins cards", ":every 1000"] and lines[2].startswith("retry: ") and lines[3:] == [":", ":"]
        publish("cards", 1)
        assert numbers(stream, 1) == [1]


def test_the_operator_sees_the_transport(gateway):
    with gateway.connect("/ws/cards"), gateway.stream() as stream:
        rows = gateway.api("/connections?route=/ws/cards")["connections"]
        assert sorted(row["transport"] for row in rows) == ["sse", "websocket"]
        (row,) = [row for row in rows if row["transport"] == "sse"]
        assert gateway.metric('tidegate_transport_connections{transport="sse"}') == 1
        opened = gateway.lines("client connected", conn=str(row["id"]))[0]
        assert (opened.fields["transport"], opened.fields["route"]) == ("sse", "/ws/cards")
        routes = {route["path"]: route["sse"] for route in gateway.api("/config")["routes"]}
        assert (routes["/ws/cards"], routes["/ws/none"], routes["/live/{id}"]) == ("/sse/cards", "off", "/events/{id}")
        stream.finish()
        gone = gateway.wait_for_line("client disconnected", conn=str(row["id"]))
        assert gone.fields["reason"] == "the peer closed" and gone.fields["transport"] == "sse"
        until("it is not counted", lambda: gateway.metric('tidegate_transport_connections{transport="sse"}') == 0)


def test_it_is_disconnected_with_a_word(gateway):
    with gateway.stream() as stream:
        (row,) = gateway.api("/connections?route=/ws/cards")["connections"]
        assert gateway.post("/disconnect", {"connection": row["id"]}).status == 200
        with pytest.raises(Closed) as closed:
            stream.receive()
        assert closed.value.code == 4010 and stream.retry_ms == 30000
        stream.expect_end()


def test_what_a_listener_says_is_not_read(gateway, redis):
    with gateway.stream() as stream:
        stream.send_raw(b"GET /sse/cards HTTP/1.1\r\nHost: x\r\n\r\n" * 200)
        redis.publish("cards", '{"type":"n","data":1}')
        assert numbers(stream, 1) == [1]


def test_a_token_lets_in(start, redis, tmp_path):
    file = tmp_path / "tidegate.yaml"
    issuer = Issuer()
    file.write_text(f"token_secret: {issuer.secret}\n" "token_cookie: session\ntoken_query: token\nauth: required\n"
                    f"origins: ['{ORIGIN}']\n"
                    "routes: [{path: /ws/cards, channel: cards}]\n", encoding="utf-8")
    gateway = start("--config", file, redis=redis)
    now = time.time()
    token = issuer.token()
    for headers, path in (([("Authorization", f"Bearer {token}")], "/sse/cards"), ([], f"/sse/cards?token={token}"),
                          ([("Cookie", f"session={token}"), ("Origin", ORIGIN)], "/sse/cards")):
        with gateway.stream(path, headers) as stream:
            assert stream.response.status == 200
        assert exchange(gateway.address, request(path, headers, method="HEAD")).status == 200
    assert exchange(gateway.address, request("/sse/cards", method="HEAD")).status == 401
    for headers, code in (([], "token_missing"), ([("Authorization", "Bearer x")], "token_invalid"),
                          ([("Authorization", f"Bearer {issuer.token(exp=int(now) - 3600)}")], "token_expired")):
        with pytest.raises(Refused) as refused:
            gateway.stream(headers=headers)
        assert refused.value.status == 401 and json.loads(refused.value.response.body)["data"]["code"] == code
    with pytest.raises(Refused) as refused:
        gateway.stream(headers=[("Sec-WebSocket-Protocol", f"tidegate.v1, tidegate.bearer.{token}")])
    assert refused.value.status == 400, "that is the place of a WebSocket"


def test_a_cookie_counts_for_pages_of_the_streams_own_host(start, redis, tmp_path):
    """Browsers send them no Origin."""
    file = tmp_path / "tidegate.yaml"
    issuer = Issuer()
    file.write_text(f"token_secret: {issuer.secret}\ntoken_cookie: session\norigins: [same, '{ORIGIN}']\n"
                    "routes: [{path: /ws/cards, channel: cards}]\n", encoding="utf-8")
    gateway = start("--config", file, redis=redis)
    cookie = ("Cookie", f"session={issuer.token()}")
    ours = f"127.0.0.1:{gateway.address[1]}"
    other = "live.example.com"  # of which the page of this machine is no part

    def status(host, *headers):
        try:
            with gateway.stream(headers=[cookie, *headers], host=host) as stream:
                return stream.response.status
        except Refused as refused:
            return refused.status

    assert status(ours, ("Sec-Fetch-Site", "same-origin")) == 200
    assert status(other, ("Sec-Fetch-Site", "same-origin")) == 200
    assert status(ours, ("Referer", f"http://{ours}/board?x=1")) == 200, "as without TLS"
    assert status(other, ("Referer", f"https://{other}/")) == 200
    for host, *headers in [(ours,), (ours, ("Sec-Fetch-Site", "none")), (ours, ("Sec-Fetch-Site", "same-site")),
                           (ours, ("Sec-Fetch-Site", "cross-site"), ("Referer", f"http://{ours}/")),
                           (ours, ("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Site", "same-origin")),
                           (ours, ("Sec-Fetch-Site", "same-origin"), ("Origin", "https://evil.example")),
                           (ours, ("Referer", f"http://{ours}/"), ("Referer", f"http://{ours}/")),
                           (ours, ("Referer", f"{ORIGIN}/")), (other, ("Referer", f"{ORIGIN}/")),
                           (ours, ("Referer", "http://127.0.0.1:1/")), (other, ("Referer", f"http://{ours}/")),
                           (other, ("Referer", "https://evil.example/")), (other, ("Referer", f"https://{other}.evil.example/")),
                           (other, ("Referer", f"https://{other}@evil.example/")), (other, ("Referer", "")), (other, ("Referer", "x"))]:
        assert status(host, *headers) == 403, headers


def test_a_slow_reader_is_bounded_like_a_websocket(start, redis, tmp_path):
    file = tmp_path / "tidegate.yaml"
    file.write_text("routes: [{path: /ws/cards, channel: cards, slow: {bytes: 64KiB, age: none}},\n"
                    " {path: /ws/new, channel: cards, slow: {policy: drop_oldest, bytes: 64KiB, age: none}}]\n", encoding="utf-8")
    gateway = start("--config", file, redis=redis)
    event = json.dumps({"type": "n", "data": "x" * 8000})
    with gateway.stream("/sse/cards", receive_buffer=4096) as slow, gateway.stream("/sse/new", receive_buffer=4096) as late:
        def cut():
            for _ in range(100):
                redis.publish("cards", event)
            return gateway.metric('tidegate_messages_dropped_total{policy="disconnect"}') > 0
        until("the slow one is closed", cut)
        slow.read_fast()
        assert slow.close_code() == 4100
        assert gateway.metric("tidegate_queued_bytes") <= 70000
        slow.expect_end()
        redis.publish("cards", '{"type":"n","data":"last"}')
        until("the newest is there", lambda: late.receive()["data"] == "last")


def test_a_stream_that_broke_is_told_from_one_that_its_peer_closed(start, redis):
    gateway = start("--ping-interval", "100ms", "--pong-timeout", "100ms", "--outbox-bytes-max", "64MiB", redis=redis)
    reset, deaf = gateway.stream("/sse/items/1"), gateway.stream("/sse/items/2", receive_buffer=4096)
    reset.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    reset.abandon()
    event = json.dumps({"type": "n", "data": "x" * 50000})
    until("one was reset, the other takes no bytes for too long", lambda: redis.publish("items:2", event) == 0
          and len(gateway.lines("client disconnected")) == 2)
    deaf.abandon()
    assert [line.fields["reason"] for line in gateway.lines("client disconnected")] == ["the connection broke"] * 2
    assert gateway.metric('tidegate_connections_closed_total{code="1006"}') == 2


def test_no_id_of_the_url_ends_a_line_of_the_stream(start, redis, tmp_path):
    """What others write into a stream unescaped becomes a field of its own: ids, names, reasons."""
    file = tmp_path / "tidegate.yaml"
    file.write_text('routes: [{path: "/ws/x/{id}", channel: "x:{id}", ids: any, history: {size: 10}}]\n', encoding="utf-8")
    gateway = start("--config", file, redis=redis)
    for text in ("%0Adata: x%0A%0A", "%0D", "a%0D%0Aretry: 1", "%E2%80%A8", "%C2%85"):
        try:
            with gateway.stream(f"/sse/x/{text.replace(' ', '%20')}") as stream:
                told = stream.receive()["data"]
                assert len(stream.joins) == 1 and stream.joins == [told["channel"]] and stream.retry_ms > 1
                assert not set(told["channel"]) & set("\r\n")
                (row,) = gateway.api("/connections")["connections"]
                command = {"do": "disconnect", "conn": f"{gateway.api('/status')['node']}.{row['id']}", "reason": "a\r\ndata: {}\n\nb"}
                assert gateway.post("/control", command).status == 400, "it is not said at all"
            until("it is gone", lambda: not gateway.api("/connections")["connections"])
        except Refused as refused:
            assert refused.status == 400


def test_limits_count_streams(start, redis):
    gateway = start("--connections-per-address", "2", redis=redis)
    with gateway.stream(), gateway.stream():
        with pytest.raises(Refused) as refused:
            gateway.stream()
        assert refused.value.status == 429 and refused.value.response.headers["retry-after"] == "30"
    until("they are gone", lambda: gateway.metric("tidegate_connections") == 0)
    gateway.stream().abandon()


def test_a_drain_tells_each_its_own_time(start, redis, tmp_path):
    file = tmp_path / "tidegate.yaml"
    file.write_text("routes: [{path: /ws/cards, channel: cards}]\n", encoding="utf-8")
    gateway = start("--config", file, "--drain-time", "2s", redis=redis)
    streams = [gateway.stream() for _ in range(10)]
    gateway.process.signal(signal.SIGTERM)
    times = set()
    for stream in streams:
        told = stream.receive()
        assert told["type"] == "reconnect" and stream.retry_ms == told["data"]["after_ms"] <= 500
        times.add(stream.retry_ms)
        assert stream.close_code() == 1012
        stream.expect_end()
        stream.abandon()
    assert len(times) > 1
    gateway.process.end()


@pytest.mark.plain
def test_the_path_shows_in_the_table_of_routes(tmp_path):
    file = tmp_path / "tidegate.yaml"
    file.write_text(SHARED_ROUTES, encoding="utf-8")
    done = run("check", file)
    assert re.search(r"/ws/pair/\{id\} .* sse /sse/pair/\{id\} ", done.stdout + done.stderr), done.stdout + done.stderr

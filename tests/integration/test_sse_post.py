"""What listens to an event stream says by POST: the same messages, guards and answers as on a WebSocket."""

import json
import threading
import time

import pytest

from harness.event_stream import EventStream, request
from harness.tokens import Issuer
from harness.wait import until
from harness.websocket import Closed, Refused, WebSocket, exchange

ORIGIN = "https://app.example.com"
JSON = ("Content-Type", "application/json")
STREAM = "post-actions"
SHARED_ROUTES = f"""
origins: [same, "{ORIGIN}"]
message_bytes_max: 4KiB
message_burst: 20
message_rate: 20
topics: [topic]
routes:
  - {{path: /ws/cards, channel: cards, presence: on, actions: {{stream: {STREAM}, timeout: 2s, in_flight: 3}}}}
  - {{path: "/ws/kept/{{id}}", channel: "kept:{{id}}", history: {{size: 100}}}}
  - {{path: /ws/none, channel: none, sse: off}}
"""


def body_of(*messages):
    return "\n".join(one if isinstance(one, str) else json.dumps(one) for one in messages).encode()


def post(gateway, *messages, path="/sse/cards", headers=(), kind=JSON, body=None):
    body = body_of(*messages) if body is None else body
    fields = [("Content-Length", str(len(body))), *([kind] if kind else []), *headers]
    return EventStream.connect(gateway.address, path, fields, method="POST", body=body)


def ask(gateway, *messages, **more):
    """All answers, and the code of the end."""
    answers = []
    with post(gateway, *messages, **more) as stream:
        try:
            while True:
                answers.append(stream.receive())
        except Closed as closed:
            return answers, closed.code


class Backend(threading.Thread):
    """Answers each action as its data ask for."""

    def __init__(self, redis):
        super().__init__(daemon=True)
        self.redis, self.goes_on, self.seen = redis, True, []
        self.start()

    def run(self):
        last = "0"
        while self.goes_on:
            for _, entries in self.redis.client.xread({STREAM: last}, block=50) or []:
                for entry, raw in entries:
                    last = entry
                    fields = {name.decode(): value.decode() for name, value in raw.items()}
                    self.seen.append(fields)
                    data = json.loads(fields["data"])
                    for number in range(data.get("parts", 0)):
                        self.say(fields, {"data": number, "more": True})
                    if not data.get("silent"):
                        self.say(fields, {"data": "done"})

    def say(self, fields, answer):
        channel = fields["reply"]
        self.redis.client.fcall("tidegate_publish", 2, f"tg:s:{{{channel}}}", f"tg:m:{{{channel}}}",
                                json.dumps({"action": fields["id"], **answer}), channel, "publish", 1001, 60000, "abcdefgh")

    def stop(self):
        self.goes_on = False
        self.join()


@pytest.fixture
def backend(redis, gateway):
    until("it hears answers", lambda: b"tg:r:" in b" ".join(redis.client.pubsub_channels()))
    one = Backend(redis)
    yield one
    one.stop()
    assert gateway.metric("tidegate_connections") >= 0


def action(number, **data):
    return {"type": "action", "id": number, "key": f"key-{number}", "data": data}


def test_an_action_is_answered_on_the_response_which_then_ends(gateway, backend):
    answers, code = ask(gateway, action(7, name="move"))
    assert [(one["type"], one["id"], one["data"]) for one in answers] == [("reply", 7, "done")]
    assert code == 1000
    assert (backend.seen[0]["route"], backend.seen[0]["key"]) == ("/ws/cards", "key-7")
    until("it is gone", lambda: gateway.metric('tidegate_transport_connections{transport="post"}') == 0)
    assert gateway.lines("client disconnected", transport="post", reason="all that was asked is answered")


@pytest.mark.usefixtures("backend")
def test_parts_and_several_messages_come_each_to_its_end(gateway):
    answers, code = ask(gateway, action("a", parts=3), {"type": "ping", "id": "p"}, "", action("b"), kind=("Content-Type", "Application/X-NDJSON; charset=utf-8"))
    assert code == 1000
    assert [one["data"] for one in answers if one.get("id") == "a"] == [0, 1, 2, "done"]
    assert [one["type"] for one in answers if one.get("id") == "p"] == ["pong"]
    assert [one["data"] for one in answers if one.get("id") == "b"] == ["done"]


def test_one_message_may_go_over_several_lines_and_several_have_a_line_each(gateway):
    answers, code = ask(gateway, body=b'{\n  "type": "ping",\r\n\n  "id": 1\n}\n')
    assert [(answer["type"], answer["id"]) for answer in answers] == [("pong", 1)] and code == 1000
    answers, code = ask(gateway, body=b'{"type":"ping","id":2}\n{\n"type":"ping","id":3}\n')
    assert [answer["type"] for answer in answers] == ["pong", "error", "error"] and code == 1000


@pytest.mark.usefixtures("backend")
def test_what_needs_no_answer_ends_as_well(gateway):
    assert ask(gateway, {"type": "action", "data": {}}) == ([], 1000)
    assert ask(gateway, body=b"\r\n \n\n") == ([], 1000)
    answers, code = ask(gateway, "no json", {"type": "nonsense", "id": 1})
    assert [one["data"]["code"] for one in answers] == ["bad_json", "unknown_type"] and code == 1000


@pytest.mark.usefixtures("backend")
def test_in_flight_and_the_timeout_hold(gateway):
    answers, code = ask(gateway, *(action(n, silent=True) for n in range(4)))
    assert sorted((one["id"], one["data"]["code"]) for one in answers) == [
        (0, "timeout"), (1, "timeout"), (2, "timeout"), (3, "too_many_actions")]
    assert code == 1000


def test_more_messages_than_the_burst_are_not_read(gateway):
    answers, code = ask(gateway, *({"type": "ping", "id": n} for n in range(60)))
    read = [one["id"] for one in answers if one["type"] == "pong"]
    assert code == 1000 and read[:20] == [*range(20)] and read == sorted(read) and len(read) < 60, "20 more for each second that it takes"
    assert {one["data"]["code"] for one in answers if one["type"] == "error"} == {"rate"}


def test_a_subscribe_keeps_the_response_open_and_is_no_second_pair_of_ears(gateway, redis):
    with post(gateway, {"type": "subscribe", "id": 1, "data": {"channel": "topic:1"}},
              {"type": "subscribe", "id": 2, "data": {"channel": "topic:2"}}) as stream:
        assert sorted(stream.receive()["id"] for _ in range(2)) == [1, 2]
        redis.publish("cards", '{"type":"n","data":0}')
        redis.publish("topic:2", '{"type":"n","data":1}')
        event = stream.receive()
        assert (event["channel"], event["data"]) == ("topic:2", 1), "and nothing of the path's own channels"
        assert [row["transport"] for row in gateway.api("/connections?channel=topic:1")["connections"]] == ["post"]


def test_who_is_there_is_asked_too(gateway):
    def how_many():
        answers, code = ask(gateway, {"type": "presence", "id": 1, "data": {"channel": "cards"}})
        assert code == 1000
        return answers[0]["data"]["n_anonymous"]

    with gateway.stream("/sse/cards"):
        until("who posts is not counted, and who was there before has gone", lambda: how_many() == 1)


def test_a_channel_with_a_history_goes_on_where_it_was(gateway, redis):
    for number in range(3):
        redis.client.fcall("tidegate_publish", 2, "tg:s:{kept:a}", "tg:m:{kept:a}", json.dumps({"type": "n", "data": number}),
                           "kept:a", "publish", 1001, 60000, "abcdefgh")
    with post(gateway, {"type": "subscribe", "id": 1, "data": {"channel": "kept:a", "since": "start"}}, path="/sse/kept/a") as stream:
        assert stream.receive()["data"]["count"] == 3
        assert [stream.receive()["data"] for _ in range(3)] == [0, 1, 2]


def raw(gateway, headers, body=b"{}", path="/sse/cards", **more):
    return exchange(gateway.address, request(path, headers, method="POST", body=body, **more))


def test_other_bodies_are_refused(gateway):
    length = ("Content-Length", "2")
    for headers, status, code in (([length], 400, "bad_body"), ([length, ("Content-Type", "text/plain")], 400, "bad_body"),
                                  ([length, ("Content-Type", "application/x-www-form-urlencoded")], 400, "bad_body"),
                                  ([length, JSON, JSON], 400, "bad_body"), ([JSON], 400, "bad_body"),
                                  ([("Content-Length", "0"), JSON], 400, "bad_body"),
                                  ([("Transfer-Encoding", "chunked"), JSON], 400, "bad_body"),
                                  ([("Content-Length", "4097"), JSON], 413, "body_too_large"),
                                  ([("Content-Length", "999999999999999999"), JSON], 413, "body_too_large"),
                                  ([("Content-Length", "-2"), JSON], 400, "bad_http")):
        answer = raw(gateway, headers)
        assert (answer.status, json.loads(answer.body)["data"]["code"]) == (status, code), headers
    assert raw(gateway, [length, JSON], path="/sse/none").status == 405
    assert raw(gateway, [length, JSON], path="/ws/cards").status == 405
    largest = json.dumps({"type": "ping", "id": 1}).encode()
    answers, _ = ask(gateway, body=largest + b" " * (4096 - len(largest)))
    assert answers[0]["type"] == "pong"


def test_a_page_of_another_site_is_refused(gateway):
    with pytest.raises(Refused) as refused:
        post(gateway, {"type": "ping"}, headers=[("Origin", "https://evil.example")])
    assert refused.value.status == 403
    with post(gateway, {"type": "ping", "id": 1}, headers=[("Origin", ORIGIN)]) as stream:
        assert stream.response.headers["access-control-allow-origin"] == ORIGIN
        assert stream.receive()["type"] == "pong"
    asks = [("Origin", ORIGIN), ("Access-Control-Request-Method", "POST"), ("Access-Control-Request-Headers", "content-type")]
    answer = exchange(gateway.address, request("/sse/cards", asks, method="OPTIONS"))
    assert "POST" in answer.headers["access-control-allow-methods"] and "Content-Type" in answer.headers["access-control-allow-headers"]


def test_a_body_may_come_in_pieces_and_after_a_word_of_ours(gateway):
    body = body_of({"type": "ping", "id": "x" * 100})
    fields = [("Content-Length", str(len(body))), JSON, ("Expect", "100-continue")]
    with WebSocket(gateway.address) as peer:
        peer.send_raw(request("/sse/cards", fields, method="POST"))
        assert peer.read_response().status == 100
        for at in range(len(body)):
            peer.send_raw(body[at:at + 1])
        peer.pending = b""
        until("it is answered", lambda: b'"pong"' in peer.socket.recv(65536))


def heard_behind_the_end(gateway, *messages, path="/sse/cards"):
    """All that comes to one who ends the own direction behind the body."""
    body = body_of(*messages)
    with WebSocket(gateway.address) as peer:
        peer.send_raw(request(path, [("Content-Length", str(len(body))), JSON], method="POST", body=body))
        peer.finish()
        heard = b""
        while more := peer.socket.recv(65536):
            heard += more
    until("it is gone", lambda: gateway.metric('tidegate_transport_connections{transport="post"}') == 0)
    return heard


@pytest.mark.usefixtures("backend")
def test_who_has_said_all_and_ends_that_direction_hears_the_answers(gateway):
    heard = heard_behind_the_end(gateway, action(1, parts=2), {"type": "ping", "id": 2})
    assert heard.count(b'"reply"') == 3 and b'"pong"' in heard and b'"code":1000' in heard


def test_who_ends_that_direction_is_no_listener(gateway):
    heard = heard_behind_the_end(gateway, {"type": "subscribe", "id": 1, "data": {"channel": "topic:ended"}})
    assert b'"subscribed"' in heard, "and then it was gone, whether the end came before that answer or behind it"


@pytest.mark.plain
def test_a_body_that_does_not_come_is_not_waited_for(gateway):
    with WebSocket(gateway.address) as peer:
        peer.send_raw(request("/sse/cards", [("Content-Length", "10"), JSON], method="POST", body=b"{"))
        assert peer.read_response().status == 408


def test_tokens_and_the_bound_on_connections_hold(start, redis, tmp_path):
    file = tmp_path / "tidegate.yaml"
    issuer = Issuer()
    file.write_text(f"token_secret: {issuer.secret}\nauth: required\ntoken_cookie: session\norigins: ['{ORIGIN}']\n"
                    "connections_per_user: 2\ntickets: true\n"
                    f"routes: [{{path: /ws/cards, channel: cards, actions: {{stream: {STREAM}, timeout: 10s}}}}]\n", encoding="utf-8")
    gateway = start("--config", file, redis=redis)
    ping = {"type": "ping", "id": 1}
    token = [("Authorization", f"Bearer {issuer.token(sub='alice')}")]
    for headers, status in (([], 401), ([("Authorization", "Bearer x")], 401),
                            ([("Cookie", f"session={issuer.token(sub='bob')}")], 403)):
        with pytest.raises(Refused) as refused:
            post(gateway, ping, headers=headers)
        assert refused.value.status == status
    assert ask(gateway, ping, headers=token)[0][0]["type"] == "pong"
    redis.client.set("tg:t:" + "a" * 32, json.dumps({"sub": "carol"}), ex=30)
    assert ask(gateway, ping, path=f"/sse/cards?ticket={'a' * 32}")[0][0]["type"] == "pong", "what was said waits for the ticket"
    redis.client.set("tg:t:" + "b" * 32, json.dumps({"sub": "carol"}), ex=30)
    assert b'"pong"' in heard_behind_the_end(gateway, ping, path=f"/sse/cards?ticket={'b' * 32}"), "so does its sender"
    with gateway.stream("/sse/cards", token), post(gateway, action(1, silent=True), headers=token):
        with pytest.raises(Refused) as refused:
            post(gateway, ping, headers=token)
        assert refused.value.status == 429


def test_no_body_is_asked_for_of_who_is_refused_anyway(start, redis, tmp_path):
    file = tmp_path / "tidegate.yaml"
    issuer = Issuer()
    file.write_text(f"token_secret: {issuer.secret}\nauth: required\norigins: ['{ORIGIN}']\ntickets: true\n"
                    "routes: [{path: /ws/cards, channel: cards}]\n", encoding="utf-8")
    gateway = start("--config", file, redis=redis)
    expects = [("Content-Length", "20"), JSON, ("Expect", "100-continue")]
    token = ("Authorization", f"Bearer {issuer.token(sub='alice')}")

    def status(*headers, **more):
        return exchange(gateway.address, request("/sse/cards", [*expects, *headers], method="POST", **more)).status

    assert status() == 401
    assert status(("Authorization", "Bearer x")) == 401
    assert status(token, ("Origin", "https://evil.example")) == 403
    assert status(token, ("Origin", ORIGIN)) == 100
    assert status(token, version="HTTP/1.0", body=b"{") == 408, "nor is 1.0 told to go on"


def test_a_token_is_judged_once_however_late_the_body_comes(start, redis, tmp_path):
    """It was good when it was shown: keys that came after that do not count, but what was taken back does."""
    file = tmp_path / "tidegate.yaml"
    issuer, newer = Issuer(), Issuer(secret="n" * 40)

    def write(secret):
        file.write_text(f"token_secret: {secret}\nauth: required\nroutes: [{{path: /ws/cards, channel: cards}}]\n", encoding="utf-8")

    def begin(sub):
        peer = WebSocket(gateway.address)
        fields = [("Content-Length", str(len(body))), JSON, ("Expect", "100-continue"), ("Authorization", f"Bearer {issuer.token(sub=sub)}")]
        peer.send_raw(request("/sse/cards", fields, method="POST"))
        assert peer.read_response().status == 100
        return peer

    def old_is_refused():
        fields = [("Content-Length", str(len(body))), JSON, ("Authorization", f"Bearer {issuer.token()}")]
        return exchange(gateway.address, request("/sse/cards", fields, method="POST", body=body)).status == 401

    write(issuer.secret)
    gateway = start("--config", file, "--workers", "1", redis=redis)
    body = body_of({"type": "ping", "id": 1})
    with begin("alice") as alice, begin("mallory") as mallory:
        now = int(time.time())
        assert gateway.post("/control", {"do": "revoke", "user": "mallory", "issued_before": now + 1, "until": now + 600}).status == 200
        write(newer.secret)
        assert gateway.post("/reload", {}).status == 200
        until("the old key counts no more", old_is_refused)
        for peer, status in ((alice, 200), (mallory, 401)):
            peer.send_raw(body)
            assert peer.read_response().status == status


def test_it_is_no_session_that_backends_are_told_of(start, redis, tmp_path):
    file = tmp_path / "tidegate.yaml"
    file.write_text("routes: [{path: /ws/cards, channel: cards, lifecycle: post-sessions}]\n", encoding="utf-8")
    gateway = start("--config", file, redis=redis)
    assert ask(gateway, {"type": "ping", "id": 1})[1] == 1000
    with gateway.stream("/sse/cards"):
        told = until("the stream is told", lambda: redis.client.xrange("post-sessions"))
        assert [fields[b"conn"].rpartition(b".")[2] for _, fields in told if fields[b"event"] == b"connected"] == \
            [str(row["id"]).encode() for row in gateway.api("/connections")["connections"]]


def test_a_drain_ends_it_with_its_code(start, redis, tmp_path):
    file = tmp_path / "tidegate.yaml"
    file.write_text("topics: [topic]\nroutes: [{path: /ws/cards, channel: cards}]\n", encoding="utf-8")
    gateway = start("--config", file, "--drain-time", "500ms", redis=redis)
    with post(gateway, {"type": "subscribe", "id": 1, "data": {"channel": "topic:1"}}) as stream:
        assert stream.receive()["type"] == "subscribed"
        gateway.process.signal(15)
        assert stream.close_code() == 1012
        stream.expect_end()
    gateway.process.end()

"""The admin API: what an operator can ask of one node, and do to it; over HTTP and from the command line."""

import json
import select
import socket
import threading
import time

import pytest

from harness.gateway import run
from harness.wait import sized, until
from harness.websocket import Closed, WebSocket

REQUEST_SECONDS = 10  # for a head, and for a body that comes slower than 64 KiB a second

ROUTES = """
routes:
  - path: /ws/cards
    channel: cards
    history: {size: 50, ttl: 1h}
  - path: /ws/slow
    channel: slow
"""


@pytest.fixture
def node(start, redis, tmp_path):
    file = tmp_path / "gate.yaml"
    file.write_text(ROUTES, encoding="utf-8")
    redis.client.flushall()
    return start("--config", file, redis=redis)


def status_of(node):
    return node.api("/status")


def test_status_says_who_it_is_and_what_it_does(node, tmp_path):
    with node.connect("/ws/cards") as peer:
        peer.ask({"type": "subscribe", "data": {"channel": "items:1"}})
        assert node.publish("items:1", '{"type":"x"}').returncode == 0
        assert peer.receive()["type"] == "x"
        told = until("all is counted", lambda: (lambda told: told["totals"]["messages_sent"] >= 2 and sum(told["delivery_seconds"]["counts"])
                                                and told)(status_of(node)))
    assert told["connections_max"] == node.metric("tidegate_connections_max") > 0
    assert (told["connections"], told["subscriptions"], told["channels"], told["workers"]) == (
        1, 2, 3, node.n_workers)  # tg:control is one of the channels
    assert told["node"] == node.get("/ready").json()["node"]
    assert (told["ready"], told["draining"]) == (True, False)
    assert told["port"] == node.address[1]
    assert told["config_file"] == str(tmp_path / "gate.yaml")
    assert told["broker"]["kind"] == "redis" and told["broker"]["state"] == "ready"
    assert told["totals"]["events"] == 1
    assert told["totals"]["connections_opened"] == 1
    assert told["uptime_seconds"] > 0
    deliveries = told["delivery_seconds"]
    assert len(deliveries["counts"]) == len(deliveries["bounds"]) + 1
    assert sum(deliveries["counts"]) == 1


def test_channels_are_listed_by_size_with_the_subscribers_of_all_workers(node):
    peers = [node.connect("/ws/items/big") for _ in range(20)]
    peers += [node.connect(f"/ws/items/small-{number}") for number in range(5)]
    told = node.api("/channels")
    assert told["total"] == 6
    assert told["channels"][0] == {"channel": "items:big", "subscribers": 20, "history": False}
    assert [row["channel"] for row in told["channels"][1:]] == [f"items:small-{number}" for number in range(5)]
    assert {row["subscribers"] for row in told["channels"][1:]} == {1}
    told = node.api("/channels?match=small&limit=2")
    assert (told["total"], len(told["channels"])) == (5, 2)
    assert node.api("/channels?match=nobody") == {"total": 0, "channels": []}
    for peer in peers:
        peer.abandon()
    until("all have left", lambda: node.api("/channels")["total"] == 0)


def test_a_channel_with_history_shows_its_position_and_last_events(node):
    with node.connect("/ws/cards") as peer:
        assert node.api("/channels")["channels"] == [{"channel": "cards", "subscribers": 1, "history": True}]
        for number in range(12):
            assert node.post("/publish", {"channel": "cards", "payload": {"type": "x", "data": number}}).status == 200
            assert peer.receive()["data"] == number
        told = node.api("/channels/cards?limit=3")
    assert (told["subscribers"], told["subscribed"]) == (1, True)
    assert [event["data"] for event in told["events"]] == [11, 10, 9], "the newest first"
    assert told["history"]["pos"] == told["events"][0]["pos"]
    assert (told["history"]["size"], told["history"]["ttl_seconds"], told["history"]["state"]) == (50, 3600, "live")
    assert told["history"]["remembered"] == 12
    assert len(node.api("/channels/cards")["events"]) == 10


def test_a_history_that_nobody_here_listens_to_is_idle_and_not_off(node):
    assert node.api("/channels/cards")["history"] == {
        "size": 50, "ttl_seconds": 3600, "state": "idle", "pos": None, "remembered": 0}


def test_a_channel_without_history_has_subscribers_and_no_events(node):
    with node.connect("/ws/items/7"):
        assert node.api("/channels/items:7") == {
            "channel": "items:7", "subscribers": 1, "subscribed": True, "history": None, "events": []}
        assert node.api("/channels/items%3A7")["subscribers"] == 1
        for name, n in (("items:7", 1), ("items%3A7", 1), ("items%253A7", 0)):  # decoded once
            assert node.api(f"/connections?channel={name}")["total"] == n
    assert node.api("/channels/nobody:here")["subscribers"] == 0


def test_connections_are_found_by_channel_and_route(node):
    first, second, other = node.connect("/ws/cards"), node.connect("/ws/cards"), node.connect("/ws/items/7")
    assert node.api("/connections")["total"] == 3
    told = node.api("/connections?channel=items:7")
    assert [row["route"] for row in told["connections"]] == ["/ws/items/{item_id}"]
    told = node.api("/connections?route=/ws/cards&sort=opened")
    assert told["total"] == 2
    newest, oldest = told["connections"]
    assert newest["open_seconds"] <= oldest["open_seconds"]
    assert newest["remote"] == "127.0.0.1" and newest["state"] == "open"
    assert newest["opened"] <= time.strftime("%Y-%m-%dT%H:%M:%S.999Z", time.gmtime())
    told = node.api("/connections?limit=1")
    assert (told["total"], len(told["connections"])) == (3, 1)
    for peer in (first, second, other):
        peer.abandon()


def test_a_connection_shows_its_channels_and_what_it_did(node):
    with node.connect("/ws/items/7") as peer:
        for channel in ("items:8", "items:9"):
            peer.ask({"type": "subscribe", "data": {"channel": channel}})
        (row,) = node.api("/connections")["connections"]
        told = node.api(f"/connections/{row['id']}")
    assert sorted(told["channels"]) == ["items:7", "items:8", "items:9"]
    assert (told["id"], told["subscriptions"], told["messages_received"], told["messages_sent"]) == (row["id"], 3, 2, 2)


def test_who_reads_slowly_comes_first(node):
    quick = [node.connect("/ws/slow") for _ in range(10)]
    stuck = WebSocket.connect(node.address, "/ws/slow", receive_buffer=4096)
    payload = json.dumps({"type": "x", "data": "y" * 100_000})

    def queued():
        node.post("/publish", {"channel": "slow", "payload": json.loads(payload)})
        for peer in quick:
            peer.receive()
        rows = node.api("/connections?sort=queued&limit=3")["connections"]
        return rows[0]["queued_bytes"] > 0 and rows

    rows = until("something waits for it", queued)
    assert rows[0]["socket_full"]
    assert [row["queued_bytes"] for row in rows[1:]] == [0, 0]
    for peer in (*quick, stuck):
        peer.abandon()


def test_a_connection_is_closed_with_4010_and_that_is_logged(node):
    with node.connect("/ws/items/7") as peer, node.connect("/ws/cards") as other:
        (row,) = node.api("/connections?channel=items%3A7")["connections"]
        target = row["id"]
        answer = node.post("/disconnect", {"connection": target})
        assert (answer.status, answer.json()) == (200, {"connection": target, "disconnected": True})
        with pytest.raises(Closed) as closed:
            peer.receive()
        assert (closed.value.code, closed.value.reason) == (4010, b"disconnected by the operator")
        peer.close(4010)
        assert other.ask({"type": "ping"})["type"] == "pong"
    node.wait_for_line("the operator gives a command", do="disconnect", conn=str(target), operator="127.0.0.1")
    node.wait_for_line("client disconnected", conn=str(target), code="4010")
    assert node.post("/disconnect", {"connection": target}).status == 404
    until("it is counted", lambda: node.metric('tidegate_connections_closed_total{code="4010"}') == 1)


def test_the_last_disconnects_are_told_with_their_reasons(node):
    for _ in range(3):
        node.connect("/ws/cards").abandon()
    with node.connect("/ws/items/7") as peer:
        peer.close(1000)
        assert peer.close_code() == 1000
    told = until("all have left", lambda: (lambda told: told["total"] == 4 and told)(node.api("/disconnects")))
    assert {(row["code"], row["count"]) for row in told["by_reason"]} == {(1006, 3), (1000, 1)}
    assert len(told["disconnects"]) == 4
    by_code = {row["code"]: row for row in told["disconnects"]}
    assert by_code[1000]["route"] == "/ws/items/{item_id}"
    assert by_code[1000]["reason"] == "the peer closed"
    assert by_code[1006]["remote"] == "127.0.0.1"
    times = [row["time"] for row in told["disconnects"]]
    assert times == sorted(times, reverse=True)
    assert len(node.api("/disconnects?limit=2")["disconnects"]) == 2


@pytest.mark.parametrize("path, status", [
    ("/channels?limit=0", 400), ("/channels?limit=1001", 400), ("/channels?limit=x", 400), ("/channels?limit=-1", 400),
    ("/channels?limit=99999999999999999999", 400), ("/channels?match=" + "x" * 300, 400), ("/channels/a%20b", 400),
    ("/channels/tg:x", 400), ("/channels/a%00", 404),
    ("/channels/" + "x" * 256, 404), ("/channels/", 404), ("/channels/a/b", 404),
    ("/channels/cards?limit=1000", 400), ("/connections?sort=age", 400), ("/connections?limit=x", 400),
    ("/connections/x", 400), ("/connections/0", 400), ("/connections/99999999999999999999", 400),
    ("/connections/12345", 404), ("/connections/1/2", 404), ("/disconnects?limit=51", 400), ("/disconnect", 405),
    ("/publish", 405), ("/nothing", 404),
])
def test_what_makes_no_sense_is_refused_with_a_code_and_a_reason(gateway, path, status):
    answer = gateway.get(path)
    assert answer.status == status
    error = answer.json()["error"]
    assert error["code"] and error["message"]


@pytest.mark.parametrize("body", [b"", b"{", b"7", b"[7]", b"{}", b'{"connection":"x"}', b'{"connection":1.5}',
                                  b'{"connection":-1}', b'{"connection":1,"connection":2}', b'{"connection":0}', b'{"connection":1e3}', b'{"connection":null}'], ids=repr)
def test_a_disconnect_that_names_no_connection_is_400(gateway, body):
    answer = gateway.get("/disconnect", "POST", body)
    assert (answer.status, answer.json()["error"]["code"]) == (400, "bad_connection")


def test_a_body_that_nobody_asked_for_is_not_kept(gateway):
    """A tail never ends: what its caller sends meanwhile would be held for as long."""
    with socket.create_connection(gateway.admin_address, timeout=30) as peer:
        peer.sendall(b"GET /tail?channel=cards HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n")
        assert peer.recv(4096).startswith(b"HTTP/1.1 200 ")
        with pytest.raises(ConnectionError):
            for _ in range(640):  # 64 MB: more than is read and forgotten, and than the two sockets hold
                peer.sendall(b"x" * 100_000)


def test_a_tail_that_nobody_reads_is_cut_off(start, redis):
    node = start(redis=redis)
    event = {"channel": "cards", "payload": "x" * 60_000}
    with socket.socket() as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        peer.connect(node.admin_address)
        peer.sendall(b"GET /tail?channel=cards HTTP/1.1\r\nHost: x\r\n\r\n")
        assert peer.recv(12) == b"HTTP/1.1 200"
        port = peer.getsockname()[1]
        for _ in range(15):  # 9 MB: more than the sockets and the gateway keep
            assert node.post("/publish", [event] * 10).status == 200
        until("the gateway has let go of the connection", lambda: not held(node.admin_address[1], port), seconds=30)


def held(admin_port, port):
    """Does the gateway still have its end of that connection open?"""
    with open("/proc/net/tcp", encoding="ascii") as table:
        rows = [line.split() for line in list(table)[1:]]
    ends = [(row[1].split(":")[1], row[2].split(":")[1], row[3]) for row in rows]
    return (f"{admin_port:04X}", f"{port:04X}", "01") in ends  # 01: established


def test_a_question_with_a_body_is_answered_all_the_same(gateway):
    assert gateway.get("/channels", body=b"{}").status == 200
    assert gateway.get("/live", body=b"{}").status == 200


def test_the_longest_name_is_found_however_it_is_spelt(node):
    name = f"{'x' * 127}:{'y' * 127}"
    for spelt in (name, name.replace(":", "%3A"), "".join(f"%{ord(letter):02x}" for letter in name)):
        assert node.api(f"/channels/{spelt}")["channel"] == name


@pytest.mark.parametrize("channel", ["cards", "items:7"])  # with a history and without
def test_what_every_gateway_would_drop_is_not_published(start, redis, tmp_path, channel):
    file = tmp_path / "gate.yaml"
    file.write_text(ROUTES + "event_bytes_max: 1KiB\n", encoding="utf-8")
    node = start("--config", file, redis=redis)
    largest, larger = "x" * 1022, "x" * 1023  # with their quotes
    assert node.post("/publish", {"channel": channel, "payload": largest}).status == 200
    refused = node.post("/publish", {"channel": channel, "payload": larger})
    assert refused.status == 400 and "event_bytes_max" in refused.json()["error"]["message"]
    assert node.post("/publish", [{"channel": channel, "payload": 1}, {"channel": channel, "payload": larger}]).status == 400


def test_who_sends_a_huge_body_all_the_same_hears_why_it_is_refused(gateway):
    with socket.create_connection(gateway.admin_address, timeout=30) as peer:
        peer.sendall(b"POST /publish HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n")
        for _ in range(80):
            peer.sendall(b"x" * 100_000)
        answer = peer.recv(4096)
    assert answer.startswith(b"HTTP/1.1 413 ")


def test_a_request_that_dribbles_is_answered_408_and_counted(gateway):
    begins = {
        "a head": b"GET /live HTTP/1.1\r\nHost: x\r\nX-Slow: ",
        "a body": b"POST /publish HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n",
        "chunks": b"POST /publish HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1000;",
    }
    before = gateway.metric('tidegate_admin_requests_refused_total{status="408"}')
    began = time.monotonic()
    peers = {what: WebSocket(gateway.admin_address) for what in begins}
    for what, peer in peers.items():
        peer.send_raw(begins[what])
    waiting = set(peers)
    while waiting:
        assert time.monotonic() - began < 5 * REQUEST_SECONDS, waiting
        heard, _, _ = select.select([peers[what].socket for what in waiting], [], [], 0.5)
        for what in list(waiting):
            if peers[what].socket in heard:
                assert peers[what].read_response().status == 408, what
                waiting.remove(what)
            else:
                peers[what].send_raw(b"x")
    for peer in peers.values():
        peer.abandon()
    assert gateway.metric('tidegate_admin_requests_refused_total{status="408"}') == before + len(begins)


def test_refusals_are_counted_by_their_status(node):
    def refused():
        return {status: node.metric('tidegate_admin_requests_refused_total{status="%s"}' % status) for status in (400, 403, 404, 405, 411)}

    before = refused()
    node.get("/nothing")
    node.get("/publish")
    node.get("/live", Origin="http://other.test")
    node.get("/publish", "POST", b"{")
    with WebSocket(node.admin_address) as peer:
        peer.send_raw(b"POST /publish HTTP/1.1\r\nHost: x\r\n\r\n")
        assert peer.read_response().status == 411
    assert refused() == {status: n + 1 for status, n in before.items()}


@pytest.mark.parametrize("path", ["/publish", "/disconnect"])
def test_a_body_that_is_said_to_be_huge_is_refused_before_it_comes(gateway, path):
    with socket.create_connection(gateway.admin_address, timeout=30) as peer:
        peer.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n".encode())
        answer = b""
        while True:  # to its end: nothing of the body was sent, and the whole answer comes all the same
            data = peer.recv(4096)
            if not data:
                break
            answer += data
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"] == "too_big"


def test_many_callers_at_once_while_clients_come_and_go(node):
    """Questions cross the threads while what they ask about changes."""
    paths = ("/channels", "/connections", "/disconnects", "/status", "/channels/cards", "/connections?channel=cards")
    for round_number in range(sized(20, 8)):
        peers = [node.connect("/ws/cards") for _ in range(5)]
        callers = [socket.create_connection(node.admin_address) for _ in paths * 3]
        for caller, path in zip(callers, paths * 3):
            caller.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        for caller in callers[round_number % 3:]:
            while caller.recv(65536):
                pass
        for caller in callers:
            caller.close()  # the first ones without having waited for their answer
        for peer in peers:
            peer.abandon()
    assert node.api("/status")["node"]


def test_questions_that_are_open_at_the_end_do_not_hold_it_up(start):
    node = start()
    callers = [socket.create_connection(node.admin_address) for _ in range(20)]
    for caller in callers:
        caller.sendall(b"GET /connections HTTP/1.1\r\nHost: x\r\n\r\n")
    node.stop()
    for caller in callers:
        caller.close()


def test_the_command_line_shows_the_status(node):
    with node.connect("/ws/cards"):
        shown = run("status", "--admin", node.admin)
        assert (shown.returncode, shown.stderr) == (0, "")
        assert f"1 of {status_of(node)['connections_max']:,} connections" in shown.stdout
        assert status_of(node)["node"] in shown.stdout
        assert "\033" not in shown.stdout, "colours are for terminals"
        told = json.loads(run("status", "--json", "--admin", node.admin).stdout)
    assert told["nodes"][0]["connections"] == 1


def test_the_command_line_disconnects(node):
    with node.connect("/ws/cards") as peer:
        (row,) = node.api("/connections")["connections"]
        done = run("disconnect", str(row["id"]), "--admin", node.admin)
        assert (done.returncode, done.stderr) == (0, "")
        assert peer.close_code() == 4010
    again = run("disconnect", "999", "--admin", node.admin)
    assert again.returncode == 1
    assert "no such connection" in again.stderr


@pytest.mark.parametrize("words, code", [(["disconnect"], 2), (["disconnect", "x"], 2), (["disconnect", "1", "2"], 2),
                                         (["status", "x"], 2), (["publish", "--json", "a", "{}"], 2),
                                         (["status", "--admin", "127.0.0.1:1"], 1),
                                         (["disconnect", "1", "--admin", "127.0.0.1:1"], 1)], ids=repr)
def test_the_command_line_says_in_one_line_what_is_wrong(words, code):
    result = run(*words)
    assert (result.returncode, len(result.stderr.splitlines()), result.stdout) == (code, 1, "")


def test_it_says_what_it_goes_by_and_what_waits_for_a_restart(start, tmp_path):
    file = tmp_path / "effective.yaml"
    file.write_text("workers: 2\nping_interval: 20s\nroutes: [{path: '/ws/a/{b}', channels: ['a:{b}', all], subscribe: [c], history: on}]\n",
                    encoding="utf-8")
    node = start("--config", file, env={"TIDEGATE_ADMIN_TOKEN": "sesame"}, ready=False)
    secret = {"Authorization": "Bearer sesame"}
    assert node.get("/config").status == 401
    file.write_text(file.read_text(encoding="utf-8").replace("20s", "15s") + "channel_prefix: 'new:'\n", encoding="utf-8")
    assert node.get("/reload", "POST", **secret).status == 200
    answer = node.api("/config", **secret)
    assert "sesame" not in json.dumps(answer)
    options = {option.pop("name"): option for option in answer["options"]}
    assert options["ping_interval"] == {"value": "15s", "source": f"{file}:2"}
    assert options["channel_prefix"] == {"value": "none", "source": "default", "after_restart": "new:"}
    assert answer["routes"][0] == {"path": "/ws/a/{b}", "channels": ["a:{b}", "all"], "subscribe": ["c"], "ids": "plain",
                                   "auth": "none", "access": "route", "slow": "disconnect 1MiB 10s", "compression": False, "history": "1000 24h",
                                   "actions": "off", "presence": "off", "lifecycle": "off", "sse": "/sse/a/{b}",
                                   "source": f"{file}:3"}
    printed = run("config", "--admin", node.admin, env={"TIDEGATE_ADMIN_TOKEN": "sesame"}).stdout
    assert any(line.split() == ["ping_interval", "15s", f"{file}:2"] for line in printed.splitlines())
    assert "(after a restart: new:)" in printed and "  /ws/a/{b} " in printed


def test_it_says_which_newer_configuration_it_refused(start, tmp_path):
    file = tmp_path / "wrong.yaml"
    file.write_text("workers: 2\n", encoding="utf-8")
    node = start("--config", file)
    file.write_text("worker: 2\n", encoding="utf-8")
    assert node.get("/reload", "POST").status == 400
    told = node.api("/status")["last_reload"]
    assert told["successful"] is False and "'worker'" in told["reason"]
    said = run("status", "--admin", node.admin).stdout
    assert "a newer one was refused: " in said and "'worker'" in said
    file.write_text("workers: 2\n", encoding="utf-8")
    assert node.get("/reload", "POST").status == 200
    assert "reason" not in node.api("/status")["last_reload"]


@pytest.mark.parametrize("body, place", [
    ('{"channel":"cards","payload":{type:1}}', "byte 31"), ('\n {"channel":"cards",}', "byte 22"),
    ('{"channel":"cards"', "ends too early"), ("", "ends too early"), ("cards", "byte 1"),
])
def test_a_publication_that_is_no_json_is_told_where(gateway, body, place):
    answer = gateway.get("/publish", "POST", body)
    assert answer.status == 400
    assert answer.json()["error"]["code"] == "bad_json" and place in answer.json()["error"]["message"]


@pytest.mark.parametrize("body", [b'{"options":[{}],"routes":[{}]}', b'{"options":[7,[]],"routes":["a",{"channels":[1]}]}'])
def test_the_command_line_prints_what_it_knows_of_an_answer(body):
    code, error = ask_config(body)
    assert (code, error) == (0, "")


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b'{"options":7}'])
def test_the_command_line_says_when_no_gateway_answers(body):
    code, error = ask_config(body)
    assert code == 1 and "is no gateway" in error and len(error.splitlines()) == 1


def ask_config(body):
    """`tidegate config` of a program that answers everything with this body: its exit code, and what it complains of."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        def answer():
            with server.accept()[0] as connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (len(body), body))
        thread = threading.Thread(target=answer)
        thread.start()
        result = run("config", "--admin", f"127.0.0.1:{server.getsockname()[1]}")
        thread.join()
    return result.returncode, result.stderr

"""What an operator can count on: every number of /metrics moves when the thing happens, and only then."""

import signal
import time

import pytest

from harness.prometheus import promtool, scrape
from harness.tokens import SECRET
from harness.wait import pass_time, until
from harness.websocket import TEXT, exchange, handshake
from test_recovery import back, fill, position, publisher_of
from test_slow_readers import BOUND, flood

DELIVERED = "tidegate_delivery_seconds_count"
CLOSED = "tidegate_connections_closed_total"
REFUSED = "tidegate_handshakes_refused_total"

CONFIG = """
routes:
  - {path: "/ws/kept/{id}", channel: "kept:{id}", history: {size: 1000}}
  - {path: "/ws/strict", channel: cards, slow: {bytes: 256KiB, age: none}}
  - {path: "/ws/lossy", channel: cards, slow: {policy: drop_oldest, bytes: 256KiB, age: none}}
"""


@pytest.fixture
def fresh(start, redis):
    """A gateway that nobody left a moment ago: what it counts is all ours."""
    return start(redis=redis)


@pytest.fixture
def configured(start, own_redis, tmp_path):
    """A gateway with these routes, and the Redis that only it knows."""
    file = tmp_path / "tidegate.yaml"
    file.write_text(CONFIG, encoding="utf-8")
    return start("--config", file, redis=own_redis), own_redis


def grows(gateway, before, name, by=1, **labels):
    """Waits until it has grown by exactly so much; what comes later is the next look's."""
    def look():
        grown = scrape(gateway).since(before, name, **labels)
        assert grown <= by, (name, labels, grown)
        return grown == by

    until(f"{name} {labels} grows by {by}", look)


def test_promtool_has_nothing_to_say(gateway, redis):
    with gateway.connect("/ws/cards") as peer:
        redis.publish("cards", '{"type":"x"}')
        peer.receive()
    code, said = promtool("check", "metrics", text=scrape(gateway).text)
    assert (code, said.strip()) == (0, "")


def test_says_what_runs(gateway):
    metrics = scrape(gateway)
    assert list(metrics.labels("tidegate_build_info")) == ["version"]
    assert metrics.get("tidegate_workers") == gateway.n_workers
    assert metrics.get("tidegate_config_last_reload_successful") == 1
    assert abs(time.time() - metrics.get("tidegate_config_last_reload_success_timestamp_seconds")) < 3600


def test_says_what_the_process_takes(fresh):
    before = scrape(fresh)
    peers = [fresh.connect() for _ in range(20)]
    metrics = scrape(fresh)
    assert metrics.since(before, "process_open_fds") >= 20
    assert metrics.get("process_max_fds") >= metrics.get("process_open_fds")
    assert metrics.get("process_virtual_memory_bytes") >= metrics.get("process_resident_memory_bytes") > 1 << 20
    assert abs(metrics.get("process_resident_memory_bytes") / 1024 - fresh.resident_kib()) < 4096
    assert abs(time.time() - metrics.get("process_start_time_seconds")) < 3600
    assert metrics.get("process_cpu_seconds_total") > 0
    for peer in peers:
        peer.abandon()


def test_counts_each_delivery_once(fresh, redis):
    """One event to several clients, on both workers, several in one turn, and one who hears two channels."""
    peers = [fresh.connect("/ws/items/timed") for _ in range(9)]
    peers[0].ask({"type": "subscribe", "data": {"channel": "items:other"}})
    before = scrape(fresh)
    pipe = redis.client.pipeline(transaction=False)
    for number in range(40):
        pipe.publish("items:timed", f'{{"type":"n","data":{number}}}')
        pipe.publish("items:other", f'{{"type":"n","data":{number}}}')
    pipe.execute()
    for peer in peers:
        for _ in range(80 if peer is peers[0] else 40):
            assert peer.receive()["type"] == "n"
    grows(fresh, before, DELIVERED, 10 * 40)
    grows(fresh, before, "tidegate_messages_sent_total", 10 * 40)
    metrics = scrape(fresh)
    assert metrics.since(before, "tidegate_events_total") == 80
    assert metrics.get("tidegate_delivery_seconds_bucket", le="+Inf") == metrics.get(DELIVERED)
    assert metrics.since(before, "tidegate_delivery_seconds_sum") > 0
    assert metrics.since(before, "tidegate_sent_bytes_total") > 400 * len('{"type":"n"}')
    for peer in peers:
        peer.abandon()


def test_a_reply_is_no_delivery(fresh):
    with fresh.connect() as peer:
        before = scrape(fresh)
        assert peer.ask({"type": "ping"})["type"] == "pong"
        peer.ask({"type": "nonsense"})
        grows(fresh, before, "tidegate_messages_sent_total", 2)
        grows(fresh, before, "tidegate_messages_received_total", 2)
        metrics = scrape(fresh)
        assert metrics.since(before, "tidegate_received_bytes_total") == len('{"type": "ping"}{"type": "nonsense"}')
        assert metrics.since(before, "tidegate_client_errors_total") == 1
        assert metrics.since(before, DELIVERED) == 0


def test_counts_connections_by_the_code_that_ended_them(fresh):

    ends = {
        "1000": lambda peer: (peer.close(1000), peer.close_code()),
        "1001": lambda peer: (peer.close(1001), peer.close_code()),
        "1003": lambda peer: (peer.send_frame(2, b"binary"), peer.close_code()),
        "1006": lambda peer: peer.abandon(),
        "1009": lambda peer: (peer.send_frame(TEXT, b"x" * 20000), peer.close_code()),
        "other": lambda peer: (peer.close(4100), peer.close_code()),  # ours to say, not a peer's
    }
    for code, leave in ends.items():
        before = scrape(fresh)
        leave(fresh.connect())
        grows(fresh, before, CLOSED, code=code)
        after = scrape(fresh)
        assert after.since(before, "tidegate_connections_opened_total") == 1
        assert sum(after.since(before, CLOSED, code=other) for other in after.labels(CLOSED)["code"]) == 1
        assert after.since(before, "tidegate_connections") == 0


REFUSALS = {
    "not_found": {"path": "/nowhere"},
    "bad_id": {"path": "/ws/items/a%20b"},
    "bad_method": {"method": "POST"},
    "bad_http": {"version": "HTTP/1.0"},
    "upgrade_required": {"without": ["Upgrade", "Connection"]},
    "bad_version": {"headers": [("Sec-WebSocket-Version", "12")], "without": ["Sec-WebSocket-Version"]},
    "bad_key": {"headers": [("Sec-WebSocket-Key", "short")], "without": ["Sec-WebSocket-Key"]},
    "bad_origin": {"headers": [("Origin", "https://evil.test")]},
    "head_too_large": {"headers": [("Cookie", "c" * 9000)]},
    "target_too_long": {"path": "/" + "x" * 9000},
}


@pytest.mark.parametrize("reason", REFUSALS)
def test_counts_who_is_refused_by_reason(gateway, reason):
    before = scrape(gateway)
    exchange(gateway.address, handshake(**{"path": "/ws/cards", **REFUSALS[reason]}))
    after = scrape(gateway)
    grown = {other: after.since(before, REFUSED, reason=other) for other in after.labels(REFUSED)["reason"]}
    assert {other: n for other, n in grown.items() if n} == {reason: 1}


def test_counts_who_has_no_right(start, redis, tmp_path):
    file = tmp_path / "personal.yaml"
    file.write_text(f"token_secret: {SECRET}\nroutes: [{{path: /ws/me, channel: 'user:{{token.sub}}', auth: optional}}]\n",
                    encoding="utf-8")
    node = start("--config", file, redis=redis)
    assert exchange(node.address, handshake(path="/ws/me")).status == 403
    assert scrape(node).get(REFUSED, reason="forbidden") == 1


def test_every_reason_of_a_refusal_is_one_that_clients_are_told(gateway):
    assert scrape(gateway).labels(REFUSED)["reason"] == {
        *REFUSALS, "forbidden", "token_missing", "token_expired", "token_invalid", "bad_credentials", "bad_subprotocol", "draining", "full",
        "memory", "too_many_connections", "too_many_connections_of_user", "too_fast", "token_revoked", "ticket_invalid", "keys_refreshing", "unavailable", "bad_proxy_header", "out_of_memory",
        "timeout", "bad_sse_method", "bad_body", "body_too_large", "preflight", "head"}


def test_counts_events_that_nobody_can_be_sent(start, redis):
    gateway = start("--event-bytes-max", "1KiB", redis=redis)
    with gateway.connect("/ws/items/dropped") as peer:
        before = scrape(gateway)
        for _ in range(7):
            redis.publish("items:dropped", "{")
        redis.publish("items:dropped", '"' + "x" * 2000 + '"')
        redis.publish("items:dropped", '{"type":"marker"}')
        assert peer.receive()["type"] == "marker"
    metrics = scrape(gateway)
    assert metrics.since(before, "tidegate_events_dropped_total", reason="not_json") == 7
    assert metrics.since(before, "tidegate_events_dropped_total", reason="too_big") == 1
    assert metrics.since(before, "tidegate_log_lines_suppressed_total") == 2, "five of a kind are written in a minute"


def test_counts_what_waits_for_who_does_not_read(configured):
    gateway, redis = configured
    reader, slow = gateway.connect("/ws/lossy"), gateway.connect("/ws/lossy", receive_buffer=4096)
    flood(redis, reader)
    metrics = scrape(gateway)
    assert BOUND / 2 < metrics.get("tidegate_queued_bytes") <= BOUND
    assert metrics.get("tidegate_messages_dropped_total", policy="drop_oldest") > 0
    slow.abandon()
    until("nothing waits for nobody", lambda: scrape(gateway).get("tidegate_queued_bytes") == 0)
    reader.abandon()


def test_a_slow_client_is_closed_with_4100(configured):
    gateway, redis = configured
    reader, slow = gateway.connect("/ws/strict"), gateway.connect("/ws/strict", receive_buffer=4096)
    flood(redis, reader)
    slow.abandon()
    until("it is counted", lambda: scrape(gateway).get(CLOSED, code="4100") == 1)
    assert scrape(gateway).get("tidegate_messages_dropped_total", policy="disconnect") > 0
    reader.abandon()


def test_says_how_redis_does(start, own_redis):
    gateway = start(redis=own_redis)
    metrics = scrape(gateway)
    assert metrics.get("tidegate_redis_ready") == 1
    assert 0 < metrics.get("tidegate_redis_probe_seconds") < 60
    assert metrics.get("tidegate_redis_reconnects_total") == 0
    own_redis.kill()
    until("it is away", lambda: scrape(gateway).get("tidegate_redis_ready") == 0)
    own_redis.start()
    gateway.wait_until_ready()
    metrics = scrape(gateway)
    assert metrics.get("tidegate_redis_ready") == 1
    assert metrics.get("tidegate_redis_reconnects_total") == 1


def test_counts_recoveries_by_result_and_by_where_they_came_from(configured):
    gateway, redis = configured
    before = scrape(gateway)
    entries = fill(redis, "kept:m", 600)
    first, late = (position(redis, "kept:m", entry) for entry in (entries[0], entries[-3]))
    back(gateway, "/ws/kept/m", first)[0].abandon()
    grows(gateway, before, "tidegate_recovery_source_total", source="log")
    with back(gateway, "/ws/kept/m", "now")[0] as keeper:
        publisher_of(redis)("kept:m", 7)
        assert keeper.receive()["data"] == 7
        grows(gateway, before, DELIVERED)
        before = scrape(gateway)
        peer, told = back(gateway, "/ws/kept/m", late)
        assert (told["recovered"], told["count"]) == (True, 3)
        for _ in range(3):
            peer.receive()
        grows(gateway, before, "tidegate_recovery_source_total", source="memory")
        after = scrape(gateway)
        assert after.since(before, "tidegate_recoveries_total", result="recovered") == 1
        assert after.since(before, DELIVERED) == 0, "what is replayed took no time to deliver"
        peer.abandon()
        back(gateway, "/ws/kept/m", "rubbish")[0].abandon()
        grows(gateway, before, "tidegate_recoveries_total", result="not_recovered")
        assert scrape(gateway).since(before, "tidegate_recovery_source_total", source="memory") == 1


def test_counts_catch_ups_and_resyncs(configured):
    gateway, redis = configured
    publish = publisher_of(redis)
    publish("kept:c", 1)
    before = scrape(gateway)
    with back(gateway, "/ws/kept/c", "now")[0] as peer:
        grows(gateway, before, "tidegate_catch_ups_total", cause="link")
        assert scrape(gateway).since(before, "tidegate_log_reads_total") >= 1
        redis.client.flushall()
        publish("kept:c", 2)
        assert peer.receive()["type"] == "resync"
        grows(gateway, before, "tidegate_resyncs_total", reason="epoch")
        after = scrape(gateway)
        causes = after.labels("tidegate_catch_ups_total")["cause"] - {"link", "join"}
        assert sum(after.since(before, "tidegate_catch_ups_total", cause=cause) for cause in causes) >= 1


def test_channels_and_subscriptions_come_and_go(fresh):
    before = scrape(fresh)
    with fresh.connect("/ws/items/one") as peer:
        peer.ask({"type": "subscribe", "data": {"channel": "items:two"}})
        metrics = scrape(fresh)
        assert metrics.since(before, "tidegate_subscriptions") == 2
        assert metrics.get("tidegate_channels") >= 2
    until("they are gone", lambda: scrape(fresh).since(before, "tidegate_subscriptions") <= 0)


def test_the_lag_of_its_threads_is_looked_at(gateway):
    """Timers are never exact."""
    until("a timer was late", lambda: scrape(gateway).get("tidegate_loop_lag_seconds") > 0)


def test_a_thread_that_stood_still_was_late(start):
    gateway = start()
    gateway.get("/live")
    since = time.monotonic()
    gateway.process.signal(signal.SIGSTOP)
    pass_time(1)
    stood = time.monotonic() - since
    gateway.process.signal(signal.SIGCONT)
    until("the lag shows it", lambda: scrape(gateway).get("tidegate_loop_lag_seconds") > stood / 2)


def test_says_through_what_it_sends(start, redis):
    """Each worker finds out with its first event for sixteen."""
    gateway = start("--workers", "1", redis=redis)
    assert scrape(gateway).get("tidegate_io_uring") == 0
    peers = [gateway.connect() for _ in range(20)]
    redis.publish("cards", '{"type":"x"}')
    for peer in peers:
        peer.receive()
    until("number and log agree",
          lambda: scrape(gateway).get("tidegate_io_uring") == len(gateway.lines("sending through io_uring")))
    for peer in peers:
        peer.abandon()


def test_says_that_it_takes_leave(start):
    gateway = start()
    peer = gateway.connect()
    assert scrape(gateway).get("tidegate_draining") == 0
    gateway.process.signal(signal.SIGTERM)
    assert peer.close_code() == 1012  # and waits for the peer's answer
    metrics = scrape(gateway)
    assert metrics.get("tidegate_draining") == 1
    peer.close(1012)
    gateway.process.end()

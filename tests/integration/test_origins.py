"""Which sites' pages may open a WebSocket: what a browser says in Origin is looked at before the upgrade."""

import json
import signal

import pytest

from harness.gateway import run
from harness.wait import until
from harness.websocket import exchange, handshake

APP = "https://app.example.com"


def status(gateway, *origins, host="gateway.test", path="/ws/cards", **request):
    return exchange(gateway.address, handshake(path, [("Origin", origin) for origin in origins], host=host, **request)).status


def test_by_default_the_hosts_own_pages_and_those_of_this_machine_may_connect(gateway):
    port = gateway.address[1]
    assert status(gateway) == 101  # no browser
    assert status(gateway, "https://gateway.test") == 101
    assert status(gateway, f"http://gateway.test:{port}", host=f"gateway.test:{port}") == 101
    assert status(gateway, "http://localhost:5173", host=f"127.0.0.1:{port}") == 101
    for foreign in ("https://evil.test", "http://gateway.test:81", "https://gateway.test.evil.test", "null", "file://"):
        assert status(gateway, foreign) == 403, foreign
    assert status(gateway, "http://evil.test", host=f"127.0.0.1:{port}") == 403
    assert status(gateway, "http://localhost:5173", host="gateway.test") == 403


def test_what_is_no_origin_or_two_is_refused_even_where_every_page_may_connect(start):
    gateway = start("--origins", "*")
    assert status(gateway, "https://evil.test") == 101
    assert status(gateway, "null") == 101
    assert status(gateway, "https://evil.test", "https://evil.test") == 403
    for odd in ("", "https://user@evil.test", "https://evil.test/", "https://evil.test.", "evil.test"):
        assert status(gateway, odd) == 403, odd


def test_a_foreign_page_is_told_403_and_the_operator_why(start):
    gateway = start("--origins", f"same,{APP}")
    answer = exchange(gateway.address, handshake("/ws/cards?token=secret", [("Origin", "https://evil.test")]))
    assert answer.status == 403
    assert json.loads(answer.body)["data"]["code"] == "bad_origin"
    line = gateway.wait_for_line("origin is not allowed", origin="https://evil.test")
    assert line.level == "warn"
    assert {"path": "/ws/cards", "host": "gateway.test", "remote": "127.0.0.1"}.items() <= line.fields.items()
    assert "origins: [same, https://" in line.fields["remedy"]
    assert gateway.metric('tidegate_handshakes_refused_total{reason="bad_origin"}') == 1
    for _ in range(50):
        assert status(gateway, "https://evil.test") == 403
    assert len(gateway.lines("origin is not allowed")) <= 2 * 5, "5 a minute, for each of two workers"
    assert "secret" not in gateway.process.stderr()
    assert status(gateway, APP) == 101


def test_a_path_that_is_not_there_says_so_to_every_page(gateway):
    """Nothing is told that the path does not tell anybody."""
    assert status(gateway, "https://evil.test", path="/nowhere") == 404


def test_behind_a_proxy_on_this_machine_a_client_from_elsewhere_is_not_of_this_machine(start):
    gateway = start("--trusted-proxies", "127.0.0.1")
    request = [("Origin", "http://localhost:5173"), ("X-Forwarded-For", "192.0.2.7")]
    assert exchange(gateway.address, handshake("/ws/cards", request, host="localhost:8080")).status == 403


def test_the_list_changes_with_a_reload_and_connections_stay(start, tmp_path):
    file = tmp_path / "tidegate.yaml"
    file.write_text("origins: [same]\n", encoding="utf-8")
    gateway = start("--config", file)
    with gateway.connect("/ws/cards", [("Origin", "https://gateway.test")]) as peer:
        assert status(gateway, APP) == 403
        file.write_text('origins: ["https://*.example.com"]\n', encoding="utf-8")
        gateway.process.signal(signal.SIGHUP)
        until("the page may connect", lambda: status(gateway, APP) == 101)
        assert status(gateway, "https://gateway.test") == 403
        assert peer.ask({"type": "ping"})["type"] == "pong"


@pytest.mark.parametrize("entry", ["example.com", "https://", "https://example.com/", "https://*", "https://u@example.com", "Same"])
def test_an_entry_that_can_match_nothing_is_refused(tmp_path, entry):
    file = tmp_path / "bad.yaml"
    file.write_text(f"origins: ['{entry}']\n", encoding="utf-8")
    checked = run("check", "--config", file)
    assert checked.returncode != 0
    assert "is not an origin" in checked.stderr

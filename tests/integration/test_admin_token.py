"""Who may ask the admin port: the token, where it is required, and which browsers are kept out."""

import json
import socket

import pytest

from harness.gateway import run
from harness.wait import until
from harness.websocket import exchange

TOKEN = "sesame-4711"
PROBES = ("/live", "/ready")
PAGE = ("/", "/dashboard.css", "/dashboard.js")
GUARDED = ("/status", "/nodes", "/channels", "/channels/cards", "/connections", "/connections/1", "/disconnects",
           "/tail?channel=cards")
GOOD = {"Authorization": f"Bearer {TOKEN}"}
WRONG = ({}, {"Authorization": "Bearer sesame"}, {"Authorization": TOKEN}, {"Authorization": f"Basic {TOKEN}"},
         {"Authorization": "Bearer "}, {"Authorization": "Bearer " + "x" * 4000})


@pytest.fixture
def locked(start):
    return start(env={"TIDEGATE_ADMIN_TOKEN": TOKEN})


def test_without_the_token_there_are_probes_and_the_empty_page(locked):
    for path in (*PROBES, *PAGE):
        assert locked.get(path).status == 200, path
    for path in (*GUARDED, "/metrics"):
        for headers in WRONG:
            answer = locked.get(path, **headers)
            assert (answer.status, answer.json()["error"]["code"]) == (401, "unauthorized"), (path, headers)
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    for path, body in (("/publish", {"channel": "cards", "payload": {}}), ("/disconnect", {"connection": 1})):
        assert locked.post(path, body).status == 401


def test_with_the_token_all_is_answered(locked):
    for path in ("/status", "/nodes", "/channels", "/channels/cards", "/connections", "/disconnects", "/metrics"):
        assert locked.get(path, **GOOD).status == 200, path
    assert locked.get("/connections/1", **GOOD).status == 404
    assert locked.post("/publish", {"channel": "cards", "payload": {}}, **GOOD).status == 200
    assert locked.post("/disconnect", {"connection": 1}, **GOOD).status == 404


def test_a_refusal_is_logged_without_what_was_sent(locked):
    locked.get("/status", Authorization="Bearer guess-0815")
    locked.wait_for_line("admin request without the token", remote="127.0.0.1", path="/status")
    assert "0815" not in locked.process.stderr()


def test_refusals_do_not_flood_the_log(locked):
    for _ in range(50):
        assert locked.get("/status").status == 401
    assert len(locked.lines("admin request without the token")) <= 5


def test_who_is_refused_cannot_stay_by_sending_on(locked):
    """Nobody knows him; a byte now and then must not keep a descriptor for ever."""
    with socket.create_connection(locked.admin_address) as peer:
        peer.sendall(b"POST /publish HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
        assert peer.recv(4096).startswith(b"HTTP/1.1 401 ")

        def hung_up():
            try:
                peer.sendall(b"x")
            except ConnectionError:
                return True
            return False

        until("he is hung up on", hung_up)


def test_metrics_may_be_public(start):
    node = start("--metrics-public", "true", env={"TIDEGATE_ADMIN_TOKEN": TOKEN})
    assert node.get("/metrics").status == 200
    assert node.get("/status").status == 401


def test_the_token_comes_from_a_file_and_is_never_shown(start, tmp_path):
    file = tmp_path / "token"
    file.write_text(TOKEN + "\n", encoding="utf-8")
    env = {"TIDEGATE_ADMIN_TOKEN_FILE": str(file)}
    node = start(env=env)
    assert node.get("/status").status == 401
    assert node.get("/status", **GOOD).status == 200
    checked = run("check", env=env)
    assert checked.returncode == 0
    assert TOKEN not in checked.stdout + checked.stderr + node.process.stderr()
    assert "***" in checked.stdout


def test_the_command_line_sends_the_token(locked, tmp_path):
    file = tmp_path / "token"
    file.write_text(TOKEN, encoding="utf-8")
    ways = ({"env": {"TIDEGATE_ADMIN_TOKEN": TOKEN}}, {"env": {"TIDEGATE_ADMIN_TOKEN_FILE": str(file)}})
    for way in ways:
        assert run("status", "--admin", locked.admin, **way).returncode == 0
        assert run("publish", "--admin", locked.admin, "cards", "{}", **way).returncode == 0
        assert "no such connection" in run("disconnect", "--admin", locked.admin, "1", **way).stderr
    assert run("status", "--admin", locked.admin, "--admin-token", TOKEN).returncode == 0
    for words in (["status"], ["publish", "cards", "{}"], ["disconnect", "1"], ["tail", "cards"]):
        refused = run(*words, "--admin", locked.admin)
        assert refused.returncode == 1
        assert "TIDEGATE_ADMIN_TOKEN" in refused.stderr and not refused.stdout


@pytest.mark.parametrize("address", ["0.0.0.0:0", ":0", "[::]:0", "10.0.0.1:0"])
@pytest.mark.parametrize("command", ["serve", "check"])
def test_an_admin_port_that_others_reach_needs_a_token(command, address):
    result = run(command, "--listen", "127.0.0.1:0", "--admin", address, seconds=20)
    assert (result.returncode, result.stdout) == (2, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith("tidegate: --admin: ") and "TIDEGATE_ADMIN_TOKEN_FILE" in line


def test_the_file_is_named_where_it_is_wrong(tmp_path):
    file = tmp_path / "gate.yaml"
    file.write_text("workers: 1\nadmin: 0.0.0.0:9080\n", encoding="utf-8")
    assert "gate.yaml:2: " in run("check", "--config", file).stderr


def test_with_a_token_it_may_be_open(start):
    node = start("--admin", "0.0.0.0:0", env={"TIDEGATE_ADMIN_TOKEN": TOKEN})
    assert node.get("/status").status == 401
    assert node.get("/status", **GOOD).status == 200


def test_a_reload_that_would_leave_it_open_is_refused(start, tmp_path):
    file = tmp_path / "gate.yaml"
    file.write_text(f"admin_token: {TOKEN}\n", encoding="utf-8")
    node = start("--config", file, "--admin", "0.0.0.0:0")
    assert node.get("/reload", "POST").status == 401
    assert node.get("/reload", "POST", **GOOD).status == 200
    file.write_text("log_level: debug\n", encoding="utf-8")
    refused = node.get("/reload", "POST", **GOOD)
    assert refused.status == 400 and "TIDEGATE_ADMIN_TOKEN" in refused.json()["error"]["message"]
    assert TOKEN not in refused.body.decode()
    assert node.get("/status").status == 401


def ask_as(gateway, path, *headers):
    lines = "\r\n".join([f"GET {path} HTTP/1.1", *headers])
    return exchange(gateway.admin_address, f"{lines}\r\n\r\n".encode())


@pytest.mark.parametrize("host, status", [("rebound.evil.test:9080", 403), ("evil.test", 403), ("a." * 600 + "test", 403), ("localhost:9080", 200),
                                          ("127.0.0.1", 200), ("[::1]:9080", 200), ("gateway-1:9080", 200)])
def test_without_a_token_a_name_of_the_public_dns_leads_nowhere(gateway, host, status):
    assert ask_as(gateway, "/status", f"Host: {host}").status == status
    assert ask_as(gateway, "/live", f"Host: {host}").status == 200


def test_with_a_token_the_name_does_not_matter(locked):
    answer = ask_as(locked, "/status", "Host: admin.example.org", f"Authorization: Bearer {TOKEN}")
    assert answer.status == 200


@pytest.mark.parametrize("path", ["/status", "/connections", "/"])
def test_pages_of_other_sites_are_kept_out(gateway, path):
    answer = ask_as(gateway, path, f"Host: {gateway.admin}", "Origin: http://evil.test")
    assert (answer.status, json.loads(answer.body)["error"]["code"]) == (403, "foreign_origin")
    assert ask_as(gateway, path, f"Host: {gateway.admin}", f"Origin: http://{gateway.admin}").status == 200

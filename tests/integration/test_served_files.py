"""The files of the public port: what is served, how it may be kept, and what is left of WebSockets at the same paths."""

import contextlib
import gzip
import hashlib
import http.client
import subprocess
import urllib.request

import pytest

from harness.authority import Authority
from harness.gateway import ROOT, Response
from harness.websocket import WebSocket, exchange, handshake

CLIENT = "/tidegate.js"
JAVASCRIPT = "text/javascript; charset=utf-8"


def ask(gateway, path, method="GET", **headers):
    with contextlib.closing(http.client.HTTPConnection(*gateway.address, timeout=30)) as connection:
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return Response(answer.status, answer.headers, answer.read())


@pytest.fixture(name="client")
def fixture_client(gateway):
    answer = ask(gateway, CLIENT)
    assert answer.status == 200
    return answer


def test_the_client_is_the_one_in_this_source_tree(client):
    built = subprocess.run(["esbuild", "--bundle", "--minify", "--format=esm", "--target=es2022", "--legal-comments=none",
                            ROOT / "src/clients/js/tidegate.js"], capture_output=True, timeout=180, check=True).stdout
    assert client.body == built
    assert client.headers["Content-Type"] == JAVASCRIPT
    assert int(client.headers["Content-Length"]) == len(built)


def test_so_is_the_one_that_falls_back_to_event_streams(gateway):
    built = subprocess.run(["esbuild", "--bundle", "--minify", "--format=esm", "--target=es2022", "--legal-comments=none",
                            ROOT / "src/clients/js/sse.js"], capture_output=True, timeout=180, check=True).stdout
    answer = ask(gateway, "/tidegate-sse.js")
    assert (answer.status, answer.body, answer.headers["Content-Type"]) == (200, built, JAVASCRIPT)
    again = ask(gateway, "/tidegate-sse.js", If_None_Match=answer.headers["ETag"])
    assert again.status == 304 and answer.headers["Access-Control-Allow-Origin"] == "*"


def test_pages_of_any_site_may_load_it_and_see_which_it_is(gateway):
    answer = ask(gateway, CLIENT, Origin="https://elsewhere.example")
    assert answer.status == 200
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert "Content-Location" in answer.headers["Access-Control-Expose-Headers"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_it_is_compressed_for_those_who_take_that(gateway, client):
    packed = ask(gateway, CLIENT, Accept_Encoding="br, gzip, deflate")
    assert packed.headers["Content-Encoding"] == "gzip" and "Accept-Encoding" in packed.headers["Vary"]
    assert gzip.decompress(packed.body) == client.body and len(packed.body) < len(client.body) / 2
    for refused in ("identity", "gzip;q=0", "deflate"):
        answer = ask(gateway, CLIENT, Accept_Encoding=refused)
        assert "Content-Encoding" not in answer.headers and answer.body == client.body


@pytest.mark.parametrize("known", ["{}", "\"other\", {}", "*", "bare"])
def test_who_has_it_already_is_told_so(gateway, client, known):
    etag = client.headers["ETag"]
    assert etag.startswith("W/"), "the compressed bytes have the same tag"
    answer = ask(gateway, CLIENT, If_None_Match=etag[2:] if known == "bare" else known.format(etag))
    assert (answer.status, answer.body) == (304, b"")
    assert answer.headers["ETag"] == etag and "Content-Length" not in answer.headers
    assert answer.headers["Cache-Control"] == client.headers["Cache-Control"] == "no-cache"


def test_who_has_another_gets_it(gateway, client):
    answer = ask(gateway, CLIENT, If_None_Match='W/"0123456789abcdef"')
    assert (answer.status, answer.body) == (200, client.body)


def test_under_its_hash_it_is_kept_for_ever(gateway, client):
    path = client.headers["Content-Location"]
    assert path == f"/tidegate.{hashlib.sha256(client.body).hexdigest()[:16]}.js"
    answer = ask(gateway, path)
    assert answer.body == client.body
    assert "immutable" in answer.headers["Cache-Control"] and "max-age=31536000" in answer.headers["Cache-Control"]


def test_the_hash_of_another_version_leads_to_this_one_and_is_not_kept(gateway):
    answer = ask(gateway, "/tidegate.0123456789abcdef.js")
    assert (answer.status, answer.headers["Location"], answer.headers["Cache-Control"]) == (307, CLIENT, "no-store")
    assert answer.headers["Access-Control-Allow-Origin"] == "*", "or a module would not follow it"
    for path in ("/tidegate.0123456789abcde.js", "/tidegate.0123456789abcdeF.js", "/tidegate..js", "/tidegate.js/", "/TIDEGATE.js"):
        assert ask(gateway, path).status == 404, path


def test_head_is_get_without_the_body(gateway, client):
    answer = ask(gateway, CLIENT, "HEAD")
    assert (answer.status, answer.body) == (200, b"")
    assert {**dict(answer.headers), "Date": 0} == {**dict(client.headers), "Date": 0}


def test_another_method_is_refused(gateway):
    for method in ("POST", "PUT", "OPTIONS"):
        assert ask(gateway, CLIENT, method).status == 405


def test_it_is_no_websocket(gateway):
    assert exchange(gateway.address, handshake(CLIENT)).status == 404


def test_a_query_changes_nothing_and_its_end_is_in_order(gateway, client):
    answer = exchange(gateway.address, f"GET {CLIENT}?v=1 HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert answer.status == 200 and answer.headers["connection"] == "close"
    assert ask(gateway, CLIENT, Upgrade="h2c", Connection="Upgrade").body == client.body, "as Java's HttpClient asks"


def test_a_reload_turns_it_off_and_a_route_may_have_its_path(start, tmp_path):
    file = tmp_path / "tidegate.yaml"
    file.write_text("routes: [{path: /tidegate.js, channel: odd}]\n", encoding="utf-8")
    gateway = start("--config", file)
    with gateway.connect(CLIENT) as peer:
        assert peer.ask({"type": "ping"})["type"] == "pong"
    path = ask(gateway, CLIENT).headers["Content-Location"]
    file.write_text("client_script: false\n", encoding="utf-8")
    assert gateway.get("/reload", "POST").status == 200
    assert {ask(gateway, asked).status for asked in (CLIENT, path, "/tidegate.0123456789abcdef.js")} == {404}


def test_over_tls_it_is_the_same(start, tmp_path, client):
    authority = Authority(tmp_path)
    certificate, key = authority.issue("gateway", "IP:127.0.0.1")
    gateway = start("--tls-certificate", certificate, "--tls-key", key, tls=authority.client())
    url = f"https://127.0.0.1:{gateway.address[1]}{CLIENT}"
    with urllib.request.urlopen(url, context=authority.client(), timeout=30) as answer:
        assert answer.read() == client.body


def test_who_reads_slowly_gets_all_of_it(gateway, client):
    with WebSocket(gateway.address, receive_buffer=1024) as peer:
        peer.send_raw(f"GET {CLIENT} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        got = b""
        while part := peer.socket.recv(512):
            got += part
    assert got.endswith(client.body)


def test_those_who_load_it_leave_no_connection_behind(gateway):
    for _ in range(20):
        ask(gateway, CLIENT)
    assert gateway.metric("tidegate_connections") == 0

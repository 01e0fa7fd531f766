"""Who gets in: tokens through real sockets, in all the places of a request where one may stand, and what the refused hear."""

import json
import signal
import time

import pytest

from harness import browser, tokens
from harness.gateway import run
from harness.tokens import Issuer
from harness.wait import until
from harness.websocket import Closed, Refused, WebSocket, exchange, handshake

HS, RS, ES, ED = Issuer(), Issuer("RS256", kid="rs"), Issuer("ES256", kid="es"), Issuer("EdDSA", kid="ed")
ORIGIN = "https://gateway.test"
PROTOCOL = "Sec-WebSocket-Protocol"

ROUTES = """
token_keys: [KEYS]
token_cookie: tg
token_query: token
routes:
  - {path: /ws/cards, channel: cards, auth: none}  # of the harness
  - {path: /ws/open, channel: open, auth: none}
  - {path: /ws/either, channel: either, auth: optional}
  - {path: /ws/me, channels: ["user:{token.sub}"]}
  - {path: "/ws/execution/{id}", channel: "execution:{id}", access: token}
"""


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    (folder / "rs.pem").write_text(RS.public(), encoding="ascii")
    (folder / "jwks").write_text(tokens.jwks(ES, ED), encoding="ascii")
    path = folder / "tidegate.yaml"
    path.write_text(f"token_secret: {HS.secret}\n" + ROUTES.replace("KEYS", f"{folder}/rs.pem, {folder}/jwks"), encoding="utf-8")
    return path


SHARED_ROUTES = True  # config, above


def ask(gateway, path="/ws/me", headers=(), **request):
    """The Response to a handshake without our subprotocol: the status is the answer."""
    return exchange(gateway.address, handshake(path, headers, **request))


def code(response):
    return json.loads(response.body)["data"]["code"]


def bearer(token, scheme="Bearer"):
    return [("Authorization", f"{scheme} {token}")]


def offered(token, before="tidegate.v1, ", behind=""):
    return [(PROTOCOL, f"{before}tidegate.bearer.{token}{behind}")]


def places(token):
    """(headers, query) of each place where a token may stand."""
    return {
        "bearer": (bearer(token), ""),
        "subprotocol": (offered(token), ""),
        "cookie": ([("Cookie", f"a=b; tg={token}"), ("Origin", ORIGIN)], ""),
        "query": ([], f"?token={token}"),
    }


def closed(gateway, path="/ws/me", headers=(), token=None):
    """(code, reason) that a client of ours is closed with; it hears nothing else."""
    with WebSocket.connect(gateway.address, path, headers or offered(token)) as peer:
        assert peer.response.headers["sec-websocket-protocol"] == "tidegate.v1"
        peer.send_text('{"type":"ping"}')
        with pytest.raises(Closed) as end:
            peer.receive()
        return end.value.code, end.value.reason.decode()


@pytest.mark.parametrize("issuer", [HS, RS, ES, ED], ids=lambda issuer: issuer.algorithm)
def test_a_token_of_each_algorithm_lets_in_from_each_place(gateway, redis, issuer):
    token = issuer.token(sub="auth0|7")
    for place, (headers, query) in places(token).items():
        with gateway.connect("/ws/me" + query, headers) as peer:
            redis.publish("user:auth0~7C7", json.dumps({"type": "told", "place": place}))
            assert peer.receive()["place"] == place
            assert "bearer" not in peer.response.headers.get("sec-websocket-protocol", ""), "a token is never repeated"


def test_a_token_that_is_not_good_lets_in_from_no_place(gateway):
    for place, (headers, query) in places(HS.token() + "x").items():
        if place == "subprotocol":
            assert closed(gateway, headers=headers) == (4001, "token_invalid")
            continue
        answer = ask(gateway, "/ws/me" + query, headers)
        assert (answer.status, code(answer)) == (401, "token_invalid"), place


def test_a_subprotocol_may_stand_in_any_order_and_with_any_spacing(gateway):
    token = HS.token()
    for headers in (offered(token, "tidegate.v1,"), offered(token, "", ",tidegate.v1"), offered(token, "x ,\ttidegate.v1 , ", " , y"),
                    [(PROTOCOL, f"tidegate.bearer.{token}"), ("Accept", "*/*"), (PROTOCOL, "tidegate.v1")]):
        answer = ask(gateway, headers=headers)
        assert (answer.status, answer.headers["sec-websocket-protocol"]) == (101, "tidegate.v1"), headers


def test_a_token_among_subprotocols_without_ours_is_told_so_on_every_route(gateway):
    """A browser would hang up without a word on an answer that names none of what it offered."""
    for path in ("/ws/me", "/ws/open"):
        answer = ask(gateway, path, offered(HS.token(), ""))
        assert (answer.status, code(answer)) == (400, "bad_subprotocol"), path


def test_what_stands_twice_in_its_place_is_refused(gateway):
    token = HS.token()
    for query, headers in (("", bearer(token) * 2), ("", offered(token, behind=f", tidegate.bearer.{token}")),
                           ("", [("Cookie", f"tg={token}; tg={token}"), ("Origin", ORIGIN)]),
                           ("", [("Cookie", f"tg={token}"), ("Cookie", f"tg={token}"), ("Origin", ORIGIN)]),
                           (f"?token={token}&token={token}", [])):
        answer = ask(gateway, "/ws/me" + query, headers)
        assert (answer.status, code(answer)) == (400, "bad_credentials"), headers


def test_the_first_place_counts_however_good_the_next(gateway):
    good, bad = HS.token(), HS.token(sub="7") + "x"
    first, second = places(bad), places(good)
    order = ["bearer", "subprotocol", "cookie", "query"]
    for at, place in enumerate(order[:-1]):
        headers = first[place][0] + second[order[at + 1]][0]
        answer = ask(gateway, "/ws/me" + second[order[at + 1]][1], headers)
        if place == "subprotocol":
            assert answer.status == 101 and b"token_invalid" in answer.body
        else:
            assert answer.status == 401 or b"token_invalid" in answer.body, place


def test_another_scheme_is_for_somebody_else(gateway):
    assert code(ask(gateway, headers=[("Authorization", "Basic dTpw")])) == "token_missing"
    assert ask(gateway, headers=[("Authorization", "Basic dTpw"), *offered(HS.token())]).status == 101
    assert ask(gateway, headers=bearer(HS.token(), "bEARER")).status == 101
    assert ask(gateway, headers=[("aUTHORIZATION", f"bearer   {HS.token()}  ")]).status == 101


def test_a_cookie_is_taken_from_pages_only(gateway):
    cookie = ("Cookie", f"tg={HS.token()}")
    answer = ask(gateway, headers=[cookie])
    assert (answer.status, code(answer)) == (403, "bad_origin")
    assert code(ask(gateway, headers=[cookie, ("Origin", "https://evil.test")])) == "bad_origin"
    assert ask(gateway, headers=[cookie, ("Origin", ORIGIN)]).status == 101
    assert ask(gateway, headers=[cookie, *bearer(HS.token())]).status == 101, "the cookie is not what it came with"
    assert "remedy" in gateway.wait_for_line("origin is not allowed", origin="").fields


def test_a_query_is_decoded_once(gateway):
    token = HS.token()
    assert ask(gateway, "/ws/me?token=" + token.replace(".", "%2E")).status == 101
    assert ask(gateway, "/ws/me?token=" + token.replace(".", "%252E")).status == 401


def test_who_needs_no_token_gets_in_without_but_not_with_a_bad_one(gateway):
    bad = HS.token() + "x"
    assert ask(gateway, "/ws/either").status == 101
    assert ask(gateway, "/ws/either", bearer(HS.token())).status == 101
    assert code(ask(gateway, "/ws/either", bearer(bad))) == "token_invalid"
    assert code(ask(gateway, "/ws/either", bearer(""))) == "token_invalid"
    assert ask(gateway, "/ws/open", bearer(bad)).status == 101, "nobody is asked there, and nothing is looked at"


def test_a_client_of_ours_hears_a_close_code_and_others_a_status(gateway):
    late = HS.token(exp=int(time.time()) - 60)
    rows = [("/ws/me", [(PROTOCOL, "tidegate.v1")], [], 401, 4001, "token_missing"),
            ("/ws/me", offered(late), bearer(late), 401, 4001, "token_expired"),
            ("/ws/me", offered("undefined"), bearer("undefined"), 401, 4001, "token_invalid"),
            ("/ws/me", offered(""), bearer(""), 401, 4001, "token_invalid"),
            ("/ws/execution/7", offered(HS.token()), bearer(HS.token()), 403, 4003, "forbidden")]
    for path, ours, others, status, close, word in rows:
        before = gateway.metric(f'tidegate_handshakes_refused_total{{reason="{word}"}}')
        connections = gateway.metric("tidegate_connections_opened_total")
        assert closed(gateway, path, ours) == (close, word)
        answer = ask(gateway, path, others)
        assert (answer.status, code(answer)) == (status, word)
        scheme = answer.headers["www-authenticate"]
        assert scheme.startswith('Bearer realm="tidegate"') and ("error=" in scheme) == (word != "token_missing")
        until("both are counted", lambda: gateway.metric(f'tidegate_handshakes_refused_total{{reason="{word}"}}') == before + 2)
        assert gateway.metric("tidegate_connections_opened_total") == connections, "no client was begun"


def test_a_bad_origin_is_told_before_the_upgrade_to_everybody(gateway):
    answer = ask(gateway, headers=[("Origin", "https://evil.test"), *offered(HS.token())])
    assert (answer.status, code(answer)) == (403, "bad_origin")


def test_a_page_sees_why_it_was_refused(chromium, gateway):
    """Real Chromium: with a good token the page is in, and with one that is over it hears 4001."""
    script = """(async () => {
      const seen = await new Promise(done => {
        const socket = new WebSocket("%s", ["tidegate.v1", "tidegate.bearer." + "%s"])
        socket.onopen = () => socket.send('{"type":"ping"}')
        socket.onmessage = () => done("open " + socket.protocol)
        socket.onclose = event => done("closed " + event.code + " " + event.reason + " " + event.wasClean)
      })
      document.title = seen
    })()"""
    for token, expected in ((RS.token(), "open tidegate.v1"), (RS.token(exp=1), "closed 4001 token_expired true")):
        page = browser.Page(gateway.url("/ws/open"))
        try:
            chromium.show(page.url, "document.readyState", lambda state: state == "complete")
            chromium.look(script % (gateway.url("/ws/me"), token), lambda _: True)
            assert chromium.look("document.title", lambda title: title not in ("cards", "")) == expected
        finally:
            page.stop()


def test_keys_are_told_by_kind_bits_and_name_and_secrets_never(gateway, config):
    for text in (run("check", "--config", config).stdout, run("config", "--admin", gateway.admin).stdout):
        lines = {" ".join(line.split()) for line in text.splitlines()}
        assert any(line.startswith("token_secret *** ") for line in lines)
        assert any("rs.pem RSA 2048 bits" in line and "RS256" in line for line in lines)
        assert any("EC P-256" in line and "kid" in line and "es" in line and "ES256" in line for line in lines)
        assert HS.secret not in text
    answer = gateway.get("/config").body.decode()
    assert HS.secret not in answer
    assert [key["algorithms"] for key in json.loads(answer)["keys"]] == ["HS256", "RS256", "ES256", "EdDSA"]


@pytest.mark.parametrize("options,sentence", [
    (("--token-secret", "short"), "--token-secret: token_secret is shorter than 32 bytes"),
    (("--token-keys", "nowhere.pem"), "--token-keys: nowhere.pem: No such file or directory"),
    (("--token-algorithms", "HS256,none"), "--token-algorithms: 'none' is not an algorithm of signatures"),
    (("--token-query", "since"), "--token-query: token_query: 'since', 'ticket' and 'lastEventId' have a meaning already"),
    (("--token-query", "lastEventId"), "--token-query: token_query: 'since', 'ticket' and 'lastEventId' have a meaning already"),
    (("--token-cookie", "a b"), "--token-cookie: 'a b' is not a name"),
    (("--auth", "perhaps"), "--auth: 'perhaps' is not auto, none, optional or required"),
])
def test_what_no_token_could_be_judged_by_is_refused_at_once(options, sentence):
    done = run("check", *options)
    assert done.returncode == 2 and sentence in done.stderr, done.stderr
    assert done.stderr.count("\n") == 1 and "short" not in done.stderr.replace("shorter", "")


# --- keys that change ------------------------------------------------------------------------------


def reload(gateway):
    before = len(gateway.lines("configuration applied"))
    gateway.process.signal(signal.SIGHUP)
    return lambda: len(gateway.lines("configuration applied")) > before


def test_a_secret_is_replaced_under_load_and_nobody_is_refused(start, tmp_path):
    file = tmp_path / "tidegate.yaml"
    secrets = [f"{letter}" * 40 for letter in "abcd"]
    file.write_text(f"token_secret: {secrets[0]}\n", encoding="utf-8")
    gateway = start("--config", file)
    n_asked, refused = 0, []
    for old, new in zip(secrets, secrets[1:]):
        file.write_text(f"token_secret: {new}\ntoken_secret_previous: {old}\n", encoding="utf-8")
        applied = reload(gateway)
        good = [Issuer(secret=old)]
        while len(good) == 1 or n_asked % 50:
            if len(good) == 1 and n_asked % 10 == 0 and applied():
                good.append(Issuer(secret=new))
            for issuer in good:
                n_asked += 1
                if ask(gateway, "/ws/cards", bearer(issuer.token())).status != 101:
                    refused.append((n_asked, issuer.secret))
    assert n_asked >= 150 and not refused
    assert code(ask(gateway, "/ws/cards", bearer(Issuer(secret=secrets[1]).token()))) == "token_invalid", "two ago is too long ago"


def test_a_renewal_keeps_what_the_route_gave_though_a_reload_has_changed_its_claims(start, tmp_path):
    """The connection keeps its route, so the claims of that route are asked for still."""
    file = tmp_path / "tidegate.yaml"
    text = f"token_secret: {HS.secret}\ndefault_routes: false\nroutes:\n  - {{{{path: /ws/mine, channel: 'of:{{claim}}'}}}}\n"
    file.write_text(text.format(claim="{token.team}"), encoding="utf-8")
    gateway = start("--config", file, "--workers", "1")
    token = HS.token(team="red", name="Ada")
    with gateway.connect("/ws/mine", [*bearer(token), ("Sec-WebSocket-Protocol", "tidegate.v1")]) as peer:
        assert peer.ask({"type": "subscribe"})["data"]["channel"] == "of:red"
        file.write_text(text.format(claim="{token.name}"), encoding="utf-8")
        until("it is applied", reload(gateway))
        assert peer.ask({"type": "auth", "id": 1, "data": {"token": HS.token(team="red", name="Ada")}})["type"] == "authenticated"
        assert peer.ask({"type": "ping", "id": 2})["type"] == "pong"  # and nothing about `unsubscribed` before it
        with gateway.connect("/ws/mine", [*bearer(token), ("Sec-WebSocket-Protocol", "tidegate.v1")]) as later:
            assert later.ask({"type": "subscribe"})["data"]["channel"] == "of:Ada"


def test_a_bad_key_file_is_refused_and_the_old_keys_stay(start, tmp_path):
    keys, file = tmp_path / "jwks", tmp_path / "tidegate.yaml"
    keys.write_text(tokens.jwks(ES), encoding="ascii")
    file.write_text(f"token_keys: [{keys}]\n", encoding="utf-8")
    gateway = start("--config", file)
    keys.write_text("{", encoding="ascii")
    gateway.process.signal(signal.SIGHUP)
    assert gateway.wait_for_line("configuration refused").fields["reason"].startswith(f"{file}:1: ")
    assert ask(gateway, "/ws/cards", bearer(ES.token())).status == 101
    keys.write_text('{"keys":[]}', encoding="ascii")
    answer = gateway.post("/reload", {})
    assert answer.status == 400 and b"nobody would be let in" in answer.body
    assert ask(gateway, "/ws/cards", bearer(ES.token())).status == 101
    keys.write_text(tokens.jwks(ED), encoding="ascii")
    until("it is applied", reload(gateway))
    assert ask(gateway, "/ws/cards", bearer(ED.token())).status == 101
    assert code(ask(gateway, "/ws/cards", bearer(ES.token()))) == "token_invalid"
    assert gateway.wait_for_line("token refused", why="unknown_key").fields["kid"] == "es"


def test_the_last_key_may_go_where_tickets_let_people_in(start, redis, tmp_path):
    """It may have leaked; and without any file there is no job that found nothing."""
    keys, file = tmp_path / "jwks", tmp_path / "tidegate.yaml"
    keys.write_text(tokens.jwks(ES), encoding="ascii")
    both, alone = f"tickets: true\ntoken_keys: [{keys}]\n", "tickets: true\n"
    file.write_text(both, encoding="utf-8")
    gateway = start("--config", file, redis=redis)
    for text, jwks in ((alone, tokens.jwks(ES)), (both, '{"keys":[]}')):
        assert ask(gateway, "/ws/cards", bearer(ES.token())).status == 101
        file.write_text(text, encoding="utf-8")
        keys.write_text(jwks, encoding="ascii")
        answer = gateway.post("/reload", {})
        assert answer.status == 200, answer.body
        until("it counts", lambda: ask(gateway, "/ws/cards", bearer(ES.token())).status == 401)
        file.write_text(both, encoding="utf-8")
        keys.write_text(tokens.jwks(ES), encoding="ascii")
        assert gateway.post("/reload", {}).status == 200
        until("it is back", lambda: ask(gateway, "/ws/cards", bearer(ES.token())).status == 101)


# --- what nobody may read --------------------------------------------------------------------------


def test_what_a_request_keeps_secret_is_in_no_log_and_on_no_page(start, config, redis):
    """Markers in all places of good requests and of bad ones, in all combinations that get far; then everything is searched."""
    gateway = start("--config", config, "--log-level", "debug", redis=redis)
    good = HS.token(sub="secrecy", marker="MARK-claim")
    bad = [good[:-9] + "MARK-sign", f"MARK.{good}", "MARK-raw", ""]
    peers = []
    for token in [good, *bad]:
        for path in ("/ws/me", "/ws/either", "/ws/cards", "/ws/nowhere", "/ws/execution/7"):
            for headers, query in places(token).values():
                query = f"{query or '?'}&since=MARK-since&ticket=MARK-ticket&MARK-name=MARK-value"
                headers = [*headers, ("Cookie", "other=MARK-cookie")] if not any("Cookie" in row for row in headers) else headers
                ask(gateway, path + query, headers)
                ask(gateway, path + query, [*headers, ("Authorization", "Basic MARK-basic"), (PROTOCOL, "MARK-protocol")])
                ask(gateway, path + query, headers, method="POST")
        for headers, query in places(token).values():
            try:
                peers.append(gateway.connect("/ws/me" + query, headers))
            except Refused:
                pass
    assert len(peers) == 4 + len(bad), "good ones, and of each bad one that which is let in only to be closed"
    seen = [gateway.get(page).body.decode() for page in (
        "/", "/status", "/config", "/nodes", "/channels", "/connections", "/connections/1", "/disconnects", "/metrics", "/ready")]
    for peer in peers:
        peer.abandon()
    until("they are gone", lambda: gateway.metric("tidegate_connections") == 0)
    seen += [gateway.get("/disconnects").body.decode(), gateway.process.stderr(), run("status", "--admin", gateway.admin).stdout]
    assert gateway.lines("token refused") and gateway.lines("client connected"), "the log has a word of all that"
    for text in seen:
        for secret in ("MARK", good.split(".")[1], good.split(".")[2], HS.secret):
            assert secret not in text, text[max(0, text.find(secret) - 200):text.find(secret) + 100]

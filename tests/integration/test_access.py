"""
Who may have what, and for how long: what paths give and what sockets give is the same, and goes with the token.

The matrix is routes × identities × channels through real sockets. What is right is computed here, from the manual alone.
"""

import itertools
import json
import re
import time

import pytest

from harness.gateway import TALKATIVE, run
from harness.tokens import SECRET, Issuer
from harness.wait import until
from harness.websocket import Closed, Refused, WebSocket, exchange, handshake

SHARED_ROUTES = True  # config, below
ISSUER = Issuer()
OURS = ("Sec-WebSocket-Protocol", "tidegate.v1")

ROUTES = [
    {"path": "/ws/cards", "channel": "cards", "auth": "none"},
    {"path": "/ws/cards/{id}", "channel": "cards:{id}", "auth": "optional"},
    {"path": "/ws/cards/secret", "channel": "board"},
    {"path": "/ws/me", "channels": ["user:{token.sub}", "team:{token.https://a.test/team}"]},
    {"path": "/ws/run/{id}", "channel": "run:{id}", "access": "token"},
    {"path": "/ws/pair/{a}/{b}", "channels": ["left:{a}", "right:{a}:{b}"], "subscribe": ["left:{b}", "user:{token.sub}:{x}", "run:{x}"]},
    {"path": "/ws/shut", "channel": "shut", "subscribe": "none"},
    {"path": "/ws/none", "channels": [], "access": "token"},
]
PEOPLE = {
    "nobody": None,
    "anna": {"sub": "anna", "https://a.test/team": 7},
    "auth0": {"sub": "auth0|5", "channels": ["run:*", "user:{sub}:*", "extra"]},
    "secret": {"sub": "secret", "https://a.test/team": "x y", "channels": ["run:7"]},
}
IDS = ("7", "secret", "anna", "auth0~7C5", "x~20y")
HEADS = ("cards", "board", "user", "team", "run", "left", "right", "shut", "extra", "unknown")
CHANNELS = [*HEADS, *(":".join(parts) for n in (1, 2) for parts in itertools.product(HEADS, *[IDS[:4 if n == 2 else None]] * n))]


def written(value):
    """As a part of a channel's name."""
    return re.sub(rb"[^A-Za-z0-9._-]", lambda byte: b"~%02X" % byte[0][0], str(value).encode()).decode()


def fill(template, ids, person):
    """The channel's name; None where a claim is missing. What is no variable of the path stays as it is."""
    parts = []
    for part in re.split(r":(?![^{]*\})", template):
        name = part[1:-1] if part.startswith("{") else None
        if name and name.startswith("token."):
            claim = (person or {}).get(name[6:])
            if claim is None:
                return None
            part = written(claim)
        elif name in ids:
            part = ids[name]
        parts.append(part)
    return ":".join(parts)


def matches(pattern, channel):
    wanted, given = pattern.split(":"), channel.split(":")
    return len(wanted) == len(given) and all(a in (b, "*") or a.startswith("{") for a, b in zip(wanted, given))


def listed(channel, person):
    return any(matches(pattern.replace("{sub}", written(person["sub"])), channel) for pattern in (person or {}).get("channels", ()))


def find(path):
    """(route, ids) of the most literal template."""
    found = []
    for route in ROUTES:
        template, given = route["path"].split("/"), path.split("/")
        if len(template) == len(given) and all(a == b or a.startswith("{") for a, b in zip(template, given)):
            ids = {a[1:-1]: b for a, b in zip(template, given) if a.startswith("{")}
            found.append(([a.startswith("{") for a in template], route, ids))
    return min(found, key=lambda row: row[0])[1:]


def enters(path, person):
    """(status, channels)"""
    route, ids = find(path)
    auth = route.get("auth", "required")
    seen = person if auth != "none" else None
    if auth == "required" and not seen:
        return 401, []
    names = [fill(template, ids, seen) for template in route.get("channels", [route.get("channel")])]
    if None in names or (route.get("access") == "token" and not all(listed(name, seen) for name in names)):
        return 403, []
    return 101, names


def paths():
    for route in ROUTES:
        variables = re.findall(r"\{.*?\}", route["path"])
        for ids in itertools.product((*IDS, "fresh", *HEADS), repeat=len(variables)):
            path = route["path"]
            for variable, one in zip(variables, ids):
                path = path.replace(variable, one)
            yield path


def expected(path, person, joined):
    """The channels that somebody who came by this path may have."""
    route, ids = find(path)
    seen = person if route.get("auth") != "none" else None
    own = set(enters(path, person)[1])
    subscribe = route.get("subscribe", "any")
    if isinstance(subscribe, list):
        patterns = [fill(template, ids, seen) for template in subscribe]
        own |= {channel for channel in CHANNELS if any(pattern and matches(pattern, channel) for pattern in patterns)}
    if route.get("access") == "token":
        own = {channel for channel in own if listed(channel, seen)}
    if subscribe == "any":
        own |= (joined if seen == person else anonymous()) | {channel for channel in CHANNELS if listed(channel, seen)}
    return own


def anonymous():
    return {channel for path in paths() for channel in enters(path, None)[1]}


def bearer(person, **claims):
    return [("Authorization", "Bearer " + ISSUER.token(**{**person, **claims}))] if person is not None else []


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    path = tmp_path_factory.mktemp("access") / "tidegate.yaml"
    path.write_text(json.dumps({"token_secret": SECRET, "subscriptions_max": 10000, "default_routes": False, "token_leeway": "1s",
                                "routes": ROUTES}), encoding="utf-8")
    return path


@pytest.mark.parametrize("name", PEOPLE)
def test_a_socket_gives_what_paths_give(start, config, name):
    person = PEOPLE[name]
    node = start("--config", config, *TALKATIVE)
    joined = {channel for path in paths() for channel in enters(path, person)[1]}
    statuses = set()
    for path in ("/ws/cards", "/ws/cards/7", "/ws/cards/secret", "/ws/me", "/ws/run/7", "/ws/run/8", "/ws/pair/7/anna", "/ws/shut",
                 "/ws/none"):
        status, channels = enters(path, person)
        statuses.add(status)
        if status != 101:
            assert exchange(node.address, handshake(path, bearer(person))).status == status, path
            continue
        may = expected(path, person, joined)
        assert may >= set(channels), "what a connection joined it may have back"
        with WebSocket.connect(node.address, path, bearer(person)) as peer:
            for channel in CHANNELS:
                peer.send({"type": "subscribe", "id": channel, "data": {"channel": channel}})
            answers = [peer.receive() for _ in CHANNELS]
        given = {answer["id"] for answer in answers if answer["type"] == "subscribed"}
        assert given == may & set(CHANNELS), path
        told = {(answer["data"]["code"], answer["data"]["message"]) for answer in answers if answer["type"] == "error"}
        assert len(told) == 1 and told.pop()[0] == "forbidden", "unknown and forbidden look the same"
    assert 101 in statuses and (401 if person is None else 403) in statuses


def test_a_token_is_renewed_in_band_and_takes_what_it_does_not_allow(gateway, redis):
    person = {"sub": "anna", "https://a.test/team": "red", "channels": ["run:*"]}
    with gateway.connect("/ws/me", [*bearer(person, exp=int(time.time()) + 30), OURS]) as peer:
        told = peer.receive()
        assert told["type"] == "token_expiring" and 0 < told["data"]["expires_in_ms"] <= 30000
        assert peer.ask({"type": "subscribe", "data": {"channel": "run:7"}})["type"] == "subscribed"
        answer = peer.ask({"type": "auth", "id": 1, "data": {"token": ISSUER.token(**{**person, "https://a.test/team": "blue",
                                                                                      "channels": []})}})
        assert answer["type"] == "authenticated" and answer["id"] == 1 and 500000 < answer["data"]["expires_in_ms"] <= 600000
        lost = [peer.receive() for _ in range(2)]
        assert {(message["type"], message["data"]["channel"], message["data"]["reason"]) for message in lost} == {
            ("unsubscribed", channel, "forbidden") for channel in ("team:red", "run:7")}
        for channel in ("team:red", "run:7", "user:anna"):
            redis.publish(channel, json.dumps({"type": "told", "to": channel}))
        assert peer.receive()["to"] == "user:anna"
        assert peer.ask({"type": "subscribe", "data": {"channel": "team:blue"}})["type"] == "subscribed"
        assert peer.ask({"type": "subscribe", "data": {"channel": "team:red"}})["data"]["code"] == "forbidden"


def test_a_bad_token_in_band_changes_nothing_and_stands_in_no_log(start, config, redis):
    node = start("--config", config, "--log-level", "debug", redis=redis)
    bad = {
        "expired": (ISSUER.token(sub="anna", exp=int(time.time()) - 60), "token_expired"),
        "signature": (ISSUER.token(sub="anna") + "x", "token_invalid"),
        "malformed": ("a\\u002eb", "token_invalid"),
    }
    for why, (token, code) in bad.items():
        with node.connect("/ws/cards/7", bearer({"sub": "anna"})) as peer:
            peer.send_text('{"type":"auth","data":{"token":"%s"}}' % token)
            assert peer.receive()["data"]["code"] == code, why
            assert peer.ask({"type": "ping"})["type"] == "pong"
            assert peer.ask({"type": "auth", "data": {"token": token}})["data"]["code"] == "rate"
        line = node.wait_for_line("token refused", place="auth", why=why)
        opened = node.lines("client connected")[-1]
        assert (line.fields["conn"], line.fields["remote"]) == (opened.fields["conn"], opened.fields["remote"])
        assert token not in node.process.stderr()


def test_another_users_token_closes_the_connection(gateway):
    with gateway.connect("/ws/me", bearer(PEOPLE["anna"])) as peer:
        peer.send({"type": "auth", "data": {"token": ISSUER.token(sub="berta")}})
        with pytest.raises(Closed) as end:
            peer.receive()
        assert end.value.code == 4001 and end.value.reason.startswith(b"token_invalid")


def test_a_connection_ends_with_its_token(gateway):
    with gateway.connect("/ws/me", bearer(PEOPLE["anna"], exp=time.time() + 1)) as peer:
        began = time.monotonic()
        with pytest.raises(Closed) as end:
            peer.receive()
        assert end.value.code == 4001 and end.value.reason == b"token_expired"
        assert time.monotonic() - began > 0.9
    with pytest.raises(Refused):
        gateway.connect("/ws/me", bearer(PEOPLE["anna"], exp=time.time() - 2))


def test_a_gateway_without_keys_says_so_to_an_auth(start):
    node = start()
    with node.connect("/ws/cards") as peer:
        answer = peer.ask({"type": "auth", "id": 1, "data": {"token": ISSUER.token()}})
    assert answer["data"]["code"] == "unsupported" and "no keys" in answer["data"]["message"]


def test_a_stranger_is_told_in_one_line_what_is_open_and_how_to_close_it(start):
    node = start("--listen", "0.0.0.0:0")
    (line,) = [line for line in node.log() if line.level == "warn"]
    assert line.message == "anybody who reaches the public port may read every channel"
    assert line.fields["what"].startswith("0.0.0.0:") and line.fields["remedy"] == "set token_secret or token_keys, so that clients need a token; or auth: none, if it is meant to be open"
    said = run("check", "--listen", "0.0.0.0:8080").stderr
    assert said == ("tidegate: warning: 0.0.0.0:8080: anybody who reaches the public port may read every channel: "
                    "set token_secret or token_keys, so that clients need a token; or auth: none, if it is meant to be open\n")
    assert not run("check", "--listen", "0.0.0.0:8080", "--auth", "none").stderr
    assert not run("check", "--listen", "127.0.0.1:8080").stderr


def test_a_user_has_so_many_connections_and_no_more(start, tmp_path, redis):
    file = tmp_path / "users.yaml"
    file.write_text(f"token_secret: {SECRET}\nconnections_per_user: 2\n", encoding="utf-8")
    node = start("--config", file, redis=redis)
    anna, berta = bearer({"sub": "anna"}), bearer({"sub": "berta"})
    peers = [node.connect("/ws/cards", anna) for _ in range(2)]
    refused = exchange(node.address, handshake("/ws/cards", anna))
    assert refused.status == 429 and json.loads(refused.body)["data"]["code"] == "too_many_connections"
    assert refused.headers["retry-after"] == "30"
    with node.connect("/ws/cards", [*anna, OURS]) as told, pytest.raises(Closed) as end:
        told.receive()
    assert (end.value.code, end.value.reason) == (4101, b"too_many_connections")
    with node.connect("/ws/cards", berta):
        pass
    assert node.metric('tidegate_handshakes_refused_total{reason="too_many_connections_of_user"}') == 2
    node.wait_for_line("a user has more connections than they may")
    peers.pop().abandon()
    until("a place is free", lambda: exchange(node.address, handshake("/ws/cards", anna)).status == 101)
    file.write_text(f"token_secret: {SECRET}\nconnections_per_user: 0\n", encoding="utf-8")
    assert run("reload", "--admin", node.admin).returncode == 0
    peers += [node.connect("/ws/cards", anna) for _ in range(3)]
    for peer in peers:
        peer.abandon()

"""`tidegate token`: what it makes is let in, and what it says of a token is what the gateway does with it."""

import base64
import json
import re
import time

import pytest

from harness.gateway import run
from harness.tokens import Issuer, jwks
from harness.websocket import Refused

SECRET = "a-secret-of-this-test-which-is-long-enough"
ROUTES = 'routes: [{path: /ws/cards, channel: cards, auth: none}, {path: /ws/me, channels: ["user:{token.sub}"]}]\n'


@pytest.fixture(name="config", scope="module")
def fixture_config(tmp_path_factory):
    path = tmp_path_factory.mktemp("token") / "tidegate.yaml"
    path.write_text(f"token_secret: {SECRET}\ntoken_issuer: me\ntoken_audience: live\n{ROUTES}", encoding="utf-8")
    return path


def made(config, *words):
    """The token on standard output, and nothing else there."""
    result = run("token", "--config", config, *words)
    assert (result.returncode, result.stderr) == (0, ""), result.stderr
    (token,) = result.stdout.splitlines()
    return token


def claims(token):
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def bearer(token):
    return [("Authorization", f"Bearer {token}")]


def looked_at(config, token):
    result = run("token", "--config", config, token)
    assert result.stderr == ""
    return result.returncode, dict(re.findall(r"^(ends in|let in|\w+) +(.*)$", result.stdout, re.MULTILINE))


def test_says_what_it_was_told_to(config):
    token = made(config, "--user", "auth0|5", "--channels", "cards,user:{sub}", "--expires=90s", "--claim", "tenant=7",
                 "--claim", "plan=gold", "--claim", 'tags=["a"]')
    told = claims(token)
    assert told.pop("exp") - told.pop("iat") == 90
    assert told == {"sub": "auth0|5", "iss": "me", "aud": "live", "channels": ["cards", "user:{sub}"], "tenant": 7, "plan": "gold",
                    "tags": ["a"]}


def test_lasts_an_hour_unless_told_otherwise(config):
    told = claims(made(config, "--user", "u"))
    assert told["exp"] - told["iat"] == 3600
    assert abs(told["iat"] - time.time()) < 60


def test_is_let_in_by_a_gateway_with_the_same_configuration(start, config):
    gateway = start("--config", config)
    with gateway.connect("/ws/me", bearer(made(config, "--user", "42"))) as client:
        gateway.post("/publish", {"channel": "user:42", "payload": {"n": 1}})
        event = client.receive()
        assert (event["channel"], event["data"]) == ("user:42", {"n": 1})


@pytest.mark.parametrize("words, sentence", [
    (["--user", ""], "names the user"),
    (["--user", "u" * 256], "255 bytes"),
    (["--user", "u", "--channels", "user:4*"], "lists channels"),
    (["--user", "u", "--claim", "sub=v"], "each thing once"),
    (["--user", "u", "--claim", "nbf=4000000000"], "nbf is still to come"),
    (["--user", "u", "--claim", "x"], "NAME=VALUE"),
    (["--user", "u", "--claim", "=x"], "NAME=VALUE"),
    (["--user", "u", "--expires", "0s"], "--expires"),
    (["--user", "u", "--expires", "soon"], "--expires"),
], ids=lambda value: " ".join(value)[:30] if isinstance(value, list) else "")
def test_makes_no_token_that_would_be_refused(config, words, sentence):
    result = run("token", "--config", config, *words)
    assert (result.returncode, result.stdout) == (2, "")
    (line,) = result.stderr.splitlines()
    assert sentence in line


def test_says_who_a_token_is_and_for_how_long(config):
    code, told = looked_at(config, made(config, "--user", 'a"b\x1b[31m', "--expires", "10m"))
    assert (code, told["user"], told["let in"]) == (0, r'"a\"b\u001b[31m"', "yes")
    assert json.loads(told["payload"])["sub"] == 'a"b\x1b[31m' and "\x1b" not in told["payload"]
    assert 500 < int(told["ends in"].split()[0]) <= 600


def test_reads_a_token_from_standard_input(config):
    result = run("token", "--config", config, "-", told=f"  {made(config, '--user', 'u')}\n")
    assert (result.returncode, result.stdout.splitlines()[-1]) == (0, "let in   yes")


@pytest.mark.parametrize("why, change", [
    ("expired", {"exp": 1}), ("no_exp", {"exp": None}), ("not_yet", {"nbf": 4000000000}), ("issuer", {"iss": "you"}),
    ("audience", {"aud": ["x"]}), ("user", {"sub": ""}), ("channels", {"channels": "cards"}),
])
def test_says_why_a_token_is_refused(config, why, change):
    payload = {"sub": "u", "iss": "me", "aud": "live"}
    code, told = looked_at(config, Issuer(secret=SECRET).token(**{**payload, **change}))
    assert code == 1
    assert told["let in"].startswith("no: ") and told["let in"].endswith(f"({why})")


@pytest.mark.parametrize("why, token", [
    ("signature", Issuer(secret="another-secret-which-is-as-long-as-that-one")), ("unknown_key", Issuer("RS256", kid="x")),
])
def test_says_that_a_token_is_somebody_elses(config, why, token):
    code, told = looked_at(config, token.token(iss="me", aud="live"))
    assert (code, told["let in"][-len(why) - 2:]) == (1, f"({why})")


@pytest.mark.parametrize("sentence, change", [
    ("three parts", lambda token: token.rpartition(".")[0]), ("three parts", lambda token: token + ".AAAA.AAAA"), ("three parts", lambda _: "x"),
    ("base64url", lambda token: token.replace(".", "=.", 1)), ("JSON object", lambda token: "W10" + token[token.index("."):]),
    ("no alg", lambda token: "e30" + token[token.index("."):]), ("signature", lambda token: token + "="),
    ("longer", lambda token: token + 8000 * "A"),
])
def test_says_what_is_wrong_with_the_form(config, sentence, change):
    code, told = looked_at(config, change(made(config, "--user", "u")))
    assert code == 1
    assert sentence in told["let in"] and told["let in"].endswith("(malformed)")


def test_agrees_with_the_gateway(start, config):
    gateway = start("--config", config)
    token = made(config, "--user", "u")
    for other in (token[:-2], token + "=", token.replace(".", "..", 1), token + ".AAAA", "x", token[::-1]):
        assert looked_at(config, other)[0] == 1
        with pytest.raises(Refused):
            gateway.connect("/ws/me", bearer(other))


def test_looks_at_tokens_of_public_keys_and_makes_none(tmp_path):
    issuer = Issuer("ES256", kid="es")
    (tmp_path / "jwks").write_text(jwks(issuer), encoding="ascii")
    path = tmp_path / "tidegate.yaml"
    path.write_text(f"token_keys: [{tmp_path}/jwks]\n", encoding="utf-8")
    assert looked_at(path, issuer.token())[0] == 0
    result = run("token", "--config", path, "--user", "u")
    assert (result.returncode, result.stdout) == (2, "") and "private key" in result.stderr


def test_shows_no_secret(config):
    for words in (["--user", "u"], ["x"], ["--user", ""]):
        result = run("token", "--config", config, *words)
        assert SECRET not in result.stdout + result.stderr

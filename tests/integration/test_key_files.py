"""Key files: looked at while the gateway serves; what cannot be used changes nothing."""

import os
import threading

from harness.tokens import Issuer, jwks
from harness.wait import until
from harness.websocket import exchange, handshake

ROUTES = """
auth: required
token_keys: [{keys}]
default_routes: false
routes:
  - {{path: /ws/cards, channel: cards}}
"""


def status(node, token):
    return exchange(node.address, handshake("/ws/cards", [("Authorization", f"Bearer {token}")])).status


def kubernetes_secret(directory, text):
    """As kubelet writes one: data behind two symbolic links, of which ..data is turned."""
    directory.mkdir(exist_ok=True)
    folder = directory / f"..{os.urandom(4).hex()}"
    folder.mkdir()
    (folder / "keys.json").write_text(text, encoding="utf-8")
    (directory / "..new").symlink_to(folder.name)
    os.rename(directory / "..new", directory / "..data")
    if not (directory / "keys.json").exists():
        (directory / "keys.json").symlink_to("..data/keys.json")
    return directory / "keys.json"


def config_of(tmp_path, name, path):
    config = tmp_path / f"{name}.yaml"
    config.write_text(ROUTES.format(keys=path), encoding="utf-8")
    return config


def test_files_that_change_are_seen_good_and_bad(start, tmp_path):
    """Three gateways at one time, since a look comes every ten seconds: one has a secret that is rotated, one a file that
    breaks, and one a file that is emptied."""
    keys = [Issuer("ES256", kid=f"key-{number}") for number in (1, 2)]
    old, new = (key.token() for key in keys)
    secret = kubernetes_secret(tmp_path / "secret", jwks(keys[0]))
    rotated = start("--config", config_of(tmp_path, "rotated", secret), "--workers", "2")
    path = tmp_path / "keys.json"
    path.write_text(jwks(keys[0]), encoding="utf-8")
    beside = tmp_path / "beside.json"
    beside.write_text(jwks(keys[0]), encoding="utf-8")
    broken = start("--config", config_of(tmp_path, "broken", f"{path}, {beside}"), "--log-format", "json")
    only = tmp_path / "only.json"
    only.write_text(jwks(keys[0]), encoding="utf-8")
    emptied = start("--config", config_of(tmp_path, "emptied", only))
    assert (status(rotated, old), status(rotated, new)) == (101, 401)
    refused, over = [], threading.Event()

    def crowd():
        while not over.is_set():
            if status(rotated, old) != 101:
                refused.append(1)

    client = threading.Thread(target=crowd)
    client.start()
    try:
        kubernetes_secret(tmp_path / "secret", jwks(*keys))
        path.write_text('{"keys":[', encoding="utf-8")
        beside.write_text(jwks(keys[1]), encoding="utf-8")
        only.write_text('{"keys":[]}', encoding="utf-8")
        rotated.wait_for_line("key files read again")
        until("each worker has the new key", lambda: all(status(rotated, new) == 101 for _ in range(10)))
    finally:
        over.set()
        client.join()
    assert not refused

    line = broken.wait_for_line("key files refused, the old keys go on")
    assert "broken.yaml:3" in line.fields["reason"]
    assert broken.metric("tidegate_keys_files_refused_total") == 1
    until("the file beside it brings its new keys", lambda: status(broken, new) == 101)
    assert status(broken, old) == 101
    assert broken.post("/reload", {}).status == 400
    assert status(broken, old) == 101
    assert "nobody would be let in" in emptied.wait_for_line("key files refused, the old keys go on").fields["reason"]
    assert status(emptied, old) == 101

    path.write_text(jwks(keys[1]), encoding="utf-8")
    assert broken.post("/reload", {}).status == 200
    until("the reload has taken the old ones", lambda: status(broken, old) == 401)
    assert status(broken, new) == 101

"""The configuration as a document of AsyncAPI: sound, complete, true, and without secrets."""

import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest

from harness.gateway import ROOT, run

pytestmark = pytest.mark.plain

SECRET = "0123456789abcdef0123456789abcdef"
CARD = {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}, "title": {"type": "string"}}}
CONFIGS = {
    "without a file": "",
    "of the example": "routes: [{path: /ws/cards, channel: cards, messages: {card_updated: card.json}}]\n",
    "with everything": f"""
redis: redis://ann:{SECRET}@db.example:6380/2
channel_prefix: "shop:"
token_secret: {SECRET}
token_cookie: session
token_query: access
tickets: true
routes:
  - path: /ws/cards
    channel: cards
    history: on
    actions: cards-actions
    presence: on
    lifecycle: sessions
    messages: {{card_updated: schemas/card.json, "card.moved": schemas/card.json}}
  - path: /ws/me
    channels: ["user:{{token.sub}}", "team:{{token.team}}"]
    actions: cards-actions
  - path: "/ws/board/{{id}}/{{part}}"
    channels: ["board:{{id}}", cards]
    subscribe: ["chat:{{room}}"]
    auth: optional
    history: on
    messages: {{card_updated: schemas/card.json, board_renamed: schemas/card.json}}
  - {{path: "/ws/board/{{id}}", channel: "board:{{id}}", auth: none}}
  - {{path: /ws/board_id, channels: []}}
""",
}


@pytest.fixture
def written(tmp_path):
    """written(text) is a file with this configuration, and with schemas beside it."""
    (tmp_path / "schemas").mkdir()
    for path in ("card.json", "schemas/card.json"):
        (tmp_path / path).write_text(json.dumps(CARD), encoding="utf-8")

    def write(text):
        (tmp_path / "tidegate.yaml").write_text(text, encoding="utf-8")
        return tmp_path / "tidegate.yaml"

    return write


def made(file):
    done = run("asyncapi", file)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def looked_up(document, ref):
    for part in ref.removeprefix("#/").split("/"):
        document = document[part]
    return document


def refs(value):
    if isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"]
        for member in value.values():
            yield from refs(member)
    elif isinstance(value, list):
        for item in value:
            yield from refs(item)


@pytest.fixture(scope="module")
def packages():
    """Where npm has put the parser: in the cache of what tests bring, by what the lock file says."""
    if not shutil.which("npm"):
        pytest.skip("npm is not installed here: the parser of AsyncAPI judges no document")
    home = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
    lock = (ROOT / "tests/asyncapi/package-lock.json").read_bytes()
    place = pathlib.Path(os.environ.get("TIDEGATE_CACHE") or home / "tidegate") / f"asyncapi-{hashlib.sha256(lock).hexdigest()[:12]}"
    if not place.is_dir():
        half = place.with_name(f"{place.name}.{os.getpid()}")
        half.mkdir(parents=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(ROOT / "tests/asyncapi" / name, half)
        done = subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=half, text=True, capture_output=True,
                              timeout=300, check=False)
        if done.returncode:
            shutil.rmtree(half)
            pytest.skip(f"npm cannot bring the parser of AsyncAPI: {done.stderr.strip().splitlines()[-1:]}")
        half.rename(place)
    return place


def test_a_reference_in_a_schema_leads_to_where_the_schema_stands(written, tmp_path):
    (tmp_path / "tree.json").write_text(json.dumps({
        "type": "object", "$defs": {"id": {"type": "string"}}, "enum": [{"$ref": "#/data"}],
        "properties": {"child": {"$ref": "#"}, "ids": {"items": {"anyOf": [{"$ref": "#/$defs/id"}]}}, "$ref": {"type": "string"}}}), encoding="utf-8")
    document = made(written("redis: redis://db\nroutes: [{path: /ws/cards, channel: cards, messages: {grown: tree.json}}]\n"))
    for name in ("event_grown", "published_grown"):
        here = f"#/components/messages/{name}/payload/properties/data"
        data = looked_up(document, here)
        assert data["properties"] == {"child": {"$ref": here}, "ids": {"items": {"anyOf": [{"$ref": f"{here}/$defs/id"}]}}, "$ref": {"type": "string"}}
        assert data["enum"] == [{"$ref": "#/data"}], "that is data, and no reference"


def test_its_own_parser_has_nothing_against_it(packages, written, tmp_path):
    for number, text in enumerate(CONFIGS.values()):
        (tmp_path / f"{number}.json").write_text(json.dumps(made(written(text))), encoding="utf-8")
    (tmp_path / "wrong.json").write_text(json.dumps({"asyncapi": "3.0.0", "info": {}}), encoding="utf-8")
    done = subprocess.run(["node", ROOT / "tests/asyncapi/judge.mjs", packages, *sorted(tmp_path.glob("?.json")), tmp_path / "wrong.json"],
                          text=True, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said.pop(str(tmp_path / "wrong.json")), "a document that is none was let through"
    assert said == {str(path): [] for path in tmp_path.glob("?.json")}


@pytest.mark.parametrize("name", CONFIGS)
def test_what_it_refers_to_is_there_and_no_secret_is(name, written):
    document = made(written(CONFIGS[name]))
    for ref in refs(document):
        assert looked_up(document, ref) is not None
    assert SECRET not in json.dumps(document) and "ann" not in json.dumps(document["servers"])


def test_each_message_has_the_name_that_it_is_called_by(written):
    messages = made(written(CONFIGS["with everything"]))["components"]["messages"]
    assert [key for key, message in messages.items() if not message.get("name")] == []
    assert {key: messages[key]["name"] for key in ("present", "subscribed", "event", "event_card_moved", "close_4001")} == {
        "present": "presence", "subscribed": "subscribed", "event": "event", "event_card_moved": "card.moved", "close_4001": "close_4001"}
    for message in messages.values():
        kind = message["payload"].get("properties", {}).get("type", {}).get("const")
        assert kind in (None, message["name"])


def test_it_has_each_path_with_what_is_said_and_heard_there(written):
    document = made(written(CONFIGS["with everything"]))
    by_address = {channel["address"]: (key, channel) for key, channel in document["channels"].items()}
    key, cards = by_address["/ws/cards"]
    assert {"subscribe", "subscribed", "action", "reply", "auth", "event_card_updated", "event_card_moved", "close_4001"} <= {*cards["messages"]}
    assert {"presence", "present", "presence_changed"} <= {*cards["messages"]}
    stream, heard = by_address["/sse/cards"]
    assert {"event_card_updated", "presence_changed", "subscribed", "close"} <= {*heard["messages"]} and "ping" not in heard["messages"]
    operations = document["operations"]
    said = {"subscribe", "action", "reply", "presence", "present", "error"}
    assert {ref["$ref"].split("/")[-1] for ref in operations[f"hear_{stream}"]["messages"]} == {*heard["messages"]} - said
    assert {operations[f"{name}_{stream}"]["bindings"]["http"]["method"] for name in ("subscribe", "action", "presence")} == {"POST"}
    assert "event" not in cards["messages"], "declared messages are instead of the general one"
    assert document["operations"][f"action_{key}"]["reply"]["messages"][0]["$ref"] == f"#/channels/{key}/messages/reply"
    assert {scheme["$ref"].split("/")[-1] for scheme in document["operations"][f"hear_{key}"]["security"]} == {
        "bearer", "subprotocol", "cookie", "query", "ticket"}
    assert [*by_address["/ws/board/{id}/{part}"][1]["parameters"]] == ["id", "part"]
    assert "security" not in document["operations"][f"hear_{by_address['/ws/board/{id}'][0]}"]
    assert by_address["/ws/board_id"][0] != by_address["/ws/board/{id}"][0], "two paths, one name"
    heard = looked_up(document, cards["messages"]["event_card_moved"]["$ref"])
    assert heard["name"] == heard["payload"]["properties"]["type"]["const"] == "card.moved"
    assert heard["payload"]["properties"]["data"] == CARD


def test_each_redis_server_and_each_sentinel_is_a_server_of_the_document(written):
    urls = f"rediss://ann:{SECRET}@h1,redis://h2:7/1,redis://[::1],Rediss+sentinel://:{SECRET}@s1,s2:27/m"
    document = made(written(f"redis: {urls}\nroutes: [{{path: /ws/cards, channel: cards}}]\n"))
    servers = {name: it for name, it in document["servers"].items() if name.startswith("redis")}
    assert [(it["protocol"], it["host"]) for it in servers.values()] == [
        ("rediss", "h1:6379"), ("redis", "h2:7"), ("redis", "[::1]:6379"), ("rediss", "s1:26379"), ("rediss", "s2:27")]
    assert ["sentinel" in it["description"] for it in servers.values()] == [False] * 3 + [True] * 2
    cards = next(it for name, it in document["channels"].items() if name.startswith("redis_") and it["address"] == "cards")
    assert [it["$ref"] for it in cards["servers"]] == [f"#/servers/{name}" for name in servers]
    assert SECRET not in json.dumps(document)


def test_it_has_what_backends_publish_and_take_up_in_redis(written):
    document = made(written(CONFIGS["with everything"]))
    by_address = {channel["address"]: (key, channel) for key, channel in document["channels"].items()}
    assert document["servers"]["redis"]["host"] == "db.example:6380"
    assert {"shop:cards", "shop:user:{token_sub}", "shop:team:{token_team}", "shop:board:{id}", "shop:chat:{room}"} <= {*by_address}
    assert {*by_address["shop:cards"][1]["messages"]} == {"published_card_updated", "published_card_moved", "published_board_renamed_2"}, \
        "two routes declare of one channel, each type once"
    published = looked_up(document, by_address["shop:cards"][1]["messages"]["published_card_updated"]["$ref"])
    assert [*published["payload"]["properties"]] == ["type", "data"]
    key, _ = by_address["cards-actions"]
    carried = document["operations"][f"carry_out_{key}"]
    assert carried["action"] == "send" and carried["reply"]["address"]["location"] == "$message.payload#/reply"
    key, sessions = by_address["sessions"]
    assert [*sessions["messages"]] == ["lifecycle_entry"] and document["operations"][f"hear_{key}"]["action"] == "send"


def words(page, heading):
    """What stands in `code` in the first cell of the rows under this heading."""
    section = (ROOT / "docs" / page).read_text(encoding="utf-8").partition(heading)[2].partition("\n## ")[0]
    return {word for row in re.findall(r"^\| (.*?) \|", section, re.MULTILINE) for word in re.findall(r"`([a-z_]+)`", row)}


def test_error_codes_and_close_codes_are_those_of_the_page(written):
    document = made(written(""))
    codes = {*document["components"]["messages"]["error"]["payload"]["properties"]["data"]["properties"]["code"]["anyOf"][0]["enum"]}
    said = {*words("protocol.md", "What cannot be done is answered"), *words("actions.md", "## A client")}
    assert codes == said - {"stream", "timeout_ms", "in_flight", "backlog"} - {"subscribe"}
    closing = (ROOT / "docs/protocol.md").read_text(encoding="utf-8").partition("\n## Closing")[2].partition("\n## ")[0]
    rows = {int(code) for row in re.findall(r"^\| ([0-9, ]+) \|", closing, re.MULTILINE) for code in row.split(",")}
    sent = {int(name.removeprefix("close_")) for name in document["components"]["messages"] if name.startswith("close_")}
    assert sent == rows - {1006}


@pytest.mark.parametrize("messages,why", [
    ("[card_updated]", "messages is a line 'TYPE: FILE' each"),
    ("{card_updated: missing.json}", "missing.json: No such file or directory"),
    ("{card_updated: /dev/zero}", "/dev/zero: a schema has at most 256 KiB"),
    ("{card_updated: broken.json}", "broken.json:2: not JSON"),
    ("{card_updated: list.json}", "list.json: a JSON Schema is an object"),
    ("{card_updated: card.json, card_updated: card.json}", "message 'card_updated' is declared twice"),
    ('{"": card.json}', "the type of a message has 1 to 128 bytes"),
    (f"{{{'x' * 129}: card.json}}", "the type of a message has 1 to 128 bytes"),
    ("{card_updated: }", "the schema of a message is empty"),
    ("{" + ", ".join(f"t{n}: card.json" for n in range(65)) + "}", "a route declares at most 64 messages"),
])
def test_a_wrong_declaration_is_refused_with_its_line(messages, why, written, tmp_path):
    (tmp_path / "broken.json").write_text('{\n"a": }', encoding="utf-8")
    (tmp_path / "list.json").write_text("[1]", encoding="utf-8")
    file = written(f"routes:\n  - path: /ws/cards\n    channel: cards\n    messages: {messages}\n")
    done = run("check", file)
    assert done.returncode == 2 and f"{file}:4: " in done.stderr and why in done.stderr, done.stderr


def test_a_gateway_tells_what_it_goes_by_now(start, written):
    gateway = start("--config", written(CONFIGS["of the example"]))
    said = gateway.api("/asyncapi.json")
    assert [*said["channels"]][0] == "ws_cards" and said["servers"]["clients"]["protocol"] == "ws"
    written(CONFIGS["of the example"].replace("cards", "boards"))
    assert gateway.get("/reload", method="POST").status == 200
    assert [*gateway.api("/asyncapi.json")["channels"]][0] == "ws_boards"

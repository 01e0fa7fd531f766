"""What the documents say to type, typed: every fenced block runs, or somebody says here why it does not."""

import asyncio
import json
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import types
import urllib.parse

import pytest
import redis as redis_py
import redis.asyncio as redis_asyncio

from harness import browser
from harness.authority import Authority
from harness.gateway import BINARY, ROOT, run
from harness.process import Process, clean_environment
from harness.tokens import SECRET, Issuer
from harness.wait import until
from harness.websocket import exchange, handshake

pytestmark = pytest.mark.plain

PAGES = sorted({*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("deploy/**/*.md"), *ROOT.glob("docker/**/*.md"),
                *ROOT.glob("src/clients/**/*.md")})
SHARED_ROUTES = "default_routes: true\nroutes: [{path: /ws/cards, channel: cards, history: on}]\n"

RECEIVED = "JSON.stringify([...document.querySelectorAll('#received li')].map(item => item.textContent))"
STATE = "document.getElementById('state') && document.getElementById('state').textContent"

# What a block begins with -> why nobody runs it here.
LEFT_OUT = {
    "src/clients/python/README.md: publisher = Publisher(\"rediss": "test_publisher_servers.py has such URLs",
    "CONTRIBUTING.md: deploy/deps.sh --test": "it is what was done before this test could run",
    "README.md: backend ──": "a picture",
    "docs/actions.md: → {": "a dialogue: test_actions.py has it",
    "docs/actions.md: > XREADGROUP": "an answer of Redis: test_actions.py compares the fields",
    "docs/actions.md: ACL SETUSER": "test_redis_rights.py gives workers these rights",
    "docs/architecture.md: Redis": "a picture",
    "docs/control.md: ACL SETUSER": "test_redis_rights.py gives an operator these rights",
    "docs/performance.md: tidegate bench --url": "test_bench_processes.py runs a smaller one",
    "docs/presence.md: → {": "a dialogue: test_presence.py has it",
    "docs/presence.md: ← {": "an event: test_presence.py has it",
    "docs/presence.md: redis-cli FCALL_RO": "test_presence.py runs it",
    "docs/presence.md: > HGETALL": "an answer of Redis: test_presence.py compares it",
    "docs/configuration.md: tidegate.yaml:6: unknown key": "what is said of a wrong file: test_config.c has the sentences",
    "docs/from-fastapi.md: class ConnectionManager": "test_way_over.py runs it",
    "docs/from-fastapi.md: manager = Manager(redis.asyncio.Redis(), \"cards\", beside": "the same, with a Redis of its own",
    "docs/from-fastapi.md: manager = Manager(redis.asyncio.Redis(), \"cards\")": "the same",
    "docs/from-fastapi.md: split_clients": "test_way_over.py starts an nginx with it",
    "docs/from-fastapi.md: worker = AsyncWorker": "test_way_over.py runs it",
    "docs/metrics.md: promtool check rules": "test_monitoring.py runs promtool on both files",
    "docs/operations.md: # /etc/sysctl.d": "test_operations_page.py looks the settings up; a test changes no kernel",
    "docs/operations.md: { printf 'apiVersion": "test_operations_page.py runs it",
    "docs/protocol.md: ← {": "a dialogue: test_access.py has it",
    "docs/protocol.md: → {": "a dialogue: test_recovery.py has it",
    "docs/protocol.md: ← {": "a dialogue: test_access.py has it",
    "docs/recovery-protocol.md: \\1<offset>": "a format: test_envelope.c and test_functions.py have it",
    "docs/recovery-protocol.md: IDLE": "a picture",
    "docs/redis.md: ACL SETUSER": "test_redis_rights.py gives users these rights",
    "docs/testing.md: tests/run.sh # everything": "it is what runs this test",
    "docs/testing.md: deploy/deps.sh --test": "the same, by hand",
    "docs/testing.md: tests/fuzz/run.sh": "it takes hours, and a build of its own",
    "docs/testing.md: tests/oom/run.py": "by hand: it takes minutes",
    "docs/testing.md: tests/run.sh the command": "a list of files",
    "docs/testing.md: def f2(bench)": "an extract from tests/fault/redis_outage.py, shortened",
}


def newest(shown):
    """The line that the page shows last, of what RECEIVED gives; an empty object while there is none."""
    return (json.loads(shown or "[]") or ["{}"])[-1]


def blocks(path):
    """(language, text) of each fenced block."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def all_blocks():
    found = []
    for path in PAGES:
        for language, text in blocks(path):
            name = f"{path.relative_to(ROOT)}: {' '.join(text.split())}"
            found.append((name, language, text))
    return found


BLOCKS = all_blocks()


def block(beginning):
    (found,) = [text for name, _, text in BLOCKS if name.startswith(beginning)]
    return found


@pytest.fixture
def shell(tmp_path, gateway, redis):
    """shell(text) is what it prints, in a clone with a built gateway, where everything is at our ports instead of its own."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "tidegate").symlink_to(BINARY)
    (tools / "tidegate").symlink_to(BINARY)
    (tools / "redis-cli").write_text(f'#!/bin/sh\nexec {shutil.which("redis-cli")} -p {redis.port} "$@"\n', encoding="utf-8")
    (tools / "redis-cli").chmod(0o755)
    environment = clean_environment({"TIDEGATE_ADMIN": gateway.admin, "TOKEN": "any"})
    environment["PATH"] = f"{tools}:{environment['PATH']}"

    def one(text):
        text = text.replace("127.0.0.1:9080", gateway.admin).replace("10.0.0.7:9080", gateway.admin)
        done = subprocess.run(["bash", "-euc", text], cwd=tmp_path, env=environment, capture_output=True, text=True,
                              check=False, timeout=60)
        assert done.returncode == 0, (text, done.stderr)
        return done.stdout

    return one


def dialogue(text):
    """The commands of a block with prompts, and what the page says that each prints."""
    parts = re.split(r"^\$ (.*)\n", text, flags=re.MULTILINE)
    assert parts[0] == ""
    return list(zip(parts[1::2], parts[2::2]))


def shape(value):
    """Of an answer: its members' names and the kinds of their values."""
    if isinstance(value, dict):
        return {name: shape(member) for name, member in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return "number" if isinstance(value, (int, float)) and not isinstance(value, bool) else type(value).__name__


def same_shape(shown, answer):
    """What the page shows is what there is; of events any, of lists the first."""
    if isinstance(shown, dict) and "type" not in shown:
        assert list(shown) == list(answer), (shown, answer)
        for name, member in shown.items():
            same_shape(member, answer[name])
    elif isinstance(shown, list):
        assert answer, shown
        same_shape(shown[0], answer[0])
    elif not isinstance(shown, dict):
        assert shape(shown) == shape(answer)


# --- every block ----------------------------------------------------------------------------------


def test_every_block_has_somebody_who_runs_it_or_a_reason_why_not():
    for name, language, _ in BLOCKS:
        assert language in ("yaml", "c") or any(map(name.startswith, [*RUN, *LEFT_OUT])), f"who runs this? {name[:100]}"
    for beginning in [*RUN, *LEFT_OUT]:
        assert any(name.startswith(beginning) for name, _, _ in BLOCKS), f"there is no such block any more: {beginning}"


RUN = set()


def runs(beginning):
    """This test runs the block that begins so."""
    RUN.add(beginning)
    return lambda test: test


def with_files(text, pair):
    """The same with a certificate and a key that are there."""
    for option, path in zip(("tls_certificate", "tls_key"), pair):
        text = re.sub(rf"(?m)^{option}: .*", f"{option}: {path}", text)
    return text


@pytest.mark.parametrize("name,text", [(name, text) for name, language, text in BLOCKS if language == "yaml"],
                         ids=lambda value: value[:40] if ":" in value[:60] else None)
def test_a_configuration_is_one(name, text, tmp_path):
    if "tls_certificate:" in text:
        text = with_files(text, Authority(tmp_path).issue("ws.example.com"))
    (tmp_path / "tidegate.yaml").write_text(text, encoding="utf-8")
    for schema in re.findall(r"schemas/\w+\.json", text):
        (tmp_path / "schemas").mkdir(exist_ok=True)
        (tmp_path / schema).write_text('{"type": "object"}', encoding="utf-8")
    done = run("check", "--config", tmp_path / "tidegate.yaml")
    assert done.returncode == 0, (name, done.stderr)


@pytest.mark.parametrize("name,text", [(name, text) for name, language, text in BLOCKS if language == "python"],
                         ids=lambda value: value[:40] if ":" in value[:60] else None)
def test_python_is_python(name, text):
    compile(text, name, "exec", dont_inherit=True)


@pytest.mark.parametrize("name,text", [(name, text) for name, language, text in BLOCKS if language == "c"],
                         ids=lambda value: value[:40] if ":" in value[:60] else None)
def test_an_example_of_c_is_in_the_sources(name, text):
    """Line by line as it stands there, in one file; `…` is what the page leaves out."""
    parts = [part.strip("\n") for part in re.split(r"^…$", text, flags=re.MULTILINE)]
    sources = [path.read_text(encoding="utf-8") for folder in ("src", "include") for path in (ROOT / folder).rglob("*.[chd]*")]
    assert any(all(part in source for part in parts) for source in sources), name


# --- README.md ------------------------------------------------------------------------------------


@runs("README.md: deploy/local.sh # installs")
def test_the_two_commands_are_there():
    commands = [line.partition("#")[0].strip() for line in block("README.md: deploy/local.sh").splitlines()]
    for command in commands:
        assert subprocess.run([ROOT / command, "--help"], capture_output=True, check=True, timeout=60).stdout
    # test_scripts.py runs the first to its screen; the second runs this.


@runs("README.md: build/tidegate serve")
def test_the_gateway_starts_as_the_readme_says(redis, tmp_path):
    words = block("README.md: build/tidegate serve").replace("127.0.0.1:6379", f"127.0.0.1:{redis.port}").split()
    assert words[0] == "build/tidegate"
    process = Process([BINARY, *words[1:], "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"], tmp_path, "readme")
    try:
        until("redis is ready", lambda: "redis is ready" in process.stderr())
    finally:
        process.stop()


CONSOLE = "(() => {{ window.lines = []; const log = console.log; console.log = text => lines.push(text); {}; return true }})()"


@runs("README.md: ws = new WebSocket")
@runs("README.md: redis-cli PUBLISH cards")
def test_the_console_of_the_page_shows_what_a_shell_publishes(chromium, gateway, redis, shell):
    chromium.show(f"http://{gateway.admin}/try", "document.readyState", lambda state: state == "complete")
    code = block("README.md: ws = new WebSocket").replace("127.0.0.1:8080", f"127.0.0.1:{gateway.address[1]}").strip()
    chromium.look(CONSOLE.format(code), bool)
    chromium.look("ws.readyState", lambda state: state == 1)
    shell(block("README.md: redis-cli PUBLISH cards"))
    (line,) = chromium.look("lines", bool)
    shown = re.search(r"The console shows\s+`(.*?)`\.", (ROOT / "README.md").read_text(encoding="utf-8"))[1]
    assert re.sub(r'"timestamp":"[^"]*"', '"timestamp":"…"', line) == shown


def test_the_page_to_try_endpoints_connects_shows_and_sends(chromium, gateway, redis):
    chromium.show(f"http://{gateway.admin}/try", "document.getElementById('url') && document.getElementById('url').value",
                  lambda url: url == f"ws://127.0.0.1:{gateway.address[1]}/ws/cards")
    chromium.look("document.getElementById('open').requestSubmit() || true", bool)
    state = "document.getElementById('state').textContent"
    chromium.look(state, lambda state: state == "open")
    messages = "[...document.querySelectorAll('#messages li')].map(item => JSON.parse(item.textContent).type)"
    redis.publish("cards", '{"type":"<b>shown</b>"}')
    chromium.look(messages, lambda shown: shown == ["<b>shown</b>"])
    chromium.look("document.getElementById('say').requestSubmit() || true", bool)
    chromium.look(messages, lambda shown: shown == ["pong", "<b>shown</b>"])
    chromium.look("document.getElementById('close').click() || true", bool)
    assert chromium.look(state, bool) == "closed"
    assert chromium.complaints() == []
    policy = gateway.get("/try").headers["Content-Security-Policy"]
    assert "connect-src 'self' ws: wss:;" in policy and "unsafe" not in policy


@runs("README.md: curl -s 127.0.0.1:9080/publish")
def test_events_are_taken_by_the_admin_port(gateway, shell):
    with gateway.connect() as peer:
        answers = shell(block("README.md: curl -s 127.0.0.1:9080/publish"))
        events = [peer.receive() for _ in range(2)]
    assert answers and [event["data"] for event in events] == [{"id": 7}, {"id": 7}]


# --- docs/admin.md --------------------------------------------------------------------------------


@runs("docs/sse.md: curl -N")
def test_a_listener_says_something(gateway, shell):
    host, port = gateway.address
    answers = shell(block("docs/sse.md: curl -N").replace("127.0.0.1:8080", f"{host}:{port}"))
    assert '"type":"pong","id":1' in answers and '"code":1000' in answers


@runs("docs/admin.md: $ tidegate status")
def test_the_command_line_prints_what_the_page_shows(gateway, shell):
    (status, shown), (disconnect, said), *commands = dialogue(block("docs/admin.md: $ tidegate status"))
    printed = shell(status)
    shown, printed = ([line[:12].strip() for line in text.splitlines()] for text in (shown, printed))
    head = shown.index("NODE")
    assert printed[:head + 1] == shown[:head + 1]
    with gateway.connect():
        (peer,) = gateway.api("/connections")["connections"]
        assert shell(disconnect.replace("17", str(peer["id"]))) == said.replace("17", str(peer["id"]))
    until("it is announced", lambda: len(gateway.api("/nodes")["nodes"]) == 1)
    for command, said in commands:
        assert re.sub(r"\d+", "N", shell(command)) == re.sub(r"\d+", "N", said)


@runs("docs/admin.md: curl -H")
def test_the_token_is_sent_as_the_page_says(gateway, shell):
    assert json.loads(shell(block("docs/admin.md: curl -H")))["node"] == gateway.api("/status")["node"]


@runs("docs/admin.md: $ curl -s 127.0.0.1:9080/control")
def test_a_command_is_answered_as_the_page_shows(gateway, shell):
    ((command, shown),) = dialogue(block("docs/admin.md: $ curl -s 127.0.0.1:9080/control"))
    shown, answer = json.loads(shown), json.loads(shell(command))
    assert (shown.pop("silent"), list(shown)) == ([], list(answer)[:-1])
    same_shape(shown, {name: value for name, value in answer.items() if name != "silent"})
    assert gateway.get("/ready").status == 200


@runs("docs/admin.md: $ curl -s '127.0.0.1:9080/channels")
@runs("docs/admin.md: $ curl -s '127.0.0.1:9080/connections")
def test_the_api_answers_in_the_shape_that_the_page_shows(gateway, shell):
    with gateway.connect(), gateway.connect("/ws/items/0"), gateway.connect("/ws/items/1") as third:
        gateway.post("/publish", {"channel": "cards", "payload": {"type": "card_updated"}})
        assert third.ask({"type": "ping"})["type"] == "pong"
        until("an event is remembered", lambda: gateway.api("/channels/cards?limit=1")["events"])
        for page in ("channels", "connections"):
            for command, shown in dialogue(block(f"docs/admin.md: $ curl -s '127.0.0.1:9080/{page}")):
                highest = max(peer["id"] for peer in gateway.api("/connections")["connections"])
                same_shape(json.loads(shown), json.loads(shell(command.replace(":17", f":{highest}"))))


# --- docs/configuration.md ------------------------------------------------------------------------


@runs("docs/configuration.md: $ TIDEGATE_LISTEN=:8000 tidegate check")
def test_check_prints_what_the_page_shows(shell, tmp_path):
    ((command, shown),) = dialogue(block("docs/configuration.md: $ TIDEGATE_LISTEN=:8000 tidegate check"))
    (tmp_path / "tidegate.yaml").write_text("# a comment\nredis: redis://:secret@db:6379/0\nroutes:\n  # ours\n"
                                            "  - {path: '/ws/nova/{item_id}', channel: 'nova:{item_id}', history: on}\n",
                                            encoding="utf-8")
    printed = [line.split() for line in shell("unset TIDEGATE_ADMIN; " + command).splitlines()]
    for line in shown.splitlines():
        assert line == "…" or line.split() in printed, line


@runs("docs/new-endpoint.md: tidegate check")
@runs("docs/new-endpoint.md: tidegate tail")
@runs("docs/new-endpoint.md: tidegate publish")
def test_a_new_endpoint_is_there_after_the_steps_of_the_page(start, redis, shell, tmp_path):
    (tmp_path / "schemas").mkdir()
    page = (ROOT / "docs/new-endpoint.md").read_text(encoding="utf-8")
    (tmp_path / "schemas/reading.json").write_text(re.search(r"`(\{.type.: .object.*?)`", page)[1], encoding="utf-8")
    file = tmp_path / "tidegate.yaml"
    file.write_text("", encoding="utf-8")
    node = start("--config", file, redis=redis)
    file.write_text(block("docs/new-endpoint.md: redis:"), encoding="utf-8")
    settings = {"TIDEGATE_ADMIN": node.admin, "TIDEGATE_REDIS": redis.url}
    environment = "".join(f"export {name}={value}\n" for name, value in settings.items())
    assert "/ws/sensor/{sensor_id}" in shell(environment + block("docs/new-endpoint.md: tidegate check"))
    words = block("docs/new-endpoint.md: tidegate tail").split()
    tail = Process([BINARY, *words[1:]], tmp_path, "tail", env=settings)
    try:
        with node.connect("/ws/sensor/7") as peer:
            until("both hear", lambda: redis.subscribers("sensor:7") == 2)
            shell(environment + block("docs/new-endpoint.md: tidegate publish"))
            assert peer.receive()["data"] == {"celsius": 21.5}
            until("it is printed", lambda: "21.5" in tail.stdout())
    finally:
        tail.stop(expected=(-signal.SIGTERM,))


@runs("docs/asyncapi.md: tidegate asyncapi")
def test_a_configuration_is_printed_as_asyncapi(shell, tmp_path):
    (tmp_path / "tidegate.yaml").write_text(SHARED_ROUTES, encoding="utf-8")
    shell(block("docs/asyncapi.md: tidegate asyncapi"))
    assert "ws_cards" in json.loads((tmp_path / "asyncapi.json").read_text(encoding="utf-8"))["channels"]


@runs("docs/configuration.md: $ tidegate token")
def test_a_token_is_made_and_looked_at_as_the_page_shows(shell, tmp_path):
    (tmp_path / "tidegate.yaml").write_text("token_secret: 0123456789abcdef0123456789abcdef\n", encoding="utf-8")
    for command, shown in dialogue(block("docs/configuration.md: $ tidegate token")):
        printed = shell(f"export TIDEGATE_CONFIG={tmp_path}/tidegate.yaml; {command} || true")
        numbers = r"(?<=exp\":)\d{10}|(?<=iat\":)\d{10}|\b7\d{3}(?= s)"
        assert re.sub(numbers, "N", printed) == re.sub(numbers, "N", shown)


@runs("docs/configuration.md: $ tidegate reload")
def test_a_reload_says_what_the_page_shows(start, redis, tmp_path, shell):
    file = tmp_path / "reloaded.yaml"
    file.write_text("workers: 2\nroutes:\n  - path: /ws/a\n    channel: a\n", encoding="utf-8")
    node = start("--config", file, redis=redis)
    (good, applied), (bad, refused) = dialogue(block("docs/configuration.md: $ tidegate reload"))
    file.write_text("metrics_public: true\nworkers: 3\n", encoding="utf-8")
    said = shell(f"{good} --admin {node.admin}")
    assert said.splitlines()[0] == applied.splitlines()[0]
    file.write_text("workers: 2\nroutes:\n  - path: /ws/a\n    # ours\n    chanel: a\n", encoding="utf-8")
    said = shell(f"{bad} --admin {node.admin} 2>&1 || true")
    assert said.startswith("tidegate: reload: ") and refused.partition("tidegate.yaml")[2].partition(" (known")[0] in said


@runs("docs/configuration.md: redis.publish")
@runs("docs/configuration.md: const part")
def test_a_wide_id_is_spelt_by_publishers_and_pages_as_the_gateway_does(start, redis, chromium, tmp_path):
    file = tmp_path / "wide.yaml"
    file.write_text("routes: [{path: '/ws/items/{item_id}', channel: 'items:{item_id}', ids: any}]\n", encoding="utf-8")
    node = start("--config", file, redis=redis)
    publish, send = block("docs/configuration.md: redis.publish"), block("docs/configuration.md: const part")
    page = browser.Page(node.url("/ws/cards"))
    try:
        chromium.show(page.url, STATE, lambda state: state == "open")
        for item_id in ("a b", "user@example.com", "é", "it's (7)*!"):
            chromium.look(f"(() => {{ const id = {json.dumps(item_id)}; {send}; return true }})()", bool)
            chromium.look(RECEIVED, lambda text: '"subscribed"' in newest(text))
            names = {"urllib": urllib, "redis": redis.client, "item_id": item_id, "payload": json.dumps({"type": item_id})}
            with node.connect("/ws/items/" + urllib.parse.quote(item_id)) as peer:
                exec(publish, names)  # pylint: disable=exec-used
                assert peer.receive()["type"] == item_id
            chromium.look(RECEIVED, lambda text: json.loads(newest(text)).get("type") == item_id)  # pylint: disable=cell-var-from-loop
    finally:
        page.stop()


# --- docs/operations.md ---------------------------------------------------------------------------


@runs("docs/operations.md: map $http_upgrade")
def test_nginx_takes_the_configuration(tmp_path):
    if not shutil.which("nginx"):
        pytest.skip("no nginx")
    (tmp_path / "nginx.conf").write_text(f"pid {tmp_path}/pid; events {{}} http {{ access_log off; "
                                         f"{block('docs/operations.md: map $http_upgrade')} }}", encoding="utf-8")
    done = subprocess.run([shutil.which("nginx"), "-t", "-e", "stderr", "-p", tmp_path, "-c", tmp_path / "nginx.conf"],
                          capture_output=True, text=True, check=False, timeout=60)
    assert "syntax is ok" in done.stderr, done.stderr


@runs("docs/operations.md: redis-cli FUNCTION DELETE")
def test_nothing_is_left_in_redis(own_redis, start, tmp_path, gateway):
    (tmp_path / "tidegate.yaml").write_text(SHARED_ROUTES, encoding="utf-8")
    node = start("--config", tmp_path / "tidegate.yaml", redis=own_redis)
    assert node.post("/publish", {"channel": "cards", "payload": {"type": "x"}, "idempotency_key": "k"}).status == 200
    node.stop()
    assert own_redis.client.dbsize() > 0
    text = block("docs/operations.md: redis-cli FUNCTION DELETE").replace("redis-cli", f"redis-cli -p {own_redis.port}")
    subprocess.run(["bash", "-euc", text], check=True, capture_output=True, timeout=60)
    assert (own_redis.client.dbsize(), own_redis.client.function_list()) == (0, [])


# --- docs/recovery.md -----------------------------------------------------------------------------


@runs("docs/recovery.md: redis-cli FCALL")
def test_the_function_is_called_by_hand(shell):
    command = block("docs/recovery.md: redis-cli FCALL")
    first, second = shell(command).split(), shell(command).split()
    assert (first[1], second[1]) == ("0", "1"), "the second is a repetition"
    assert first[0] == second[0]


@runs("docs/recovery.md: curl -s 127.0.0.1:9080/publish")
def test_the_admin_port_publishes_with_a_key(gateway, shell):
    assert json.loads(shell(block("docs/recovery.md: curl -s 127.0.0.1:9080/publish")))


@pytest.fixture
def publisher_modules(monkeypatch, redis):
    """`redis.Redis()` is our server, and FastAPI, which is no package of the tests, only remembers what it is told."""

    class App:
        def post(self, path):
            return lambda function: setattr(self, "posted", (path, function)) or function

    class HTTPException(Exception):
        pass

    fastapi = types.SimpleNamespace(FastAPI=App, HTTPException=HTTPException)
    threads, loop = redis_py.Redis, redis_asyncio.Redis

    class Here(threads):
        def __init__(self, **options):
            super().__init__(**options or {"port": redis.port})

    class LoopHere(loop):
        def __init__(self, **options):
            super().__init__(**options or {"port": redis.port})

    monkeypatch.setitem(sys.modules, "fastapi", fastapi)
    monkeypatch.syspath_prepend(str(ROOT / "src/clients/python"))
    tidegate = __import__("tidegate")  # before, for it remembers what a client is
    monkeypatch.setattr(redis_py, "Redis", Here)
    monkeypatch.setattr(redis_asyncio, "Redis", LoopHere)
    for kind, client in ((tidegate.Publisher, Here), (tidegate.AsyncPublisher, LoopHere)):
        monkeypatch.setattr(kind, "kind", kind.kind._replace(client=client))


@runs("docs/recovery.md: import redis from tidegate")
@runs("docs/recovery.md: import fastapi")
def test_both_publishers_publish(gateway, publisher_modules, redis):
    redis.client.delete("tg:i:{cards}:order-7")  # the other examples have used it
    with gateway.connect() as peer:
        exec(block("docs/recovery.md: import redis from tidegate"), {})  # pylint: disable=exec-used
        assert peer.receive()["data"] == {"id": 7}
        names = {}
        exec(block("docs/recovery.md: import fastapi"), names)  # pylint: disable=exec-used

        async def post():
            await names["app"].posted[1]("7", {"version": 1, "title": "a"})
            await names["publisher"].close()

        asyncio.run(post())
        assert peer.receive()["data"] == {"version": 1, "title": "a"}


@runs("docs/recovery.md: let pos")
def test_the_resuming_page_loads_its_state_first_and_then_only_when_it_must(chromium, gateway, redis):
    code = block("docs/recovery.md: let pos").replace("wss://example.com/ws/cards", gateway.url("/ws/cards"))
    page = browser.Page(gateway.url("/ws/cards"))
    numbers = "JSON.stringify(window.heard)"

    def publish(number):
        assert gateway.post("/publish", {"channel": "cards", "history": True, "payload": {"type": "n", "data": number}}).status == 200

    try:
        publish(0)
        chromium.show(page.url, "document.readyState", lambda state: state == "complete")
        chromium.look("(() => { socket.close(); window.heard = []; window.loads = 0; window.handle = event => heard.push(event.data);"
                      " window.loadState = () => loads++; const script = document.createElement('script');"
                      f" script.textContent = {json.dumps('{' + code + '; window.now = () => pos }')};"
                      " document.body.append(script); return true })()", bool)
        chromium.look("loads", lambda loads: loads == 1)
        publish(1)
        chromium.look(numbers, lambda heard: heard == "[1]")
        for peer in gateway.api("/connections")["connections"]:
            gateway.post("/disconnect", {"connection": peer["id"]})
        publish(2)
        chromium.look(numbers, lambda heard: heard == "[1,2]")
        assert chromium.look("loads", bool) == 1, "what it had was enough"
        redis.client.delete("tg:s:{cards}", "tg:m:{cards}")
        publish(3)
        chromium.look("loads", lambda loads: loads == 2)
    finally:
        page.stop()


# --- docs/redis.md --------------------------------------------------------------------------------


@runs("docs/redis.md: tidegate functions")
def test_the_library_is_loaded_by_hand(shell):
    assert shell(block("docs/redis.md: tidegate functions")).strip() == "tidegate"


# --- docs/security.md -----------------------------------------------------------------------------


def secured(start, tmp_path, python, configuration, modules, **names):
    """A gateway with the page's configuration, and the names of its Python, run beside these modules."""
    (tmp_path / "tidegate.yaml").write_text(block(configuration), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        for name, module in modules.items():
            patch.setitem(sys.modules, name, module)
        exec(block(python), names)  # pylint: disable=exec-used
    return start("--config", tmp_path / "tidegate.yaml"), names


FASTAPI, DJANGO = (f"docs/security.md: from datetime import datetime, timedelta, timezone import jwt {rest}"
                   for rest in ("SECRET_KEY", "from django"))


@runs(FASTAPI)
@runs("docs/security.md: const token")
def test_the_token_of_fastapis_tutorial_lets_a_page_in_and_its_end_is_heard(start, tmp_path, chromium):
    gateway, names = secured(start, tmp_path, FASTAPI, "docs/security.md: token_secret: 09d25e09", {})
    token = names["create_access_token"]("alice", [7])
    for path, status in (("/ws/me", 101), ("/ws/execution/7", 101), ("/ws/execution/8", 403)):
        answer = exchange(gateway.address, handshake(path, [("Authorization", f"Bearer {token}")]))
        assert answer.status == status, path
    code = block("docs/security.md: const token").replace("wss://example.com/ws/me", gateway.url("/ws/me"))
    page = browser.Page(gateway.url("/ws/me"))
    try:
        chromium.show(page.url, "document.readyState", lambda state: state == "complete")
        for shown, seen in ((token, "1"), (token + "x", "token_invalid")):
            chromium.look(f"""(() => {{ document.title = ''; localStorage.setItem('token', {json.dumps(shown)});
                           window.signIn = reason => document.title = reason; window.handle = event => document.title = event.data;
                           const script = document.createElement('script'); script.textContent = {json.dumps('{' + code + '}')};
                           document.body.append(script); return true }})()""", bool)
            if shown == token:
                until("the page is in", lambda: gateway.metric("tidegate_connections"))
                gateway.publish("user:alice", '{"type":"news","data":1}')
            chromium.look("document.title", lambda title, seen=seen: title == seen)
    finally:
        page.stop()


@runs(DJANGO)
def test_the_cookie_of_the_django_view_lets_in_with_an_origin(start, tmp_path):
    class Response:
        def __init__(self, status):
            self.status, self.cookies = status, {}

        def set_cookie(self, name, value, **kind):
            self.cookies[name] = (value, kind)

    modules = {
        "django": types.ModuleType("django"), "django.contrib": types.ModuleType("contrib"), "django.contrib.auth": types.ModuleType("auth"),
        "django.conf": types.SimpleNamespace(settings=types.SimpleNamespace(
            TIDEGATE_SECRET=re.search(r"token_secret: (\w+)", block("docs/security.md: token_secret: 5f0c7a1e"))[1])),
        "django.contrib.auth.decorators": types.SimpleNamespace(login_required=lambda view: view),
        "django.http": types.SimpleNamespace(HttpResponse=Response),
    }
    gateway, names = secured(start, tmp_path, DJANGO, "docs/security.md: token_secret: 5f0c7a1e", modules)
    value, kind = names["live"](types.SimpleNamespace(user=types.SimpleNamespace(pk=42))).cookies["tidegate"]
    assert kind["httponly"] and kind["secure"]
    cookie = ("Cookie", f"sessionid=x; tidegate={value}")
    for headers, status in (([cookie, ("Origin", "https://gateway.test")], 101), ([cookie], 403), ([cookie, ("Origin", "https://evil.test")], 403)):
        assert exchange(gateway.address, handshake("/ws/me", headers)).status == status


# --- docs/testing.md ------------------------------------------------------------------------------


@runs("src/clients/python/README.md: from fastapi")
@runs("src/clients/python/README.md: import asyncio")
def test_what_a_fastapi_application_handled_becomes_a_worker(start, redis, tmp_path, monkeypatch):
    async def handle_message(user, message):
        return [user, message["text"].upper()]

    class FastAPI:  # as much of it as the page has need of
        def websocket(self, path):
            return lambda function: endpoints.update({path: function})

    class Socket:
        said = []

        async def accept(self):
            pass

        async def receive_json(self):
            if self.said:
                raise EOFError  # it has gone
            return {"text": "before"}

        async def send_json(self, answer):
            self.said.append(answer)

    endpoints = {}
    monkeypatch.setitem(sys.modules, "fastapi", types.SimpleNamespace(FastAPI=FastAPI, WebSocket=Socket))
    monkeypatch.setitem(sys.modules, "board", types.SimpleNamespace(handle_message=handle_message))
    monkeypatch.syspath_prepend(str(ROOT / "src/clients/python"))
    exec(block("src/clients/python/README.md: from fastapi"), {"user_of": lambda socket: ""})  # pylint: disable=exec-used
    with pytest.raises(EOFError):
        asyncio.run(endpoints["/ws/cards"](Socket()))
    file = tmp_path / "tidegate.yaml"
    file.write_text("routes: [{path: /ws/cards, channel: cards, actions: cards-actions}]\n", encoding="utf-8")
    gateway = start("--config", file, redis=redis)
    until("it hears answers", lambda: any(name.startswith(b"tg:r:") for name in redis.client.pubsub_channels()))
    code = block("src/clients/python/README.md: import asyncio").replace("asyncio.Redis()", f"asyncio.Redis(port={redis.port})")
    names = {}
    thread = threading.Thread(target=lambda: exec(code, names), daemon=True)  # pylint: disable=exec-used
    thread.start()
    try:
        with gateway.connect("/ws/cards") as peer:
            peer.send({"type": "action", "id": 7, "data": {"text": "after"}})
            answer = peer.receive()
            assert Socket.said == [["", "BEFORE"]] and (answer["id"], answer["data"]) == (7, ["", "AFTER"])
    finally:
        names["worker"].stop()
        thread.join()
        redis.client.delete("cards-actions")


@runs("src/clients/python/README.md: import redis")
def test_the_worker_of_the_page_carries_out(start, redis, tmp_path, monkeypatch):
    file = tmp_path / "tidegate.yaml"
    file.write_text("routes: [{path: /ws/cards, channel: cards, actions: cards-actions}]\n", encoding="utf-8")
    gateway = start("--config", file, redis=redis)
    until("it hears answers", lambda: any(name.startswith(b"tg:r:") for name in redis.client.pubsub_channels()))
    monkeypatch.syspath_prepend(str(ROOT / "src/clients/python"))
    code = block("src/clients/python/README.md: import redis").replace("redis.Redis()", f"redis.Redis(port={redis.port})")
    board = types.SimpleNamespace(move=lambda card, to, by: f"{card} is in {to}")
    names = {"COLUMNS": ["done"], "board": board, "execute": lambda data: ["one", "two"]}
    exec(code.replace("worker.run()", ""), names)  # pylint: disable=exec-used
    thread = threading.Thread(target=names["worker"].run, daemon=True)
    thread.start()
    try:
        with gateway.connect("/ws/cards") as peer:
            peer.send({"type": "action", "id": 1, "data": {"name": "move", "card": "c", "to": "done"}})
            assert peer.receive()["data"] == {"version": "c is in done"}
            peer.send({"type": "action", "id": 1, "data": {"name": "move", "card": "c", "to": "nowhere"}})
            assert peer.receive()["data"] == {"code": "no_such_column", "message": "there is no column nowhere"}
            peer.send({"type": "action", "id": 1, "data": {"name": "run"}})
            parts = [peer.receive() for _ in range(3)]
            assert [(part.get("data"), part.get("more")) for part in parts] == [("one", True), ("two", True), (None, None)]
    finally:
        names["worker"].stop()
        thread.join()
        redis.client.delete("cards-actions")


@runs("docs/actions.md: tidegate action")
def test_an_action_is_tried_out_as_the_page_says(start, redis, shell, tmp_path, monkeypatch):
    file = tmp_path / "tidegate.yaml"
    file.write_text("routes: [{path: /ws/cards, channel: cards, actions: cards-actions}]\n", encoding="utf-8")
    gateway = start("--config", file, redis=redis)
    until("it hears answers", lambda: any(name.startswith(b"tg:r:") for name in redis.client.pubsub_channels()))
    monkeypatch.syspath_prepend(str(ROOT / "src/clients/python"))
    from tidegate import Worker  # pylint: disable=import-outside-toplevel
    worker = Worker(redis_py.Redis(port=redis.port), "cards-actions")
    worker.action("move")(lambda action: [action.key, action.data["to"]])
    thread = threading.Thread(target=worker.run, args=(False,), daemon=True)
    thread.start()
    try:
        listen = f"export TIDEGATE_LISTEN={gateway.address[0]}:{gateway.address[1]}\n"
        assert json.loads(shell(listen + block("docs/actions.md: tidegate action"))) == ["3f0c", "done"]
    finally:
        worker.stop()
        thread.join()
        redis.client.delete("cards-actions")


@runs("docs/actions.md: redis-cli XGROUP")
@runs("docs/actions.md: redis-cli FCALL")
def test_a_worker_answers_by_hand_as_the_page_says(start, redis, shell, tmp_path):
    file = tmp_path / "tidegate.yaml"
    file.write_text("routes: [{path: /ws/cards, channel: cards, actions: cards-actions}]\n", encoding="utf-8")
    gateway = start("--config", file, redis=redis)
    until("it hears answers", lambda: any(name.startswith(b"tg:r:") for name in redis.client.pubsub_channels()))
    assert shell(block("docs/actions.md: redis-cli XGROUP")).strip() == "OK"
    with gateway.connect("/ws/cards") as peer:
        peer.send({"type": "action", "id": 7, "data": {"name": "move"}})
        (_, ((_, raw),)), = redis.client.xreadgroup("tidegate", "worker-1", {"cards-actions": ">"}, block=5000)
        words = f"REPLY={raw[b'reply'].decode()} ID={raw[b'id'].decode()}\n"
        shell(words + block("docs/actions.md: redis-cli FCALL"))
        assert peer.receive()["data"] == {"version": 8}
    redis.client.delete("cards-actions")


@runs("docs/lifecycle.md: > XRANGE sessions - +")
@runs("docs/lifecycle.md: redis-cli XGROUP CREATE sessions")
def test_who_comes_is_read_by_hand_as_the_page_says(start, redis, shell, tmp_path):
    file = tmp_path / "tidegate.yaml"
    file.write_text("routes: [{path: /ws/cards, channel: cards, auth: optional, lifecycle: {stream: sessions, events: [connected]}}]\n",
                    encoding="utf-8")
    gateway = start("--config", file, "--token-secret", SECRET, redis=redis)
    try:
        assert shell(block("docs/lifecycle.md: redis-cli XGROUP CREATE sessions")).strip() == "OK"
        with gateway.connect("/ws/cards", [("Authorization", f"Bearer {Issuer().token(sub='42', iat=int(time.time()))}")]):
            (_, ((entry, fields),)), = redis.client.xreadgroup("tidegate", "reader-1", {"sessions": ">"}, block=5000)
        words = re.findall(r'"([^"]*)"', block("docs/lifecycle.md: > XRANGE sessions - +"))
        page = dict(zip(words[1::2], words[2::2]))
        told = {name.decode(): value.decode() for name, value in fields.items()}
        assert list(told) == list(page)
        for name in ("event", "user", "route", "vars"):
            assert told[name] == page[name]
        for text, example in [(entry.decode(), words[0]), *((told[name], page[name]) for name in page)]:
            assert re.sub(r"[0-9a-f]{3,}|\d+", "x", text) == re.sub(r"[0-9a-f]{3,}|\d+", "x", example)
        assert redis.client.xack("sessions", "tidegate", entry) == 1
    finally:
        redis.client.delete("sessions")


@runs("src/clients/python/README.md: from tidegate import Lifecycle")
def test_who_comes_and_goes_is_heard_as_the_package_says(redis, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "src/clients/python"))
    *code, run_it = block("src/clients/python/README.md: from tidegate import Lifecycle").replace(
        "redis.Redis()", f"redis.Redis(port={redis.port})").strip().splitlines()
    assert run_it == "lifecycle.run()"
    heard = []
    names = {"meter": types.SimpleNamespace(stop=lambda *what, **more: heard.append([*what, *more.values()])),
             "feeds": types.SimpleNamespace(set_running=lambda *what: heard.append([*what]))}
    exec("\n".join(code), names)  # pylint: disable=exec-used
    redis.client.xadd("sessions", {"event": "occupied", "channel": "cards", "at": "1000", "node": "n"})
    redis.client.xadd("sessions", {"event": "disconnected", "conn": "n.1", "user": "42", "route": "/ws/cards", "vars": "{}", "at": "2000",
                                   "node": "n", "code": "1006", "reason": "node_lost"})
    thread = threading.Thread(target=names["lifecycle"].run, args=(False,), daemon=True)
    thread.start()
    try:
        until("both are heard", lambda: heard == [["cards", True], ["n.1", "42", 2.0, "node_lost"]])
    finally:
        names["lifecycle"].stop()
        thread.join()
        redis.client.delete("sessions")


CONTROL = "docs/control.md: redis-cli FCALL tidegate_publish 2 'tg:s:{tg:control}' 'tg:m:{tg:control}' \\ '"
REVOKE = CONTROL[:-1] + '"{\\"do\\":\\"revoke'


@runs(CONTROL + '{"do":"disconnect"')
@runs(CONTROL + '{"do":"subscribe"')
@runs(REVOKE)
def test_commands_are_given_by_hand_as_the_page_says(gateway, redis, shell):
    with redis.client.pubsub(ignore_subscribe_messages=True) as pubsub:
        pubsub.subscribe("tg:c:f3a1")
        until("we hear the answer", lambda: redis.client.pubsub_numsub("tg:c:f3a1")[0][1])
        done = gateway.metric('tidegate_control_commands_total{do="disconnect"}')
        entry, known, _ = shell(block(CONTROL + '{"do":"disconnect"')).split()
        assert re.fullmatch(r"\d+-\d+", entry) and known == "0"
        until("it is carried out", lambda: gateway.metric('tidegate_control_commands_total{do="disconnect"}') == done + 1)
        shell(block(REVOKE))
        until("it is known", lambda: gateway.metric("tidegate_revocations") == 1)
        shell(block(CONTROL + '{"do":"subscribe"'))
        message = until("it is answered", lambda: pubsub.get_message(timeout=0.01))
    assert json.loads(message["data"]) == {"node": gateway.get("/ready").json()["node"], "n": 0}


@runs("src/clients/js/README.md: import { connect }")
def test_the_javascript_client_hears_as_its_page_says(chromium, gateway, redis):
    stubs = "".join(f"window.{name} = value => {{ told.{name} = value }}\n" for name in ("loadCards", "show", "say", "append"))
    code = block("src/clients/js/README.md: import { connect }").replace('"/ws/cards"', json.dumps(gateway.url("/ws/cards")))
    code = code.replace("execution.unsubscribe()", "window.leave = () => execution.unsubscribe()")
    page = browser.Site('<!doctype html><meta charset="utf-8"><script type="importmap">{"imports": {"tidegate": "/client/tidegate.js"}}'
                        f'</script><script>window.told = {{}}\n{stubs}</script><script type="module">{code}</script>',
                        {"/client/": ROOT / "src/clients/js", "/token": "a-token"})
    try:
        chromium.show(page.url, "window.told && told.say", lambda state: state == "open")
        chromium.look("told.loadCards", bool)
        redis.publish("cards", json.dumps({"type": "card_updated", "data": 7}))
        chromium.look("told.show", lambda card: card == 7)
        redis.publish("execution:42", json.dumps({"type": "log_line", "data": "one"}))
        chromium.look("told.append", lambda line: line == "one")
        chromium.look("leave() ?? true", bool)
    finally:
        page.stop()


@runs("README.md: <script type=\"module\"> import")
def test_five_lines_in_a_page_hear_a_card(chromium, gateway, redis):
    code = block("README.md: <script type=\"module\"> import").replace("127.0.0.1:8081", f"127.0.0.1:{gateway.address[1]}")
    assert len(re.findall(r"^  ", code, re.MULTILINE)) <= 5
    page = browser.Site(f"<!doctype html><script>window.told = []; console.log = (...all) => told.push(all.join(' '))</script>{code}")
    try:
        chromium.show(page.url, "window.told && told.join()", lambda said: said == "load the cards now: first")
        redis.publish("cards", json.dumps({"type": "card_updated", "data": {"id": "card-123", "column_id": "implement"}}))
        chromium.look("told.at(-1)", lambda said: said == "card-123 implement")
    finally:
        page.stop()


@runs("docs/testing.md: def test_answers_ping")
def test_the_first_test_of_the_page_passes(gateway):
    names = {}
    exec(block("docs/testing.md: def test_answers_ping"), names)  # pylint: disable=exec-used
    names["test_answers_ping_with_pong"](gateway)


def test_every_state_of_the_list_of_nodes_is_in_the_page():
    states = set(re.findall(r'state(?: = |\\":\\")"?(\w+)', (ROOT / "src/admin/nodes.c").read_text(encoding="utf-8")))
    page = (ROOT / "docs/admin.md").read_text(encoding="utf-8")
    assert {"complete", "alone"} <= states and {state for state in states if f"`{state}`" not in page} == set()


# --- docs/security.md -----------------------------------------------------------------------------


@runs("docs/security.md: import json import secrets @app.post")
def test_a_backend_hands_out_tickets_as_the_page_says(start, redis, tmp_path):
    """What stands around the route is FastAPI's, and stands in here; the gateway and its configuration are real."""
    config = tmp_path / "tickets.yaml"
    config.write_text(block("docs/security.md: redis: redis://redis:6379").replace("redis:6379", f"127.0.0.1:{redis.port}"), encoding="utf-8")
    node = start("--config", config)
    routes = {}
    app = types.SimpleNamespace(post=lambda path: lambda handler: routes.setdefault(path, handler))
    scope = {"app": app, "Depends": lambda _: None, "current_user": None, "redis": redis_asyncio.Redis(port=redis.port)}
    exec(block("docs/security.md: import json import secrets @app.post"), scope)  # pylint: disable=exec-used

    async def ask():
        async with scope["redis"]:
            return [(await routes["/ticket"](types.SimpleNamespace(name="ada", executions=[7])))["ticket"] for _ in range(2)]

    for path, channel in zip(("/ws/me", "/ws/execution/7"), ("user:ada", "execution:7")):
        first, second = asyncio.run(ask())
        with node.connect(f"{path}?ticket={first}") as peer:
            redis.publish(channel, '{"type":"hello"}')
            assert peer.receive()["type"] == "hello"
        assert redis.client.exists(f"tg:t:{second}") and not redis.client.exists(f"tg:t:{first}")

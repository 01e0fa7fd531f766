"""The JavaScript client behind a proxy that breaks WebSockets, in a browser: by event streams and POST, and back once sockets open."""

import json
import shutil
import signal
import threading

import pytest

from harness import browser
from harness.gateway import ROOT
from harness.ports import free_port
from harness.process import Process
from harness.wait import until

pytestmark = pytest.mark.plain

STREAM = "fallback-actions"
CONFIG = f"""
topics: [topic]
origins: ["*"]
routes:
  - {{path: /ws/cards, channel: cards, history: on, presence: on, actions: {{stream: {STREAM}}}}}
"""
# The client looks for sockets once a minute, and less and less often: here once in 300 ms.
PAGE = """<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><script type="module">
const { setTimeout } = globalThis
globalThis.setTimeout = (run, ms) => setTimeout(run, ms >= 60000 ? 300 : ms)
import("/client/sse.js").then(({ connect }) => {
  Object.assign(window, { heard: [], gaps: [], states: [], lines: [] })
  window.tidegate = connect("ADDRESS")
  tidegate.on("n", number => heard.push(number))
  tidegate.on("gap", reason => gaps.push(reason))
  tidegate.on("state", ({ name }) => states.push(name))
  tidegate.subscribe("topic:42").on("log_line", line => lines.push(line))
})
</script>"""
UPGRADE = 'proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";'


class Nginx:
    """As it comes: without a word about Upgrade, and with its buffers."""

    def __init__(self, folder, gateway):
        self.folder, self.gateway, self.port = folder, gateway, free_port()
        self.configure("")
        self.process = Process([shutil.which("nginx") or "/usr/sbin/nginx", "-c", folder / "nginx.conf", "-e", "stderr"], folder, "nginx")

    def configure(self, more):
        paths = "".join(f"{kind}_temp_path {self.folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        (self.folder / "nginx.conf").write_text(
            f"daemon off;\nworker_processes 1;\npid {self.folder}/nginx.pid;\nerror_log stderr info;\nevents {{ }}\n"
            f"http {{\naccess_log off;\n{paths}server {{ listen 127.0.0.1:{self.port};\n"
            f"location / {{ proxy_pass http://127.0.0.1:{self.gateway.address[1]}; {more} }} }}\n}}\n", encoding="utf-8")

    def lets_sockets_through(self):
        self.configure(UPGRADE)
        self.process.signal(signal.SIGHUP)

    def stop(self):
        self.process.stop(expected=(0, 143, -15))


class Backend(threading.Thread):
    """Answers each action with its data."""

    def __init__(self, redis):
        super().__init__(daemon=True)
        self.redis, self.goes_on = redis, True
        self.start()

    def run(self):
        last = "0"
        while self.goes_on:
            for _, entries in self.redis.client.xread({STREAM: last}, block=50) or []:
                for entry, fields in entries:
                    last = entry
                    publish(self.redis, fields[b"reply"].decode(), {"action": fields[b"id"].decode(), "data": json.loads(fields[b"data"])})

    def stop(self):
        self.goes_on = False
        self.join()


def publish(redis, channel, *events):
    for event in events:
        redis.client.fcall("tidegate_publish", 2, f"tg:s:{{{channel}}}", f"tg:m:{{{channel}}}", json.dumps(event), channel, "publish",
                           1001, 86400000, "abcdefgh")


@pytest.fixture
def place(start, redis, tmp_path):
    """A gateway behind nginx, and the page beside it."""
    file = tmp_path / "tidegate.yaml"
    file.write_text(CONFIG, encoding="utf-8")
    gateway = start("--config", file, redis=redis)
    nginx = Nginx(tmp_path, gateway)
    page = browser.Site(PAGE.replace("ADDRESS", f"http://127.0.0.1:{nginx.port}/ws/cards"), {"/client/": ROOT / "src/clients/js"})
    yield gateway, nginx, page, file
    page.stop()
    nginx.stop()


def transports(gateway):
    return {word: gateway.metric(f'tidegate_transport_connections{{transport="{word}"}}') for word in ("websocket", "sse", "post")}


def hears_topic(gateway, redis, transport):
    return redis.subscribers("topic:42") and \
        [row["transport"] for row in gateway.api("/connections?channel=topic:42")["connections"]] == [transport]


def numbers(first, last):
    return [{"type": "n", "data": number} for number in range(first, last)]


def heard(chromium, last):
    """What the page has heard, once that is the last."""
    return json.loads(chromium.look("JSON.stringify(heard)", lambda text: text and json.loads(text)[-1:] == [last]))


def test_it_falls_back_and_says_all_that_a_socket_would(place, redis, chromium):
    gateway, _, page, _ = place
    backend = Backend(redis)
    try:
        chromium.show(page.url, "window.tidegate?.state.name", lambda name: name == "open")
        until("by a stream, and a POST that listens", lambda: transports(gateway) == {"websocket": 0, "sse": 1, "post": 1})
        chromium.look("gaps.length", lambda n: n == 1)
        publish(redis, "cards", *numbers(0, 20))
        until("its topic is heard", lambda: hears_topic(gateway, redis, "post"))
        redis.publish("topic:42", '{"type":"log_line","data":"one"}')
        assert heard(chromium, 19) == [*range(20)]
        assert chromium.look("lines[0]", bool) == "one"
        chromium.look("tidegate.action({name: 'move'}).then(answer => window.answer = answer) && true", bool)
        assert chromium.look("window.answer?.name", bool) == "move"

        def who():
            chromium.look("tidegate.presence('cards').then(who => window.who = who) && true", bool)
            return json.loads(chromium.look("JSON.stringify(window.who)", bool))["n_anonymous"]

        until("it is counted itself", lambda: who() == 1)
    finally:
        backend.stop()


def test_it_goes_on_over_the_death_of_a_gateway_and_back_to_a_socket(place, redis, chromium, start):
    gateway, nginx, page, file = place
    chromium.show(page.url, "window.gaps?.length", lambda n: n == 1)
    publish(redis, "cards", *numbers(0, 20))
    assert heard(chromium, 19) == [*range(20)]
    gateway.process.kill_session()
    chromium.look("tidegate.state.name", lambda name: name == "waiting")
    publish(redis, "cards", *numbers(20, 50))
    another = start("--config", file, "--listen", f"{gateway.address[0]}:{gateway.address[1]}", redis=redis, name="another")
    publish(redis, "cards", *numbers(50, 60))
    assert heard(chromium, 59) == [*range(60)], "each once, and in order"
    assert transports(another)["sse"] == 1
    nginx.lets_sockets_through()
    until("it has gone over", lambda: transports(another) == {"websocket": 1, "sse": 0, "post": 0})
    publish(redis, "cards", *numbers(60, 70))
    until("its topic is heard there, too", lambda: hears_topic(another, redis, "websocket"))
    redis.publish("topic:42", '{"type":"log_line","data":"again"}')
    assert heard(chromium, 69) == [*range(70)]
    assert chromium.look("lines.at(-1)", lambda line: line == "again")
    assert json.loads(chromium.look("JSON.stringify(gaps)", bool)).count("first") == 1

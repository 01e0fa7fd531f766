"""Server-sent events where nothing of ours reads them: a browser's EventSource over the death of a gateway, and proxies as they are by themselves."""

import json
import shutil
import sys
import time

import pytest

from harness import browser
from harness.event_stream import EventStream
from harness.gateway import ROOT
from harness.ports import free_port
from harness.process import Process
from harness.tokens import Issuer
from harness.wait import until

sys.path.insert(0, str(ROOT / "src/clients/python"))

# pylint: disable=wrong-import-position
from tidegate import Publisher  # noqa: E402

pytestmark = pytest.mark.plain

AT_ONCE_SECONDS = 5  # a proxy that collects waits for 4 KiB, or for ever
CONFIG = "routes: [{path: /ws/cards, channel: cards, history: on}]\n"
PAGE = """<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><script>
window.heard = []
window.told = []
const source = new EventSource("ADDRESS")
source.onmessage = event => {
  const message = JSON.parse(event.data)
  if (message.type === "n") heard.push(message.data)
  else told.push(message)
}
</script>"""


@pytest.fixture
def config(tmp_path):
    file = tmp_path / "tidegate.yaml"
    file.write_text(CONFIG, encoding="utf-8")
    return file


def test_an_event_source_goes_on_where_it_was_over_the_death_of_a_gateway(start, redis, chromium, config):
    options = ["--config", config, "--origins", "*"]
    gateway = start(*options, redis=redis)
    address = f"{gateway.address[0]}:{gateway.address[1]}"
    page = browser.Site(PAGE.replace("ADDRESS", f"http://{address}/sse/cards"))
    helper = Publisher(redis.client)

    def publish(first, last):
        for number in range(first, last):
            helper.publish("cards", {"type": "n", "data": number})

    def heard(last):
        return json.loads(chromium.look("JSON.stringify(heard)", lambda text: text and json.loads(text)[-1:] == [last]))

    try:
        chromium.show(page.url, "window.told && told.length", lambda n: n == 1)
        publish(0, 20)
        assert heard(19) == [*range(20)]
        gateway.process.kill_session()
        publish(20, 50)
        start(*options, "--listen", address, redis=redis, name="another")
        publish(50, 60)
        assert heard(59) == [*range(60)], "each once, and in order"
        told = json.loads(chromium.look("JSON.stringify(told)", bool))
        assert told[1]["data"]["recovered"] and told[1]["type"] == "subscribed"
    finally:
        page.stop()


def test_a_page_of_the_streams_own_host_comes_with_its_cookie(start, redis, chromium, tmp_path):
    issuer = Issuer()
    file = tmp_path / "tidegate.yaml"
    file.write_text(f"token_secret: {issuer.secret}\ntoken_cookie: session\nroutes: [{{path: /ws/me, channel: 'user:{{token.sub}}'}}]\n", encoding="utf-8")
    gateway = start("--config", file, redis=redis)
    chromium.show(f"http://127.0.0.1:{gateway.address[1]}/tidegate.js", "document.readyState", lambda state: state == "complete")
    chromium.look(f"document.cookie = 'session={issuer.token(sub='7')}; path=/'", bool)
    chromium.look("window.source = new EventSource('/sse/me'); source.onmessage = event => (window.heard = event.data); 1", bool)
    chromium.look("source.readyState", lambda state: state == 1)
    redis.publish("user:7", '{"type":"n","data":1}')
    assert json.loads(chromium.look("window.heard", bool))["data"] == 1


def nginx(tmp_path, port, gateway):
    paths = "".join(f"{kind}_temp_path {tmp_path}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    file = tmp_path / "nginx.conf"
    file.write_text(f"daemon off;\nmaster_process off;\npid {tmp_path}/nginx.pid;\nerror_log stderr info;\nevents {{ }}\n"
                    f"http {{\naccess_log off;\n{paths}"
                    f"server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://127.0.0.1:{gateway.address[1]}; }} }}\n}}\n",
                    encoding="utf-8")
    return [shutil.which("nginx") or "/usr/sbin/nginx", "-c", file, "-e", "stderr"]


def haproxy(tmp_path, port, gateway):
    file = tmp_path / "haproxy.cfg"
    file.write_text("defaults\n    mode http\n    timeout connect 5s\n    timeout client 30s\n    timeout server 30s\n"
                    f"frontend all\n    bind 127.0.0.1:{port}\n    default_backend gateways\n"
                    f"backend gateways\n    server one 127.0.0.1:{gateway.address[1]}\n", encoding="utf-8")
    return [shutil.which("haproxy") or "/usr/sbin/haproxy", "-db", "-f", file]


@pytest.mark.parametrize("command", [nginx, haproxy])
def test_events_pass_a_proxy_at_once(start, redis, tmp_path, config, command, figure):
    gateway = start("--config", config, "--ping-interval", "1s", redis=redis)
    port = free_port()
    proxy = Process(command(tmp_path, port, gateway), tmp_path, command.__name__)
    helper = Publisher(redis.client)
    waits = []

    def connect():
        try:
            return EventStream.connect(("127.0.0.1", port), "/sse/cards")
        except (OSError, AssertionError):
            return None

    try:
        with until("the proxy serves", connect) as stream:
            assert stream.receive()["type"] == "subscribed"
            for number in range(20):
                begun = time.monotonic()
                helper.publish("cards", {"type": "n", "data": number})
                assert stream.receive()["data"] == number
                waits.append(time.monotonic() - begun)
        assert max(waits) < AT_ONCE_SECONDS
        figure(f"an event through {command.__name__} to an event stream, the slowest of 20", f"{1000 * max(waits):.1f} ms")
        # HAProxy finds out with the next heartbeat: it passes a client's end on, or resets, when something is to be written.
        until("the gateway sees that the client has left", lambda: gateway.metric("tidegate_connections") == 0)
    finally:
        proxy.stop(expected=(0, 143, -15))

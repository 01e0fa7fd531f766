"""The JavaScript client: by itself in Node, its types, its size, and in a real browser over the death of a gateway."""

import gzip
import json
import os
import re
import subprocess

import pytest

from harness import browser
from harness.gateway import ROOT
from harness.wait import until

pytestmark = pytest.mark.plain

CLIENT = ROOT / "src/clients/js"
TOOL_SECONDS = 180  # for node, tsc and esbuild on a busy machine
BYTES_MAX = 5 * 1024  # of the whole client, bundled, minified and compressed
WITH_SSE_BYTES_MAX = 6656  # with the fallback, which only its own entry point has
CONFIG = "routes: [{path: /ws/cards, channel: cards, history: on}, {path: \"/ws/execution/{id}\", channel: \"execution:{id}\"}]\n"
PAGE = """<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><script type="module">
import { connect } from "/client/tidegate.js"
Object.assign(window, { heard: [], gaps: [], states: [], lines: [] })
window.tidegate = connect("ADDRESS")
tidegate.on("*", number => heard.push(number))
tidegate.on("gap", reason => gaps.push(reason))
tidegate.on("state", ({ name }) => states.push(name))
tidegate.subscribe("execution:42").on("log_line", line => lines.push(line))
</script>"""


def test_it_keeps_its_promises_under_a_clock_of_the_test():
    tests = sorted((CLIENT / "test").glob("*.test.js"))
    done = subprocess.run(["node", "--test", *tests], text=True, capture_output=True, timeout=TOOL_SECONDS, check=False)
    counts = dict(re.findall(r"^\D*\b(pass|fail|cancelled|skipped) (\d+)$", done.stdout, re.MULTILINE))
    assert done.returncode == 0, done.stdout
    assert int(counts["pass"]) > 50 and counts["fail"] == counts["cancelled"] == counts["skipped"] == "0"


def test_its_types_take_what_they_should_and_refuse_the_rest():
    done = subprocess.run(["tsc", "--noEmit", "--strict", "--target", "es2022", "--module", "nodenext", "--lib", "es2022,dom",
                           CLIENT / "test/types.ts", CLIENT / "test/react_types.d.ts"], text=True, capture_output=True, timeout=TOOL_SECONDS, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("entry,bytes_max", [("tidegate.js", BYTES_MAX), ("sse.js", WITH_SSE_BYTES_MAX)])
def test_it_is_small(figure, entry, bytes_max):
    done = subprocess.run(["esbuild", "--bundle", "--minify", "--format=esm", "--target=es2022", CLIENT / entry],
                          capture_output=True, timeout=TOOL_SECONDS, check=True)
    size = len(gzip.compress(done.stdout, 9, mtime=0))
    figure(f"the JavaScript client, {entry}, minified and compressed", f"{size} bytes")
    assert size <= bytes_max


def test_its_files_are_all_in_the_package():
    package = json.loads((CLIENT / "package.json").read_text(encoding="utf-8"))
    version = re.search(r"version: '([^']+)'", (ROOT / "meson.build").read_text(encoding="utf-8"))[1]
    assert package["version"] == version
    for entry in package["exports"].values():
        assert all((CLIENT / file).is_file() for file in entry.values())
    assert "dependencies" not in package


def test_tools_that_know_no_exports_find_the_same_files():
    """Parcel and Metro, unless told otherwise, and TypeScript's `moduleResolution: node` know `main`, `types` and files."""
    package = json.loads((CLIENT / "package.json").read_text(encoding="utf-8"))
    exports = package["exports"]
    assert exports.pop(".") == {"types": package.get("types"), "default": package.get("main")}
    for name, files in exports.items():
        assert files == {"types": f"{name}.d.ts", "default": f"{name}.js"}


def test_a_page_goes_on_where_it_was_over_the_death_of_a_gateway(start, redis, chromium, tmp_path):
    file = tmp_path / "tidegate.yaml"
    file.write_text(CONFIG, encoding="utf-8")
    options = ["--config", file, "--origins", "*"]
    gateway = start(*options, redis=redis)
    page = browser.Site(PAGE.replace("ADDRESS", gateway.url("/ws/cards")), {"/client/": CLIENT})

    def publish(first, last):
        for number in range(first, last):
            redis.client.fcall("tidegate_publish", 2, "tg:s:{cards}", "tg:m:{cards}", json.dumps({"type": "n", "data": number}),
                               "cards", "publish", 1001, 86400000, "abcdefgh")

    def heard(last):
        shown = chromium.look("JSON.stringify([heard, gaps])", lambda text: text and json.loads(text)[0][-1:] == [last])
        return json.loads(shown)

    try:
        chromium.show(page.url, "window.gaps && gaps.length", lambda n: n == 1)
        publish(0, 20)
        assert heard(19) == [[*range(20)], ["first"]]
        redis.publish("execution:42", json.dumps({"type": "log_line", "data": "one"}))
        assert chromium.look("lines[0]", bool) == "one"
        address = gateway.address
        gateway.process.kill_session()
        chromium.look("tidegate.state.name", lambda name: name == "waiting")
        publish(20, 50)
        start(*options, "--listen", f"{address[0]}:{address[1]}", redis=redis, name="another")
        publish(50, 60)
        assert heard(59) == [[*range(60)], ["first"]]
        states = chromium.look("states.join()", bool).split(",")
        assert states[:2] == ["open", "waiting"] and states[-1] == "open"
    finally:
        page.stop()


def test_its_hooks_work_in_react_itself(gateway, redis, chromium):
    bundle = subprocess.run(["esbuild", "--bundle", "--format=iife", "--log-level=warning", "--define:process.env.NODE_ENV=\"development\"",
                             CLIENT / "test/react_page.js"], text=True, capture_output=True, timeout=TOOL_SECONDS, check=True,
                            env={**os.environ, "NODE_PATH": "/usr/share/nodejs"}).stdout
    page = browser.Site(f'<!doctype html><html data-address="{gateway.url("/ws/cards")}"><meta charset="utf-8"><link rel="icon" href="data:,">'
                        f"<div id=root></div><script>{bundle}</script>".replace("</script>", "<\\/script>", bundle.count("</script>")))

    def publish(channel, number):
        redis.publish(channel, json.dumps({"type": "n", "data": number}))

    def said(n):
        """The last n that the client said, once there are as many."""
        words = chromium.look("JSON.stringify(said.filter(({type}) => type !== 'ping').map(({type, data}) => [type, data.channel]))",
                              lambda text: text and len(json.loads(text)) >= n)
        return json.loads(words)[-n:]

    def subscribers(channel):
        return gateway.api(f"/channels/{channel}")["subscribers"]

    try:
        chromium.show(page.url, "document.getElementById('root')?.textContent", lambda state: state == "open")
        chromium.look("show('items:1') ?? true", bool)
        assert said(3) == [["subscribe", "items:1"], ["unsubscribe", "items:1"], ["subscribe", "items:1"]], "StrictMode mounts twice"
        until("it is subscribed", lambda: subscribers("items:1") == 1)
        publish("items:1", 1)
        assert chromium.look("heard.join()", bool) == "1", "once"
        chromium.look("show('items:1', 10) ?? true", bool)
        publish("items:1", 2)
        assert chromium.look("heard.join()", lambda text: len(text) > 1) == "1,20", "the newest handler"
        assert chromium.look("said.filter(({type}) => type !== 'ping').length", bool) == 3, "and no new subscription"
        chromium.look("show('items:2') ?? true", bool)
        until("it has moved", lambda: (subscribers("items:1"), subscribers("items:2")) == (0, 1))
        publish("items:1", 3)
        publish("items:2", 4)
        assert chromium.look("heard.join()", lambda text: text.endswith("4")) == "1,20,4"
        chromium.look("show(null) ?? true", bool)
        until("it has left", lambda: subscribers("items:2") == 0)
        publish("cards", 5)
        assert chromium.look("heard.join()", lambda text: text.endswith("5")) == "1,20,4,5", "the path's own channel"
        chromium.look("show() ?? true", bool)
        chromium.look("client.close() ?? true", bool)
        chromium.look("document.getElementById('root').textContent", lambda state: state == "closed")
    finally:
        page.stop()

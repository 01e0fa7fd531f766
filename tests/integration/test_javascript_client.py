"""The JavaScript client: by itself in Node, its types, its size, and in a real browser over the death of a gateway."""

import gzip
import json
import re
import subprocess

import pytest

from harness import browser
from harness.gateway import ROOT

pytestmark = pytest.mark.plain

CLIENT = ROOT / "src/clients/js"
BYTES_MAX = 5 * 1024  # of the whole client, bundled, minified and compressed
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
    done = subprocess.run(["node", "--test", *tests], text=True, capture_output=True, timeout=60, check=False)
    counts = dict(re.findall(r"^\D*\b(pass|fail|cancelled|skipped) (\d+)$", done.stdout, re.MULTILINE))
    assert done.returncode == 0, done.stdout
    assert int(counts["pass"]) > 50 and counts["fail"] == counts["cancelled"] == counts["skipped"] == "0"


def test_its_types_take_what_they_should_and_refuse_the_rest():
    done = subprocess.run(["tsc", "--noEmit", "--strict", "--target", "es2022", "--module", "nodenext", "--lib", "es2022,dom",
                           CLIENT / "test/types.ts"], text=True, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout


def test_it_is_small(figure):
    done = subprocess.run(["esbuild", "--bundle", "--minify", "--format=esm", "--target=es2022", CLIENT / "tidegate.js"],
                          capture_output=True, timeout=60, check=True)
    size = len(gzip.compress(done.stdout, 9, mtime=0))
    figure("the JavaScript client, minified and compressed", f"{size} bytes")
    assert size <= BYTES_MAX


def test_its_files_are_all_in_the_package():
    package = json.loads((CLIENT / "package.json").read_text(encoding="utf-8"))
    version = re.search(r"version: '([^']+)'", (ROOT / "meson.build").read_text(encoding="utf-8"))[1]
    assert package["version"] == version
    for entry in package["exports"].values():
        assert all((CLIENT / file).is_file() for file in entry.values())
    assert "dependencies" not in package


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

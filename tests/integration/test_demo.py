"""The demonstration in a real browser: what is promised of Tidegate, seen on its page; and that everybody can use that page."""

import base64
import http.client
import json
import os
import pathlib
import re
import signal

import pytest

from harness.accessibility import named, tab_stops, too_faint
from harness.demo import STATE, Demo, card, text
from harness.gateway import ROOT, run
from harness.process import Process
from harness.wait import until

pytestmark = pytest.mark.plain

PICTURE_BYTES_MAX = 150_000
SPACE = ("Space", 32, " ")
ENTER = ("Enter", 13, "\r")
@pytest.fixture(scope="module", name="stage")
def fixture_stage(tmp_path_factory, redis):
    stage = Demo(tmp_path_factory.mktemp("demo"), redis)
    yield stage
    stage.stop()


@pytest.fixture
def demo(stage):
    yield stage
    stage.worker.check()
    stage.close_tabs()


def test_the_worker_waits_for_its_redis(own_redis, tmp_path):
    own_redis.kill()
    worker = Process(["/usr/bin/python3", ROOT / "deploy/demo/worker.py"], tmp_path, "worker", {
        "REDIS_URL": own_redis.url, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(ROOT / "src/clients/python")})
    try:
        until("it has tried", lambda: not worker.alive() or "waits for Redis" in worker.stderr())
        own_redis.start()
        until("the board is laid out", lambda: not worker.alive() or own_redis.client.hlen("demo:cards") == 8)
        worker.check()
    finally:
        worker.kill()


def test_two_windows_on_two_gateways_see_a_card_move(demo):
    here, there = demo.open(0), demo.open(1)
    here.drag("card-105", "done")
    there.wait_for("card-105", "done")
    assert there.value(f"document.querySelector('{card('card-105')} .face').title") == here.value(text("me"))
    assert here.value(text("me")) + " moved" in there.look(text("said"), bool)
    here.drag("card-105", "review")
    there.wait_for("card-105", "review")
    assert here.tab.complaints() == there.tab.complaints() == []


def test_it_says_how_many_are_looking_over_all_gateways(demo):
    here = demo.open(0)
    here.look(text("lookers-text"), lambda shown: shown == "1 is looking")
    demo.open(1)
    here.look(text("lookers-text"), lambda shown: shown == "2 are looking")
    assert here.value("document.getElementById('faces').children.length") == 2
    demo.close_tab(demo.tabs.pop())
    here.look(text("lookers-text"), lambda shown: shown == "1 is looking")


def test_who_writes_last_wins_in_every_window(demo):
    here, there = demo.open(0), demo.open(1)
    moves = "Promise.all(%s.map(column => demo.tidegate.action({name: 'move', card: 'card-106', column, rank: 0, by: 'Both'}))).then(() => 0)"
    for page, columns in ((here, ["plan", "review"]), (there, ["done", "plan"])):
        page.value("void (window.moved = %s)" % (moves % json.dumps(columns * 4)))
    for page in (here, there):
        page.value("moved")
    newest = json.loads(demo.redis.client.hget("demo:cards", "card-106"))
    for page in (here, there):
        page.look("demo.board.card('card-106').version", lambda version: version == newest["version"])
        page.wait_for("card-106", newest["column"])
    here.act("card-106", "done")


def test_an_execution_is_streamed_and_shown_from_its_beginning_to_who_comes_later(demo):
    here = demo.open(0)
    here.act("card-104", "test")
    lines = "[...document.querySelectorAll('.log li .text')].map(line => line.textContent)"
    shown = here.look(lines, lambda found: len(found) > 2)
    there = demo.open(1)
    there.value(f"document.querySelector('{card('card-104')} .title').click()")
    assert there.look(lines, lambda found: len(found) > 2)[:3] == shown[:3]
    there.wait_for("card-104", "review")
    assert here.look(lines, lambda found: len(found) == 7) == there.look(lines, lambda found: len(found) == 7)
    assert there.value(text("run-path")) == "/ws/execution/card-104"
    here.act("card-104", "test", by="")


def test_a_window_that_was_cut_off_shows_everything_afterwards_in_order_and_once(demo):
    here, there = demo.open(0), demo.open(1)
    here.note_versions()
    first = here.value("Math.max(...[100, 101, 102, 103, 104, 105, 106, 107].map(n => demo.board.card('card-' + n).version))")
    here.value("demo.cutter.cut(600000)")
    here.look(STATE, lambda state: state == "waiting")
    n_before = here.value("versions.length")
    # A hundred, which on a busy board is ten seconds of events.
    last = there.value("(async () => { let card; for (let i = 0; i < 100; i += 10) card = (await Promise.all(Array.from({length: 10}, "
                       "() => demo.tidegate.action({name: 'move', card: 'card-107', column: 'done', rank: i, by: ''})))).at(-1); "
                       "return card.version })()")
    assert here.value("versions.length") == n_before
    here.value("demo.cutter.mend()")
    heard = here.versions(last)
    assert heard == [*range(heard[0], last + 1)] and heard[0] <= first + 1 and len(heard) >= n_before + 100
    assert here.value(text("missed")) == "0" and here.value(text("resumes")) == "1"
    assert here.where() == there.where()
    assert "events caught up with" in here.value(text("journal"))


def test_the_gateway_below_it_is_killed_and_it_goes_on_at_the_other(demo):
    here, there = demo.open(0), demo.open(1)
    here.note_versions()
    nodes = here.look(text("node"), lambda node: node != "–"), there.look(text("node"), lambda node: node != "–")
    assert nodes[0] != nodes[1]
    here.click("kill")
    here.look(text("resumes"), lambda n: n == "1")
    last = there.value("demo.tidegate.action({name: 'move', card: 'card-107', column: 'done', rank: 1, by: ''}).then(card => card.version)")
    assert here.versions(last)[-1] == last
    assert here.look(text("node"), lambda node: node != nodes[0]) == nodes[1]
    assert here.value(text("missed")) == "0" and there.value(text("resumes")) == "0"
    demo.come_back(0)


@pytest.mark.parametrize("rank", ["1e999", "-1e10", "true", "NaN", '"1"'])
def test_a_rank_that_no_page_could_read_is_refused(demo, rank):
    words = '{"name":"move","card":"card-107","column":"done","rank":%s}' % rank
    done = run("action", "--url", f"ws://127.0.0.1:{demo.gateways[0].address[1]}", "/ws/cards", words, env={})
    assert done.returncode in (1, 2) and ("bad_move" in done.stderr or rank == "NaN")


def test_offline_it_waits_and_comes_back_with_the_network(demo):
    here = demo.open()
    offline = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    here.tab.call("Network.emulateNetworkConditions", offline=True, **offline)
    here.value("demo.cutter.cut()")
    here.look("demo.tidegate.state.name === 'waiting' && demo.tidegate.state.isOffline")
    here.tab.call("Network.emulateNetworkConditions", offline=False, **offline)
    here.look(STATE, lambda state: state == "open")
    assert here.value(text("missed")) == "0"


def test_a_page_that_was_frozen_shows_what_it_slept_through(demo):
    here, there = demo.open(0), demo.open(1)
    here.note_versions()
    here.tab.call("Page.setWebLifecycleState", state="frozen")
    last = there.value("(async () => { let card; for (let i = 0; i < 20; i++) card = await demo.tidegate.action("
                       "{name: 'move', card: 'card-107', column: 'done', rank: i, by: ''}); return card.version })()")
    here.tab.call("Page.setWebLifecycleState", state="active")
    heard = here.versions(last)
    assert heard == [*range(heard[0], last + 1)] and len(heard) >= 20
    here.look(STATE, lambda state: state == "open")


def test_keys_alone_move_a_card_and_say_so(demo):
    here, there = demo.open(0), demo.open(1)
    start = here.where()
    here.value(f"document.querySelector('{card('card-100')} .title').focus()")
    here.key(" ", *SPACE)
    assert "lifted" in here.value(text("said"))
    here.key("ArrowRight")
    assert here.value(text("said")).startswith("Implement, ")
    assert "card-100" in here.where()["implement"] and there.where() == start, "nobody else sees it before it is put down"
    here.key("Escape")
    assert here.where() == start and "back where it was" in here.value(text("said"))
    here.key(" ", *SPACE)
    for _ in range(3):
        here.key("ArrowRight")
    here.key(" ", *SPACE)
    there.wait_for("card-100", "review")
    assert here.value("document.activeElement.closest('.card').dataset.id") == "card-100", "focus goes with it"
    here.key("Enter", *ENTER)
    assert here.value(text("run-path")) == "/ws/execution/card-100"
    for button in ("back", "back", "back"):
        here.value(f"document.querySelector('{card('card-100')} .{button}').click()")
    there.wait_for("card-100", "plan")


def test_a_finger_moves_a_card_by_its_grip(demo):
    here, there = demo.open(0, width=360, height=740), demo.open(1)
    here.tab.call("Emulation.setTouchEmulationEnabled", enabled=True)
    x, y = here.middle(f"{card('card-101')} .grip")
    across, down = here.middle(f"{card('card-103')} .title")
    for kind, points in (("Start", [(x, y)]), ("Move", [(x, y + 9)]), ("Move", [(across, down + 40)]), ("End", [])):
        here.tab.call("Input.dispatchTouchEvent", type=f"touch{kind}", touchPoints=[{"x": a, "y": b} for a, b in points])
    there.wait_for("card-101", "implement")
    there.act("card-101", "plan")
    there.wait_for("card-101", "plan")


def test_tab_goes_through_the_page_in_the_order_in_which_it_is_read(demo):
    here = demo.open()
    stops = [name for _, name, _ in tab_stops(here)]
    assert stops == ["skip", "second", "title", "cut", "dark", "kill", "log"], "one stop for the whole board"


def test_everything_that_can_be_used_has_a_name(demo):
    here = demo.open()
    found = named(here.tab)
    roles = [role for role, _ in found]
    assert roles.count("button") >= 3 + 8 and "region" in roles
    assert [role for role, name in found if not name] == []
    assert here.value("document.documentElement.lang") == "en" and here.value("document.title")
    assert here.value("document.querySelectorAll('h1').length") == 1
    levels = here.value("[...document.querySelectorAll('h1, h2, h3')].map(head => +head.localName[1])")
    assert all(after <= before + 1 for before, after in zip(levels, levels[1:])), levels


def test_text_can_be_told_from_its_ground(demo):
    here = demo.open()
    here.act("card-106", "done")
    here.look("document.querySelectorAll('.face:not(:empty)').length", lambda n: n >= 2)
    for scheme in ("light", "dark"):
        for width in (360, 1280):
            here.screen(width, 800, scheme)
            faint, n = too_faint(here.tab)
            assert n > 30 and faint == [], (scheme, width)


def test_it_fits_the_window(demo):
    here = demo.open()
    for width in (320, 360, 768, 1280):
        here.screen(width, 800)
        assert here.value("document.documentElement.scrollWidth") <= width
        small = here.value("[...document.querySelectorAll('button, a')].filter(each => each.checkVisibility({opacityProperty: true}) && "
                           "!each.matches('.skip, p a')).map(each => each.getBoundingClientRect()).filter(({width, height}) => "
                           "Math.min(width, height) < 18).length")
        assert small == 0, width


def test_who_wants_less_motion_gets_none(demo):
    here = demo.open(**{"prefers-reduced-motion": "reduce"})
    there = demo.open(1)
    there.act("card-106", "review")
    here.wait_for("card-106", "review")
    assert here.value("document.getAnimations().length") == 0
    there.act("card-106", "done")


def test_nothing_but_its_own_host_is_asked_and_no_script_or_style_stands_in_the_page(demo):
    here = demo.open()
    hosts = {re.match(r"(\w+)://127\.0\.0\.1:(\d+)/", url) for url in here.tab.requested() if not url.startswith(("data:", "about:"))}
    assert {(match[1], int(match[2])) for match in hosts if match} == {(kind, demo.gateways[0].address[1]) for kind in ("http", "ws")}
    assert None not in hosts
    for path in ("/demo", "/demo/demo.css", "/demo/demo.js"):
        connection = http.client.HTTPConnection(*demo.gateways[0].address, timeout=30)
        connection.request("GET", path)
        answer = connection.getresponse()
        body, policy = answer.read().decode(), answer.headers["Content-Security-Policy"]
        connection.close()
        assert policy.startswith("default-src 'none'") and "unsafe" not in policy and "frame-ancestors 'none'" in policy
        assert not re.findall(r"https?://(?!www\.w3\.org/2000/svg|\$\{location\.hostname\})\S*", body)
        assert not re.search(r"<script(?![^>]*src)|<style|\sstyle=|\son\w+=", body) or path.endswith(".js")


def test_a_page_of_another_site_can_neither_frame_nor_script_it(demo):
    here = demo.open()
    here.value("void (document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.injected = 1'})))")
    assert here.value("window.injected") is None
    assert any("Content Security Policy" in entry["entry"]["text"] for entry in here.tab.complaints() if "entry" in entry)


def test_without_the_option_there_is_no_demo(start):
    gateway = start()
    for path in ("/demo", "/demo/demo.js", "/demo/demo.css"):
        connection = http.client.HTTPConnection(*gateway.address, timeout=30)
        connection.request("GET", path)
        assert connection.getresponse().status == 404
        connection.close()


WINDOWS = """<!doctype html><meta charset="utf-8"><style>
body { display: flex; gap: 20px; align-items: start; margin: 0; padding: 20px; width: max-content; height: max-content; background: linear-gradient(115deg, #d9e9ec, #eaf3f4) }
div { padding-top: 22px; border-radius: 11px; overflow: hidden; background: #dfe6ea; box-shadow: 0 14px 34px #062b3a4d; position: relative }
div + div { background: #26343e }
div::before { content: ""; position: absolute; left: 12px; top: 7px; width: 8px; height: 8px; border-radius: 50%; background: #f0695e;
  box-shadow: 14px 0 #f2b84b, 28px 0 #5fc27e }
img { display: block; width: 640px }
</style>"""


def test_the_picture_in_the_readme_is_one_of_these_windows(demo, tmp_path, figure):
    """With TIDEGATE_TEST_PICTURE=docs/demo.webp it is made anew."""
    pages = [demo.open(0, 1160, 752), demo.open(1, 1160, 752, "dark")]
    for page in pages:
        page.tab.call("Emulation.setScrollbarsHidden", hidden=True)
    here, there = pages
    for _ in range(2):  # to the other gateway, and back
        before = there.look(text("node"), lambda node: node != "–")
        there.click("cut")
        there.look(text("node"), lambda node: node != before)
    here.drag("card-102", "implement")
    there.wait_for("card-102", "implement")
    here.tab.mouse("Moved", 4, 4, button="none")
    for page in pages:
        page.value(f"document.querySelector('{card('card-102')} .title').click()")
        page.value("document.activeElement.blur()")
        page.look("document.querySelectorAll('.log li').length", lambda n: n >= 3)
    demo.worker.signal(signal.SIGSTOP)  # both show the same moment
    n_lines = [page.value("document.querySelectorAll('.log li').length") for page in pages]
    parts = []
    for page in pages:
        page.look("document.querySelectorAll('.log li').length", lambda n: n == max(n_lines))
        page.middle(card("card-102"))  # which waits for what glides
        picture = base64.b64encode(page.tab.picture("png")).decode()
        parts.append(f"<div><img src=data:image/png;base64,{picture}></div>")
    demo.worker.signal(signal.SIGCONT)
    frame = demo.browser.tab("about:blank")
    demo.tabs.append(frame)
    frame.screen(1400, 600, scale=1.5)
    frame.value(f"void (document.documentElement.innerHTML = {json.dumps(WINDOWS + ''.join(parts))})")
    frame.look("document.images.length == 2 && [...document.images].every(image => image.complete)")
    wide, high = frame.value("(({right, bottom}) => [right + 20, bottom + 20])(document.body.lastElementChild.getBoundingClientRect())")
    picture = frame.picture("webp", quality=82, clip={"x": 0, "y": 0, "width": wide, "height": high, "scale": 1})
    figure("the picture of the demonstration", f"{len(picture) / 1024:.0f} KB")
    assert 20_000 < len(picture) <= PICTURE_BYTES_MAX
    pathlib.Path(os.environ.get("TIDEGATE_TEST_PICTURE") or tmp_path / "demo.webp").write_bytes(picture)
    kept = (ROOT / "docs/demo.webp").read_bytes()
    assert kept[8:12] == b"WEBP" and len(kept) <= PICTURE_BYTES_MAX
    assert "docs/demo.webp" in (ROOT / "README.md").read_text(encoding="utf-8")

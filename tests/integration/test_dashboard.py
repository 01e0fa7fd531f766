"""The dashboard in a real browser, with a crowd behind it: what it shows is what is so.

Instrumented builds run what asks the workers most; the rest looks at the page."""

import contextlib
import json

import pytest

from harness.accessibility import named, tab_stops, too_faint
from harness.crowd import Crowd
from harness.wait import sized, until
from harness.websocket import WebSocket

CONNECTIONS = sized(1000, 200)
CHANNEL = "cards"
TOKEN = "sesame-4711"

ROUTES = """
routes:
  - path: /ws/cards
    channel: cards
    history: on
  - path: /ws/slow
    channel: slow
    slow: {age: none}
"""


def text(element):
    return f"document.getElementById('{element}') && document.getElementById('{element}').textContent"


def cells(element):
    return f"[...document.getElementById('{element}').rows].map(row => [...row.cells].map(cell => cell.textContent))"


def number(shown):
    return float(shown.replace(",", "")) if shown and shown[0].isdigit() else None


@pytest.fixture
def page(chromium):
    """page(gateway) is the browser with its dashboard open and alive."""

    def open_page(gateway):
        chromium.show(f"http://{gateway.admin}/", text("state"), lambda state: state == "ready")
        return chromium

    return open_page


@pytest.fixture
def node(start, redis, tmp_path):
    file = tmp_path / "gate.yaml"
    file.write_text(ROUTES, encoding="utf-8")
    redis.client.flushall()
    return start("--config", file, redis=redis)


def test_it_shows_a_crowd_its_channels_and_how_much_flows(node, page, redis, start):
    other = start(redis=redis)
    crowd = Crowd(node, CONNECTIONS, "/ws/cards")
    try:
        browser = page(node)
        browser.look(text("connections"), lambda shown: number(shown) == CONNECTIONS)
        assert number(browser.look(text("subscriptions"), bool)) == CONNECTIONS
        assert number(browser.look(text("connections-max"), bool)) == node.api("/status")["connections_max"]
        browser.look(cells("channels"), lambda rows: rows == [[CHANNEL, "", f"{CONNECTIONS:,}"]])

        def flows(shown):
            redis.publish(CHANNEL, '{"type":"x"}')
            crowd.receive_one_each()
            return (number(shown) or 0) > 0

        browser.look(text("events"), flows)
        browser.look(text("messages"), flows)
        assert browser.look(text("p99"), lambda shown: flows("") or shown != "–").endswith("s")
        ids = {gateway.api("/status")["node"][:8] for gateway in (node, other)}
        rows = browser.look(cells("nodes"), lambda rows: len(rows) == 2)
        assert {row[0][:8] for row in rows} == ids
        assert {row[2] for row in rows} == {"ready"}
        assert browser.complaints() == []
        loaded = browser.look("performance.getEntriesByType('resource').map(entry => entry.name)", bool)
        assert all(name.startswith((f"http://{node.admin}/", "data:")) for name in loaded), loaded
    finally:
        crowd.leave()


@pytest.mark.plain
def test_it_shows_who_is_slow_and_who_left_and_why(node, page):
    stuck = WebSocket.connect(node.address, "/ws/slow", receive_buffer=4096)
    browser = page(node)
    payload = {"type": "x", "data": "y" * 100_000}

    def fills():  # and no more, for it would be closed at its bound before the page has looked
        node.post("/publish", {"channel": "slow", "payload": payload})
        return node.metric("tidegate_queued_bytes") > 0

    until("its socket is full", fills)
    rows = browser.look(cells("slow"), lambda rows: rows and rows[0][5] not in ("0 B", ""))
    assert rows[0][1] == "/ws/slow"
    for _ in range(3):
        node.connect("/ws/cards").abandon()
    reasons = browser.look(cells("reasons"), lambda rows: any(row[0] == "1006" and row[3] == "3" for row in rows))
    assert [row[1] for row in reasons if row[0] == "1006"] == ["the connection broke"]
    last = browser.look(cells("disconnects"), lambda rows: len([row for row in rows if row[1] == "1006"]) == 3)
    assert last[0][2] == "/ws/cards"
    stuck.abandon()


@pytest.mark.plain
def test_what_others_write_where_nodes_announce_themselves_does_not_disturb_it(node, page, redis):
    for name, announcement in (("bare", "{}"), ("odd", '{"node":7}'), ("old", '{"node":"old","host":"<b>x</b>"}'),
                               ("numbers", '{"node":"numbers","host":7,"port":8,"version":9,"pulse":{}}'),
                               ("texts", '{"node":"texts","host":"x","port":"y","version":"z","pulse":"p"}')):
        redis.client.sadd("tg:{nodes}", name)
        redis.client.set("tg:{nodes}:" + name, announcement)
    with node.connect("/ws/cards"):
        browser = page(node)
        browser.look(cells("channels"), lambda rows: rows == [[CHANNEL, "", "1"]])
        assert len(browser.look(cells("nodes"), bool)) == 1
        assert browser.complaints() == []


def test_it_finds_a_channel_and_shows_its_events_live(node, page):
    peers = [node.connect("/ws/cards") for _ in range(3)] + [node.connect("/ws/items/7"), node.connect("/ws/items/70")]
    for event in range(2):
        node.post("/publish", {"channel": "cards", "payload": {"type": "x", "data": f"kept-{event}"}})
    browser = page(node)
    browser.look(cells("channels"), lambda rows: [row[0] for row in rows] == ["cards", "items:7", "items:70"])
    browser.look("(() => { const match = document.getElementById('match'); match.value = 'items:7'; "
                 "match.dispatchEvent(new Event('input')); return true })()", bool)
    browser.look(cells("channels"), lambda rows: [row[0] for row in rows] == ["items:7", "items:70"])
    browser.look("document.getElementById('match').value = 'cards'", bool)
    browser.look("document.getElementById('search').requestSubmit() || true", bool)
    browser.look(text("channel-subscribers"), lambda shown: shown == "3")
    events = "[...document.querySelectorAll('#channel-events li')].map(item => JSON.parse(item.textContent).data)"
    browser.look(events, lambda shown: shown == ["kept-1", "kept-0"])
    browser.look(text("channel-tail"), lambda shown: shown == "live")
    node.post("/publish", {"channel": "cards", "payload": {"type": "x", "data": "<b>live</b>"}})
    browser.look(events, lambda shown: shown == ["<b>live</b>", "kept-1", "kept-0"])
    assert browser.look("document.querySelectorAll('#channel-events b').length", lambda n: n is not None) == 0
    browser.look("document.getElementById('channel-close').click() || true", bool)
    assert browser.look("document.getElementById('channel').hidden", lambda hidden: hidden is not None)
    assert browser.complaints() == []
    for peer in peers:
        peer.abandon()


@pytest.mark.plain
def test_escape_closes_a_channel(node, page):
    browser = page(node)
    browser.look("document.getElementById('match').value = 'cards'", bool)
    browser.look("document.getElementById('search').requestSubmit() || true", bool)
    browser.look("document.getElementById('channel').hidden", lambda hidden: hidden is False)
    browser.look("document.dispatchEvent(new KeyboardEvent('keydown', {key: 'Escape'}))", bool)
    assert browser.look("document.getElementById('channel').hidden", lambda hidden: hidden is not None) is True


@pytest.mark.plain
def test_it_shows_what_it_goes_by_and_a_reload_that_was_refused(start, redis, tmp_path, page):
    file = tmp_path / "shown.yaml"
    file.write_text("routes: [{path: '/ws/ours/{id}', channel: 'ours:{id}', history: on}]\n", encoding="utf-8")
    node = start("--config", file, redis=redis, env={"TIDEGATE_CHANNEL_PREFIX": "app:"})
    browser = page(node)
    browser.look("document.getElementById('config').open = true", bool)
    (route,) = [row for row in browser.look(cells("routes"), bool) if row[0] == "/ws/ours/{id}"]
    assert route[1] == "ours:{id}" and route[3] == "none, route" and route[6] == "1000 24h"
    options = {row[0]: row[1:] for row in browser.look(cells("options"), bool)}
    assert options["channel_prefix"] == ["app:", "TIDEGATE_CHANNEL_PREFIX"]
    file.write_text("routes: [{path: /ws/ours, chanel: ours}]\n", encoding="utf-8")
    assert node.get("/reload", "POST").status == 400
    assert "chanel" in browser.look(text("refusal"), bool)
    assert "refused" in browser.look(text("config-state"), lambda shown: "refused" in shown)
    file.write_text("routes: [{path: /ws/new, channel: new}]\n", encoding="utf-8")
    assert node.get("/reload", "POST").status == 200
    browser.look("document.getElementById('refusal').hidden", bool)
    browser.look(cells("routes"), lambda rows: rows[0][0] == "/ws/new")


@pytest.mark.plain
def test_it_shows_what_was_refused_and_who_is_connected(node, page, redis):
    def first_is_older():
        return any(row["open_seconds"] > 0.05 for row in node.get("/connections").json()["connections"])

    with contextlib.ExitStack() as clients:
        clients.enter_context(node.connect("/ws/cards"))
        until("both are not of one moment", first_is_older)
        clients.enter_context(node.connect("/ws/execution/7"))
        assert node.get("/nowhere").status == 404
        redis.publish(CHANNEL, "not JSON")
        browser = page(node)
        browser.look(text("events-refused"), lambda shown: shown == "1")
        browser.look("(() => { const sort = document.getElementById('sort'); sort.value = 'opened'; "
                     "sort.dispatchEvent(new Event('change')); return true })()", bool)
        browser.look(cells("slow"), lambda rows: [row[1] for row in rows] == ["/ws/execution/{execution_id}", "/ws/cards"])


@pytest.mark.plain
def test_a_gateway_that_was_killed_is_silent_soon(node, page, start, redis):
    other = start(redis=redis)
    browser = page(node)
    browser.look(cells("nodes"), lambda rows: len(rows) == 2)
    # The page's own clock goes on by itself; the announcement stays.
    other.process.kill()
    other.process.ended = True
    browser.look("(() => { const now = performance.now.bind(performance); performance.now = () => now() + ahead; "
                 "window.ahead = 0; return true })()", bool)
    browser.look(cells("nodes"), bool)

    def silent(rows):
        return sorted(row[2] for row in rows) == ["ready", "silent"] or len(rows) == 1

    browser.look("(window.ahead += 13000)", bool)
    rows = browser.look(cells("nodes"), silent)
    assert len(rows) == 2, "its announcement ended before the page said anything"


@pytest.mark.plain
def test_a_flood_of_events_does_not_hold_the_page_up(node, page, redis, figure):
    browser = page(node)
    browser.look("document.getElementById('match').value = 'cards'", bool)
    browser.look("document.getElementById('search').requestSubmit() || true", bool)
    browser.look(text("channel-tail"), lambda shown: shown == "live")
    browser.look("(() => { window.worst = 0; let last = performance.now(); const frame = now => { worst = Math.max(worst, now - last); "
                 "last = now; requestAnimationFrame(frame) }; requestAnimationFrame(frame); return true })()", bool)
    for _ in range(sized(40, 4)):
        pipe = redis.client.pipeline(transaction=False)
        for number in range(1000):
            pipe.publish("cards", '{"type":"x","data":%d}' % number)
        pipe.execute()
    shown = "[...document.querySelectorAll('#channel-events li')].map(item => JSON.parse(item.textContent).data)"
    assert browser.look(shown, lambda data: data and data[0] == 999) == list(range(999, 969, -1))
    figure("worst frame under a flood of events", f"{browser.look('worst', bool):.0f} ms")


@pytest.mark.plain
def test_it_says_when_the_gateway_is_away(start, page):
    node = start()
    browser = page(node)
    node.stop()
    assert "answer" in browser.look(text("trouble"), bool)
    assert browser.look("document.getElementById('trouble').checkVisibility()", lambda seen: seen is not None)
    assert browser.look(text("state"), bool) == "away"
    assert browser.look("document.getElementById('main').className", bool) == "stale"
    assert [row[2] for row in browser.look(cells("nodes"), bool)] == ["away"]


@pytest.mark.plain
def test_it_says_when_redis_is_away(start, own_redis, page):
    node = start(redis=own_redis)
    browser = page(node)
    own_redis.kill()
    browser.look(text("state"), lambda state: state == "not ready")
    assert browser.look(text("broker"), bool).startswith("away: ")


@pytest.mark.plain
def test_it_asks_for_the_token_and_keeps_it_in_the_tab(start, chromium):
    node = start(env={"TIDEGATE_ADMIN_TOKEN": TOKEN})
    chromium.show(f"http://{node.admin}/", text("state"), lambda state: state == "locked")
    assert chromium.look("document.getElementById('login').open", lambda there: there is not None)

    def say(token):
        chromium.look(f"(() => {{ document.getElementById('token').value = {json.dumps(token)}; "
                      "document.getElementById('login-form').requestSubmit(); return true })()", bool)

    say("guess")
    chromium.look(text("login-note"), lambda note: note and "does not accept" in note)
    say(TOKEN)
    chromium.look(text("state"), lambda state: state == "ready")
    assert chromium.look("sessionStorage.getItem('tidegate-token')", bool) == TOKEN
    assert chromium.look("localStorage.length + document.cookie.length", lambda n: n is not None) == 0
    chromium.look("(() => { URL.createObjectURL = blob => (window.saved = blob, '#'); "
                  "document.getElementById('asyncapi').click(); return true })()", bool)
    assert chromium.look("window.saved && saved.size", bool) > 1000, "a link that shows no token leads to a 401"


@pytest.mark.plain
def test_it_fits_the_screen_and_takes_the_colours_of_the_system(gateway, page):
    browser = page(gateway)
    with gateway.connect("/ws/execution/" + "x" * 60):
        browser.look(cells("channels"), bool)
        for width in (320, 390, 768, 1280):
            for scheme in ("light", "dark"):
                wide, colour = browser.emulate(width, scheme, "[document.documentElement.scrollWidth, "
                                                              "getComputedStyle(document.body).backgroundColor]")
                assert wide <= width, scheme
                red = int(colour.partition("(")[2].partition(",")[0])
                assert (red < 128) == (scheme == "dark"), colour


@pytest.fixture
def tab(node, chromium):
    """The dashboard, with a crowd, in a tab that can be asked for more."""
    tab = chromium.tab(f"http://{node.admin}/")
    tab.look(text("state"), lambda state: state == "ready")
    with node.connect("/ws/cards"), node.stream("/sse/cards"):
        tab.look(f"({cells('slow')}).length", lambda n: n == 2)
        yield tab
    tab.call("Page.close")
    tab.close()


def test_it_says_who_hears_event_streams(tab):
    assert sorted(row[1] for row in tab.value(cells("slow"))) == ["/ws/cards", "/ws/cards · sse"]


def test_text_can_be_told_from_its_ground(tab):
    for scheme in ("light", "dark"):
        for width in (360, 1280):
            tab.screen(width, 900, scheme)
            faint, n = too_faint(tab)
            assert n > 30 and faint == [], (scheme, width)


def test_everything_that_can_be_used_has_a_name(tab):
    found = named(tab)
    assert {"link", "button", "searchbox"} & {role for role, _ in found}
    assert [role for role, name in found if not name] == []
    levels = tab.value("[...document.querySelectorAll('h1, h2, h3')].map(head => +head.localName[1])")
    assert levels.count(1) == 1 and all(after <= before + 1 for before, after in zip(levels, levels[1:])), levels


def test_tab_goes_through_it_in_the_order_in_which_it_is_read(tab):
    stops = [(tag, name) for tag, name, _ in tab_stops(tab)]
    assert len(stops) >= 4
    order = tab.value("[...document.querySelectorAll('a, button, input, select, summary')].filter(one => one.checkVisibility() && one.tabIndex >= 0)"
                      ".map(one => [one.localName, one.id || one.className])")
    assert stops == [tuple(one) for one in order][:len(stops)]


def test_nothing_but_its_own_port_is_asked(tab, node):
    host = f"http://{node.admin}/"
    assert [url for url in tab.requested() if not url.startswith((host, "data:", "about:"))] == []


def test_its_answer_forbids_everything_else(gateway):
    for path in ("/", "/dashboard.js", "/dashboard.css"):
        answer = gateway.get(path)
        policy = answer.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'") and "unsafe" not in policy and "frame-ancestors 'none'" in policy
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        body = answer.body.decode()
        assert "http://" not in body.replace("http://www.w3.org/2000/svg", "") and "https://" not in body

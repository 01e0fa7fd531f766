"""Demo: what deploy/local.sh starts, on free ports: two gateways, the worker, and the board's page in a browser."""

import json
import signal

from harness.browser import Browser
from harness.gateway import ROOT, Gateway
from harness.process import Process

WHERE = "JSON.stringify(Object.fromEntries([...document.querySelectorAll('.column')].map(column => [column.dataset.column, " \
        "[...column.querySelectorAll('.card')].map(card => card.dataset.id)])))"
STATE = "document.getElementById('state').dataset.state"


def text(element):
    return f"document.getElementById('{element}').textContent"


def card(name):
    return f"[data-id={name}]"


class Board:
    """One page with the board."""

    def __init__(self, tab):
        self.tab = tab
        self.look, self.value, self.key, self.screen = tab.look, tab.value, tab.key, tab.screen

    def where(self, wanted=lambda columns: True):
        """{column: [cards]}, as soon as it is as wanted."""
        return json.loads(self.look(WHERE, lambda columns: wanted(json.loads(columns))))

    def wait_for(self, name, column):
        return self.where(lambda columns: name in columns[column])

    def middle(self, selector):
        """Where it is, once nothing glides any more."""
        self.look("document.getAnimations().some(({effect}) => effect.getKeyframes().some(({transform = 'none'}) => transform !== 'none'))",
                  lambda moves: not moves)
        return json.loads(self.value(f"(({{x, y, width, height}}) => JSON.stringify([x + width / 2, y + height / 2]))"
                                     f"(document.querySelector({json.dumps(selector)}).getBoundingClientRect())"))

    def click(self, element):
        self.value(f"document.getElementById('{element}').click()")

    def drag(self, name, column):
        x, y = self.middle(f"{card(name)} .title")
        across, down = self.middle(f".column[data-column={column}] .cards")
        self.tab.mouse("Pressed", x, y)
        self.tab.mouse("Moved", x + 9, y + 3)
        self.tab.mouse("Moved", across, down)
        self.tab.mouse("Released", across, down)

    def act(self, name, column, rank=0, by="Somebody Else"):
        """The same as a drag, without the mouse."""
        self.value("demo.tidegate.action(%s)" % json.dumps({"name": "move", "card": name, "column": column, "rank": rank, "by": by}))

    def note_versions(self):
        self.value("void (window.versions = [], demo.tidegate.on('card_updated', ({version}) => versions.push(version)))")

    def versions(self, last):
        """Those that it has heard, until this one: the worker may go on with others."""
        found = json.loads(self.look("JSON.stringify(versions)", lambda text: last in json.loads(text)))
        return found[:found.index(last) + 1]


class Demo:
    def __init__(self, directory, redis):
        self.directory, self.redis = directory, redis
        self.folder = directory / "gateways"
        self.folder.mkdir()
        self.gateways = [self.start_gateway(number) for number in range(2)]
        self.worker = Process(["/usr/bin/python3", ROOT / "deploy/demo/worker.py"], directory, "worker", {
            "REDIS_URL": redis.url, "TIDEGATE_DEMO_GATEWAYS": str(self.folder), "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONPATH": str(ROOT / "src/clients/python")})
        self.browser = Browser(directory)
        self.tabs = []

    def start_gateway(self, number, *options):
        gateway = Gateway(self.directory, "--config", ROOT / "deploy/demo/tidegate.yaml", *options, redis=self.redis,
                          name=f"gateway-{number}-{len(list(self.directory.glob('gateway-*.stderr')))}")
        (self.folder / str(number)).write_text(f"{gateway.address[1]} {gateway.admin_address[1]} {gateway.process.pid}", encoding="ascii")
        return gateway

    def come_back(self, number):
        """A gateway that was killed, on its port."""
        old = self.gateways[number]
        assert old.process.wait() == -signal.SIGKILL
        self.gateways[number] = self.start_gateway(number, "--listen", f"{old.address[0]}:{old.address[1]}")

    def url(self, number=0):
        return f"http://127.0.0.1:{self.gateways[number].address[1]}/demo"

    def open(self, number=0, width=1280, height=800, scheme="light", **more):
        tab = self.browser.tab("about:blank")
        self.tabs.append(tab)
        tab.screen(width, height, scheme, **more)
        tab.call("Page.navigate", url=self.url(number))
        board = Board(tab)
        board.look("document.readyState === 'complete' && document.querySelectorAll('.card').length", lambda n: n == 8)
        board.look(STATE, lambda state: state == "open")
        return board

    @staticmethod
    def close_tab(tab):
        tab.call("Page.close")
        tab.close()

    def close_tabs(self):
        for tab in self.tabs:
            self.close_tab(tab)
        self.tabs = []

    def stop(self):
        self.browser.stop()
        self.worker.stop()
        for gateway in self.gateways:
            gateway.stop()

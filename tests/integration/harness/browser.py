"""
Browser: headless Chromium, driven over its DevTools protocol, and the plain page that it opens.

The page is as a front-end team would write it: `new WebSocket(…)` and nothing of ours.
"""

import asyncio
import base64
import http.server
import json
import shutil
import threading
import urllib.request

import websockets

from harness import wait
from harness.process import Process

# Without these it phones home at every start, and on a machine without network that is slow and noisy.
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
         "--remote-debugging-port=0")

START_SECONDS = 60  # a cold start on a busy machine

PAGE = """<!doctype html><meta charset="utf-8"><title>cards</title>
<p id="state">connecting</p><ol id="received"></ol>
<script>
const say = text => document.getElementById("state").textContent = text
const socket = new WebSocket("ADDRESS")
socket.onopen = () => say("open")
socket.onclose = event => say("closed " + event.code)
socket.onmessage = event => {
  const item = document.createElement("li")
  item.textContent = event.data
  document.getElementById("received").append(item)
}
</script>"""


def find():
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Site:
    """A web server on the loopback: one page, texts at other paths, and the files of folders."""

    TYPES = {".js": "text/javascript; charset=utf-8"}

    def __init__(self, page, more=()):
        """more: {"/client/": a folder, "/token": a text}."""
        more = dict(more)

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                for path, what in more.items():
                    if self.path == path:
                        return self.answer(what.encode(), "text/plain")
                    if path.endswith("/") and self.path.startswith(path):
                        file = what / self.path[len(path):]
                        return self.answer(file.read_bytes(), Site.TYPES[file.suffix])
                return self.answer(page.encode(), "text/html; charset=utf-8")

            def answer(self, body, content_type):
                self.send_response(200)
                self.send_header("Content-Type", content_type)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.thread.start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class Page(Site):
    """The plain page that shows what comes."""

    def __init__(self, websocket_url):
        super().__init__(PAGE.replace("ADDRESS", websocket_url))


def is_complaint(event):
    """Of DevTools: a warning or an error on the console, or what nobody caught."""
    return (event["method"] == "Runtime.exceptionThrown"
            or event["method"] == "Log.entryAdded" and event["params"]["entry"]["level"] in ("warning", "error")
            or event["method"] == "Runtime.consoleAPICalled" and event["params"]["type"] in ("warning", "error"))


class Browser:
    def __init__(self, directory):
        profile = directory / "profile"
        profile.mkdir()
        environment = {"HOME": str(directory), "DBUS_SESSION_BUS_ADDRESS": "disabled:"}
        self.process = Process([find(), *FLAGS, f"--user-data-dir={profile}", "about:blank"], directory, "browser",
                               environment)
        port_file = profile / "DevToolsActivePort"
        lines = wait.until("the browser's debugging port",
                           lambda: port_file.exists() and port_file.read_text(encoding="ascii").splitlines(), START_SECONDS)
        self.port = int(lines[0])
        self.events = []  # that came since they were last asked for

    def show(self, url, expression, wanted):
        """Opens the page, then looks as look() does."""
        return asyncio.run(self._talk(url, expression, wanted))

    def look(self, expression, wanted):
        """Waits until the value of the JavaScript expression on the open page satisfies wanted(), and returns it."""
        return asyncio.run(self._talk(None, expression, wanted))

    def emulate(self, width, scheme, expression):
        """The value of the expression on a screen so wide, whose system prefers "light" or "dark"."""
        return asyncio.run(self._emulate(width, scheme, expression))

    async def _emulate(self, width, scheme, expression):
        async with self._devtools() as devtools:  # both hold for as long as this connection does
            self.n_calls = 0
            await self._call(devtools, "Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1,
                             mobile=False)
            await self._call(devtools, "Emulation.setEmulatedMedia",
                             features=[{"name": "prefers-color-scheme", "value": scheme}])
            return await self._poll(devtools, expression, lambda value: value is not None)

    def complaints(self):
        """What the open page has written to its console as a warning or an error, and what it did not catch."""
        return asyncio.run(self._complaints())

    async def _complaints(self):
        async with self._devtools() as devtools:
            self.n_calls = 0
            self.events = []
            for method in ("Log.enable", "Runtime.enable", "Runtime.evaluate"):  # they replay what there was
                await self._call(devtools, method, **({"expression": "0"} if method.endswith("evaluate") else {}))
            return [event["params"] for event in self.events if is_complaint(event)]

    def _devtools(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/json/list") as answer:
            target = next(entry for entry in json.load(answer) if entry["type"] == "page")
        return websockets.connect(target["webSocketDebuggerUrl"], max_size=None)

    async def _talk(self, url, expression, wanted):
        async with self._devtools() as devtools:
            self.n_calls = 0
            if url:
                await self._call(devtools, "Page.navigate", url=url)
            return await asyncio.wait_for(self._poll(devtools, expression, wanted), START_SECONDS)

    async def _poll(self, devtools, expression, wanted):
        while True:
            answer = await self._call(devtools, "Runtime.evaluate", expression=expression, returnByValue=True)
            value = answer["result"].get("value")
            if wanted(value):
                return value
            await asyncio.sleep(wait.ASK_AGAIN_SECONDS)

    async def _call(self, devtools, method, **params):
        self.n_calls += 1
        await devtools.send(json.dumps({"id": self.n_calls, "method": method, "params": params}))
        while True:
            answer = json.loads(await devtools.recv())
            if "method" in answer:
                self.events.append(answer)
            if answer.get("id") == self.n_calls:
                assert "error" not in answer, answer
                return answer["result"]

    def tab(self, url):
        """A further page, on which several things can be done one after the other."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/json/new?about:blank", method="PUT")
        with urllib.request.urlopen(request) as answer:
            return Tab(json.load(answer)["webSocketDebuggerUrl"], url)

    def stop(self):
        """Chromium is many processes; each is of the session that we started."""
        self.process.kill_session()


class Tab:
    """One page, and a connection to it that lasts: what is emulated holds, and its requests are noted."""

    def __init__(self, devtools_url, url):
        self.loop = asyncio.new_event_loop()
        self.devtools = self.loop.run_until_complete(self._connect(devtools_url))
        self.n_calls, self.events = 0, []
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")
        self.call("Emulation.setFocusEmulationEnabled", enabled=True)  # in front, also beside another one
        self.call("Page.navigate", url=url)

    @staticmethod
    async def _connect(devtools_url):
        return await websockets.connect(devtools_url, max_size=None, ping_interval=None)

    def call(self, method, **params):
        return self.loop.run_until_complete(self._call(method, params))

    async def _call(self, method, params):
        self.n_calls += 1
        await self.devtools.send(json.dumps({"id": self.n_calls, "method": method, "params": params}))
        while True:
            answer = json.loads(await self.devtools.recv())
            if "method" in answer:
                self.events.append(answer)
            if answer.get("id") == self.n_calls:
                assert "error" not in answer, answer
                return answer["result"]

    def value(self, expression):
        """Of a JavaScript expression, which may be a promise."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def look(self, expression, wanted=bool):
        """Waits until the value satisfies wanted(), and returns it."""
        last = []

        def there():
            last[:] = [self.value(expression)]
            return wanted(last[0])

        wait.until(f"{expression} on the page", there, START_SECONDS)
        return last[0]

    def screen(self, width, height, scheme="light", **more):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=more.pop("scale", 1), mobile=False)
        features = {"prefers-color-scheme": scheme, **more}
        self.call("Emulation.setEmulatedMedia", features=[{"name": name, "value": value} for name, value in features.items()])

    def picture(self, kind="png", **more):
        """The bytes of what is to be seen."""
        return base64.b64decode(self.call("Page.captureScreenshot", format=kind, **more)["data"])

    def key(self, key, code=None, number=0, text=None):
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=code or key, windowsVirtualKeyCode=number,
                      **({"text": text} if text and kind == "keyDown" else {}))

    def mouse(self, kind, x, y, button="left", **more):
        self.call("Input.dispatchMouseEvent", type=f"mouse{kind}", x=x, y=y, button=button, clickCount=1, **more)

    def requested(self):
        """The URLs that it has asked for so far, WebSockets too."""
        self.call("Runtime.evaluate", expression="0")  # which brings what was under way
        return [event["params"].get("request", event["params"])["url"] for event in self.events
                if event["method"] in ("Network.requestWillBeSent", "Network.webSocketCreated")]

    def complaints(self):
        """What it has written to its console as a warning or an error, and what it did not catch."""
        self.call("Runtime.evaluate", expression="0")
        return [event["params"] for event in self.events if is_complaint(event)]

    def close(self):
        self.loop.run_until_complete(self.devtools.close())
        self.loop.close()

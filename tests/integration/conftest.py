"""
Fixtures: what a test asks for by name.

  redis      a real Redis, one per file
  gateway    a gateway on it, one per file; looked at after each test: alive, serving, no sanitizer report. A file that has
             SHARED_ROUTES gives it these (`config` is the file that it is started with)
  start      starts gateways (and more) of a test's own; they are stopped and looked at when it ends
  own_redis  a Redis of one test's own, to be killed; second_redis: one beside it
  chromium   a headless browser; the test is skipped where there is none
  figure     notes a measured number for the summary of tests/run.sh
"""

import os
import resource
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))

# pylint: disable=wrong-import-position
from harness import browser  # noqa: E402
from harness.gateway import BINARY, Gateway  # noqa: E402
from harness.redis_server import RedisServer  # noqa: E402
from harness.wait import SANITIZER  # noqa: E402


def pytest_configure(config):
    config.addinivalue_line("markers", "plain: on the plain build only: what it runs is not instrumented")
    if not os.access(BINARY, os.X_OK):
        raise pytest.UsageError(f"no gateway at {BINARY}: build it, or set TIDEGATE_BIN")
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))


def pytest_collection_modifyitems(config, items):
    if SANITIZER != "none":
        left_out = [item for item in items if item.get_closest_marker("plain")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.fixture(scope="module")
def redis(tmp_path_factory):
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    yield server
    server.stop()


@pytest.fixture
def own_redis(tmp_path):
    server = RedisServer(tmp_path)
    yield server
    server.stop()


@pytest.fixture
def second_redis(tmp_path):
    folder = tmp_path / "second"
    folder.mkdir()
    server = RedisServer(folder)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def config(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("config") / "tidegate.yaml"
    path.write_text(request.module.SHARED_ROUTES, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def shared_gateway(request, tmp_path_factory, redis):
    options = ("--config", request.getfixturevalue("config")) if hasattr(request.module, "SHARED_ROUTES") else ()
    gateway = Gateway(tmp_path_factory.mktemp("gateway"), *options, redis=redis)
    yield gateway
    gateway.stop()


@pytest.fixture
def gateway(shared_gateway):
    yield shared_gateway
    shared_gateway.check()


@pytest.fixture
def start(tmp_path):
    """start(*options, redis=…, env=…) is a running Gateway, ended as an operator would."""
    started = []

    def start_one(*options, **settings):
        settings.setdefault("name", f"gateway-{len(started)}")
        started.append(Gateway(tmp_path, *options, **settings))
        return started[-1]

    yield start_one
    stop_all([gateway for gateway in started if not gateway.process.ended])


def stop_all(gateways):
    """Each one, also where an earlier one fails; the first failure is told."""
    failures = []
    for gateway in gateways:
        try:
            gateway.stop()
        except AssertionError as failure:
            failures.append(failure)
    if failures:
        raise failures[0]


@pytest.fixture
def chromium(tmp_path):
    if browser.find() is None:
        if os.environ.get("TIDEGATE_TEST_BROWSER") == "1":
            pytest.fail("no chromium: tests/run.sh installs it")
        pytest.skip("no chromium; tests/run.sh installs it")
    chromium = browser.Browser(tmp_path)
    yield chromium
    chromium.stop()


@pytest.fixture
def figure(request, capsys):
    """figure("memory per connection", "2.3 KiB") shows up on the terminal and in the summary."""

    def note(what, value):
        line = f"{what}: {value}"
        with capsys.disabled():
            print(f"\n  {line}")
        path = os.environ.get("TIDEGATE_TEST_FIGURES")
        if path:
            with open(path, "a", encoding="utf-8") as figures:
                figures.write(f"{request.node.name}: {line}\n")

    return note

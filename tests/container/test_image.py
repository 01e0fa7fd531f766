"""The image: small, without what built it, and serving as nobody on a read-only root."""

import os
import pathlib
import re
import subprocess

import pytest

from conftest import ROOT, get
from container import BASE_FILES, IMAGE_FILES, NO_IO_URING, SETTINGS
from harness import wait
from harness.websocket import WebSocket

ADDED_BYTES_MAX = 14 << 20  # program and libraries, over the base: two thirds are libcurl and what it needs
WORTH_A_RING = 20          # clients of one event; for fewer io_uring is not even tried
PROGRAM = IMAGE_FILES / "usr/bin/tidegate"


def packages(files):
    """Package -> the packages that it depends on, one of each alternative, by the status file of dpkg."""
    found = {}
    for block in (files / "var/lib/dpkg/status").read_text(encoding="utf-8").split("\n\n"):
        name = re.search(r"^Package: (\S+)", block, re.MULTILINE)
        if name and "\nStatus: install ok installed" in block:
            found[name[1]] = set(re.findall(r"[a-z0-9][a-z0-9.+-]+(?=[ ,:(|]|$)", dict(
                line.split(": ", 1) for line in block.splitlines() if line.startswith("Depends: ")).get("Depends", "")))
    return found


def needed(program):
    out = subprocess.run(["readelf", "-d", str(program)], capture_output=True, text=True, check=True).stdout
    return set(re.findall(r"\(NEEDED\).*\[(.*)\]", out))


def owner(library):
    """The package that a shared library of the image belongs to."""
    for listing in (IMAGE_FILES / "var/lib/dpkg/info").glob("*.list"):
        if any(line.endswith(f"/{library}") for line in listing.read_text(encoding="utf-8").splitlines()):
            return listing.name.rpartition(".")[0].partition(":")[0]
    return None


def size(files):
    total = 0
    for folder, _, names in os.walk(files):
        total += sum(os.lstat(os.path.join(folder, name)).st_size for name in names)
    return total


@pytest.fixture
def ready(run):
    def start(**settings):
        container = run(**settings)
        wait.until("/ready says 200", lambda: get("/ready") == 200 or container.popen.poll() is not None)
        assert container.popen.poll() is None, "it has ended"
        return container

    return start


def test_is_live_on_a_read_only_root_as_nobody(ready):
    container = ready()
    assert get("/live") == 200
    status = container.execute("cat", "/proc/1/status").stdout
    uids = re.search(r"^Uid:\s+(.*)$", status, re.MULTILINE)[1].split()
    assert set(uids) == {SETTINGS["User"].partition(":")[0]} and "0" not in uids
    assert re.search(r"^CapEff:\s+0+$", status, re.MULTILINE)
    for folder in ("/", "/tmp", "/var/tmp", "/dev"):
        assert container.execute("touch", f"{folder}/x").returncode != 0, f"{folder} can be written to"


def test_a_client_receives_what_is_published_inside(ready):
    container = ready()
    with WebSocket.connect(("127.0.0.1", 8080), "/ws/cards") as peer:
        published = container.execute("tidegate", "publish", "cards", '{"type":"card_updated","data":{"id":7}}')
        assert published.returncode == 0, published.stderr
        event = peer.receive()
    assert (event["type"], event["data"], event["channel"]) == ("card_updated", {"id": 7}, "cards")


def test_the_health_check_says_yes_and_no(ready):
    container = ready()
    result = container.health()
    assert (result.returncode, result.stderr) == (0, "")
    container.signal("STOP")
    result = container.health()
    container.signal("CONT")
    assert result.returncode == 1, "a process that stands still is healthy"


def test_the_health_check_follows_the_admin_address(ready, run):
    container = run(environment={"TIDEGATE_ADMIN": "127.0.0.1:9081"})
    wait.until("/ready says 200", lambda: get("/ready", port=9081) == 200)
    assert container.health().returncode == 0


def test_the_stop_signal_ends_it(ready):
    container = ready()
    with WebSocket.connect(("127.0.0.1", 8080), "/ws/cards") as peer:
        container.signal(SETTINGS["StopSignal"])
        assert peer.close_code() == 1012
    assert container.wait() == 0


def test_runs_where_io_uring_is_forbidden(ready):
    container = ready(seccomp=NO_IO_URING, environment={"TIDEGATE_WORKERS": "1"})
    peers = [WebSocket.connect(("127.0.0.1", 8080), "/ws/cards") for _ in range(WORTH_A_RING)]
    container.execute("tidegate", "publish", "cards", '{"type":"card_updated","data":{}}')
    assert [peer.receive()["type"] for peer in peers] == ["card_updated"] * WORTH_A_RING
    wait.until("the log says so", lambda: "io_uring is not available" in container.output())
    for peer in peers:
        peer.abandon()


def test_other_commands_can_be_run(run):
    container = run(words=["check"])
    assert container.wait() == 0
    assert "default" in container.output()


def test_has_the_libraries_that_it_names_and_no_others():
    libraries = needed(PROGRAM)
    owners = {library: owner(library) for library in libraries}
    assert all(owners.values()), f"no package of the image has {[name for name in owners if not owners[name]]}"
    dockerfile = (ROOT / "docker/Dockerfile").read_text(encoding="utf-8")
    listed = set(re.search(r"--no-install-recommends \\\n\s*(.*) >/dev/null", dockerfile)[1].split())
    assert listed == set(owners.values()) - {"libc6"}


def test_nothing_but_those_and_what_they_need_was_added():
    image, base = packages(IMAGE_FILES), packages(BASE_FILES)
    wanted = {owner(library) for library in needed(PROGRAM)}
    while True:  # with what they depend on, and so on
        more = set().union(*(image[name] for name in wanted & image.keys())) - wanted
        if not more:
            break
        wanted |= more
    assert set(image) - set(base) <= wanted


def test_nothing_of_the_build_is_left():
    left = [path for path in ("tidegate", "src", "root/.cache", "usr/bin/cc", "usr/bin/gcc", "usr/bin/make", "usr/bin/ninja",
                              "usr/bin/meson", "usr/bin/cmake", "usr/bin/python3", "usr/include/event.h")
            if (IMAGE_FILES / path).exists()]
    assert left == []
    assert not any((IMAGE_FILES / "var/lib/apt/lists").iterdir())
    assert not any((IMAGE_FILES / "var/cache/apt").iterdir())


def test_the_program_is_stripped_and_hardened():
    sections = subprocess.run(["readelf", "-SlWd", str(PROGRAM)], capture_output=True, text=True, check=True).stdout
    assert ".symtab" not in sections and ".debug_" not in sections
    assert "GNU_RELRO" in sections and "BIND_NOW" in sections
    assert re.search(r"GNU_STACK .* RW ", sections)


def test_is_small(capsys):
    added = size(IMAGE_FILES) - size(BASE_FILES)
    with capsys.disabled():
        print(f"\n  image: {size(IMAGE_FILES) / 1e6:.1f} MB, of which {added / 1e6:.2f} MB over the base; "
              f"the program {PROGRAM.stat().st_size / 1e6:.2f} MB")
    assert 0 < added < ADDED_BYTES_MAX


def test_labels_ports_and_version_agree(run):
    container = run(words=["version"])
    assert container.wait() == 0
    version = re.search(r"version: '([^']+)'", pathlib.Path(ROOT / "meson.build").read_text(encoding="utf-8"))[1]
    assert container.output().strip() == f"tidegate {version}"
    assert SETTINGS["Labels"]["org.opencontainers.image.version"] == version
    assert re.fullmatch(r"[0-9a-f]{40}", SETTINGS["Labels"]["org.opencontainers.image.revision"])
    assert set(SETTINGS["ExposedPorts"]) == {"8080/tcp", "9080/tcp"}

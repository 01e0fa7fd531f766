"""The service manager: what it is told over a real socket, and the unit that it starts us by."""

import re
import shutil
import select
import signal
import socket
import subprocess

import pytest
import yaml

from harness.gateway import BINARY, ROOT
from harness.wait import PATIENCE_SECONDS, pass_time

UNIT = ROOT / "deploy" / "systemd" / "tidegate.service"
WATCHDOG_USEC = 400_000
EXPOSURE_MAX = 1.5  # of 10, by systemd-analyze security; what is left is the network and a running process


class Manager:
    """The other end of NOTIFY_SOCKET."""

    def __init__(self, folder):
        self.path = folder / "notify"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(self.path))
        self.socket.settimeout(PATIENCE_SECONDS)
        self.env = {"NOTIFY_SOCKET": str(self.path)}

    def next(self):
        """The lines of the next datagram as a dictionary."""
        return dict(line.split("=", 1) for line in self.socket.recv(4096).decode().splitlines())

    def n_waiting(self):
        """How many datagrams have come that nobody took; takes them."""
        n = 0
        while select.select([self.socket], [], [], 0)[0]:
            self.next()
            n += 1
        return n

    def until(self, key, value="1"):
        """What comes before that says this, and that."""
        heard = []
        while not heard or heard[-1].get(key) != value:
            heard.append(self.next())
        return heard


@pytest.fixture
def manager(tmp_path):
    manager = Manager(tmp_path)
    yield manager
    manager.socket.close()


def test_ready_is_said_when_clients_can_connect(start, manager):
    gateway = start(env=manager.env, ready=False)
    assert manager.next() == {"READY": "1", "STATUS": "Serving"}
    with gateway.connect() as peer:
        assert peer.ask({"type": "ping"})["type"] == "pong"


def test_ready_does_not_wait_for_redis(start, own_redis, manager):
    own_redis.kill()
    gateway = start(env=manager.env, redis=own_redis, ready=False)
    assert manager.next() == {"READY": "1", "STATUS": "Serving; Redis is away"}
    own_redis.start()
    gateway.wait_until_ready()
    manager.until("STATUS", "Serving")


def test_a_reload_is_said_at_its_begin_and_its_end(start, manager, tmp_path):
    file = tmp_path / "tidegate.yaml"
    file.write_text("topics: [a]\n", encoding="utf-8")
    gateway = start("--config", file, env=manager.env)
    manager.until("READY")
    gateway.process.signal(signal.SIGHUP)
    begun = manager.until("RELOADING")[-1]
    assert int(begun["MONOTONIC_USEC"]) > 0
    manager.until("READY")
    file.write_text("topix: [a]\n", encoding="utf-8")
    gateway.process.signal(signal.SIGHUP)
    manager.until("RELOADING")
    assert manager.until("READY")[-1]["STATUS"] == "Serving; the newest configuration was refused"


def test_stopping_is_said_with_the_time_that_it_may_take(start, manager):
    gateway = start("--drain-delay", "1s", "--drain-time", "2s", "--shutdown-timeout", "3s", env=manager.env)
    manager.until("READY")
    gateway.process.signal(signal.SIGTERM)
    said = manager.until("STOPPING")[-1]
    assert said["STATUS"] == "Taking leave of clients"
    assert int(said["EXTEND_TIMEOUT_USEC"]) >= 6_000_000
    gateway.process.end()


def test_the_watchdog_is_fed(start, manager):
    start(env={**manager.env, "WATCHDOG_USEC": str(WATCHDOG_USEC)})
    for _ in range(3):
        manager.until("WATCHDOG")


def test_a_process_that_hangs_does_not_feed_it(start, manager):
    gateway = start(env={**manager.env, "WATCHDOG_USEC": str(WATCHDOG_USEC)})
    manager.until("WATCHDOG")
    gateway.process.signal(signal.SIGSTOP)
    try:
        pass_time(4 * WATCHDOG_USEC / 1e6)
        assert manager.n_waiting() <= 2, "it is fed in half of that, eight times"
    finally:
        gateway.process.signal(signal.SIGCONT)
    manager.until("WATCHDOG")


def test_a_socket_that_cannot_be_is_no_reason_not_to_serve(start):
    gateway = start(env={"NOTIFY_SOCKET": "nowhere"})
    assert gateway.lines("cannot notify the service manager", socket="nowhere")


# --- the unit -------------------------------------------------------------------------------------


def unit_options():
    return dict(re.findall(r"^(\w+)=(.*)$", UNIT.read_text(encoding="utf-8"), re.MULTILINE))


def seconds(text):
    """"45" or "45s"."""
    return int(text.rstrip("s"))


def test_the_unit_waits_as_long_as_its_drain_takes():
    file = yaml.safe_load((ROOT / "deploy" / "tidegate.yaml").read_text(encoding="utf-8"))
    takes = sum(seconds(file[name]) for name in ("drain_delay", "drain_time", "shutdown_timeout"))
    assert seconds(unit_options()["TimeoutStopSec"]) > takes


def test_the_unit_leaves_every_option_to_the_file():
    """A variable of the unit would silently count more than what the operator writes into the file."""
    variables = re.findall(r"^Environment=TIDEGATE_(\w+)=", UNIT.read_text(encoding="utf-8"), re.MULTILINE)
    assert variables == ["CONFIG"]


def test_the_packaged_gateway_is_not_alone_in_memory():
    """Installed and started, it wants a Redis and says that it is not ready without one."""
    file = yaml.safe_load((ROOT / "deploy" / "tidegate.yaml").read_text(encoding="utf-8"))
    assert file["redis"].startswith("redis://")


def test_no_secret_gets_into_a_core_file():
    assert unit_options()["LimitCORE"] == "0"
    compose = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text(encoding="utf-8"))
    assert compose["services"]["gateway"]["ulimits"]["core"] == 0


def test_the_unit_feeds_its_watchdog():
    options = unit_options()
    assert options["Type"] == "notify"
    assert seconds(options["WatchdogSec"]) >= 20  # a worker counts as stuck after 10 s


@pytest.mark.plain
def test_the_unit_is_good_for_systemd(tmp_path):
    """With the binary where it is, since it is not installed."""
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text(encoding="utf-8").replace("/usr/bin/tidegate", str(BINARY)), encoding="utf-8")
    analyze = shutil.which("systemd-analyze")
    assert analyze, "deploy/deps.sh --test installs systemd"
    result = subprocess.run([analyze, "verify", "--man=no", unit], capture_output=True, text=True, check=False)
    complaints = [line for line in result.stderr.splitlines() if UNIT.name in line]
    assert (result.returncode, complaints) == (0, []), result.stderr


@pytest.mark.plain
def test_the_unit_is_shut_in(figure, tmp_path):
    unit = tmp_path / UNIT.name
    shutil.copy(UNIT, unit)
    result = subprocess.run(["systemd-analyze", "security", "--no-pager", "--offline=true", unit],
                            capture_output=True, text=True, check=False)
    found = re.search(r"Overall exposure level for \S+ ([\d.]+)", result.stdout.replace(":", ""))
    assert found, result.stdout + result.stderr
    figure("exposure of the systemd unit, of 10", found[1])
    assert float(found[1]) <= EXPOSURE_MAX

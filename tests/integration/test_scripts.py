"""The commands for people: deploy/local.sh and tests/run.sh, as they are typed."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request

import pytest

from harness.gateway import BINARY, ROOT
from harness.process import Process, clean_environment
from harness.wait import until
from harness.websocket import WebSocket

BUILD_SECONDS = 180  # where deploy/local.sh finds nothing built yet


@pytest.mark.parametrize("script", ["tests/run.sh", "deploy/local.sh", "deploy/deps.sh", "deploy/build.sh", "deploy/package.sh",
                                    "tests/bench/run.sh"])
def test_a_wrong_option_is_one_line_and_exit_2(script):
    result = subprocess.run([ROOT / script, "--nonsense"], capture_output=True, text=True, check=False, timeout=60,
                            env=clean_environment())
    assert (result.returncode, len(result.stderr.splitlines()), result.stdout) == (2, 1, "")


@pytest.mark.parametrize("script", ["tests/run.sh", "deploy/local.sh", "deploy/deps.sh", "deploy/build.sh", "deploy/package.sh",
                                    "tests/container/run.sh", "tests/bench/run.sh"])
def test_help_is_printed_on_demand(script):
    result = subprocess.run([ROOT / script, "--help"], capture_output=True, text=True, check=False, timeout=60,
                            env=clean_environment())
    assert result.returncode == 0
    assert result.stdout.startswith(f"Usage: {script}")


def children(pid):
    """Ids and names of the living children of a process."""
    found = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as stat:
                head, _, rest = stat.read().rpartition(")")
        except OSError:
            continue  # gone since listdir
        if int(rest.split()[1]) == pid and rest.split()[0] != "Z":
            found[int(name)] = head.partition("(")[2]
    return found


def serves(url):
    try:
        return urllib.request.urlopen(url, timeout=10).status == 200
    except OSError:
        return False


def redis_says(command, wanted):
    return subprocess.run(command, shell=True, capture_output=True, text=True, check=False).stdout.strip() == wanted


@pytest.mark.plain
def test_local_sh_shows_an_event_on_two_gateways_brings_back_what_dies_and_ends_what_it_started(tmp_path):
    script = Process([ROOT / "deploy" / "local.sh"], tmp_path, "local")
    try:
        until("the screen", lambda: "3. Look" in script.stdout() or not script.alive(), BUILD_SECONDS)
        screen = script.stdout()
        ports = [int(port) for port in re.findall(r"gateway \d +ws://127\.0\.0\.1:(\d+)/ws/cards", screen)]
        admins = re.findall(r"gateway \d .* admin http://127\.0\.0\.1:(\d+)/", screen)
        assert len(ports) == len(admins) == 2, script.describe()
        publish = re.search(r"redis-cli -p \d+ PUBLISH .*", screen)[0]
        with WebSocket.connect(("127.0.0.1", ports[0]), "/ws/cards") as first, \
                WebSocket.connect(("127.0.0.1", ports[1]), "/ws/cards") as second:
            subprocess.run(publish, shell=True, check=True, stdout=subprocess.DEVNULL)
            for peer in (first, second):
                assert peer.receive()["data"] == {"id": "card-123"}
            # Every other line to type, as it stands there.
            typed = re.findall(r"^ +((?:build/tidegate|curl) .*)$", screen, re.MULTILINE)
            assert [line.split()[1] for line in typed if "tidegate" in line.split()[0]] == ["tail", "tail", "publish", "status"]
            tails = [Process([ROOT / line.split()[0], *line.split()[1:]], tmp_path, f"tail-{i}") for i, line in enumerate(typed[:2])]
            try:
                def type_in(line):
                    return subprocess.run(line, shell=True, check=True, stdout=subprocess.DEVNULL, cwd=ROOT, env=clean_environment())

                for line in typed[2:]:
                    type_in(line)
                for peer in (first, second):
                    assert peer.receive()["data"] == {"id": "card-123"}
                until("both tails print", lambda: type_in(typed[2]) and all("card-123" in tail.stdout() for tail in tails))
            finally:
                for tail in tails:
                    tail.kill()
            pages = re.findall(r"http://\S+?/(?:try)?(?=[,;\s])", screen)
            assert len(pages) == 4
            for page in pages:
                assert urllib.request.urlopen(page, timeout=10).headers["Content-Type"].startswith("text/html")
        boards = re.findall(r"http://127\.0\.0\.1:(\d+)/demo", screen)
        assert [int(port) for port in boards] == ports
        started = children(script.pid)
        assert sorted(started.values()) == ["python3", "redis-server", "tidegate", "tidegate"]
        killed = next(pid for pid, name in started.items() if name == "tidegate")
        os.kill(killed, signal.SIGKILL)
        until("the gateway is back", lambda: sorted(children(script.pid).values()) == sorted(started.values()))
        for port in boards:
            until("its board is served", lambda: serves(f"http://127.0.0.1:{port}/demo"))
        redis_cli = publish.partition(" PUBLISH ")[0]
        until("the board is laid out", lambda: redis_says(f"{redis_cli} EXISTS demo:cards", "1"))
        subprocess.run(f"{redis_cli} SHUTDOWN NOSAVE", shell=True, check=True)
        until("the Redis is back, with its data", lambda: redis_says(f"{redis_cli} EXISTS demo:cards", "1"))
        for port in admins:
            until("the gateway hears it", lambda: serves(f"http://127.0.0.1:{port}/ready"))
        # The script may still be at a look whether its Redis answers, which is a child, too.
        until("the same run as before", lambda: sorted(children(script.pid).values()) == sorted(started.values()))
        started = children(script.pid)
        script.signal(signal.SIGINT)
        assert script.wait() == 130
        assert not [pid for pid in started if os.path.exists(f"/proc/{pid}")]
    finally:
        script.kill()


@pytest.mark.plain
def test_the_benchmark_puts_the_gateway_of_the_last_run_beside_this_one(tmp_path):
    newer = tmp_path / "newer"
    newer.write_bytes(BINARY.read_bytes() + b"newer")
    newer.chmod(0o755)

    def rows(binary):
        result = subprocess.run([ROOT / "tests/bench/run.sh", "--quick", "--scenario", "single"], capture_output=True, text=True,
                                check=False, timeout=120,
                                env={**clean_environment(), "TIDEGATE_BIN": str(binary), "BENCH_RESULTS": str(tmp_path)})
        assert result.returncode == 0, result.stderr
        return {line.split()[0]: line.split()[1:] for line in result.stdout.splitlines() if line.strip()}

    assert {"gateway", "limit-each", "limit-coalesced"} < set(first := rows(BINARY)) and "before" not in first
    second = rows(newer)
    assert {"gateway", "before", "limit-each", "limit-coalesced"} < set(second)
    assert all(float(ratio) > 0 for ratio in second["before"][-3:])
    assert (tmp_path / "bench-last").read_bytes() == newer.read_bytes()
    assert (tmp_path / "bench-older").read_bytes() == BINARY.read_bytes()


@pytest.mark.plain
@pytest.mark.parametrize("costs, lost", [
    ([1.10, 1.04, 1.05, 1.20], True),   # each pair says so
    ([1.10, 1.04, 1.05, 0.80], True),   # most of them do, and by more than they differ
    ([1.10, 1.04, 0.99, 0.80], False),  # neighbours
    ([1.02, 1.01, 1.02, 1.01], False),  # too little to tell
    ([0.50, 0.50, 0.50, 0.50], False),
])
def test_the_benchmark_tells_a_loss_from_a_busy_minute(tmp_path, costs, lost):
    lines = tmp_path / "bench.jsonl"
    lines.write_text("".join(json.dumps({"scenario": "single", "run": run, "figures": {
        "deliveries_per_s": 1000, "server_cpu_us_per_delivery": 5 * (cost if run == "gateway" else 1)}}) + "\n"
        for cost in costs for run in ("gateway", "before")), encoding="utf-8")
    table = [sys.executable, "-B", ROOT / "tests/bench/table.py"]
    said = subprocess.run([*table, lines], capture_output=True, text=True, check=True).stdout
    assert ("single: a loss: CPU" in said) == lost
    assert subprocess.run([*table, "--strict", lines], capture_output=True, check=False).returncode == int(lost)

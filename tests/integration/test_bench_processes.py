"""`tidegate bench` with several processes and gateways: one crowd, one report."""

import json
import os
import shlex
import subprocess
import sys

import pytest

from harness.gateway import BINARY, ROOT, run
from harness.tokens import SECRET, Issuer

sys.path.insert(0, str(ROOT / "src/clients/python"))
from tidegate import Publisher  # noqa: E402

pytestmark = pytest.mark.plain

CONNECTIONS, CHANNELS = 300, 4


@pytest.fixture
def gateways(start, own_redis):
    return [start(redis=own_redis) for _ in range(2)]


def words_for(gateways, redis, *words):
    for gateway in gateways:
        yield from ("--url", gateway.url(""), "--server-pid", str(gateway.process.pid))
    yield from ("--redis", redis.url, "--warmup", "0.1", "--duration", "0.5", *words)


@pytest.mark.parametrize("load", [("--rate", "40"), ("--window", "8")], ids=" ".join)
def test_processes_and_gateways_make_one_report(gateways, own_redis, load):
    done = run("bench", *words_for(gateways, own_redis, "--connections", CONNECTIONS, "--channels", CHANNELS, "--processes", 3, "--sources", 2, *load))
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout.splitlines()[-1])
    assert figures["clean"] and figures["connections"] == CONNECTIONS
    assert (figures["gateways"], figures["processes"]) == (2, 3)
    # Each event reaches the clients of its channel in all processes, at both gateways.
    assert figures["deliveries_all"] == figures["events_all"] * CONNECTIONS / CHANNELS > 0
    assert 0 < figures["latency_p50_us"] <= figures["latency_p99_us"] <= figures["latency_max_us"]
    assert figures["client_cpu_percent"] > 0 and figures["resident_bytes_per_connection"] is not None
    for gateway in gateways:
        assert gateway.metric("tidegate_connections_opened_total") == CONNECTIONS / 2


def test_a_gateway_that_is_not_there_ends_all_processes(gateways, own_redis):
    words = words_for(gateways, own_redis, "--url", "ws://127.0.0.1:1", "--connections", 30, "--processes", 3, "--open-only")
    done = run("bench", *words)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1 and "connections are open, and no more came" in done.stderr


def test_more_connections_than_open_files_say_what_to_do():
    """Of each process, and not of all together."""
    words = ["bench", "--url", "ws://127.0.0.1:1", "--open-only", "--connections", "200"]
    limited = f"ulimit -n 100; exec {shlex.quote(str(BINARY))} "
    done = subprocess.run(["bash", "-c", limited + shlex.join(words)], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert "200 connections need 232 open files" in done.stderr and "more --processes" in done.stderr
    done = subprocess.run(["bash", "-c", limited + shlex.join([*words, "--processes", "4"])], capture_output=True, text=True, timeout=30, check=False)
    assert "connections are open" in done.stderr


def test_more_connections_than_an_address_has_ports_say_what_to_do():
    """In a network of its own, with a hundred ports."""
    if os.geteuid() != 0:
        pytest.skip("wants root, for a namespace of its own")
    words = shlex.join([str(BINARY), "bench", "--limit", "each", "--open-only", "--connections", "200"])
    done = subprocess.run(["unshare", "--net", "sh", "-c", "ip link set lo up && echo 40000 40099 >/proc/sys/net/ipv4/ip_local_port_range"
                           f" && exec {words}"], capture_output=True, text=True, timeout=60, check=False)
    if "unshare" in done.stderr or "ip_local_port_range" in done.stderr:
        pytest.skip("this kernel gives nobody a network of their own")
    assert done.returncode == 1
    assert "no port is left" in done.stderr and "more --sources" in done.stderr


def test_a_crowd_that_is_back_reads_each_log_once_a_gateway(start, own_redis, tmp_path):
    """All at once, from the start of histories of 20 entries; and nothing that is published then is lost."""
    file, kept = tmp_path / "tidegate.yaml", 20
    file.write_text('topics: []\nroutes: [{path: "/ws/kept/{id}", channel: "kept:{id}", history: on}]\n', encoding="utf-8")
    gateways = [start("--config", file, redis=own_redis) for _ in range(2)]
    publisher = Publisher(own_redis.client)
    for number in range(kept):
        for channel in range(CHANNELS):
            publisher.publish(f"kept:{channel}", {"type": "n", "data": number})
    own_redis.client.config_resetstat()
    done = run("bench", *words_for(gateways, own_redis, "--path", "/ws/kept/{n}?since=start", "--channel", "kept:{n}", "--connections", CONNECTIONS,
                                   "--channels", CHANNELS, "--processes", 3, "--opening", CONNECTIONS, "--rate", "40"))
    figures = json.loads(done.stdout.splitlines()[-1])
    assert done.returncode == 0 and figures["clean"], done.stderr
    assert figures["foreign"] == CONNECTIONS * (kept + 1)  # each entry, and the answer
    assert sum(gateway.metric('tidegate_recoveries_total{result="recovered"}') for gateway in gateways) == CONNECTIONS
    assert own_redis.client.info("commandstats")["cmdstat_xrange"]["calls"] <= CHANNELS * len(gateways)


def test_all_who_are_cut_off_at_once_come_back_with_what_they_missed(start, own_redis, tmp_path):
    """With tokens, while events go on: each event once and in order, and few reads of the logs."""
    file, token = tmp_path / "tidegate.yaml", tmp_path / "token"
    file.write_text(f'token_secret: {SECRET}\ntopics: []\nroutes: [{{path: "/ws/kept/{{id}}", channel: "kept:{{id}}", access: token, history: on}}]\n', encoding="utf-8")
    token.write_text(Issuer().token(channels=["kept:*"]), encoding="utf-8")
    gateways = [start("--config", file, redis=own_redis) for _ in range(2)]
    done = run("bench", *words_for(gateways, own_redis, "--path", "/ws/kept/{n}", "--channel", "kept:{n}", "--token", token, "--connections", CONNECTIONS,
                                   "--channels", CHANNELS, "--processes", 3, "--rate", "40", "--storm"))
    figures = json.loads(done.stdout.splitlines()[-1])
    assert done.returncode == 0 and figures["clean"], done.stderr
    assert figures["storm_cut"] == figures["storm_recovered"] == CONNECTIONS and figures["storm_unrecovered"] == 0
    assert figures["deliveries_all"] == figures["events_all"] * CONNECTIONS / CHANNELS > 0
    assert figures["storm_cpu_us"] > 0 and figures["storm_s"] > 0
    assert 0 < figures["storm_latency_p99_us"] <= figures["storm_read_p99_us"] and figures["storm_publish_p99_us"] > 0
    assert own_redis.client.info("commandstats").get("cmdstat_xrange", {"calls": 0})["calls"] <= CHANNELS * len(gateways)


def test_a_storm_without_a_history_says_that_nobody_recovered(start, own_redis):
    done = run("bench", *words_for([start(redis=own_redis)], own_redis, "--connections", 20, "--rate", "40", "--storm"))
    figures = json.loads(done.stdout.splitlines()[-1])
    assert done.returncode == 1 and not figures["clean"]
    assert (figures["storm_recovered"], figures["storm_unrecovered"]) == (0, 20)

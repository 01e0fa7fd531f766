"""deploy/compose.sentinel.yaml and compose.cluster.yaml: what stands over compose.yaml agrees with it, and real servers take it."""

import re
import shutil
import subprocess

import pytest
import redis
import yaml

from harness.gateway import ROOT, run
from harness.ports import free_port
from harness.process import Process
from harness.wait import until

pytestmark = pytest.mark.plain

DEPLOY = ROOT / "deploy"
BASE = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
OVER = {name: yaml.safe_load((DEPLOY / f"compose.{name}.yaml").read_text(encoding="utf-8")) for name in ("sentinel", "cluster")}
IMAGE = BASE["services"]["redis"]["image"]


@pytest.fixture(params=OVER)
def over(request):
    return OVER[request.param]


def url_of(over):
    (url,) = {service["environment"]["TIDEGATE_REDIS"] for service in over["services"].values() if "environment" in service}
    return url


def test_what_it_names_exists(over):
    services = {**BASE["services"], **over["services"]}
    volumes = {**BASE["volumes"], **over["volumes"]}
    used = set()
    for service in over["services"].values():
        for other, how in service.get("depends_on", {}).items():
            found = {**BASE["services"].get(other, {}), **over["services"].get(other, {})}
            assert how["condition"] == "service_started" or (how["condition"] == "service_healthy" and "healthcheck" in found) or \
                (how["condition"] == "service_completed_successfully" and found["restart"] == "no")
        used |= {volume.partition(":")[0] for volume in service.get("volumes", [])}
    assert used == set(over["volumes"]) and used <= set(volumes)
    for host in re.findall(r"(?://|,)([a-z0-9-]+)", url_of(over)):
        assert host in services
    for name, service in over["services"].items():
        assert service.get("image", IMAGE) == IMAGE
        assert service.get("hostname", name) == name


def test_the_gateway_takes_the_url(over):
    result = run("check", env={"TIDEGATE_REDIS": url_of(over)})
    assert result.returncode == 0, result.stderr
    assert {"redis+sentinel": "mymaster", "redis": "6379"}[url_of(over).partition("://")[0]] in result.stdout


def shell(service, directory, end):
    """What its shell would start, with that folder in the place of its volume, up to the last command, which is another."""
    text = "\n".join(service["command"]).replace("$$", "$").replace("/data", str(directory))
    script = re.sub(r"exec redis-server.*", end, text, flags=re.DOTALL)
    return subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout


def test_a_sentinel_takes_its_configuration(tmp_path, own_redis):
    shell(OVER["sentinel"]["services"]["sentinel-1"], tmp_path, "true")
    path, port = tmp_path / "sentinel.conf", free_port()
    text = path.read_text(encoding="utf-8").replace("monitor mymaster redis 6379", f"monitor mymaster 127.0.0.1 {own_redis.port}")
    path.write_text(f"port {port}\nbind 127.0.0.1\ndir {tmp_path}\n{text}", encoding="utf-8")
    process = Process([shutil.which("redis-server"), path, "--sentinel"], tmp_path, "sentinel")
    try:
        client = redis.Redis(port=port)

        def state():
            try:
                return client.sentinel_master("mymaster")
            except redis.ConnectionError:
                return None

        told = until("it watches", state)
        assert (told["port"], told["quorum"], told["down-after-milliseconds"], told["failover-timeout"]) == (own_redis.port, 2, 1000, 5000)
    finally:
        process.kill()


@pytest.mark.parametrize("name, service", [(name, service) for over in OVER.values() for name, service in over["services"].items()
                                           if "redis-server --" in str(service.get("command")) or "redis-server', '--" in str(service.get("command"))],
                         ids=lambda value: value if isinstance(value, str) else "")
def test_a_server_takes_its_options(name, service, tmp_path):
    words = service["command"]
    if len(words) == 1:
        words = words[0].replace("$$(hostname)", name).split()[1:]
    assert words[0] == "redis-server"
    port = free_port()
    end = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(tmp_path), "--cluster-port", str(free_port()), "--replicaof", "no", "one"]
    process = Process([*words, *end], tmp_path, "redis")
    try:
        client = redis.Redis(port=port)

        def answers():
            try:
                return client.ping()
            except redis.ConnectionError:
                return False

        until("it answers", answers)
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    finally:
        process.kill()


def test_the_cluster_is_made_of_all_its_servers():
    (script,) = OVER["cluster"]["services"]["cluster"]["command"]
    servers = [name for name in OVER["cluster"]["services"] if name.startswith("redis")]
    assert re.search(r"for name in (.*); do", script)[1].split() == servers
    assert set(OVER["cluster"]["services"]["cluster"]["depends_on"]) == set(servers)
    assert subprocess.run(["sh", "-n", "-c", script.replace("$$", "$")], check=False).returncode == 0


def test_compose_itself_takes_them(over):
    docker = shutil.which("docker")
    if not docker or subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode:
        pytest.skip("docker compose is not here")
    name = next(name for name in OVER if OVER[name] is over)
    result = subprocess.run([docker, "compose", "-f", DEPLOY / "compose.yaml", "-f", DEPLOY / f"compose.{name}.yaml", "config", "--quiet"],
                            capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr

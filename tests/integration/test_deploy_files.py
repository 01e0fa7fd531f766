"""deploy/compose.yaml and what it starts: every name, path, port and time in it is one that exists."""

import re
import shutil
import subprocess

import pytest
import yaml

from harness.gateway import ROOT, run

pytestmark = pytest.mark.plain

DEPLOY = ROOT / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
SERVICES = COMPOSE["services"]
GATEWAY = SERVICES["gateway"]
SETTINGS = yaml.safe_load((DEPLOY / "compose/tidegate.yaml").read_text(encoding="utf-8"))
HAPROXY = (DEPLOY / "haproxy/haproxy.cfg").read_text(encoding="utf-8")
DOCKERFILE = (ROOT / "docker/Dockerfile").read_text(encoding="utf-8")
VERSION = re.search(r"version: '([^']+)'", (ROOT / "meson.build").read_text(encoding="utf-8"))[1]
OURS = [name for name, service in SERVICES.items() if service["image"].startswith("tidegate:")]


def seconds(text):
    number, unit = re.fullmatch(r"(\d+)(ms|s|m)", text).groups()
    return int(number) * {"ms": 0.001, "s": 1, "m": 60}[unit]


def tool(name):
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin")
    assert path, f"{name} is missing: deploy/deps.sh --test installs it"
    return path


def mounts(service):
    """(what, where inside) of each volume."""
    return [tuple(volume.split(":")[:2]) for volume in service.get("volumes", [])]


def environment_outside(service, tmp_path):
    """A service's variables, with the paths of its mounts turned into those of this machine."""
    environment = dict(service["environment"])
    for what, inside in mounts(service):
        outside = (DEPLOY / what).resolve() if what.startswith(".") else tmp_path
        for name, value in environment.items():
            if str(value) == inside or str(value).startswith(f"{inside}/"):
                environment[name] = str(outside) + str(value)[len(inside):]
    return environment


@pytest.mark.parametrize("name", SERVICES)
def test_every_path_that_is_mounted_exists(name):
    for what, inside in mounts(SERVICES[name]):
        assert inside.startswith("/")
        if what.startswith("."):
            assert (DEPLOY / what).exists(), f"{what} is missing"
        else:
            assert what in COMPOSE["volumes"]


def test_every_volume_is_used():
    used = {what for service in SERVICES.values() for what, _ in mounts(service)}
    assert set(COMPOSE["volumes"]) <= used


@pytest.mark.parametrize("name", OURS)
def test_our_image_is_built_from_this_clone_in_this_version(name):
    build = SERVICES[name]["build"]
    assert (DEPLOY / build["context"]).resolve() == ROOT
    assert (ROOT / build["dockerfile"]).is_file()
    assert SERVICES[name]["image"] == f"tidegate:{VERSION}"
    assert f"ARG VERSION={VERSION}\n" in DOCKERFILE


def test_the_worker_is_built_here_too_and_has_what_its_files_name():
    worker = SERVICES["worker"]
    stage = re.search(rf"^FROM \S+ AS {worker['build']['target']}\n(.*?)^FROM", DOCKERFILE, re.MULTILINE | re.DOTALL)[1]
    assert worker["image"] == f"tidegate/worker:{VERSION}" and worker["environment"]["REDIS_URL"] == SETTINGS["redis"]
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    for source in re.findall(r"^COPY (\S+)", stage, re.MULTILINE):
        assert (ROOT / source).is_dir() and any(source.startswith(line[1:]) for line in ignored if line.startswith("!"))
    assert SETTINGS["demo"] is True and {"actions": "demo-actions"}.items() <= SETTINGS["routes"][0].items()


def test_other_images_have_a_release():
    for name in set(SERVICES) - set(OURS):
        image, _, tag = SERVICES[name]["image"].partition(":")
        assert re.fullmatch(r"[a-z]+(/[a-z]+)?", image), "an image as everyone writes it, without a registry"
        assert re.match(r"v?\d", tag), f"{image} would change by itself"


@pytest.mark.parametrize("name", SERVICES)
def test_what_is_waited_for_exists_and_can_come_true(name):
    wanted = SERVICES[name].get("depends_on", [])
    for other in wanted:
        condition = wanted[other]["condition"] if isinstance(wanted, dict) else "service_started"
        if condition == "service_healthy":
            assert "test" in SERVICES[other]["healthcheck"]
        elif condition == "service_completed_successfully":
            assert SERVICES[other]["restart"] == "no"
        else:
            assert condition == "service_started" and other in SERVICES


def test_any_number_of_gateways_can_run():
    assert GATEWAY["deploy"]["replicas"] == 3
    assert not {"container_name", "ports", "hostname", "network_mode"} & GATEWAY.keys()


def test_the_image_asks_for_its_own_health_and_others_do_not():
    assert "healthcheck" not in GATEWAY
    for name in set(OURS) - {"gateway"}:
        assert SERVICES[name]["healthcheck"] == {"disable": True}


@pytest.mark.parametrize("name", [name for name in OURS if "environment" in SERVICES[name]])
def test_a_gateway_takes_these_settings(name, tmp_path):
    for secret in ("admin-token", "token-secret"):
        (tmp_path / secret).write_text("0123456789abcdef" * 4, encoding="ascii")
    result = run("check", env={**environment_outside(GATEWAY, tmp_path), **environment_outside(SERVICES[name], tmp_path)})
    assert result.returncode == 0 and not result.stderr, result.stderr
    assert re.search(r"^redis +redis://redis:6379", result.stdout, re.MULTILINE)


def test_no_setting_is_in_vain(tmp_path):
    wrong = dict(environment_outside(GATEWAY, tmp_path), TIDEGATE_DRAIN_TIEM="1s")
    assert run("check", env=wrong).returncode == 2


def test_no_variable_says_what_the_file_says():
    """It would silently count more than what somebody writes into the file."""
    variables = {name.removeprefix("TIDEGATE_").removesuffix("_FILE").lower() for name in GATEWAY["environment"]}
    assert variables == {"config", "admin", "admin_token", "token_secret"}
    assert not variables & SETTINGS.keys()


def test_folders_are_mounted_where_a_file_is_reloaded():
    for name in OURS:
        for what, inside in mounts(SERVICES[name]):
            assert not what.startswith(".") or (DEPLOY / what).is_dir(), (name, inside)


def test_the_grace_period_covers_the_drain():
    drain = sum(seconds(SETTINGS[name]) for name in ("drain_delay", "drain_time", "shutdown_timeout"))
    assert drain < seconds(GATEWAY["stop_grace_period"]) <= drain + 15


def test_haproxy_takes_its_configuration():
    result = subprocess.run([tool("haproxy"), "-c", "-f", DEPLOY / "haproxy/haproxy.cfg"], capture_output=True, text=True,
                            check=False)
    assert result.returncode == 0, result.stderr
    assert "WARNING" not in result.stderr


def test_the_load_balancer_finds_the_gateways_and_asks_their_admin_port():
    name, port, check = re.search(r"server-template \S+ \d+ (\S+):(\d+) .*check port (\d+)", HAPROXY).groups()
    assert SERVICES[name] is GATEWAY
    assert f"EXPOSE {port} {check}\n" in DOCKERFILE
    assert GATEWAY["environment"]["TIDEGATE_ADMIN"].endswith(f":{check}")
    assert "uri /ready" in HAPROXY


def test_the_load_balancer_notices_a_drain_before_it_is_over():
    interval, fall = re.search(r"inter (\d+)s fall (\d+)", HAPROXY).groups()
    assert int(interval) * int(fall) < seconds(SETTINGS["drain_delay"])


def test_the_load_balancer_has_enough_files():
    assert SERVICES["loadbalancer"]["ulimits"]["nofile"] > 2 * int(re.search(r"maxconn (\d+)", HAPROXY)[1])


def test_published_ports_are_listened_on():
    listening = {
        "loadbalancer": set(re.findall(r"^ +bind :(\d+)", HAPROXY, re.MULTILINE)),
        "prometheus": {"9090"},  # of the image
        "grafana": {"3000"},  # of the image
    }
    published = {name: {port.rpartition(":")[2] for port in service["ports"]}
                 for name, service in SERVICES.items() if "ports" in service}
    assert published == listening


def test_only_clients_come_from_other_machines():
    open_to_all = [port for service in SERVICES.values() for port in service.get("ports", [])
                   if not port.startswith("127.0.0.1:")]
    assert open_to_all == ["8080:8080"]


def test_prometheus_takes_its_configuration():
    result = subprocess.run([tool("promtool"), "check", "config", DEPLOY / "prometheus/prometheus.yml"],
                            capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_prometheus_finds_the_gateways():
    config = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text(encoding="utf-8"))
    (discovery,) = [entry for job in config["scrape_configs"] for entry in job["dns_sd_configs"]]
    assert discovery["names"] == ["gateway"] and "gateway" in SERVICES
    assert GATEWAY["environment"]["TIDEGATE_ADMIN"].endswith(f":{discovery['port']}")
    assert SETTINGS["metrics_public"] is True, "it sends no token"


def test_grafana_finds_prometheus_and_its_dashboards():
    inside = dict((where, what) for what, where in mounts(SERVICES["grafana"]))
    provisioning = DEPLOY / inside["/etc/grafana/provisioning"]
    (sources,) = (provisioning / "datasources").glob("*.y*ml")
    (source,) = yaml.safe_load(sources.read_text(encoding="utf-8"))["datasources"]
    assert source["url"] == "http://prometheus:9090" and "prometheus" in SERVICES
    (providers,) = (provisioning / "dashboards").glob("*.y*ml")
    (provider,) = yaml.safe_load(providers.read_text(encoding="utf-8"))["providers"]
    dashboards = DEPLOY / inside[provider["options"]["path"]]
    assert list(dashboards.glob("*.json"))


def test_compose_itself_takes_the_file():
    docker = shutil.which("docker")
    if not docker or subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode:
        pytest.skip("docker compose is not here")
    result = subprocess.run([docker, "compose", "-f", DEPLOY / "compose.yaml", "config", "--quiet"], capture_output=True,
                            text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_the_page_of_dependencies_has_each_package_that_is_installed_and_no_other():
    script = (ROOT / "deploy/deps.sh").read_text(encoding="utf-8")
    installed = {name for names in re.findall(r"_PACKAGES=\((.*?)\)", script, re.DOTALL) for name in names.split()}
    table = (ROOT / "docs/dependencies.md").read_text(encoding="utf-8").partition("## Debian packages")[2].partition("\n\nOnly what")[0]
    told = {name for row in re.findall(r"^\|(.*?)\|", table, re.MULTILINE) for name in re.findall(r"`([a-z][a-z0-9.-]+)`", row)}
    assert told == installed | {"libhiredis-dev"}  # where the release's is new enough

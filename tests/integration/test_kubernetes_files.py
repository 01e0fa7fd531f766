"""
deploy/kubernetes: the manifests are what Kubernetes takes, and agree with each other, the image and the gateway.

Each is validated against Kubernetes' own schemas (tests/deploy/schemas.json, closed to fields that they do not name).
The schemas know no references: that a port, a label, a path or a time written in one place is the one of another place is
looked at here. Where kubectl is at hand, kustomize itself builds the example too.
"""

import json
import re
import shutil
import subprocess

import jsonschema
import pytest
import yaml

from harness.gateway import ROOT, run

pytestmark = pytest.mark.plain

FOLDER = ROOT / "deploy/kubernetes"
SCHEMAS = json.loads((ROOT / "tests/deploy/schemas.json").read_text(encoding="utf-8"))
DOCKERFILE = (ROOT / "docker/Dockerfile").read_text(encoding="utf-8")
KUSTOMIZATIONS = sorted(FOLDER.glob("**/kustomization.yaml"))


def load(path):
    return [document for document in yaml.safe_load_all(path.read_text(encoding="utf-8")) if document]


def collect(folder):
    """The resources of a kustomization and of what it refers to, as they stand in their files."""
    (settings,) = load(folder / "kustomization.yaml")
    found = []
    for reference in settings.get("resources", []) + settings.get("components", []):
        target = (folder / reference).resolve()
        found += collect(target) if target.is_dir() else load(target)
    return found


ALL = collect(FOLDER / "example")
REDIS = {name: collect(FOLDER / f"redis-{name}") for name in ("sentinel", "cluster")}
REDIS_IMAGE = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text(encoding="utf-8"))["services"]["redis"]["image"]


def named(kind, name="tidegate"):
    (resource,) = [item for item in ALL if item["kind"] == kind and item["metadata"]["name"] == name]
    return resource


DEPLOYMENT = named("Deployment")
POD = DEPLOYMENT["spec"]["template"]["spec"]
(CONTAINER,) = POD["containers"]
PORTS = {port["name"]: port["containerPort"] for port in CONTAINER["ports"]}
ENVIRONMENT = {entry["name"]: entry["value"] for entry in CONTAINER["env"]}
CONFIG = yaml.safe_load((FOLDER / "base/tidegate.yaml").read_text(encoding="utf-8"))
# What base/kustomization.yaml puts on everything.
LABELS = load(FOLDER / "base/kustomization.yaml")[0]["labels"][0]["pairs"]
SERVICES = {item["metadata"]["name"]: item for item in ALL if item["kind"] == "Service"}


def check(resource):
    name = SCHEMAS["kinds"][f"{resource['apiVersion']} {resource['kind']}"]
    jsonschema.Draft7Validator({"$ref": f"#/definitions/{name}", "definitions": SCHEMAS["definitions"]}).validate(resource)


def patched_by(resource, patch):
    """As kustomize does it, for patches that append."""
    patched = json.loads(json.dumps(resource))
    for step in yaml.safe_load(patch["patch"]):
        assert step["op"] == "add" and step["path"].endswith("/-")
        place = patched
        for part in step["path"].split("/")[1:-1]:
            place = place[int(part) if part.isdigit() else part]
        place.append(step["value"])
    return patched


@pytest.mark.parametrize("resource", ALL + REDIS["sentinel"] + REDIS["cluster"], ids=lambda item: f"{item['kind']}-{item['metadata']['name']}")
def test_is_what_kubernetes_takes(resource):
    check(resource)


def test_the_schemas_would_notice():
    for spoil in (lambda d: d["spec"].update(replica=3), lambda d: d["spec"].update(replicas="3"),
                  lambda d: d["spec"].pop("selector"), lambda d: d["spec"]["template"]["spec"].pop("containers"),
                  lambda d: d["spec"]["template"]["spec"]["containers"][0].update(livenesProbe={})):
        spoilt = json.loads(json.dumps(DEPLOYMENT))
        spoil(spoilt)
        with pytest.raises(jsonschema.ValidationError):
            check(spoilt)


def test_the_alert_rules_are_a_prometheusrule():
    rules = yaml.safe_load((ROOT / "deploy/prometheus/tidegate.rules.yml").read_text(encoding="utf-8"))
    check({"apiVersion": "monitoring.coreos.com/v1", "kind": "PrometheusRule", "metadata": {"name": "tidegate"},
           "spec": rules})


@pytest.mark.parametrize("path", KUSTOMIZATIONS, ids=lambda path: path.parent.name)
def test_kustomizations_refer_to_what_exists_and_leave_nothing_out(path):
    (settings,) = load(path)
    listed = settings.get("resources", []) + settings.get("components", []) + [
        file for generator in settings.get("configMapGenerator", []) for file in generator["files"]]
    for name in listed:
        assert (path.parent / name).exists(), name
    others = {file.name for file in path.parent.glob("*.yaml")} - {"kustomization.yaml", "prometheus-adapter.yaml"}
    assert others <= set(listed)


def test_every_kustomization_is_in_the_example():
    (settings,) = load(FOLDER / "example/kustomization.yaml")
    used = {(FOLDER / "example" / name).resolve() for name in settings["resources"] + settings["components"]}
    for name in REDIS:
        (over,) = load(FOLDER / f"example-{name}/kustomization.yaml")
        assert over["namespace"] == settings["namespace"] and over["resources"] == ["../example", f"../redis-{name}"]
        used |= {(FOLDER / "example" / part).resolve() for part in over["resources"] + over.get("components", [])}
    instead_of_others = {FOLDER / "components/tls", FOLDER / "example-sentinel", FOLDER / "example-cluster"}
    assert used == {path.parent for path in KUSTOMIZATIONS} - instead_of_others


def test_tls_at_the_gateways_is_what_kubernetes_takes_and_the_gateway_knows():
    folder = FOLDER / "components/tls"
    (settings,) = load(folder / "kustomization.yaml")
    (service,) = load(folder / "service.yaml")
    (patch,) = settings["patches"]
    patched = patched_by(DEPLOYMENT, patch)
    check(patched)
    check(service)
    pod = patched["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    (mount,) = [mount for mount in container["volumeMounts"] if mount["name"] == "tls"]
    files = {entry["name"]: entry["value"] for entry in container["env"] if "TLS" in entry["name"]}
    assert files == {"TIDEGATE_TLS_CERTIFICATE": mount["mountPath"] + "/tls.crt", "TIDEGATE_TLS_KEY": mount["mountPath"] + "/tls.key"}
    assert "tls_certificate: /run/secrets/tidegate-tls/tls.crt: No such file" in run("check", env=files).stderr
    assert service["spec"]["selector"].items() <= patched["spec"]["template"]["metadata"]["labels"].items()
    assert service["spec"]["ports"][0]["targetPort"] in PORTS


def test_sentinels_can_be_reached_and_their_url_is_one():
    text = (FOLDER / "components/sentinel/kustomization.yaml").read_text(encoding="utf-8")
    (patch,) = yaml.safe_load(text)["patches"]
    policy = patched_by(named("NetworkPolicy"), patch)
    check(policy)
    ports = {port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]}
    assert ports == {6379, 26379, 53}
    for url in re.findall(r"redis-url='?(redis[^', ]+(?:,[^', ]+)*)", text):
        result = run("check", env={"TIDEGATE_REDIS": url})
        assert result.returncode == 0, result.stderr


@pytest.fixture(params=REDIS)
def redis_files(request):
    """Its name, and kind to the one resource of that kind."""
    return request.param, {item["kind"]: item for item in REDIS[request.param]}


def pods_of(files):
    return [files[kind]["spec"]["template"]["spec"] for kind in ("StatefulSet", "Job") if kind in files]


def test_a_redis_of_ours_agrees_with_itself(redis_files):
    name, files = redis_files
    labels = load(FOLDER / f"redis-{name}/kustomization.yaml")[0]["labels"][0]["pairs"]
    servers = files["StatefulSet"]["spec"]
    assert servers["selector"]["matchLabels"] == servers["template"]["metadata"]["labels"] == labels
    assert files["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
    assert files["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"] == files["Service"]["spec"]["selector"] == labels
    assert servers["serviceName"] == files["Service"]["metadata"]["name"] == files["StatefulSet"]["metadata"]["name"] == "redis"
    ports = {port["name"]: port["containerPort"] for container in pods_of(files)[0]["containers"] for port in container.get("ports", [])}
    assert {port["targetPort"]: port["port"] for port in files["Service"]["spec"]["ports"]} == ports
    (rule,) = files["NetworkPolicy"]["spec"]["ingress"]
    assert {port["port"] for port in rule["ports"]} == ports.keys()
    for pod in pods_of(files):
        for container in pod["containers"]:
            assert container["image"] == REDIS_IMAGE
            (script,) = container["args"]
            assert subprocess.run(["sh", "-n", "-c", script], check=False).returncode == 0
            secrets = [entry["valueFrom"]["secretKeyRef"] for entry in container["env"] if "secretKeyRef" in entry["valueFrom"]]
            assert secrets == [{"name": "redis", "key": "password"}]
            for names in re.findall(r"for name in (.*); do", script):
                assert names.split() == [f"redis-{i}" for i in range(servers["replicas"])]


def test_gateways_reach_a_redis_of_ours_by_the_url_of_its_instructions(redis_files):
    name, files = redis_files
    instructions = (FOLDER / f"redis-{name}/kustomization.yaml").read_text(encoding="utf-8")
    base = (FOLDER / "base/kustomization.yaml").read_text(encoding="utf-8")
    keys = set(re.findall(r"--from-literal=([a-z-]+)=", instructions))
    assert keys == {"password", *re.findall(r"--from-literal=([a-z-]+)=", base)}
    url = re.search(r'redis-url="(.*?)"', instructions)[1].replace("$PASSWORD", "secret")
    result = run("check", env={"TIDEGATE_REDIS": url})
    assert result.returncode == 0, result.stderr
    hosts = set(re.findall(r"(redis-\d+)\.redis", url))
    assert hosts and hosts <= {f"redis-{i}" for i in range(files["StatefulSet"]["spec"]["replicas"])}


@pytest.mark.parametrize("name", REDIS)
def test_kustomize_builds_the_gateways_over_a_redis_of_ours(name):
    resources = kustomized(f"example-{name}")
    for resource in resources:
        check(resource)
    assert {resource["metadata"].get("namespace") for resource in resources} == {"tidegate"}
    built = {(r["kind"], r["metadata"]["name"]) for r in resources if r["kind"] != "ConfigMap"}
    assert built == {(r["kind"], r["metadata"]["name"]) for r in ALL + REDIS[name]}


def kustomized(example):
    kubectl = shutil.which("kubectl")
    if not kubectl or b'"kustomizeVersion": "v5' not in subprocess.run(
            [kubectl, "version", "--client", "-o", "json"], capture_output=True, check=False).stdout:
        pytest.skip("a kubectl with kustomize 5 is not here")
    built = subprocess.run([kubectl, "kustomize", FOLDER / example], capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    assert "deprecated" not in built.stderr
    return list(yaml.safe_load_all(built.stdout))


def test_kustomize_builds_the_same():
    resources = kustomized("example")
    for resource in resources:
        check(resource)
    assert {(r["kind"], r["metadata"]["name"]) for r in resources if r["kind"] != "ConfigMap"} == {
        (r["kind"], r["metadata"]["name"]) for r in ALL}
    (deployment,) = [r for r in resources if r["kind"] == "Deployment"]
    (config,) = [r for r in resources if r["kind"] == "ConfigMap"]
    assert "replicas" not in deployment["spec"], "the autoscaler's choice would be set back"
    assert deployment["spec"]["selector"]["matchLabels"] == LABELS
    assert deployment["spec"]["template"]["metadata"]["labels"].items() >= LABELS.items()
    pod = deployment["spec"]["template"]["spec"]
    assert pod["volumes"][0]["configMap"]["name"] == config["metadata"]["name"] != "tidegate"
    assert pod["containers"][0]["image"].startswith("registry.example.com/tidegate:")


def test_selectors_are_the_labels():
    constraints = [constraint["labelSelector"]["matchLabels"] for constraint in POD["topologySpreadConstraints"]]
    policies = [named("NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
                named("PodDisruptionBudget")["spec"]["selector"]["matchLabels"]]
    services = [service["spec"]["selector"] for service in SERVICES.values()]
    own = [DEPLOYMENT["spec"]["selector"]["matchLabels"], DEPLOYMENT["spec"]["template"]["metadata"]["labels"]]
    assert all(labels == LABELS for labels in constraints + policies + services + own)


def test_ports_have_the_images_numbers():
    assert f"EXPOSE {PORTS['ws']} {PORTS['admin']}\n" in DOCKERFILE
    assert ENVIRONMENT["TIDEGATE_ADMIN"] == f"0.0.0.0:{PORTS['admin']}"
    assert "listen" not in CONFIG and "TIDEGATE_LISTEN" not in ENVIRONMENT


def test_every_port_that_is_named_exists():
    for service in SERVICES.values():
        assert all(port["targetPort"] in PORTS for port in service["spec"]["ports"])
    for rule in named("NetworkPolicy")["spec"]["ingress"]:
        assert all(port["port"] in PORTS for port in rule["ports"])
    for rule in named("Ingress")["spec"]["rules"]:
        for path in rule["http"]["paths"]:
            backend = path["backend"]["service"]
            assert backend["port"]["name"] in {port["name"] for port in SERVICES[backend["name"]]["spec"]["ports"]}


def test_the_admin_port_stays_inside():
    assert {port["targetPort"] for port in SERVICES["tidegate"]["spec"]["ports"]} == {"ws"}
    open_to_all = [rule for rule in named("NetworkPolicy")["spec"]["ingress"] if "from" not in rule]
    assert [port["port"] for rule in open_to_all for port in rule["ports"]] == ["ws"]


def test_there_is_no_stickiness():
    assert SERVICES["tidegate"]["spec"].get("sessionAffinity", "None") == "None"
    assert "affinity" not in json.dumps(named("Ingress"))


@pytest.mark.parametrize("probe, path", [("startupProbe", "/live"), ("livenessProbe", "/live"), ("readinessProbe", "/ready")])
def test_probes_ask_what_the_gateway_answers(probe, path, gateway):
    assert CONTAINER[probe]["httpGet"] == {"path": path, "port": "admin"}
    assert gateway.get(path).status == 200


def duration(text):
    return int(re.fullmatch(r"(\d+)s", text)[1])


def test_the_grace_period_covers_the_drain():
    drain = sum(duration(CONFIG[name]) for name in ("drain_delay", "drain_time", "shutdown_timeout"))
    assert drain + 5 <= POD["terminationGracePeriodSeconds"] <= drain + 30


def test_the_drain_waits_until_readiness_was_asked():
    probe = CONTAINER["readinessProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] < duration(CONFIG["drain_delay"])


def test_a_gateway_takes_the_configuration(tmp_path):
    (tmp_path / "redis-url").write_text("redis://:secret@redis:6379", encoding="ascii")
    for secret in ("admin-token", "token-secret"):
        (tmp_path / secret).write_text("0123456789abcdef" * 4, encoding="ascii")
    mounts = {mount["name"]: mount["mountPath"] for mount in CONTAINER["volumeMounts"]}
    environment = {name: value.replace(mounts["config"], str(FOLDER / "base")).replace(mounts["secret"], str(tmp_path))
                   for name, value in ENVIRONMENT.items()}
    result = run("check", env=environment)
    assert result.returncode == 0 and not result.stderr, result.stderr
    assert "redis://:***@redis:6379" in result.stdout


def test_every_mount_has_a_volume_and_every_volume_a_mount():
    assert {mount["name"] for mount in CONTAINER["volumeMounts"]} == {volume["name"] for volume in POD["volumes"]}


def test_the_secret_has_the_keys_that_the_instructions_make():
    (mount,) = [mount["mountPath"] for mount in CONTAINER["volumeMounts"] if mount["name"] == "secret"]
    keys = {value.removeprefix(f"{mount}/") for value in ENVIRONMENT.values() if value.startswith(mount)}
    instructions = (FOLDER / "base/kustomization.yaml").read_text(encoding="utf-8")
    assert keys == set(re.findall(r"--from-literal=([a-z-]+)=", instructions))


def test_runs_as_the_images_user_without_rights():
    assert f"USER {POD['securityContext']['runAsUser']}:{POD['securityContext']['runAsGroup']}\n" in DOCKERFILE
    assert POD["securityContext"]["runAsNonRoot"] and POD["automountServiceAccountToken"] is False
    assert POD["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert CONTAINER["securityContext"] == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                                            "capabilities": {"drop": ["ALL"]}}


def test_the_autoscaler_asks_for_a_metric_that_the_gateway_has(gateway):
    scaler = named("HorizontalPodAutoscaler")["spec"]
    assert scaler["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "tidegate"}
    (metric,) = [entry["pods"]["metric"]["name"] for entry in scaler["metrics"] if entry["type"] == "Pods"]
    gateway.metric(metric)
    adapter = yaml.safe_load((FOLDER / "components/autoscaling/prometheus-adapter.yaml").read_text(encoding="utf-8"))
    assert [rule["seriesQuery"].partition("{")[0] for rule in adapter["rules"]["custom"]] == [metric]
    assert scaler["minReplicas"] == DEPLOYMENT["spec"]["replicas"]


def test_prometheus_finds_the_admin_service():
    monitor = named("ServiceMonitor")["spec"]
    service = SERVICES["tidegate-admin"]
    labels = {**LABELS, **service["metadata"]["labels"]}
    assert monitor["selector"]["matchLabels"].items() <= labels.items()
    assert labels[monitor["jobLabel"]] == "tidegate", "the job that the alert rules speak of"
    assert {endpoint["port"] for endpoint in monitor["endpoints"]} <= {port["name"] for port in service["spec"]["ports"]}
    assert {endpoint["path"] for endpoint in monitor["endpoints"]} == {"/metrics"}


def test_no_variable_says_what_the_file_says():
    """It would silently count more than what somebody writes into the file."""
    variables = {name.removeprefix("TIDEGATE_").removesuffix("_FILE").lower() for name in ENVIRONMENT}
    assert not variables & CONFIG.keys()

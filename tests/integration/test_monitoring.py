"""Alert rules, dashboard and documentation speak of metrics that exist. What is renamed in the table is noticed here."""

import json
import re

import pytest
import yaml

from harness.gateway import ROOT
from harness.prometheus import promtool, scrape
from harness.promql import Expression

RULES = ROOT / "deploy" / "prometheus" / "tidegate.rules.yml"
CONFIG = ROOT / "deploy" / "prometheus" / "prometheus.yml"
CASES = ROOT / "tests" / "prometheus" / "tidegate.test.yml"
DASHBOARD = ROOT / "deploy" / "grafana" / "dashboards" / "tidegate.json"
PROVISIONING = ROOT / "deploy" / "grafana" / "provisioning"
TABLE = ROOT / "docs" / "metrics.md"

PROMETHEUS_OWN = {"up", "ALERTS"}
TARGET_LABELS = {"job", "instance"}
ALERT_LABELS = {"alertname", "alertstate"}


@pytest.fixture(scope="module")
def metrics(shared_gateway):
    return scrape(shared_gateway)


@pytest.fixture(scope="module")
def dashboard():
    return json.loads(DASHBOARD.read_text(encoding="utf-8"))


def alerts():
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def panels(dashboard):
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def expressions(dashboard):
    found = [target["expr"] for panel in panels(dashboard) for target in panel["targets"]]
    return found + [annotation["expr"] for annotation in dashboard["annotations"]["list"]]


def labels_of(metrics, name):
    """{label: values} that a sample of this name has, values None where they are not the gateway's; None: no such metric."""
    if name == "ALERTS":
        return dict.fromkeys(TARGET_LABELS | ALERT_LABELS)
    own = {} if name in PROMETHEUS_OWN else metrics.labels(name)
    return None if own is None else {**dict.fromkeys(TARGET_LABELS), **own}


def matches(operator, pattern, values):
    if "$" in pattern:
        return True  # a variable of the dashboard
    if operator in ("=", "!="):
        return pattern in values
    return any(re.fullmatch(pattern, value) for value in values)


def check_expression(metrics, text):
    expression = Expression(text)
    assert expression.metrics, text
    known = {name: labels_of(metrics, name) for name in expression.metrics}
    assert None not in known.values(), f"{text}: there is no {[name for name in known if known[name] is None]}"
    for metric, label, operator, value in expression.matchers:
        assert label in known[metric], f"{text}: {metric} has no label {label}"
        values = known[metric][label]
        assert values is None or matches(operator, value, values), f"{text}: {label} is never {value}"
    for label in expression.grouped:
        assert any(label in labels for labels in known.values()), f"{text}: grouped by {label}"
    return expression


# --- the looking glass itself ---------------------------------------------------------------------


@pytest.mark.parametrize("text, names", [
    ("up == 0", {"up"}),
    ('histogram_quantile(0.99, sum by (le, job) (rate(a_bucket{x="1"}[5m]))) > 0.5', {"a_bucket"}),
    ("a{} / on (instance) b and c_total unless d", {"a", "b", "c_total", "d"}),
    ('-sum(rate(a{job=~"$job"}[$__rate_interval])) + 2 * scalar(sum(b))', {"a", "b"}),
])
def test_names_are_found_in_an_expression(text, names):
    assert Expression(text).metrics == names


@pytest.mark.parametrize("text", [
    "tidegate_connection", "rate(tidegate_delivery_seconds[5m])", "sum by (channel) (tidegate_channels)",
    'tidegate_connections{code="1000"}', 'tidegate_connections_closed_total{code="1999"}',
    'tidegate_catch_ups_total{cause=~"links|joins"}', "sum by (code) (tidegate_events_total)",
    'rate(tidegate_events_dropped_total{reason!="no_json"}[1m])',
])
def test_what_does_not_exist_is_noticed(metrics, text):
    with pytest.raises(AssertionError):
        check_expression(metrics, text)


# --- Prometheus -----------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [("check", "rules", RULES), ("check", "config", CONFIG), ("test", "rules", CASES)],
                         ids=lambda words: "-".join(words[:2]))
def test_promtool_takes_them(words):
    code, said = promtool(*words)
    assert code == 0 and "FAILED" not in said, said


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: rule["alert"])
def test_alerts_are_made_of_metrics_that_exist(metrics, rule):
    check_expression(metrics, rule["expr"])


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: rule["alert"])
def test_alerts_say_what_is_wrong_and_what_to_do(rule):
    assert rule["labels"]["severity"] in ("page", "ticket")
    for annotation in ("summary", "description", "action"):
        assert rule["annotations"][annotation].strip()
    # What a sentence names survives the expression: else it reads "has not turned for 12s on ".
    expression = Expression(rule["expr"])
    for label in re.findall(r"\$labels\.(\w+)", " ".join(rule["annotations"].values())):
        kept = expression.grouped or TARGET_LABELS | {label for _, label, *_ in expression.matchers}
        assert label in kept, f"{label} is not among {kept}"


def test_alerts_have_cases(metrics):
    """Cases speak of alerts and metrics that exist."""
    text = CASES.read_text(encoding="utf-8")
    names = {rule["alert"] for rule in alerts()}
    tried = set(re.findall(r"alertname[:=] ?\"?(\w+)", text))
    assert len(tried) >= 10 and tried <= names
    for test in yaml.safe_load(text)["tests"]:
        for series in test["input_series"]:
            name, labels = re.fullmatch(r"(\w+)\{(.*)\}", series["series"]).groups()
            assert labels_of(metrics, name), name
            assert set(re.findall(r"(\w+)=", labels)) <= set(labels_of(metrics, name)), series


def test_prometheus_scrapes_the_admin_port(gateway):
    config = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
    assert config["rule_files"] == [RULES.name]
    (job,) = config["scrape_configs"]
    (discovery,) = job["dns_sd_configs"]
    assert (job["job_name"], discovery["names"], discovery["port"]) == ("tidegate", ["gateway"], 9080)
    assert gateway.get(job["metrics_path"]).status == 200


# --- Grafana --------------------------------------------------------------------------------------


def test_the_dashboard_is_made_of_metrics_that_exist(metrics, dashboard):
    for text in expressions(dashboard):
        check_expression(metrics, text)


def test_promtool_takes_the_dashboards_expressions(dashboard, tmp_path):
    """As rules, for it checks no others."""
    texts = [text.replace("$__rate_interval", "1m") for text in expressions(dashboard)]
    rules = [{"record": f"panel_{i}", "expr": text} for i, text in enumerate(texts)]
    file = tmp_path / "dashboard.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}), encoding="utf-8")
    code, said = promtool("check", "rules", file)
    assert code == 0, said


def test_the_dashboard_shows_every_metric(metrics, dashboard):
    shown = {metrics.family(name) for text in expressions(dashboard) for name in Expression(text).metrics}
    left_out = {"process_virtual_memory_bytes"}  # says nothing of a process that maps its memory
    assert set(metrics.types) - shown == left_out


def test_legends_name_labels_that_are_there(metrics, dashboard):
    for panel in panels(dashboard):
        for target in panel["targets"]:
            expression = Expression(target["expr"])
            one = labels_of(metrics, next(iter(expression.metrics)))
            for label in re.findall(r"{{(\w+)}}", target.get("legendFormat", "")):
                assert label in (expression.grouped or one), (panel["title"], label)


def test_panels_have_a_place_of_their_own(dashboard):
    taken = {}
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert taken.setdefault((x, y), panel["title"]) == panel["title"], (panel["title"], taken[(x, y)])
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])


def test_variables_are_defined(dashboard):
    defined = {variable["name"] for variable in dashboard["templating"]["list"]}
    used = set(re.findall(r"\$\{?([a-z]+)\b", json.dumps(dashboard)))
    assert used == defined


def test_grafana_finds_the_dashboard_and_its_numbers(dashboard):
    (source,) = yaml.safe_load((PROVISIONING / "datasources" / "prometheus.yaml").read_text(encoding="utf-8"))["datasources"]
    assert (source["type"], source["url"]) == ("prometheus", "http://prometheus:9090")
    (provider,) = yaml.safe_load((PROVISIONING / "dashboards" / "tidegate.yaml").read_text(encoding="utf-8"))["providers"]
    assert provider["type"] == "file" and provider["options"]["path"].endswith(DASHBOARD.parent.name)
    assert dashboard["uid"] == "tidegate"


# --- documentation --------------------------------------------------------------------------------


def test_the_documentation_has_the_same_table(metrics):
    lines = TABLE.read_text(encoding="utf-8").splitlines()
    rows = [line for line in lines if line.startswith(("| `tidegate_", "| `process_"))]
    assert rows == list(table(metrics)), "docs/metrics.md should read:\n" + "\n".join(table(metrics))


def table(metrics):
    for name, kind in metrics.types.items():
        labels = [f"{label}: " + " ".join(f"`{value}`" for value in values)
                  for label, values in ordered_labels(metrics, name).items()]
        yield f"| `{name}` | {kind} | {', '.join(labels)} | {metrics.helps[name]} |"


def ordered_labels(metrics, name):
    """As printed, not as sets have them."""
    found = {}
    for labels in re.findall(rf"^{name}{{(.*)}} ", metrics.text, re.MULTILINE):
        label, value = re.fullmatch(r'(\w+)="([^"]*)"', labels).groups()
        found.setdefault(label, []).append("…" if label in ("version", "shard") else value)
    return found

"""docs/operations.md says what is so: each line of the log, each alert, each setting of the kernel."""

import pathlib
import re
import subprocess

import pytest
import yaml

from harness.gateway import ROOT

pytestmark = pytest.mark.plain

PAGE = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
SOURCES = {path.relative_to(ROOT / "src").as_posix(): path.read_text(encoding="utf-8")
           for path in (ROOT / "src").glob("**/*.c")}
RULES = ROOT / "deploy/prometheus/tidegate.rules.yml"
STRING = r'"((?:[^"\\]|\\.)*)"'

# A line's message is a literal in the call that writes it, but for these files: there it comes from here.
ELSEWHERE = {
    "core/log.c": None,  # the logger itself
    "app/warnings.c": None,  # of the next one
    "config/config_open.c": rf"\badd\(warnings, n, {STRING}",
    "broker/redis/outage.c": rf"message = [^;]*?{STRING}(?:[^;]*?: {STRING})?;",
    "broker/redis/complaint.c": None,  # the library says them
    "broker/redis/library.c": rf"\bredis_complaint_note\([^;]*?{STRING}",
}


def section(title):
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def rows(title):
    """The cells of each row of a section's first table, without its head."""
    table = [line for line in section(title).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[2:]]


def messages():
    """Message -> levels, of all calls that write a line."""
    found = {}
    for name, text in SOURCES.items():
        for call in re.finditer(r"\blog_(debug|info|warn|error|line)\(", text):
            words = text[call.end():text.index(";", call.end())]
            literal = re.match(rf"[^\"]*?,\s*{STRING}\s*[,)]", words)
            if call[1] == "line":
                literal = re.match(rf"[^\"]*?,\s*{STRING}\s*,\s*LOG_FIELDS", words)
            if literal:
                found.setdefault(literal[1], set()).add(call[1])
            else:
                assert name in ELSEWHERE, f"{name}: log_{call[1]}({words[:60]}…: where does its message come from?"
        if ELSEWHERE.get(name):
            for match in re.finditer(ELSEWHERE[name], text):
                for message in filter(None, match.groups()):
                    found.setdefault(message, set()).add("line")
    return found


def test_the_page_has_every_line_of_the_log():
    table = {row[0].strip("`"): row[1] for row in rows("What the log says")}
    written = messages()
    assert len(written) > 20
    assert sorted(table) == sorted(written)
    for message, levels in written.items():
        assert table[message] in ("debug", "info", "warn", "error")
        if levels <= {"debug", "info", "warn", "error"}:
            assert {table[message]} == levels, message


def test_the_page_has_every_alert():
    rules = [rule for group in yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"] for rule in group["rules"]]
    alerts = {rule["alert"]: rule["labels"]["severity"] for rule in rules if "alert" in rule}
    assert {row[0].strip("`"): row[1] for row in rows("Alerts")} == alerts


def test_every_message_that_an_alert_names_is_one():
    named = [word for row in rows("Alerts") for word in re.findall(r"the line `([^`]+)`", row[2])]
    assert named and set(named) <= set(messages())


def test_the_kernel_knows_these_settings():
    names = re.findall(r"^([a-z0-9_.]+) = ", section("A host for 100,000 connections"), re.MULTILINE)
    assert len(names) >= 5
    for name in names:
        path = pathlib.Path("/proc/sys", name.replace(".", "/"))
        assert path.exists() or "conntrack" in name, f"there is no {name}"


def test_the_rules_become_a_resource_as_the_page_says(tmp_path):
    (command,) = re.findall(r"```sh\n(.*?)```", section("Kubernetes"), re.DOTALL)
    assert "kubectl apply" in command
    tool = tmp_path / "kubectl"
    tool.write_text("#!/bin/sh\nexec cat\n", encoding="ascii")
    tool.chmod(0o755)
    out = subprocess.run(["bash", "-c", command], cwd=ROOT, env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, check=True,
                         capture_output=True, text=True).stdout
    resource = yaml.safe_load(out)
    assert resource["kind"] == "PrometheusRule"
    assert resource["spec"] == yaml.safe_load(RULES.read_text(encoding="utf-8"))

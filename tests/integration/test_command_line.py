"""Subcommands, options, the file and the environment: what is wrong is said in one line, and nothing starts."""

import json
import os
import re
import shutil
import subprocess

import pytest

from harness.gateway import BINARY, ROOT, run
from harness.process import clean_environment


def refused(result, *words):
    """One line that names the fault, exit 2."""
    assert result.returncode == 2, (result.returncode, result.stderr)
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    for word in words:
        assert word in line, line
    return line


def test_version_is_one_line():
    result = run("version")
    assert result.returncode == 0
    assert re.fullmatch(r"tidegate \d+\.\d+\.\d+.*\n", result.stdout)


@pytest.mark.parametrize("words", [["--help"], ["help"], ["serve", "--help"], ["publish", "--help"], ["tail", "--help"],
                                   ["check", "--help"], ["health", "--help"]])
def test_help_is_printed_on_demand(words):
    result = run(*words)
    assert result.returncode == 0
    assert "tidegate" in result.stdout
    assert result.stderr == ""


@pytest.mark.parametrize("words", [
    ["--nonsense"], ["nonsense"], ["serve", "--nonsense"], ["serve", "--nonsense", "1"], ["serve", "extra"],
    ["serve", "--listen"], ["serve", "--listen", "127.0.0.1:99999"], ["serve", "--listen", "127.0.0.1:x"],
    ["serve", "--redis", "http://127.0.0.1"], ["serve", "--workers", "-1"], ["serve", "--workers", "many"],
    ["serve", "--workers", "1.5"], ["serve", "--ping-interval", "soon"], ["serve", "--log-level", "loud"],
    ["serve", "--message-bytes-max", "-5"], ["serve", "--trusted-proxies", "nowhere/99"],
    ["serve", "--config", "/nonexistent/tidegate.yaml"],
    ["publish"], ["publish", "cards"], ["publish", "a", "b", "c"], ["tail"], ["version", "extra"], ["check", "a", "b"], ["health", "extra"],
    ["check", "--history"], ["status", "--key", "k"], ["publish", "--key"], ["publish", "--key", "", "cards", "{}"],
    ["publish", "--json", "cards", "{}"], ["status", "--json=yes"], ["token"], ["token", "--user", "u"], ["token", "--user", "u", "TOKEN"],
], ids=" ".join)
def test_a_wrong_option_is_one_line_and_exit_2(words):
    result = run(*words, seconds=20)
    refused(result)


COMMANDS = ("serve", "publish", "tail", "action", "status", "config", "disconnect", "control", "health", "functions", "shard", "check", "asyncapi", "reload", "token", "manual",
            "completion", "version")


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_is_about_that_command(command):
    """Its usage, its own flags and the options that it heeds; no other command's."""
    text = run(command, "--help").stdout
    assert text.startswith(f"Usage: tidegate {command}")
    assert run("help", command).stdout == text
    assert ("--drain-delay" in text) == (command in ("serve", "check", "asyncapi"))
    assert ("--key KEY" in text) == (command in ("publish", "action"))
    assert ("--admin-token" in text) == (command not in ("action", "health", "functions", "shard", "token", "manual", "completion", "version"))


def test_help_knows_bench_and_nothing_that_is_not_there():
    assert run("help", "bench").stdout == run("bench", "--help").stdout != ""
    refused(run("help", "nonsense"), "nonsense")


def test_the_whole_help_names_every_command():
    text = run("--help").stdout
    assert re.findall(r"^  ([a-z]+) ", text, re.MULTILINE) == [*COMMANDS, "bench"]


def test_check_takes_its_file_as_a_word(tmp_path):
    file = tmp_path / "gate.yaml"
    file.write_text("workers: 3\n", encoding="utf-8")
    assert run("check", file).stdout == run("check", "--config", file).stdout != run("check").stdout
    refused(run("check", "--config", file, file), "second file")
    refused(run("check", tmp_path / "none.yaml"), "none.yaml: No such file")
    refused(run("check", ""), "empty")


@pytest.mark.parametrize("event, words", [
    ("{type: 1}", ("at byte 2", "type: 1}")), ('{"a": 1,}', ("at byte 9",)), ('{"a": tru}', ("at byte 7", "tru}")),
    ('{"a":', ("ends too early",)), ("", ("empty",)), ("[" * 200, ("deeper than",)), ("{'a': 1}", ("at byte 2",)),
], ids=lambda value: str(value)[:12])
def test_an_event_that_is_no_json_is_told_where(event, words):
    refused(run("publish", "cards", event), *words)


def test_the_manual_has_every_command_and_option():
    page = run("manual").stdout
    assert page.startswith(".TH TIDEGATE 1 ")
    said = page.replace("\\-", "-")
    for word in (*COMMANDS, *re.findall(r"^  (--[a-z-]+)", run("--help").stdout, re.MULTILINE)):
        assert f".B {word}" in said
    groff = shutil.which("groff")
    if groff:
        told = subprocess.run([groff, "-ww", "-man", "-Tascii", "-z"], input=page, capture_output=True, text=True, check=False)
        assert (told.returncode, told.stderr) == (0, "")


def complete(*words):
    """What bash offers behind these words of a command line."""
    script = f"{run('completion').stdout}\nCOMP_WORDS=(tidegate \"$@\")\nCOMP_CWORD=$#\n_tidegate\nprintf '%s\\n' \"${{COMPREPLY[@]}}\""
    told = subprocess.run(["bash", "-c", script, "bash", *words], capture_output=True, text=True, check=True)
    assert told.stderr == ""
    return told.stdout.split()


def test_bash_completes_commands_flags_and_values():
    assert complete("s") == ["serve", "status", "shard"]
    assert complete("publish", "--k") == ["--key"]
    assert complete("token", "--us") == ["--user"]
    assert complete("serve", "--log-l") == ["--log-level"]
    assert complete("serve", "--log-level", "") == ["debug", "info", "warn", "error"]
    assert complete("status", "--drain") == []
    assert complete("serve", "--metrics-public", "t") == ["true"]


def test_what_needs_no_configuration_does_not_read_one():
    for command in ("version", "functions", "manual", "completion"):
        assert run(command, env={"TIDEGATE_WORKERS": "many"}).returncode == 0


def test_a_wrong_command_is_named():
    refused(run("serv"), "'serv'", "did you mean serve?")
    refused(run("help", "pubish"), "'pubish'", "did you mean publish?")
    refused(run("nonsense"), "'nonsense'", "tidegate --help")


def test_a_wrong_option_is_named():
    refused(run("serve", "--workres", "2"), "--workres", "did you mean --workers?")
    refused(run("serve", "--workers", "many"), "--workers", "many")


@pytest.mark.parametrize("words, said", [(["tail"], "usage: tidegate tail CHANNEL..."), (["control"], "usage: tidegate control DO"),
                                         (["tail", "--nonsense", "x"], "unknown option '--nonsense'"),
                                         (["disconnect", "--user", "x"], "unknown option '--user'"), (["shard", "a", "b"], "'b'"), (["token"], "usage: ")])
def test_what_is_wrong_behind_a_command_leads_to_the_help_of_that_command(words, said):
    refused(run(*words), said, f"(try: tidegate {words[0]} --help)")


def test_no_time_at_all_is_printed_as_it_is_written():
    assert re.search(r"^drain_time +0s +default$", run("check").stdout, re.MULTILINE)


def test_no_word_at_all_says_what_there_is():
    result = run()
    assert result.returncode == 2
    assert "serve" in result.stderr


WRONG_FILES = {
    "an unknown key": ("listen: 127.0.0.1:0\nlisten_adress: x\n", 2, "listen_adress"),
    "an unknown key of a route": ("routes:\n  - path: /ws/a/{b}\n    chanel: a:{b}\n", 3, "chanel"),
    "a variable that the path does not have": ("routes:\n  - path: /ws/a/{b}\n    channel: a:{c}\n", 3, "c"),
    "a route without a path": ("routes:\n  - channel: a\n", 2, "path"),
    "a route twice": ("routes:\n  - path: /a/{b}\n    channel: a\n  - path: /a/{c}\n    channel: c\n", 4, "/a/{"),
    "a key twice": ("workers: 1\nworkers: 2\n", 2, "workers"),
    "bad YAML": ("listen: [\n", None, ""),
    "a list where a value belongs": ("listen: [1]\n", 1, "listen"),
    "a number out of bounds": ("\n\nworkers: 100000\n", 3, "workers"),
    "a duration without sense": ("ping_interval: 3 bananas\n", 1, "ping_interval"),
}


@pytest.mark.parametrize("command", ["check", "serve"])
@pytest.mark.parametrize("what", WRONG_FILES)
def test_a_wrong_file_is_one_line_with_file_and_line_number(tmp_path, command, what):
    text, line_number, word = WRONG_FILES[what]
    file = tmp_path / "gate.yaml"
    file.write_text(text, encoding="utf-8")
    line = refused(run(command, "--config", file), "gate.yaml:", word)
    if line_number:
        assert f"gate.yaml:{line_number}:" in line


def test_a_wrong_environment_variable_is_one_line():
    refused(run("check", env={"TIDEGATE_LISTEM": "x"}), "TIDEGATE_LISTEM")
    refused(run("check", env={"TIDEGATE_WORKERS": "many"}), "TIDEGATE_WORKERS")


def sources(result):
    """`check` as a dictionary: name -> (value, source)."""
    assert result.returncode == 0, result.stderr
    rows = (re.split(r"\s{2,}", line.strip()) for line in result.stdout.splitlines())
    return {row[0]: (row[1], row[-1]) for row in rows if len(row) >= 3}


def test_check_prints_each_value_with_its_source(tmp_path):
    file = tmp_path / "gate.yaml"
    file.write_text("# a comment\nworkers: 3\nlisten: 127.0.0.1:1111\nping_interval: 7s\n", encoding="utf-8")
    told = sources(run("check", "--config", file, "--listen", "127.0.0.1:3333",
                       env={"TIDEGATE_LISTEN": "127.0.0.1:2222", "TIDEGATE_PING_INTERVAL": "8s"}))
    assert told["workers"][0] == "3"
    assert told["workers"][1].endswith("gate.yaml:2")
    assert told["ping_interval"] == ("8s", "TIDEGATE_PING_INTERVAL")
    assert told["listen"] == ("127.0.0.1:3333", "--listen")
    assert told["admin"] == ("127.0.0.1:9080", "default")


def test_check_prints_the_routes(tmp_path):
    file = tmp_path / "gate.yaml"
    file.write_text("routes:\n  - path: /ws/nova/{item_id}\n    channel: nova:{item_id}\n", encoding="utf-8")
    told = run("check", "--config", file).stdout
    for word in ("/ws/cards", "/ws/execution/{execution_id}", "/ws/nova/{item_id}", "nova:{item_id}"):
        assert word in told


def test_check_masks_the_password():
    result = run("check", "--redis", "redis://user:s3cret@127.0.0.1:6379")
    assert result.returncode == 0
    assert "s3cret" not in result.stdout + result.stderr
    assert "127.0.0.1:6379" in result.stdout


def test_the_file_loses_to_the_environment_and_that_to_the_flag(tmp_path):
    file = tmp_path / "gate.yaml"
    file.write_text("log_level: debug\n", encoding="utf-8")
    environment = {"TIDEGATE_LOG_LEVEL": "warn"}
    assert sources(run("check", "--config", file))["log_level"][0] == "debug"
    assert sources(run("check", "--config", file, env=environment))["log_level"][0] == "warn"
    assert sources(run("check", "--config", file, "--log-level", "error", env=environment))["log_level"][0] == "error"


def test_the_file_may_be_named_by_the_environment(tmp_path):
    file = tmp_path / "gate.yaml"
    file.write_text("workers: 2\n", encoding="utf-8")
    assert sources(run("check", env={"TIDEGATE_CONFIG": str(file)}))["workers"][0] == "2"


def test_the_shipped_example_is_right():
    result = run("check", "--config", ROOT / "deploy" / "tidegate.yaml")
    assert result.returncode == 0, result.stderr


def test_a_port_that_is_taken_is_said_and_nothing_starts(start):
    gateway = start()
    for option, address in (("--listen", gateway.address), ("--admin", gateway.admin_address)):
        other = {"--listen": "--admin", "--admin": "--listen"}[option]
        result = run("serve", option, f"{address[0]}:{address[1]}", other, "127.0.0.1:0", seconds=20)
        assert result.returncode != 0
        assert str(address[1]) in result.stderr


def test_a_failed_start_is_a_line_of_the_log_where_the_log_is_json():
    done = run("serve", "--admin", "0.0.0.0:0", "--log-format", "json")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    told = json.loads(line)
    assert (told["level"], told["msg"]) == ("error", "cannot start") and "admin_token" in told["reason"]
    assert not run("check", "--admin", "0.0.0.0:0", "--log-format", "json").stderr.startswith("{")


def test_a_missing_source_of_randomness_is_named():
    """In a root where /dev has none, as in a container that was put together by hand."""
    if os.geteuid() != 0:
        pytest.skip("wants root, for a namespace of its own")
    done = subprocess.run(["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /dev && exec "$0" "$@"', BINARY, "serve",
                           "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
                          env=clean_environment(None))
    if "mount" in done.stderr and "permission" in done.stderr:
        pytest.skip("this kernel lets nobody mount")
    assert done.returncode == 1
    assert "/dev/urandom" in done.stderr and "memory" not in done.stderr


@pytest.mark.parametrize("closed", ["<&- >&- 2>&-", "2>&-", "<&-"])
def test_closed_standard_descriptors_are_not_taken_for_sockets(closed, tmp_path):
    """Whatever is opened next would get the number 2, and with it what is said to standard error."""
    links = tmp_path / "links"
    script = f'"$0" serve --listen 127.0.0.1:0 --admin 127.0.0.1:0 {closed} & pid=$!; ' \
             f'until readlink /proc/$pid/fd/6 >/dev/null; do kill -0 $pid || exit 1; done; ' \
             f'for fd in 0 1 2; do readlink /proc/$pid/fd/$fd; done >{links}; kill $pid; wait $pid'
    done = subprocess.run(["sh", "-c", script, BINARY], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL, timeout=60, check=False, env=clean_environment(None))
    assert done.returncode == 0
    assert links.read_text().split() == ["/dev/null"] * 3

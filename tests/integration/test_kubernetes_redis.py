"""
deploy/kubernetes/redis-sentinel and redis-cluster: what the manifests start is a Redis that fails over, and gateways follow it.

A pod is what its containers' shells start, on an address of its own below 127, which a new pod has not; `hostname` and
`getent` are the cluster's, a folder is the volume.
"""

import os
import random
import re
import shutil
import socket

import pytest
import redis
import yaml

from harness.gateway import ROOT, run
from harness.process import Process, clean_environment
from harness.wait import until

pytestmark = pytest.mark.plain

FOLDER = ROOT / "deploy/kubernetes"
PASSWORD = "hunter2hunter2"
PORTS = 6379, 16379, 26379  # the manifests' own
FAILOVER_SECONDS = 60  # an election in which nobody has the most votes is held again after 10 s
CLUSTER_SECONDS = 90   # who was away counts as failed for some node timeouts of 5 s


def load(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def is_free(address):
    for port in PORTS:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except OSError:
                return False
    return True


class Pods:
    """The pods of a StatefulSet. bare: names stand for addresses where Redis itself would have to resolve them."""

    def __init__(self, folder, directory, bare=()):
        self.manifests, self.directory, self.bare = FOLDER / folder, directory, bare
        spec = load(self.manifests / "statefulset.yaml")["spec"]
        self.names = [f"redis-{i}" for i in range(spec["replicas"])]
        self.containers = {one["name"]: one for one in spec["template"]["spec"]["containers"]}
        self.processes = {}
        self.addresses = {}
        self.password = PASSWORD
        self.move()

    def move(self):
        """The next pods have other addresses."""
        for _ in range(20):
            start = f"127.{random.randrange(2, 250)}.{random.randrange(250)}"
            self.addresses = {name: f"{start}.{i + 2}" for i, name in enumerate(self.names)}
            if all(map(is_free, self.addresses.values())):
                return
        pytest.skip(f"something listens on one of the ports {PORTS} at every address of this machine")

    def _tools(self, pod):
        """The cluster's names, in the place of the programs that ask for them."""
        folder = self.directory / f"{pod}-tools"
        folder.mkdir(exist_ok=True)
        cases = "\n".join(f'{name}.redis) echo "{address} $2" ;;' for name, address in self.addresses.items())
        for name, text in (("hostname", f"echo {pod}"), ("getent", f'case $2 in\n{cases}\n*) exit 2 ;; esac'),
                           ("sleep", f'exec {shutil.which("sleep")} 0.2')):
            (folder / name).write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
            (folder / name).chmod(0o755)
        return folder

    def environment(self, pod):
        paths = f"{self._tools(pod)}:{os.environ['PATH']}"
        return clean_environment({"PATH": paths, "REDISCLI_AUTH": self.password, "POD_IP": self.addresses.get(pod, "")})

    def script(self, container, pod=None):
        (text,) = container["args"]
        data = self.directory / pod if pod else None
        text = text.replace("/data", str(data))
        for name in self.bare:
            text = text.replace(f"{name}.redis", self.addresses[name])
        if self.bare:
            text = text.replace("$(hostname).redis", self.addresses.get(pod, ""))
        return text

    def start(self, pod, *names):
        """These containers of it, or all."""
        (self.directory / pod).mkdir(exist_ok=True)
        environment = self.environment(pod)
        for name, container in self.containers.items():
            if names and name not in names:
                continue
            text = self.script(container, pod).rstrip()
            if re.search(r"exec redis-server.*$", text, re.DOTALL):
                text += f" --bind {self.addresses[pod]}"
            self.processes[pod, name] = Process([*container["command"], text], self.directory / f"{pod}-tools", name, env=environment)

    def start_all(self, *names):
        for pod in self.names:
            self.start(pod, *names)

    def kill(self, pod):
        for name in self.containers:
            if (pod, name) in self.processes:
                self.processes.pop((pod, name)).kill_session()

    def kill_all(self):
        for pod in {pod for pod, _ in self.processes}:
            self.kill(pod)

    def client(self, pod, port=6379):
        return redis.Redis(self.addresses[pod], port, password=self.password, decode_responses=True)

    def ask(self, pod, *words, port=6379):
        try:
            return self.client(pod, port).execute_command(*words)
        except redis.RedisError:
            return None

    def url(self):
        """Of the instructions, with the password, and addresses for names."""
        text = (self.manifests / "kustomization.yaml").read_text(encoding="utf-8")
        url = re.search(r'redis-url="(.*?)"', text)[1].replace("$PASSWORD", self.password)
        for name, address in self.addresses.items():
            url = url.replace(f"{name}.redis", address)
        return url


@pytest.fixture
def pods(tmp_path):
    made = []

    def make(*arguments, **options):
        made.append(Pods(*arguments, tmp_path, **options))
        return made[-1]

    yield make
    for one in made:
        one.kill_all()


def roles(pods):
    return sorted((pods.ask(pod, "ROLE") or ["away"])[0] for pod in pods.names)


def is_whole(pods):
    """All sentinels know one primary, who follows it, and each other."""
    answers = [pods.ask(pod, "SENTINEL", "MASTER", "mymaster", port=26379) or [] for pod in pods.names]
    states = [dict(zip(answer[::2], answer[1::2])) for answer in answers]
    wanted = {"num-slaves": "2", "num-other-sentinels": "2", "flags": "master"}
    return all(wanted.items() <= state.items() for state in states) and \
        len({state["ip"] for state in states}) == 1


def test_three_servers_with_sentinels_fail_over_and_gateways_follow(pods, start):
    made = pods("redis-sentinel", bare=("redis-0",))
    made.start_all("redis")  # sentinels look for replicas at once, and then every 10 s
    until("two follow", lambda: roles(made) == ["master", "slave", "slave"])
    made.start_all("sentinel")
    until("they are one", lambda: is_whole(made), FAILOVER_SECONDS)
    gateway = start(redis=made.url())
    first = made.addresses["redis-0"]
    assert gateway.get("/ready").json()["broker"]["address"].startswith(first)
    made.kill("redis-0")
    until("another is the primary", lambda: not gateway.get("/ready").json()["broker"]["address"].startswith(first), FAILOVER_SECONDS)
    until("it is ready", lambda: gateway.get("/ready").status == 200, FAILOVER_SECONDS)


def test_servers_and_sentinels_go_by_another_password_when_all_start_again(pods):
    made = pods("redis-sentinel", bare=("redis-0",))
    made.start_all("redis")
    until("two follow", lambda: roles(made) == ["master", "slave", "slave"])
    made.start_all("sentinel")
    until("they are one", lambda: is_whole(made))
    for pod in made.names:
        for port in (6379, 26379):
            assert made.ask(pod, *(["CONFIG", "REWRITE"] if port == 6379 else ["SENTINEL", "FLUSHCONFIG"]), port=port) == "OK"
    made.kill_all()
    made.password = PASSWORD[::-1]
    made.start_all()
    until("they are one again", lambda: roles(made) == ["master", "slave", "slave"] and is_whole(made))
    made.password = PASSWORD
    assert not any(made.ask(pod, "PING", port=port) for pod in made.names for port in (6379, 26379))


def nodes(pods, pod):
    """What it says of all: address and name, flags, state of the link, slots."""
    lines = (pods.ask(pod, "CLUSTER", "NODES") or "").splitlines()
    return [(words[1], words[2], words[7], words[8:]) for words in (line.split(" ") for line in lines)]


def is_cluster(pods):
    for pod in pods.names:
        known = nodes(pods, pod)
        if len(known) != 6 or any("fail" in flags or "handshake" in flags or state != "connected" for _, flags, state, _ in known):
            return False
        if sum(bool(slots) for *_, slots in known) != 3 or {where.rpartition(",")[2] for where, *_ in known} != {f"{name}.redis" for name in pods.names}:
            return False
    return True


def test_six_servers_become_a_cluster_and_are_one_again_where_all_have_other_addresses(pods, tmp_path):
    made = pods("redis-cluster")
    made.start_all()
    job = load(made.manifests / "job.yaml")["spec"]["template"]["spec"]["containers"][0]
    until("all answer", lambda: all(made.ask(pod, "PING") for pod in made.names))
    for _ in range(2):  # the second finds it done
        text = made.script(job).replace("redis-0.redis", made.addresses["redis-0"])
        process = Process([*job["command"], text], tmp_path, "job", env=made.environment("redis-cluster"))
        assert process.wait() == 0, process.describe()
    until("they are one", lambda: is_cluster(made), CLUSTER_SECONDS)
    made.kill_all()
    made.move()
    made.start_all()
    until("they are one again", lambda: is_cluster(made), CLUSTER_SECONDS)
    result = run("check", env={"TIDEGATE_REDIS": made.url()})
    assert result.returncode == 0, result.stderr

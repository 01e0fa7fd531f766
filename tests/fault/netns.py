"""
A Redis, or a cluster, in a network namespace of its own, and a wire to it that can be broken.

The namespace lives as long as its servers, and the wire (a veth pair) as long as the namespace: nothing is left on the machine,
whatever becomes of us. Gateways reach it over the wire; whoever is not to be disturbed goes through its Unix sockets.
"""

import random
import shutil
import subprocess

import redis

from bench import NotHere
from harness.cluster import Cluster, ClusterRedis
from harness.process import WITH_US
from harness.redis_server import DurableRedis
from harness.wait import until

ALONE = ("unshare", "--net", "--")
EVERYWHERE = ("--bind", "0.0.0.0", "--protected-mode", "no")
WORDS = {
    "both": ("input", "output"),
    "to Redis": ("input",),
    "to the gateway": ("output",),
}


def check_permitted():
    """NotHere where this machine gives us no namespaces. A tool that is missing is no excuse."""
    tried = subprocess.run(["unshare", "--net", "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        raise NotHere(f"no network namespaces ({tried.stderr.strip()})")
    for tool in ("ip", "nft"):
        assert shutil.which(tool), f"{tool} is missing: deploy/deps.sh --test installs it"


class Wire:
    """From here to the namespace of a process, as long as that lives."""

    def __init__(self):
        check_permitted()
        self.number = random.randrange(1, 255 * 64)
        self.network = f"198.18.{self.number // 64}.{self.number % 64 * 4}"  # for measuring networks (RFC 2544)

    def _address(self, host):
        return f"{self.network.rpartition('.')[0]}.{int(self.network.rpartition('.')[2]) + host}"

    @property
    def far_address(self):
        return self._address(2)

    def lead_to(self, pid):
        self.pid = pid
        near, far = f"tgf{pid}a", f"tgf{pid}b"
        run("ip", "link", "add", near, "type", "veth", "peer", "name", far, "netns", pid)
        run("ip", "addr", "add", f"{self._address(1)}/30", "dev", near)
        run("ip", "link", "set", near, "up")
        self._inside("ip", "link", "set", "lo", "up")
        self._inside("ip", "addr", "add", f"{self.far_address}/30", "dev", far)
        self._inside("ip", "link", "set", far, "up")
        until("the wire is up", lambda: "LOWER_UP" in run("ip", "link", "show", near))

    def _inside(self, *words):
        return run("nsenter", "--target", self.pid, "--net", "--", *words)

    def cut(self, how):
        """"both", "to Redis", "to the gateway": what goes there is dropped. "blackhole": Redis has no way back."""
        if how == "blackhole":
            self._inside("ip", "route", "add", "blackhole", f"{self._address(1)}/32")
            return
        chains = "\n".join(f"chain {hook} {{ type filter hook {hook} priority 0; policy drop; }}" for hook in WORDS[how])
        self._inside("nft", f"table inet fault {{\n{chains}\n}}")

    def thin(self, percent):
        """So many of a hundred packets are dropped, each way."""
        chains = "\n".join(f"chain {hook} {{ type filter hook {hook} priority 0; {name} != lo numgen random mod 100 < {percent} drop; }}"
                           for hook, name in (("input", "iifname"), ("output", "oifname")))
        self._inside("nft", f"table inet fault {{\n{chains}\n}}")

    def mend(self, how=None):
        if how == "blackhole":
            self._inside("ip", "route", "del", "blackhole", f"{self._address(1)}/32")
        else:
            self._inside("nft", "delete table inet fault")


class NamespaceRedis(DurableRedis):
    options = (*DurableRedis.options, *EVERYWHERE)
    prefix = ALONE

    def __init__(self, directory):
        self.wire = Wire()
        super().__init__(directory)
        self.wire.lead_to(self.process.pid)

    def _run(self, port):
        process = super()._run(port)
        self.client = redis.Redis(unix_socket_path=self.socket_path)
        return process

    @property
    def url(self):
        return f"redis://{self.wire.far_address}:{self.port}"


class NamespaceClusterRedis(ClusterRedis):
    """The first of them has the namespace, the others join it there."""

    def __init__(self, directory, node_timeout_ms, wire, first):
        self.wire = wire
        self.prefix = ("nsenter", "--target", str(first.process.pid), "--net", "--") if first else ALONE
        super().__init__(directory, node_timeout_ms)

    def _announces(self):
        return "--cluster-announce-ip", self.wire.far_address, *EVERYWHERE

    def _run(self, port):
        process = super()._run(port)
        self.client = redis.Redis(unix_socket_path=self.socket_path)
        return process


class NamespaceCluster(Cluster):
    """All of it at the other end of one wire; whoever is not to be disturbed goes through the Unix sockets."""

    def __init__(self, directory, n=3, n_replicas=0):
        self.wire = Wire()
        super().__init__(directory, n, n_replicas, make=self._make)

    def _make(self, folder, node_timeout_ms):
        first = self.servers[0] if self.servers else None
        server = NamespaceClusterRedis(folder, node_timeout_ms, self.wire, first)
        if not first:
            self.wire.lead_to(server.process.pid)
        return server

    @property
    def url(self):
        return "redis://" + ",".join(f"{self.wire.far_address}:{server.port}" for server in self.primaries)


def run(*words):
    done = subprocess.run([*WITH_US, *map(str, words)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(map(str, words))}: {done.stderr.strip()}"
    return done.stdout

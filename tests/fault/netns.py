"""
A Redis in a network namespace of its own, and a wire to it that can be broken.

The namespace lives as long as its Redis, and the wire (a veth pair) as long as the namespace: nothing is left on the machine,
whatever becomes of us. Gateways reach it over the wire; whoever is not to be disturbed goes through its Unix socket.
"""

import random
import shutil
import subprocess

import redis

from bench import NotHere
from harness.process import WITH_US
from harness.redis_server import DurableRedis
from harness.wait import until

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


class NamespaceRedis(DurableRedis):
    options = (*DurableRedis.options, "--bind", "0.0.0.0", "--protected-mode", "no")
    prefix = ("unshare", "--net", "--")

    def __init__(self, directory):
        check_permitted()
        self.number = random.randrange(1, 255 * 64)
        self.network = f"198.18.{self.number // 64}.{self.number % 64 * 4}"  # for measuring networks (RFC 2544)
        super().__init__(directory)
        self._wire()

    def _run(self, port):
        process = super()._run(port)
        self.client = redis.Redis(unix_socket_path=self.socket_path)
        return process

    def _address(self, host):
        return f"{self.network.rpartition('.')[0]}.{int(self.network.rpartition('.')[2]) + host}"

    @property
    def url(self):
        return f"redis://{self._address(2)}:{self.port}"

    def _wire(self):
        near, far = f"tgf{self.process.pid}a", f"tgf{self.process.pid}b"
        run("ip", "link", "add", near, "type", "veth", "peer", "name", far, "netns", self.process.pid)
        run("ip", "addr", "add", f"{self._address(1)}/30", "dev", near)
        run("ip", "link", "set", near, "up")
        self._inside("ip", "addr", "add", f"{self._address(2)}/30", "dev", far)
        self._inside("ip", "link", "set", far, "up")
        until("the wire is up", lambda: "LOWER_UP" in run("ip", "link", "show", near))
        self.near = near

    def _inside(self, *words):
        return run("nsenter", "--target", self.process.pid, "--net", "--", *words)

    def break_wire(self, how):
        """"both", "to Redis", "to the gateway": what goes there is dropped. "blackhole": Redis has no way back."""
        if how == "blackhole":
            self._inside("ip", "route", "add", "blackhole", f"{self._address(1)}/32")
            return
        chains = "\n".join(f"chain {hook} {{ type filter hook {hook} priority 0; policy drop; }}" for hook in WORDS[how])
        self._inside("nft", f"table inet fault {{\n{chains}\n}}")

    def mend_wire(self, how):
        if how == "blackhole":
            self._inside("ip", "route", "del", "blackhole", f"{self._address(1)}/32")
        else:
            self._inside("nft", "delete table inet fault")


def run(*words):
    done = subprocess.run([*WITH_US, *map(str, words)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(map(str, words))}: {done.stderr.strip()}"
    return done.stdout

"""
Container: a process of the image, run by runc the way an engine would run it.

Program, arguments, user, environment, health check and stop signal are what the image says. Harder than most engines'
defaults: the root is read-only, there is no capability, no new privilege, no writable mount. The network is the test's
own, which tests/container/run.sh made for it.
"""

import json
import os
import pathlib
import subprocess

from harness import wait

IMAGE_FILES = pathlib.Path(os.environ.get("TIDEGATE_IMAGE_FILES", ""))
BASE_FILES = pathlib.Path(os.environ.get("TIDEGATE_BASE_FILES", ""))
SETTINGS = json.loads(pathlib.Path(os.environ["TIDEGATE_IMAGE"]).read_text(encoding="utf-8"))["Docker"]["config"]

# As container runtimes' default profiles do it.
NO_IO_URING = {
    "defaultAction": "SCMP_ACT_ALLOW",
    "syscalls": [{"names": ["io_uring_setup", "io_uring_enter", "io_uring_register"], "action": "SCMP_ACT_ERRNO"}],
}

MOUNTS = [
    {"destination": "/proc", "type": "proc", "source": "proc"},
    {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755", "size=64k", "ro"]},
]


def spec(program, words, user, environment, files, seccomp):
    """An OCI configuration. `files` are mounted: path inside -> path outside; for root, who makes some, they can be written."""
    uid, _, gid = user.partition(":")
    mode = "rw" if uid == "0" else "ro"
    binds = [{"destination": inside, "type": "bind", "source": str(outside), "options": ["bind", mode, "nosuid", "nodev"]}
             for inside, outside in files.items()]
    return {
        "ociVersion": "1.0.2",
        "root": {"path": str(IMAGE_FILES), "readonly": True},
        "hostname": "tidegate",
        "process": {
            "terminal": False,
            "args": [*program, *words],
            "cwd": SETTINGS["WorkingDir"],
            "env": [*SETTINGS["Env"], *(f"{name}={value}" for name, value in environment.items())],
            "user": {"uid": int(uid), "gid": int(gid)},
            "noNewPrivileges": True,
            "capabilities": {},
        },
        "mounts": [*MOUNTS, *binds],
        "linux": {
            "namespaces": [{"type": kind} for kind in ("pid", "ipc", "uts", "mount")],
            **({"seccomp": seccomp} if seccomp else {}),
        },
    }


class Container:
    """`service` is one of deploy/compose.yaml, whose entry point, command, user and variables then count."""

    def __init__(self, directory, name, words=None, environment=None, files=None, seccomp=None, service=None):
        service = service or {}
        program = service.get("entrypoint", SETTINGS["Entrypoint"])
        words = words or service.get("command", SETTINGS["Cmd"])
        user = service.get("user", SETTINGS["User"])
        environment = environment or service.get("environment", {})
        self.name = name
        self.bundle = directory / f"bundle-{name}"
        self.bundle.mkdir()
        self.runc = ["runc", "--root", str(directory / "runc")]
        # Compose's own escape.
        config = spec(program, [word.replace("$$", "$") for word in words], user, environment, files or {}, seccomp)
        (self.bundle / "config.json").write_text(json.dumps(config), encoding="utf-8")
        self.output_path = self.bundle / "output"
        with open(self.output_path, "wb") as output:
            self.popen = subprocess.Popen([*self.runc, "run", "--bundle", str(self.bundle), name], stdin=subprocess.DEVNULL,
                                          stdout=output, stderr=subprocess.STDOUT)

    def output(self):
        return self.output_path.read_text(encoding="utf-8", errors="replace")

    def execute(self, *words):
        """A command inside, as its user: how it ended, and what it said."""
        return subprocess.run([*self.runc, "exec", self.name, *words], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=wait.PATIENCE_SECONDS, check=False)

    def health(self):
        kind, *words = SETTINGS["Healthcheck"]["Test"]
        assert kind == "CMD", "a health check that needs a shell"
        return self.execute(*words)

    def signal(self, name):
        subprocess.run([*self.runc, "kill", self.name, name], check=True, capture_output=True)

    def wait(self):
        return self.popen.wait(wait.PATIENCE_SECONDS)

    def remove(self):
        subprocess.run([*self.runc, "delete", "--force", self.name], check=False, capture_output=True)
        self.popen.kill()
        self.popen.wait()

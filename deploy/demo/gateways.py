"""The gateways of deploy/local.sh, which may be killed from the page. Anywhere else there is no list of them, and nothing to kill."""

import json
import os
import pathlib
import signal
import urllib.request

from tidegate import ActionError


class Gateways:
    """TIDEGATE_DEMO_GATEWAYS names a folder with a file for each that deploy/local.sh started: its public port, its admin port, its process."""

    def __init__(self):
        self.folder = os.environ.get("TIDEGATE_DEMO_GATEWAYS")

    def seen_from(self, action):
        """What a page is told: on which node it is, and where the others are."""
        is_local = self._is_local(action)
        return {"node": self._node_of(action), "ports": [port for port, _, _ in self._all()] if is_local else [], "may_kill": is_local}

    def kill(self, action):
        """A node, as if its machine had lost its power. By its name: said again on another node, this does not kill that one as well."""
        for _, admin, process in self._all() if self._is_local(action) else []:
            if self._name(admin) == action.data.get("node"):
                os.kill(process, signal.SIGKILL)
                return None
        raise ActionError("not_here", "only deploy/local.sh lets a page kill a gateway")

    def _all(self):
        files = sorted(pathlib.Path(self.folder).iterdir()) if self.folder else []
        return [tuple(map(int, file.read_text(encoding="ascii").split())) for file in files]

    def _is_local(self, action):
        """Other gateways may share the Redis, and their pages the worker."""
        return self._node_of(action) in [self._name(admin) for _, admin, _ in self._all()]

    @staticmethod
    def _node_of(action):
        return action.conn.partition(".")[0]

    @staticmethod
    def _name(admin):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{admin}/status", timeout=2) as answer:
                return json.load(answer)["node"]
        except (OSError, ValueError):
            return None  # it is gone already

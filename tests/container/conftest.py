"""
Fixtures of the container tests: `run` starts containers of the image that tests/container/run.sh has built.
"""

import fcntl
import http.client
import pathlib
import socket
import struct
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "integration"), str(pathlib.Path(__file__).parent)]

# pylint: disable=wrong-import-position
from harness import wait  # noqa: E402

SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1


@pytest.fixture(scope="session", autouse=True)
def loopback():
    """The network namespace is new, and its loopback is down."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(any_socket, SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | IFF_UP))


@pytest.fixture
def run(tmp_path):
    """run(…) is a running Container; what it said is shown when the test fails."""
    from container import Container

    started = []

    def run_one(**settings):
        settings.setdefault("name", f"container-{len(started)}")
        started.append(Container(tmp_path, **settings))
        return started[-1]

    yield run_one
    for container in started:
        print(f"--- {container.name} said:\n{container.output()}")
        container.remove()


def get(path, host="127.0.0.1", port=9080, headers=None):
    """The status of GET path on an admin listener, or None where nobody listens."""
    connection = http.client.HTTPConnection(host, port, timeout=wait.PATIENCE_SECONDS)
    try:
        connection.request("GET", path, headers=headers or {})
        return connection.getresponse().status
    except ConnectionRefusedError:
        return None
    finally:
        connection.close()

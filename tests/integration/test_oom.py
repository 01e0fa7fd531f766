"""Allocations that fail: the gateway says so and does not start, or refuses and serves the next client. It never dies of it."""

import subprocess
import sys

import pytest

from harness.gateway import BINARY, ROOT
from harness.process import clean_environment

# The failing malloc is preloaded, and a sanitizer has a malloc of its own. tests/oom/run.py --wrapped looks under one.
pytestmark = pytest.mark.plain

SAMPLE = 12
# Each was once the death of a gateway, or its silence: libyaml without memory for the document, no memory for the log.
FOUND = [75, 153, 236, 284, 334, 428, 432]


def session(*words):
    run = subprocess.run([sys.executable, "-B", ROOT / "tests" / "oom" / "run.py", *map(str, words)], check=False, text=True,
                         env=clean_environment({"TIDEGATE_BIN": str(BINARY)}), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert run.returncode == 0, run.stdout
    return run.stdout.splitlines()[-1]


def test_a_session_survives_whichever_allocation_fails(figure):
    figure("a sample of failing allocations", session("--sample", SAMPLE))


def test_a_session_over_tls_survives_it_too(figure):
    figure("a sample of failing allocations, over TLS", session("--tls", "--sample", SAMPLE // 4, "--seed", 1))


def test_one_failed_allocation_does_not_end_tls_for_good(figure):
    """OpenSSL remembers for good that it could not find an algorithm, were it for want of memory."""
    figure("allocations in the first handshakes", session("--tls", "--once", 78, 192, 196, 227, 250, 254, "--every", 63, 65, 79, 87))


def test_what_was_once_found(figure):
    figure("allocations that were once the end", session("--start", *FOUND))

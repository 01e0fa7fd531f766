"""
Wait: until something is true, never for a time.

A test that sleeps is slow when it passes and flaky when it does not. Everything here asks again until it is
told yes, and says what it waited for when the deadline passes.
"""

import os
import time

SANITIZER = os.environ.get("TIDEGATE_TEST_SANITIZER", "none")

# A deadline says "this will never come", so it may be generous: it costs only a test that fails. Instrumented
# binaries on a busy machine with two cores are some ten times slower than plain ones.
PATIENCE_SECONDS = 24 if SANITIZER == "none" else 50

ASK_AGAIN_SECONDS = 0.01


class Timeout(AssertionError):
    """What was waited for did not come."""


def until(what, probe, seconds=PATIENCE_SECONDS):
    """Calls probe() until it returns something true, and returns that."""
    deadline = time.monotonic() + seconds
    while True:
        answer = probe()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise Timeout(f"not within {seconds} s: {what}")
        time.sleep(ASK_AGAIN_SECONDS)


def pass_time(seconds):
    """Where the time itself is what a test is about: a process that stood still so long, what is used meanwhile."""
    until_then = time.monotonic() + seconds
    until(f"{seconds} s are over", lambda: time.monotonic() > until_then, seconds + PATIENCE_SECONDS)


def sized(plain, sanitized):
    """How many of something: all of them, or as many as an instrumented binary carries in the same time."""
    return plain if SANITIZER == "none" else sanitized

"""
A worker of the Python package that journals what it reads and what it does, a line each, so that kill -9 loses none:
`read ENTRY ID ACTOR NUMBER`, `done ACTOR NUMBER`.

argv: the port of Redis, the stream, the journal, the seconds after which it takes over, how answers are published: log or plain.
"""

import os
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "src/clients/python"))

# pylint: disable=wrong-import-position
import redis  # noqa: E402
from tidegate import Worker  # noqa: E402
from tidegate.action import read_entry  # noqa: E402

WORK_SECONDS = 0.02

port, stream, path, claim_seconds, how = sys.argv[1:]
journal = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)


def note(*words):
    os.write(journal, (" ".join(map(str, words)) + "\n").encode())


class Plain:
    """The control run: a PUBLISH, and no log."""

    def __init__(self, client):
        self.client = client

    def publish(self, channel, event, key):
        self.client.publish(channel, event)

    def close(self):
        pass


class Journaling(Worker):
    def _take(self, entries):
        entries = list(entries)
        for entry, raw in entries:
            action = read_entry(entry, raw)
            note("read", action.entry, action.id, action.data["actor"], action.data["number"])
        return super()._take(entries)


worker = Journaling(redis.Redis(port=int(port)), stream, claim_seconds=float(claim_seconds))
if how == "plain":
    worker.publisher = Plain(worker.client)


@worker.action("work", once=True)
def work(action):
    time.sleep(WORK_SECONDS)
    note("done", action.data["actor"], action.data["number"])
    return action.data["number"]


worker.run()

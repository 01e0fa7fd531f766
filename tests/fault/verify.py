"""
The verifier: joins the publisher's journal, the final logs and the clients' journals.

  I1, I2  after its last base a client has every entry of the log, in order, once, and nothing else
  I3      what it has is what was written: number and tag as in the log, and of its own channel
  I4      what was acknowledged to the publisher is in the log once
"""

import json


class Verdict:
    """Counts of what went wrong; all zero is as promised."""

    def __init__(self):
        self.lost = 0          # entries that a client should have and has not
        self.wrong = 0         # that it has and the log has not, or in another order
        self.doubled = 0       # that came again
        self.wrong_base = 0    # "recovered", from somewhere else than the client had been
        self.unacked = 0       # acknowledged and not in the log once
        self.n_compared = self.n_acked = 0


def read_logs(client, channels):
    """{channel: [(offset, tag, number)]} as Redis has it at the end."""
    logs = {}
    for channel in channels:
        entries = client.xrange(f"tg:s:{{{channel}}}")
        logs[channel] = [(*map(int, entry.split(b"-")), json.loads(fields[b"d"])["data"]["number"])
                         for entry, fields in entries]
    return logs


def check_client(client, log, verdict):
    start = client.base[1] if client.base else 0
    wanted = [entry for entry in log if entry[0] > start]
    heard = [entry[:3] for entry in client.heard if entry[3] == client.channel]
    verdict.n_compared += len(wanted)
    verdict.doubled += client.n_doubled
    verdict.wrong_base += client.n_wrong_base
    if heard == wanted and len(heard) == len(client.heard):
        return
    verdict.lost += len(set(wanted) - set(heard))
    verdict.wrong += len(client.heard) - len(set(heard) & set(wanted))
    if set(heard) == set(wanted) and heard != wanted:
        verdict.wrong += 1


def verify(clients, logs, acked=()):
    verdict = Verdict()
    for client in clients:
        if client.base or client.aware:
            check_client(client, logs[client.channel], verdict)
    times = {}
    for channel, log in logs.items():
        for _, _, number in log:
            times[channel, number] = times.get((channel, number), 0) + 1
    verdict.n_acked = len(acked)
    verdict.unacked = sum(times.get((channel, number), 0) != 1 for channel, number, _ in acked)
    return verdict

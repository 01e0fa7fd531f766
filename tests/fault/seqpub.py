"""
The publisher: entries 1, 2, 3 … of each of many channels at a steady rate, each repeated under one key until Redis has
acknowledged it. A program of its own, so that it is not slowed down by the clients.

  seqpub.py PORT CHANNELS RATE JOURNAL     until SIGTERM; then what is pending is finished and the journal written

The journal is one JSON object: "acked" has [channel, number, entry] for each.
"""

import json
import signal
import sys
import time

import redis

SIZE = 1_000_000  # nothing is trimmed: the final log is the truth that clients are compared with
TTL_MS = 86_400_000
KEY_TTL_MS = 120_000
BATCH_MAX = 100
PAUSE_SECONDS = 0.02
PAYLOAD_BYTES = 256


def channel_name(index):
    return f"fault:{index}"


def command(channel, number, writer="w"):
    """The words of one publication."""
    body = json.dumps({"type": "n", "data": {"channel": channel, "number": number}})
    body = body[:-2] + ',"pad":"' + "x" * max(0, PAYLOAD_BYTES - len(body) - 10) + '"}}'
    return ("FCALL", "tidegate_publish", 3, f"tg:s:{{{channel}}}", f"tg:m:{{{channel}}}",
            f"tg:i:{{{channel}}}:{writer}-{number}", body, channel, "publish", SIZE, TTL_MS, "abcdefgh", KEY_TTL_MS)


def send(client, publications):
    """One pipeline. Returns those that were acknowledged, as journal entries, and those to be tried again."""
    try:
        pipe = client.pipeline(transaction=False)
        for channel, number in publications:
            pipe.execute_command(*command(channel, number))
        answers = pipe.execute(raise_on_error=False)
    except (redis.ConnectionError, redis.TimeoutError):
        client.connection_pool.disconnect()
        return [], publications
    acked, again = [], []
    for (channel, number), answer in zip(publications, answers):
        if isinstance(answer, Exception):
            again.append((channel, number))
        else:
            acked.append((channel, number, answer[0].decode()))
    return acked, again


class Publisher:
    def __init__(self, port, n_channels, rate):
        self.client = redis.Redis(port=port, socket_timeout=2, socket_connect_timeout=2)
        self.n_channels, self.rate = n_channels, rate
        self.n_begun = 0
        self.acked = []
        self.ending = False
        self.began = time.monotonic()

    def due(self):
        """The next publications by the clock. What an outage delayed is not made up for in a burst."""
        wanted = int((time.monotonic() - self.began) * self.rate)
        if wanted - self.n_begun > BATCH_MAX:
            self.began += (wanted - self.n_begun - BATCH_MAX) / self.rate
            wanted = self.n_begun + BATCH_MAX
        indexes = range(self.n_begun, wanted)
        self.n_begun = wanted
        return [(channel_name(i % self.n_channels), i // self.n_channels + 1) for i in indexes]

    def run(self):
        pending = []
        while pending or not self.ending:
            pending = pending or self.due()
            acked, pending = send(self.client, pending) if pending else ([], [])
            self.acked += acked
            if not acked or len(acked) < BATCH_MAX:
                time.sleep(PAUSE_SECONDS)


def main():
    _, port, n_channels, rate, journal = sys.argv
    publisher = Publisher(int(port), int(n_channels), int(rate))

    def end(*_):
        publisher.ending = True

    signal.signal(signal.SIGTERM, end)
    publisher.run()
    with open(journal, "w", encoding="utf-8") as out:
        json.dump({"acked": publisher.acked}, out)


if __name__ == "__main__":
    main()

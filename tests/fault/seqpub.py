"""
The publisher: entries 1, 2, 3 … of each of many channels at a steady rate, each repeated under one key until Redis has
acknowledged it. A program of its own, so that it is not slowed down by the clients.

  seqpub.py SOCKET CHANNELS RATE JOURNAL PAYLOAD     until SIGTERM; then what is pending is finished and the journal written

It goes through the Unix socket of Redis, so that what is done to the network of the gateways is not done to it. The journal
is one JSON object: "acked" has [channel, number, entry] for each, "refused" how often Redis said which error.
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


def channel_name(index):
    return f"fault:{index}"


def command(channel, number, writer="w", payload_bytes=256):
    """The words of one publication."""
    body = json.dumps({"type": "n", "data": {"channel": channel, "number": number}})
    body = body[:-2] + ',"pad":"' + "x" * max(0, payload_bytes - len(body) - 10) + '"}}'
    return ("FCALL", "tidegate_publish", 3, f"tg:s:{{{channel}}}", f"tg:m:{{{channel}}}",
            f"tg:i:{{{channel}}}:{writer}-{number}", body, channel, "publish", SIZE, TTL_MS, "abcdefgh", KEY_TTL_MS)


def send(client, publications, payload_bytes=256, refused=None):
    """One pipeline. Returns those that were acknowledged, as journal entries, and those to be tried again."""
    try:
        pipe = client.pipeline(transaction=False)
        for channel, number in publications:
            pipe.execute_command(*command(channel, number, payload_bytes=payload_bytes))
        answers = pipe.execute(raise_on_error=False)
    except (redis.ConnectionError, redis.TimeoutError):
        client.connection_pool.disconnect()
        return [], publications
    acked, again = [], []
    for (channel, number), answer in zip(publications, answers):
        if isinstance(answer, Exception):
            again.append((channel, number))
            if refused is not None:
                refused[error_name(answer)] = refused.get(error_name(answer), 0) + 1
        else:
            acked.append((channel, number, answer[0].decode()))
    return acked, again


def error_name(error):
    """The first word, as Redis says it; redis-py takes some of them off."""
    return str(error).split(" ", 1)[0] if type(error) is redis.ResponseError else type(error).__name__  # pylint: disable=unidiomatic-typecheck


class Publisher:
    def __init__(self, path, n_channels, rate, payload_bytes):
        self.client = redis.Redis(unix_socket_path=path, socket_timeout=2)
        self.n_channels, self.rate, self.payload_bytes = n_channels, rate, payload_bytes
        self.refused = {}
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
            acked, pending = send(self.client, pending, self.payload_bytes, self.refused) if pending else ([], [])
            self.acked += acked
            if not acked or len(acked) < BATCH_MAX:
                time.sleep(PAUSE_SECONDS)


def main():
    _, path, n_channels, rate, journal, payload_bytes = sys.argv
    publisher = Publisher(path, int(n_channels), int(rate), int(payload_bytes))

    def end(*_):
        publisher.ending = True

    signal.signal(signal.SIGTERM, end)
    print("begun", flush=True)
    publisher.run()
    with open(journal, "w", encoding="utf-8") as out:
        json.dump({"acked": publisher.acked, "refused": publisher.refused}, out)


if __name__ == "__main__":
    main()

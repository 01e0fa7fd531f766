"""
The publisher for a cluster: entries 1, 2, 3 … of each of many channels at a steady rate, sent to whoever has the channel's slot.

  clusterpub.py SERVERS KIND CHANNELS RATE JOURNAL     until SIGTERM; then what is pending is finished and the journal written

SERVERS are PORT=SOCKET each, with commas between: what is done to the network of the gateways is not done to it. KIND is log (FCALL of the library, each repeated under one key until it is acknowledged),
spublish, or publish (at the last of the servers, whoever has the slot). A channel of a log is fault:NUMBER, others are KIND:NUMBER. The
journal is one JSON object: "acked" has [channel, number, entry or None] for each, "seconds" how long each of them took, however often it
had to be repeated.
"""

import json
import signal
import sys
import time

import redis
from seqpub import BATCH_MAX, PAUSE_SECONDS, command

REST_SECONDS = 0.1  # for one that did not answer
TIMEOUT_SECONDS = 0.5


def crc16(text):
    crc = 0
    for byte in text.encode():
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xFFFF
    return crc


class Publisher:
    def __init__(self, sockets, kind, n_channels, rate):
        self.clients = {port: redis.Redis(unix_socket_path=path, socket_timeout=TIMEOUT_SECONDS) for port, path in sockets.items()}
        self.kind, self.n_channels, self.rate = kind, n_channels, rate
        self.prefix = "fault" if kind == "log" else kind
        self.slots = {name: crc16(name) % 16384 for name in (f"{self.prefix}:{i}" for i in range(n_channels))}
        self.owners, self.resting = {}, {}
        self.last_port = list(sockets)[-1]
        self.acked, self.pending, self.ending = [], [], False
        self.n_begun, self.began, self.seconds = 0, time.monotonic(), []
        self.look()

    def look(self):
        """Who has which slots, by whoever answers."""
        for port, client in self.clients.items():
            if self.resting.get(port, 0) > time.monotonic():
                continue
            try:
                ranges = client.execute_command("CLUSTER SLOTS")
            except redis.RedisError:
                self.rest(port)
                continue
            for name, slot in self.slots.items():
                self.owners[name] = next((said[1] for first, last, said, *_ in ranges if first <= slot <= last), None)
            return

    def rest(self, port):
        self.clients[port].connection_pool.disconnect()
        self.resting[port] = time.monotonic() + REST_SECONDS

    def due(self):
        """By the clock. What an outage delayed is not made up for in a burst."""
        wanted = int((time.monotonic() - self.began) * self.rate)
        if wanted - self.n_begun > BATCH_MAX:
            self.began += (wanted - self.n_begun - BATCH_MAX) / self.rate
            wanted = self.n_begun + BATCH_MAX
        indexes, self.n_begun, now = range(self.n_begun, wanted), wanted, time.monotonic()
        return [(f"{self.prefix}:{i % self.n_channels}", i // self.n_channels + 1, now) for i in indexes]

    def words(self, channel, number):
        if self.kind == "log":
            return [word if word != "publish" else "spublish" for word in command(channel, number)]
        return [self.kind.upper(), channel, json.dumps({"type": "plain", "data": {"channel": channel, "number": number}})]

    def send(self, port, publications):
        """Those that were not acknowledged."""
        client, again = self.clients[port], []
        pipe = client.pipeline(transaction=False)
        for channel, number, _ in publications:
            pipe.execute_command(*self.words(channel, number))
        try:
            answers = pipe.execute(raise_on_error=False)
        except (redis.ConnectionError, redis.TimeoutError):
            self.rest(port)
            self.look()
            return publications if self.kind == "log" else []  # it may have been published: what has no key is not said twice
        for publication, answer in zip(publications, answers):
            if isinstance(answer, Exception):
                answer = self.follow(publication, answer)
            if isinstance(answer, Exception):
                again.append(publication)
            else:
                self.acked.append((*publication[:2], answer[0].decode() if self.kind == "log" else None))
                self.seconds.append(round(time.monotonic() - publication[2], 4))
        return again

    def follow(self, publication, error):
        """Where it was sent on to, at once (ASK) or with the next turn (MOVED). (A pipeline has no classes for these errors.)"""
        word, _, place = (str(error).split() + ["", ""])[:3]
        if word not in ("MOVED", "ASK"):
            return error
        port = int(place.rpartition(":")[2])
        if word == "MOVED":
            self.owners[publication[0]] = port
            return error
        try:
            pipe = self.clients[port].pipeline(transaction=False)
            pipe.execute_command("ASKING")
            pipe.execute_command(*self.words(*publication[:2]))
            return pipe.execute(raise_on_error=False)[1]
        except redis.RedisError as failure:
            return failure

    def turn(self):
        self.pending += [] if self.ending else self.due()
        by_port, waits = {}, []
        for publication in self.pending:
            port = self.last_port if self.kind == "publish" else self.owners[publication[0]]
            if port is None or self.resting.get(port, 0) > time.monotonic():
                waits.append(publication)
            else:
                by_port.setdefault(port, []).append(publication)
        if waits and not by_port:
            self.look()
        for port, publications in by_port.items():
            waits += self.send(port, publications)
        self.pending = sorted(waits, key=lambda publication: publication[1])
        return len(waits)

    def run(self):
        while self.pending or not self.ending:
            self.turn()
            time.sleep(PAUSE_SECONDS)


def main():
    _, servers, kind, n_channels, rate, journal = sys.argv
    sockets = {int(port): path for port, path in (server.split("=") for server in servers.split(","))}
    publisher = Publisher(sockets, kind, int(n_channels), int(rate))

    def end(*_):
        publisher.ending = True

    signal.signal(signal.SIGTERM, end)
    print("begun", flush=True)
    publisher.run()
    with open(journal, "w", encoding="utf-8") as out:
        json.dump({"acked": publisher.acked, "seconds": publisher.seconds}, out)


if __name__ == "__main__":
    main()

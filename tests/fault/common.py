"""
What faults share: who listens and publishes, and the questions that are asked of logs and crowds.
"""

import json
import signal

from bench import RATE, SETTLE_SECONDS, DurableRedis
from seqpub import channel_name, send
from verify import read_logs, verify

WARM_UP_SECONDS = (8, 2)  # full, short


def names(n):
    return [channel_name(i) for i in range(n)]


def tops(server, channels):
    pipe = server.client.pipeline(transaction=False)
    for channel in channels:
        pipe.hget(f"tg:m:{{{channel}}}", "n")
    return {channel: int(top or 0) for channel, top in zip(channels, pipe.execute())}


def one_more(offsets):
    """Who has these has heard of something that was published since."""
    return {channel: top + 1 for channel, top in offsets.items()}


def settled(crowd, clients=None):
    return lambda: all(client.open and client.settled for client in clients or crowd.clients)


def reached(clients, wanted):
    """All of them have what was in the logs then."""
    def look():
        return all(client.pos and client.pos[1] >= wanted[client.channel] for client in clients)
    return look


def p99(seconds):
    """None: there are none."""
    return sorted(seconds)[int(len(seconds) * 0.99)] if seconds else None


def reads_of_ranges(server):
    """Entries were asked for so often; looks at a tail do not count."""
    return server.client.info("commandstats").get("cmdstat_xrange", {}).get("calls", 0)


def finish_publishing(bench, crowd, server, publisher, channels, clients):
    """The publisher ends, everybody gets the rest; what was acknowledged."""
    process, journal = publisher
    process.signal(signal.SIGTERM)
    crowd.run_until(lambda: not process.alive(), SETTLE_SECONDS)
    process.end()
    wanted = tops(server, channels)
    if crowd.run_until(reached(clients, wanted), SETTLE_SECONDS) is None:
        bench.row("everybody reaches the tops in the end", "yes", "no", False)
    crowd.run_for(0.3)  # what comes twice comes late
    return json.loads(journal.read_text(encoding="utf-8"))["acked"]


def publish_each(server, channels, numbers):
    """These numbers to each channel, through the keys of the publisher."""
    pending = [(channel, number) for number in numbers for channel in channels]
    while pending:
        acked, again = send(server.client, pending[:500])
        pending = again + pending[500:]
        assert acked, "Redis refuses"


def told(clients, *whats):
    return sum(one in whats for client in clients for one in client.told)


def false_alarms(clients):
    return sum(kind in ("not_recovered", "resync") for client in clients for kind, _ in client.told)


class Listening:
    """Redis, gateways, and a crowd that listens and is being published to."""

    def __init__(self, bench, n_gateways=2, unaware=0.3, n_channels=200, n_clients=None, server=None, url=None,
                 payload_bytes=256, rate=RATE, kind=DurableRedis, options=(), half_streams=False):
        self.bench = bench
        self.server = server or bench.redis(kind=kind)
        self.channels = names(n_channels)
        self.gateways = [bench.gateway(url or self.server, f"gateway-{i}", *options) for i in range(n_gateways)]
        self.crowd = bench.crowd(*self.gateways)
        n_clients = n_clients or bench.sized(1000, 300)
        n_unaware = int(n_clients * unaware)
        self.crowd.add(n_clients - n_unaware, self.channels, half_streams=half_streams)
        self.crowd.add(n_unaware, self.channels, aware=False)
        assert self.crowd.run_until(settled(self.crowd), SETTLE_SECONDS) is not None, "the crowd does not get in"
        self.publisher = bench.publisher(self.server, n_channels, rate, payload_bytes)
        self.hygiene = bench.watch(*self.gateways)
        self.crowd.run_for(bench.sized(*WARM_UP_SECONDS))

    @property
    def n_streams(self):
        return sum(client.streams for client in self.clients)

    @property
    def clients(self):
        return self.crowd.clients

    def catch_up(self, clients=None):
        """The fault is over: how long until everybody has what is published from now on."""
        self.hygiene.over()
        wanted = one_more(tops(self.server, self.channels))
        seconds = self.crowd.run_until(reached(clients or self.clients, wanted), SETTLE_SECONDS)
        self.hygiene.settled()
        return seconds

    def end(self, clients=None, alarms=True, disconnects=True, acked=True, what=None):
        """Publishing ends, and what everybody has is compared with the logs."""
        bench, clients = self.bench, clients or self.clients
        bench.hygienic(self.crowd.run_until)
        self.crowd.run_for(bench.sized(5, 0))
        journal = finish_publishing(bench, self.crowd, self.server, self.publisher, self.channels, clients)
        verdict = verify(clients, read_logs(self.server.client, self.channels), journal if acked else ())
        bench.verified(what or f"{len(clients)} clients", verdict)
        if disconnects:
            bench.at_most("disconnected", 0, sum(client.n_disconnects for client in clients))
        if alarms:
            bench.at_most("false alarms", 0, false_alarms(clients))
        return verdict

"""
F20: what TLS to Redis costs the thread that hears it. Two gateways hear the same events of the same Redis, one of them over TLS.
"""

import json
import pathlib
import statistics

from fault import Fault
from harness.authority import Authority
from harness.ports import free_port
from harness.redis_server import RedisServer
from harness.wait import until

ROUNDS = 12
EVENTS = {64: 20_000, 1: 3000}  # of a round, by how many are in flight
MORE = 1.3  # times


class BothRedis(RedisServer):
    """Speaks TLS on a second port."""

    def __init__(self, directory, authority):
        certificate, key = authority.issue("redis", "IP:127.0.0.1")
        self.tls_port = free_port()
        self.options = ("--tls-port", self.tls_port, "--tls-ca-cert-file", authority.certificate, "--tls-cert-file", certificate,
                        "--tls-key-file", key, "--tls-auth-clients", "no")
        super().__init__(directory)


def bus_seconds(gateway):
    """Of the CPU, that its first thread has had: the bus."""
    pid = gateway.process.pid
    return int(pathlib.Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()[0]) / 1e9


def publish_and_hear(server, peers, n, in_flight):
    """Returns when both have all of them."""
    pipe = server.client.pipeline(transaction=False)
    for at in range(0, n, in_flight):
        for number in range(at, at + in_flight):
            pipe.publish("cost", json.dumps({"type": "n", "data": {"number": number, "pad": "x" * 100}}))
        pipe.execute()
        for peer in peers:
            for _ in range(in_flight):
                peer.receive_text()


def cost(server, gateways, peers, in_flight, n):
    """Microseconds of the bus an event, of each of them."""
    before = [bus_seconds(gateway) for gateway in gateways]
    publish_and_hear(server, peers, n, in_flight)
    return [(bus_seconds(gateway) - seconds) / n * 1e6 for gateway, seconds in zip(gateways, before)]


def f20(bench):
    """the same events by two gateways, one of them over TLS to Redis"""
    bench.routes("topics: []\nroutes:\n  - {path: /ws/cost, channel: cost}\n")
    authority = Authority(bench.directory)
    folder = bench.directory / "redis"
    folder.mkdir()
    server = BothRedis(folder, authority)
    bench.ends.append(server.stop)
    plain = bench.gateway(server, "plain")
    over_tls = bench.gateway(f"rediss://127.0.0.1:{server.tls_port}", "tls", "--redis-ca", authority.certificate)
    peers = [gateway.connect("/ws/cost") for gateway in (plain, over_tls)]
    until("both are subscribed", lambda: server.subscribers("cost") == 2)
    for in_flight, n in EVENTS.items():
        n = bench.sized(n, n // 10) // in_flight * in_flight
        publish_and_hear(server, peers, n // 2 // in_flight * in_flight, in_flight)
        costs = [cost(server, (plain, over_tls), peers, in_flight, n) for _ in range(bench.sized(ROUNDS, 3))]
        without = statistics.median(cost_plain for cost_plain, _ in costs)
        bench.at_most(f"CPU of the bus, {in_flight} in flight ({without:.2f} µs an event without TLS)", MORE,
                      round(statistics.median(tls / cost_plain for cost_plain, tls in costs), 2), " times")


FAULTS = (Fault("f20", f20, full_only=True),)

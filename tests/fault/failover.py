"""
Another Redis takes over: F4b one that is behind, F4c one that does not answer at first.
"""

from bench import SETTLE_SECONDS
from common import Listening, names, publish_each, reached, settled, told, tops
from fault import Control, Fault
from seqcheck import Client
from verify import read_logs, verify

RETRACTED = 3
REFUSALS = (1, 2, 3)  # attempts that find nobody listening, in turn


def forge_positions(crowd, logs):
    """What a counter alone would say: the offset of the client, with whatever the new branch has there."""
    tags = {(channel, offset): tag for channel, log in logs.items() for offset, tag, _ in log}
    crowd.position_of = lambda client: ".".join(
        map(str, (client.pos[0], client.pos[1], tags[client.channel, client.pos[1]])))


def f4b(bench, has_tags=True):
    """a replica that is 3 entries a channel behind is promoted"""
    n_channels, n_clients = 50, bench.sized(400, 200)
    primary, replica, channels = bench.redis("primary"), bench.redis("replica"), names(n_channels)
    replication, front = bench.proxy(primary.port), bench.proxy(primary.port)
    replica.follow(primary, replication.port)
    gateway = bench.gateway(f"redis://127.0.0.1:{front.port}")
    crowd, hygiene = bench.crowd(gateway), bench.watch(gateway)
    crowd.add(n_clients, channels)
    stay, ahead = crowd.clients[:n_clients // 2], crowd.clients[n_clients // 2:]
    assert crowd.run_until(settled(crowd), SETTLE_SECONDS) is not None, "the crowd does not get in"
    publish_each(primary, channels, range(1, 11))
    assert primary.client.wait(1, 5000) == 1, "the replica has not got it"
    replication.stall()
    publish_each(primary, channels, range(11, 11 + RETRACTED))
    assert crowd.run_until(reached(crowd.clients, tops(primary, channels)), SETTLE_SECONDS) is not None
    hygiene.begin(1.5)
    crowd.leave(ahead)
    primary.kill()
    crowd.run_for(bench.sized(2, 1.5))
    replica.client.replicaof("NO", "ONE")
    publish_each(replica, channels, range(101, 106))
    hygiene.over()
    front.lead_to(replica.port)
    if not has_tags:
        forge_positions(crowd, read_logs(replica.client, channels))
    crowd.come_back(ahead)
    crowd.run_until(settled(crowd), SETTLE_SECONDS)
    publish_each(replica, channels, range(106, 111))
    in_time = crowd.run_until(reached(crowd.clients, tops(replica, channels)), SETTLE_SECONDS)
    hygiene.settled()
    crowd.run_for(0.3)
    crowd.position_of = Client.since
    told_of_fork(bench, stay, ahead, in_time)
    bench.verified("all of the new branch", verify(stay + ahead, read_logs(replica.client, channels)))
    bench.hygienic(crowd.run_until)


def told_of_fork(bench, stay, ahead, in_time):
    bench.at_most("everybody reaches the top of the new branch", SETTLE_SECONDS, in_time, " s")
    n_fork = told(ahead, ("not_recovered", "fork"))
    bench.row("returning clients that were ahead are told: fork", f"{len(ahead)}", str(n_fork), n_fork == len(ahead))
    bench.at_most("told recovered, wrongly", 0, told(ahead, ("recovered", None)))
    n_resync = told(stay, ("resync", "fork"))
    bench.row("clients that stayed are told of retracted entries", f"{len(stay)}", str(n_resync), n_resync == len(stay))
    bench.at_most(f"clients that stayed with another count than {RETRACTED} retracted", 0,
                  sum(client.n_retracted != RETRACTED for client in stay))


def wedged(run, front, n_refusals):
    """One failover: so many attempts find the port closed. True if the gateway does not come back."""
    gateway = run.gateways[0]
    front.refuse()

    def is_refused():
        return gateway.get("/ready").json()["broker"].get("n_attempts", 0) >= n_refusals

    refused = run.crowd.run_until(is_refused, 10)
    front.listen()
    return refused is None or run.crowd.run_until(lambda: gateway.get("/ready").status == 200, 10) is None


def f4c(bench):
    """the port is closed at the first redials"""
    server = bench.redis()
    front = bench.proxy(server.port)
    run = Listening(bench, n_gateways=1, n_clients=50, n_channels=50, rate=200, server=server,
                    url=f"redis://127.0.0.1:{front.port}")
    n_repeats, n_wedged = bench.sized(50, 5), 0
    run.hygiene.begin(SETTLE_SECONDS * n_repeats)  # it comes and goes: only the ends are looked at
    for repeat in range(n_repeats):
        n_wedged = repeat + 1 if wedged(run, front, REFUSALS[repeat % len(REFUSALS)]) else 0
        if n_wedged:
            break
    bench.row(f"wedged in {n_repeats} repeats", "never", f"at repeat {n_wedged}" if n_wedged else "never", not n_wedged)
    if n_wedged:
        return
    bench.at_most("caught up after the last one", 5, run.catch_up(), " s")
    run.end()


FAULTS = (
    Fault("f4b", f4b, Control("no tags, a counter only", "lost", has_tags=False)),
    Fault("f4c", f4c, Control("one redial, no more", "wedged", off="redial")),
)

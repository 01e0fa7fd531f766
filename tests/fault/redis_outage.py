"""
Redis goes away and comes back: F1 with its data, F1b without, F2 as if nothing had been, F14 without our functions.
"""

import signal
import time

import redis

import harness.gateway
from bench import SETTLE_SECONDS, thaw
from common import Listening, false_alarms, told, tops
from fault import Control, Fault
from harness.redis_server import RedisServer

OUTAGE_SECONDS = 2
UNHEARD = 100  # entries, of all channels
FROZEN_SECONDS = 10
CLOSED_NOTICE_SECONDS = 1.5  # the sockets are closed: nothing has to be found out
NOTICE_SECONDS = 9
BUSY_SECONDS = 5  # of a short run, which has to be told from a broken one on a machine that does other things too


def start_unheard(run):
    """Redis is back, and no gateway has a link before enough is published: else there may be nothing to catch up with."""
    for gateway in run.gateways:
        run.hygiene.freeze(gateway, True)
        gateway.process.signal(signal.SIGSTOP)
    try:
        run.server.start()
        enough = sum(tops(run.server, run.channels).values()) + UNHEARD
        run.crowd.run_until(lambda: sum(tops(run.server, run.channels).values()) >= enough, SETTLE_SECONDS)
    finally:
        for gateway in run.gateways:
            thaw(gateway.process)
            run.hygiene.freeze(gateway, False)


def f1(bench):
    """kill -9 of Redis, which comes back with its data after 2 s"""
    run = Listening(bench, half_streams=True)
    run.hygiene.begin(CLOSED_NOTICE_SECONDS)
    run.server.kill()
    run.crowd.run_for(OUTAGE_SECONDS)
    run.hygiene.over()
    if bench.is_control:
        start_unheard(run)  # in the fault itself they are as quick as they are
    else:
        run.server.start()
    bench.at_most("caught up after Redis is back", bench.sized(2, BUSY_SECONDS), run.catch_up(), " s")
    run.end(what=f"{len(run.clients)} clients, {run.n_streams} by SSE")


def f1b(bench):
    """kill -9 of Redis, which comes back empty"""
    run = Listening(bench, kind=RedisServer)
    aware = [client for client in run.clients if client.aware]
    run.hygiene.begin(CLOSED_NOTICE_SECONDS)
    run.server.kill()
    run.crowd.run_for(OUTAGE_SECONDS)
    run.hygiene.over()
    run.server.start()
    seconds = run.crowd.run_until(lambda: told(aware, ("resync", "epoch")) >= len(aware), 10)
    run.hygiene.settled()
    bench.at_most(f"all {len(aware)} who know are told: epoch", 3, seconds, " s")
    run.end(aware, alarms=False, acked=False, what="of the new log")
    bench.at_most("told more than once", 0, false_alarms(aware) - len(aware))


def f2(bench):
    """SIGSTOP of Redis for 10 s"""
    run = Listening(bench, n_gateways=1)
    gateway, noticed, began = run.gateways[0], [], time.monotonic()
    run.hygiene.begin(NOTICE_SECONDS)

    def look():
        if not noticed and gateway.get("/ready").status == 503:
            noticed.append(time.monotonic() - began)

    run.server.process.signal(signal.SIGSTOP)
    try:
        run.crowd.run_for(FROZEN_SECONDS, look)
    finally:
        run.hygiene.over()
        thaw(run.server.process)
    bench.at_most("noticed", NOTICE_SECONDS, noticed[0] if noticed else None, " s")
    bench.at_most("caught up after it goes on", 2, run.catch_up(), " s")
    bench.at_most("links lost", 5, int(gateway.metric("tidegate_redis_reconnects_total")))
    run.end()


def load_functions(server):
    library = harness.gateway.run("functions").stdout
    server.client.function_load(library, replace=True)


def f14(bench, may_load=True):
    """FUNCTION FLUSH in Redis"""
    server, url = bench.redis(), None
    if not may_load:
        server.client.execute_command("ACL", "SETUSER", "gateway", "on", ">secret", "~*", "&*", "+@all", "-function")
        load_functions(server)
        url = f"redis://gateway:secret@127.0.0.1:{server.port}"
    run = Listening(bench, server=server, url=url)
    run.hygiene.begin()
    server.client.function_flush()
    seconds = run.crowd.run_until(lambda: functions_are_there(server), SETTLE_SECONDS if may_load else 3)
    if seconds is not None:
        seconds += run.catch_up()
    bench.at_most("events flow again", bench.sized(2, BUSY_SECONDS), seconds, " s")
    if not may_load:
        run.hygiene.over()
        load_functions(server)
        run.catch_up()
    run.end()


def functions_are_there(server):
    try:
        return bool(server.client.function_list())
    except redis.RedisError:
        return False


FAULTS = (
    Fault("f1", f1, Control("no catch-up", "lost", off="catch_up")),
    Fault("f1b", f1b, Control("no catch-up", "all", off="catch_up")),
    Fault("f2", f2, Control("no probe", "noticed", off="probe")),
    Fault("f14", f14, Control("no right to load functions", "events flow again", may_load=False)),
)

"""
F15: a Redis that is not to be trusted: nonsense among the events and in the logs, and one that does not speak Redis at all.
"""

import re

from bench import SETTLE_SECONDS
from common import Listening, settled
from fake_redis import PLACES, FakeRedis
from fault import Control, Fault
from harness.resp import bulk, push
from harness.wait import SANITIZER
from herd import peak_kib

MIB = 1 << 20
NO_BOUND = ("--event-bytes-max", "64MiB", "--outbox-bytes-max", "64MiB")
N_WRONG_TYPE = 3
WIRE_MIB_MAX = 24  # above what it had: an event of 1 MiB, twice, and what the allocator keeps

# Published on a channel with a log. None of them may be heard.
NO_EVENTS = (
    b"", b"\0", b"\1", b"\1\n", b"\1\n{}", b"\1 \n{}", b"\1  \n{}", b"\1abc\n{}", b"\1-\n{}", b"\1" + 4096 * b"9", b"\1" + 4096 * b"\n",
    b"\0011-1 0\n{}", b"\0011-1 0 \n{}", b"\0011-1 0 e f\n{}", b"\0010-0 0 abcdefgh\n{}", b"\001-1-1 0 abcdefgh\n{}",
    b"\00101-1 0 abcdefgh\n{}", b"\0011-1 -1 abcdefgh\n{}", b"\0011-1 0 abc\0efgh\n{}", b"\0011-1 0 " + 64 * b"a" + b"\n{}",
    b"\00118446744073709551616-1 0 abcdefgh\n{}", b"\0019007199254740993-1 0 abcdefgh\n{}", b"\0011-1e3 0 abcdefgh\n{}",
    b"{", b"}", b"[}", b'"text', b"1x", b"nul", b'{"a":}', b'{"a":1}x', b'{"a":"\xff\xfe"}', b'{"a":"\xed\xa0\x80"}',
    b'{"a":"\n"}', 60000 * b"[", 60000 * b'{"a":', b"{" + 200000 * b" ", b'{"\\ud80":1}', b"\xef\xbb\xbf{}",
    b"\0017-7 6 abcdefgh\nno JSON",
)
TOO_LARGE = (b'{"type":"n","data":"' + MIB * b"x" + b'"}', 2 * MIB * b"[", b"\1" + 3 * MIB * b"1")
# These have the form of entries: the log is asked, and does not know them.
NO_ENTRIES = (b"\0019007199254740991-1 0 abcdefgh\n{}", b"\0011-1 0 zzzzzzzz\n{}", b"\0011-9007199254740991 0 a\n{}")


def spoil_logs(client):
    """One channel a way to spoil a log. The first N_WRONG_TYPE cannot be read at all; the others can be made sense of."""
    def keys(number):
        return f"tg:s:{{fault:{number}}}", f"tg:m:{{fault:{number}}}"

    def meta(number, **fields):
        client.hset(keys(number)[1], mapping=fields)

    client.set(keys(900)[0], "a string")
    meta(900, e="abcdefgh", n="7", t="7", x="0")
    client.rpush(keys(901)[1], "a", "list")
    meta(902, e="bad epoch!", n="1e400", t="-1", x="never")
    meta(903, e="abcdefgh", n="3", t="5", x="0")
    for entry in ("1-1", "2-9", "18446744073709551615-7"):
        client.xadd(keys(903)[0], {"other": "fields", "d": "no JSON", "x": MIB * "y"}, id=entry)
    client.sadd(keys(904)[0], "a", "set")
    meta(905, e="abcdefgh", n="2", t="7", x="0")
    client.xadd(keys(905)[0], {"d": "{}"}, id="1-1")
    client.xadd(keys(905)[0], {f"field-{i}": "v" for i in range(40000)}, id="2-7")
    return [f"fault:{n}" for n in range(900, 906)]


def mend_logs(client, channels):
    for channel in channels:
        client.delete(f"tg:s:{{{channel}}}", f"tg:m:{{{channel}}}")


def dropped(gateway):
    """Events, whatever the reason."""
    text = gateway.get("/metrics").body.decode()
    return sum(float(n) for n in re.findall(r"^tidegate_events_dropped_total\{[^}]*\} (\S+)$", text, re.MULTILINE))


def f15_data(bench, options=()):
    """malformed envelopes, no JSON, 1 MiB and more, logs of the wrong type"""
    run = Listening(bench, n_gateways=1, n_clients=100, n_channels=50, rate=200, options=options)
    gateway, server, crowd, clients = run.gateways[0], run.server, run.crowd, list(run.clients)
    before, reads = dropped(gateway), gateway.metric("tidegate_log_reads_total")
    run.hygiene.begin()
    spoiled = spoil_logs(server.client)
    strangers = crowd.add(2 * len(spoiled), spoiled)
    for client in strangers[::2]:
        client.begin_at(("abcdefgh", 1, 1))
    nonsense = (*NO_EVENTS, *TOO_LARGE)
    for i, payload in enumerate((*NO_EVENTS, *NO_ENTRIES, *TOO_LARGE)):
        server.client.publish(run.channels[i % len(run.channels)], payload)
        crowd.run_for(0.02)
    counted = crowd.run_until(lambda: dropped(gateway) - before >= len(nonsense), 10)
    n_dropped = int(dropped(gateway) - before)
    bench.row(f"dropped and counted, of {len(nonsense)}", str(len(nonsense)), str(n_dropped),
              counted is not None and n_dropped == len(nonsense))
    crowd.run_for(bench.sized(5, 1))
    bench.at_most("links lost", 0, int(gateway.metric("tidegate_redis_reconnects_total")))
    asked = gateway.metric("tidegate_log_reads_total") - reads
    bench.at_most("reads of logs meanwhile", 1000, int(asked))
    answered = sum(client.settled for client in strangers if client.channel in spoiled[:N_WRONG_TYPE])
    bench.at_most("answered out of a log of the wrong type", 0, answered)
    mend_logs(server.client, spoiled)
    bench.at_most("all answered after the logs are mended", 10, crowd.run_until(settled(crowd), SETTLE_SECONDS), " s")
    run.catch_up(clients)
    run.end(clients)


# What no Redis says. The numbers are lengths and counts that nobody may believe.
NONSENSE = (
    b"\r\n", b"x", b"\xff\x00\xfe\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"*1000000000\r\n", b"*-2\r\n", b"*x\r\n",
    b"*18446744073709551617\r\n", b"$-2\r\n", b"$99999999999999999999\r\n", b"$5\r\nabc\r\n\r\n", b":12x\r\n", b":\r\n",
    b"*1\r\n" * 1000, b"*2\r\n" * 64 + b":1\r\n" * 64, b"*70000\r\n" + b":1\r\n" * 70000, b"+" + 300000 * b"a", b"*-1\r\n", b"*0\r\n",
    b"$-1\r\n", b"%1\r\n+a\r\n+b\r\n", b">3\r\n+a\r\n+b\r\n+c\r\n", b"=7\r\ntxt:abc\r\n", b",nan\r\n", b"#t\r\n", b"(1" + 100000 * b"0" + b"\r\n",
    b"*3\r\n$7\r\nmessage\r\n$-1\r\n$-1\r\n", b"*3\r\n$7\r\nmessage\r\n:5\r\n:5\r\n", b"*2\r\n$7\r\nmessage\r\n$1\r\nx\r\n",
    b"*4\r\n$8\r\npmessage\r\n$1\r\n*\r\n$1\r\na\r\n$2\r\n{}\r\n", b"*3\r\n$9\r\nsubscribe\r\n$8\r\nstranger\r\n:9\r\n",
    b"*3\r\n*1\r\n$7\r\nmessage\r\n$1\r\na\r\n$2\r\n{}\r\n", b"-ERR \0\1\x7f" + 60000 * b"e" + b"\r\n",
    b"*4\r\n$8\r\nabcdefgh\r\n:1\r\n:1\r\n:1\r\n", b"*4\r\n$8\r\nabcdefgh\r\n$1\r\n9\r\n$1\r\n0\r\n*0\r\n",
    b"*4\r\n*0\r\n*0\r\n*0\r\n*0\r\n", b"*4\r\n$8\r\nabcdefgh\r\n$1\r\n1\r\n$1\r\n1\r\n*1\r\n*2\r\n$3\r\n1-1\r\n*100000000\r\n",
    b"$1073741824\r\n" + 4 * MIB * b"x", push(b"fault:0", 48 * MIB * b"x"),
    b"*3\r\n$7\r\nmessage\r\n" + bulk(b"fault:0") + b"$%d\r\n" % (2 << 30) + 8 * MIB * b"y",
)


def places_of(bench):
    """Each nonsense in every place; in a short run each in one."""
    if bench.short:
        return [(PLACES[i % len(PLACES)], words) for i, words in enumerate(NONSENSE)]
    return [(place, words) for words in NONSENSE for place in PLACES]


def f15_wire(bench, options=()):
    """a server that breaks the protocol, at each point of it"""
    server = bench.redis()
    line = bench.proxy(server.port)
    run = Listening(bench, n_gateways=1, n_clients=100, n_channels=50, rate=200, server=server, options=options,
                    url=f"redis://127.0.0.1:{line.port}")
    gateway, said, attempts = run.gateways[0], 0, places_of(bench)
    peak_before = peak_kib(gateway)
    run.hygiene.begin(SETTLE_SECONDS * len(attempts))  # it comes and goes: only the ends are looked at
    for place, words in attempts:
        fake = FakeRedis(place, words)
        try:
            line.lead_to(fake.port)
            assert run.crowd.run_until(fake.said.is_set, SETTLE_SECONDS) is not None, f"the gateway never comes to {place}"
            said += 1
        finally:
            line.cut()
            fake.stop()
        gateway.process.check()
    line.lead_to(server.port)
    bench.row(f"alive after {len(attempts)} kinds of nonsense", str(len(attempts)), str(said), said == len(attempts))
    if SANITIZER == "none":
        bench.at_most("memory at its peak, in MiB above before", WIRE_MIB_MAX, (peak_kib(gateway) - peak_before) / 1024)
    bench.at_most("caught up with a real one", 5, run.catch_up(), " s")
    run.end()


FAULTS = (
    Fault("f15 data", f15_data, Control("no bound on events", "dropped and counted", options=NO_BOUND)),
    Fault("f15 wire", f15_wire, Control("no bound on events", "memory at its peak", options=NO_BOUND)),
)

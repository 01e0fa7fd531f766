"""
F17: actions while a worker and a gateway are killed and Redis is cut: each has one end, and is carried out once.
"""

import asyncio
import collections
import random
import time

from actors import Actor, Tally
from bench import SETTLE_SECONDS, end_by_kill
from fault import Control, Fault
from harness.process import Process
from harness.wait import Timeout, until
from redis_outage import load_functions

STREAM = "fault-actions"
ROUTES = ("topics: []\nroutes:\n"
          "  - {{path: /ws/act, channel: act, actions: {{stream: {}, timeout: {}s, in_flight: 16, backlog: 10000}}}}\n")
IN_FLIGHT = 4
N_WORKERS = 3
SCRIPT = __file__.replace("actions.py", "action_worker.py")


class Journals:
    """What the workers wrote."""

    def __init__(self, paths):
        lines = [line.split() for path in paths if path.exists() for line in path.read_text(encoding="ascii").splitlines()]
        self.done = collections.Counter((int(line[1]), int(line[2])) for line in lines if line[0] == "done")
        self.read = {}  # connection -> {entry: (its number in the gateway, actor, number)}
        for line in lines:
            if line[0] == "read":
                conn, _, n = line[2].rpartition(".")
                self.read.setdefault(conn, {})[tuple(map(int, line[1].split("-")))] = (int(n), int(line[3]), int(line[4]))

    def out_of_order(self, sent):
        """Connections whose actions stand in the stream in another order than the client said them."""
        by_actor = collections.defaultdict(list)
        for actor, numbers in sent:
            by_actor[actor].append(numbers)
        n = 0
        for entries in self.read.values():
            inside = [entries[entry] for entry in sorted(entries)]
            numbers = [number for _, _, number in inside]
            n += (inside != sorted(inside)) or not any(is_within(numbers, said) for said in by_actor[inside[0][1]])
        return n


def is_within(some, all_of_them):
    """Are these there, in this order?"""
    rest = iter(all_of_them)
    return all(one in rest for one in some)


class Stage:
    """Redis behind two lines, two gateways on the one, three workers on the other."""

    def __init__(self, bench, how, timeout_seconds):
        self.bench = bench
        bench.routes(ROUTES.format(STREAM, timeout_seconds))
        self.server = bench.redis()
        self.to_gateways, self.to_workers = bench.proxy(self.server.port), bench.proxy(self.server.port)
        load_functions(self.server)
        url = f"redis://127.0.0.1:{self.to_gateways.port}"
        self.gateways = [bench.gateway(url, f"gateway-{i}") for i in range(2)]
        self.journals = [bench.directory / f"worker-{i}.journal" for i in range(N_WORKERS)]
        self.workers = [self._worker(path, how) for path in self.journals]
        until("gateways hear answers", lambda: sum(name.startswith(b"tg:r:") for name in self.server.client.pubsub_channels()) == 2)
        until("workers read", lambda: self._n_reading() == N_WORKERS)
        bench.watch(*self.gateways)

    def _worker(self, path, how):
        claim_seconds = self.bench.sized(2, 1)
        command = ["/usr/bin/python3", "-B", SCRIPT, self.to_workers.port, STREAM, path, claim_seconds, how]
        process = Process(command, self.bench.directory, path.stem)
        self.bench.ends.append(lambda: process.ended or process.stop())
        return process

    def _n_reading(self):
        return sum(client["cmd"] == "xreadgroup" for client in self.server.client.client_list())

    def left(self):
        """The last answer is heard a moment before its entry is taken out."""
        try:
            until("the stream is empty", lambda: self.server.client.xlen(STREAM) == 0)
        except Timeout:
            pass
        return self.server.client.xlen(STREAM)

    async def kill_a_worker(self):
        self.workers[0].ended = True
        self.workers[0].kill()

    async def kill_a_gateway(self):
        end_by_kill(self.gateways[0])

    async def cut_redis(self):
        """The gateways first, so that workers answer while nobody hears."""
        seconds = self.bench.sized(3, 0.6)
        self.bench.hygiene.began = time.monotonic()
        self.to_gateways.refuse()
        await asyncio.sleep(seconds / 2)
        self.to_workers.refuse()
        await asyncio.sleep(seconds / 2)
        self.to_gateways.listen()
        await asyncio.sleep(seconds / 2)
        self.to_workers.listen()
        self.bench.hygiene.over()


async def act(bench, stage, actors, tally):
    """All of them act; what is done to the servers is done after a fifth, two fifths and three fifths of the answers."""
    urls = [f"ws://127.0.0.1:{gateway.address[1]}/ws/act" for gateway in stage.gateways]
    for actor in actors:
        actor.urls = urls
    n = sum(len(actor.due) for actor in actors)
    tasks = asyncio.gather(*(actor.run() for actor in actors))
    for share, do in ((0.2, stage.kill_a_worker), (0.4, stage.kill_a_gateway), (0.6, stage.cut_redis)):
        while len(tally.ends) < share * n and not tasks.done():
            await asyncio.sleep(0.01)
        await do()
        if do == stage.kill_a_gateway:
            del urls[0]
    await asyncio.wait({tasks}, timeout=bench.sized(4, 1) * SETTLE_SECONDS)
    if not tasks.done():
        tasks.cancel()
    await asyncio.gather(tasks, return_exceptions=True)


def f17(bench, keyed=True, how="log"):
    """10,000 actions of 200 clients; one of three workers and one of two gateways are killed, Redis is cut for 3 s"""
    random.seed(17)
    timeout_seconds = bench.sized(10, 3)
    stage, tally = Stage(bench, how, timeout_seconds), Tally()
    n_actors, n_each = bench.sized(200, 30), bench.sized(50, 10)
    actors = [Actor(i, n_each, IN_FLIGHT, tally, [], timeout_seconds, keyed) for i in range(n_actors)]
    bench.hygiene.begin(bench.sized(9, 9))
    began = time.monotonic()
    asyncio.run(act(bench, stage, actors, tally))
    seconds = time.monotonic() - began
    bench.hygiene.settled()
    n = n_actors * n_each
    journals = Journals(stage.journals)
    print(f"  {n} actions in {seconds:.1f} s; errors: {dict(tally.codes)}; connections broken: {tally.broken}", flush=True)
    bench.at_most(f"of {n} actions without an end", 0, n - len(tally.ends))
    bench.at_most("with two ends, or an attempt with two", 0, sum(n > 1 for n in tally.ends.values()) + tally.doubled)
    bench.at_most("attempts without an end, on connections that lived", 0, tally.silent)
    bench.at_most("answers lost", 0, tally.codes["timeout"])
    bench.at_most("carried out twice", 0, sum(n > 1 for n in journals.done.values()))
    bench.at_most("connections out of order in the stream", 0, journals.out_of_order(tally.sent))
    bench.at_most("left in the stream", 0, stage.left())
    bench.hygienic()


FAULTS = (
    Fault("f17", f17, Control("clients say no keys", "carried out twice", keyed=False),
          Control("a plain PUBLISH", "answers lost", full_only=True, how="plain")),
)

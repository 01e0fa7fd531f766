"""
F11: the disk with the append-only file of Redis is full, and later it is not.
"""

import json
import pathlib
import subprocess
import time

import redis

from bench import SETTLE_SECONDS, NotHere
from common import Listening, finish_publishing, false_alarms
from fault import Control, Fault
from harness.process import Process
from harness.redis_server import RedisServer
from harness.wait import until
from verify import read_logs, verify

DISK_MIB = 6
RATE = 100  # a second: the disk is filled by a file beside, not by the run


class SmallDiskRedis(RedisServer):
    """
    Its folder is a disk of 6 MiB. The disk is mounted in a mount namespace that a process holds open: it outlives a Redis
    that is killed, and is gone with that process.
    """

    # With appendfsync always it would give up and end where it cannot write. A tmpfs keeps up with everysec.
    options = ("--appendonly", "yes", "--appendfsync", "everysec", "--auto-aof-rewrite-percentage", "0")

    def __init__(self, directory):
        self.disk = directory / "disk"
        self.disk.mkdir()
        mount = f"mount -t tmpfs -o size={DISK_MIB}m tidegate-fault '{self.disk}' && echo mounted && exec sleep infinity"
        tried = subprocess.run(["unshare", "--mount", "true"], capture_output=True, text=True, check=False)
        if tried.returncode:
            raise NotHere(f"no mounts ({tried.stderr.strip()})")
        self.holder = Process(["unshare", "--mount", "--", "sh", "-c", mount], directory, "disk")
        try:
            until("the disk is mounted", lambda: "mounted" in self.holder.stdout() or not self.holder.alive())
            self.holder.check()
            self.options = (*self.options, "--dir", self.disk)
            self.prefix = ("nsenter", "--target", self.holder.pid, "--mount", "--")
            super().__init__(directory)
        except BaseException:
            self.holder.kill()
            raise

    @property
    def filler(self):
        return pathlib.Path(f"/proc/{self.holder.pid}/root{self.disk}/filler")

    def fill_disk(self):
        with open(self.filler, "wb", buffering=0) as filler:
            for size in (65536, 4096):
                try:
                    while filler.write(bytes(size)):
                        pass
                except OSError:
                    pass  # full

    def free_disk(self):
        self.filler.unlink()

    def refuses(self):
        try:
            self.client.set("tidegate-fault", "x")
        except redis.RedisError as error:
            return "MISCONF" in str(error)
        return False

    def stop(self):
        super().stop()
        self.holder.ended = True
        self.holder.kill()


def publish_apart(server, channels):
    """As a backend would that appends and pushes by itself: the append is refused, the push goes out."""
    for channel in channels:
        epoch, offset, tag = (word.decode() for word in server.client.hmget(f"tg:m:{{{channel}}}", "e", "n", "t"))
        body = json.dumps({"type": "n", "data": {"channel": channel, "number": 0}})
        head = f"\1{int(offset) + 1}-{int(time.time() * 1e6)} {tag} {epoch}\n"
        try:
            server.client.xadd(f"tg:s:{{{channel}}}", {"d": body})
            raise AssertionError("the disk is not full")
        except redis.RedisError:
            server.client.publish(channel, head + body)


def f11(bench, apart=False):
    """the disk of the append-only file is full for 5 s"""
    run = Listening(bench, server=bench.redis(kind=SmallDiskRedis), rate=RATE, n_channels=50, n_clients=200)
    server, crowd = run.server, run.crowd
    run.hygiene.begin()
    server.fill_disk()
    assert crowd.run_until(server.refuses, SETTLE_SECONDS) is not None, "Redis writes on"
    if apart:
        publish_apart(server, run.channels)
    crowd.run_for(bench.sized(5, 2))
    run.hygiene.over()
    server.free_disk()
    began = time.monotonic()
    assert crowd.run_until(lambda: not server.refuses(), SETTLE_SECONDS) is not None, "Redis does not write again"
    seconds = run.catch_up()
    bench.at_most("published and heard again after there is space", 2,
                  None if seconds is None else time.monotonic() - began, " s")
    bench.hygienic(crowd.run_until)
    acked = finish_publishing(bench, crowd, server, run.publisher, run.channels, run.clients)
    refused = json.loads(run.publisher[1].read_text(encoding="utf-8"))["refused"]
    bench.row("publications refused meanwhile, repeated under their keys", "> 0", str(refused),
              any("MISCONF" in name for name in refused))
    logs = read_logs(server.client, run.channels)
    verdict = verify(run.clients, logs, acked)
    bench.at_most("delivered and not in the log", 0, verdict.wrong + sum(client.n_retracted for client in run.clients))
    bench.verified(f"{len(run.clients)} clients", verdict)
    bench.at_most("false alarms", 0, false_alarms(run.clients))
    server.kill()
    server.start()
    gone = sum(logs[channel] != log for channel, log in read_logs(server.client, run.channels).items())
    bench.at_most("logs that are not the same after kill -9 of Redis", 0, gone)


FAULTS = (Fault("f11", f11, Control("append and push apart", "delivered and not in the log", apart=True)),)

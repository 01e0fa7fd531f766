"""
Hygiene (I7): what a fault must leave behind as it was.

A thread asks every gateway now and then whether it is ready, and notes what it has used of the CPU. At the end: nobody
died or was reported by a sanitizer, no descriptor and no memory is left over, the CPU is as idle as before within 10 s,
and /ready said what was true.
"""

import http.client
import os
import pathlib
import threading
import time

from harness.wait import SANITIZER, Timeout, until

LOOK_SECONDS = 0.1
ASK_SECONDS = 2
CPU_WINDOW_SECONDS = 1.5
CPU_BACK_SECONDS = 10
CPU_SLACK = 0.05        # of one CPU: what the clock and the neighbours blur
GROWTH_KIB_MAX = 64 << 10  # rings fill up to 256 entries a channel
FDS_SECONDS = 10


class Watched:
    """One gateway, and what was seen of it."""

    def __init__(self, gateway):
        self.gateway = gateway
        self.frozen = False
        self.answers = []  # (asked, answered, status or None)
        self.used = []     # (when, seconds of CPU)

    def alive(self):
        return not self.gateway.process.ended and self.gateway.process.alive()

    def cpu_seconds(self):
        tasks = pathlib.Path(f"/proc/{self.gateway.process.pid}/task")
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks.iterdir()) / 1e9

    def look(self):
        asked = time.monotonic()
        try:
            connection = http.client.HTTPConnection(*self.gateway.admin_address, timeout=ASK_SECONDS)
            connection.request("GET", "/ready")
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException):
            status = None
        finally:
            connection.close()
        self.answers.append((asked, time.monotonic(), status))
        try:
            self.used.append((time.monotonic(), self.cpu_seconds()))
        except OSError:
            pass  # it was killed meanwhile

    def rate(self, begin, end):
        """CPUs used between the two, or None if it was not seen for long enough."""
        seen = [use for use in self.used if begin <= use[0] <= end]
        if len(seen) < 2 or seen[-1][0] - seen[0][0] < CPU_WINDOW_SECONDS * 0.7:
            return None
        return (seen[-1][1] - seen[0][1]) / (seen[-1][0] - seen[0][0])

    def n_other_fds(self):
        """Descriptors that are no client's, and not the rings that a worker makes when it first has use for one."""
        folder = pathlib.Path(f"/proc/{self.gateway.process.pid}/fd")
        n = -int(self.gateway.metric("tidegate_connections"))
        for fd in os.listdir(folder):
            try:
                n += "io_uring" not in os.readlink(folder / fd)
            except OSError:
                pass  # closed since it was listed
        return n


class Hygiene:
    """
    begin() right before the fault, over() when it is, settled() when everybody has caught up, row() at the end.

    notice_seconds: how long /ready may say 200 although Redis is away; None: the fault leaves /ready at 200.
    """

    def __init__(self, gateways):
        self.watched = [Watched(gateway) for gateway in gateways]
        self.ending = threading.Event()
        self.notice_seconds = None
        self.began = self.over_at = self.settled_at = None
        self.cpu_before = None
        self.fds, self.kib = {}, {}
        self.growth_kib_max = GROWTH_KIB_MAX
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while not self.ending.wait(LOOK_SECONDS):
            for watched in self.watched:
                if watched.alive() and not watched.frozen:
                    watched.look()

    def begin(self, notice_seconds=None):
        self.notice_seconds = notice_seconds
        for watched in self.watched:
            self.fds[watched] = watched.n_other_fds()
            self.kib[watched] = watched.gateway.resident_kib()
        self.began = time.monotonic()
        self.over_at = None
        self.cpu_before = self._cpu(self.began - CPU_WINDOW_SECONDS, self.began)

    def freeze(self, gateway, frozen):
        """It cannot answer meanwhile, and need not."""
        for watched in self.watched:
            if watched.gateway is gateway:
                watched.frozen = frozen

    def over(self):
        """The first time counts: what is said twice was over before."""
        self.over_at = self.over_at or time.monotonic()

    def settled(self):
        self.settled_at = time.monotonic()

    def _cpu(self, begin, end):
        """Of all that live, or None."""
        rates = [watched.rate(begin, end) for watched in self.watched if watched.alive()]
        return None if None in rates or not rates else sum(rates)

    def cpu_after(self):
        now = time.monotonic()
        return self._cpu(max(self.over_at, now - CPU_WINDOW_SECONDS), now)

    def cpu_is_back(self):
        now = self.cpu_after()
        return now is not None and (self.cpu_before is None or now <= self.cpu_before * 1.1 + CPU_SLACK)

    def wait_for_cpu(self, run_until):
        """Looks on, under the load as it was, until the CPU is back."""
        return run_until(self.cpu_is_back, max(0, self.over_at + CPU_BACK_SECONDS - time.monotonic()))

    def _lies(self):
        """What /ready said that was not so, each with the moment in seconds from the fault."""
        for watched in self.watched:
            for asked, answered, status in watched.answers:
                if status is None:
                    continue  # it was being killed, or thawed: not ready, and said nothing else
                at = f"{asked - self.began:.1f} s"
                if status != 200 and (answered < self.began or self.settled_at and asked > self.settled_at):
                    yield f"not ready at {at}"
                elif status != 200 and self.notice_seconds is None:
                    yield f"not ready at {at}, though Redis is there"
                elif (status == 200 and self.notice_seconds is not None and self.over_at
                      and asked > self.began + self.notice_seconds and answered < self.over_at):
                    yield f"ready at {at}, though Redis is away"

    def _fds(self, watched):
        """Back to what it was; how many more if not."""
        try:
            until("the descriptors are as before", lambda: watched.n_other_fds() <= self.fds[watched], FDS_SECONDS)
        except Timeout:
            return watched.n_other_fds() - self.fds[watched]
        return 0

    def _troubles(self, cpu):
        for watched in self.watched:
            if watched.gateway.process.ended:
                continue
            try:
                watched.gateway.process.check()
            except AssertionError as failure:
                yield str(failure)[:200]
                continue
            n_fds, grown = self._fds(watched), watched.gateway.resident_kib() - self.kib[watched]
            if n_fds:
                yield f"{n_fds} descriptors left over"
            if grown > self.growth_kib_max and SANITIZER == "none":
                yield f"{grown >> 10} MiB left over"
        lies = list(self._lies())
        if lies:
            yield f"/ready was wrong {len(lies)} times, first: {lies[0]}"
        if not cpu:
            yield "the CPU is not back after 10 s"

    def verdict(self, cpu_back=True):
        """(words, good)"""
        self.ending.set()
        self.thread.join()
        troubles = list(self._troubles(cpu_back))
        if troubles:
            return "; ".join(troubles), False
        grown = [watched.gateway.resident_kib() - self.kib[watched] for watched in self.watched if watched.alive()]
        after = self.cpu_after()
        cpu = ""
        if self.cpu_before is not None and after is not None:
            cpu = f", CPU {self.cpu_before * 100:.0f} → {after * 100:.0f} %"
        return f"fds +0, {max(grown, default=0) / 1024:+.0f} MiB{cpu}", True

    def stop(self):
        self.ending.set()
        self.thread.join()

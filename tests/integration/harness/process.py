"""
Process: one program under test, with its output in files and its end looked at.

Ended by its process id and by nothing else. stop() fails when the program had died by itself, when it does not end in
time, when it ends with a code that nobody expected, when a sanitizer complained, or when it left a child behind.
"""

import os
import re
import signal
import subprocess

from harness import wait

REPORT = re.compile("ERROR: AddressSanitizer|ERROR: LeakSanitizer|runtime error:|WARNING: ThreadSanitizer|Sanitizer:DEADLYSIGNAL")
REPORT_LINES = 60
LEAVE_SECONDS = 5

SANITIZER_SETTINGS = {
    "ASAN_OPTIONS": "detect_leaks=1:exitcode=66",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1:exitcode=66",
    "TSAN_OPTIONS": "halt_on_error=0:second_deadlock_stack=1:exitcode=66",
}

# libevent's epoll changelist: an event that is deleted and its descriptor closed in one turn of a worker's loop leaves
# the epoll set at the end of that turn. By then another worker may have accepted a connection under the same number. The
# kernel answers ENOENT, which libevent expects; the thread sanitizer sees two threads at "one" descriptor, and its
# runtime breaks off over the report. Threads meet in the same places over poll(2).
if wait.SANITIZER == "thread":
    SANITIZER_SETTINGS["EVENT_NOEPOLL"] = "1"


def clean_environment(extra=None):
    """The tester's environment without its own gateway settings: tests say what they mean."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TIDEGATE_")}
    environment.update(SANITIZER_SETTINGS)
    environment.update(extra or {})
    return environment


def processes_of_session(session):
    """Ids of the living processes that were started in this session (see setsid(2))."""
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as stat:
                fields = stat.read().rpartition(")")[2].split()
        except OSError:
            continue  # gone since listdir
        if int(fields[3]) == session and fields[0] != "Z":
            found.append(int(name))
    return found


# Should the test run itself be killed, the kernel ends what it has started.
WITH_US = ("setpriv", "--pdeathsig", "KILL", "--")


class Process:
    def __init__(self, command, directory, name, env=None):
        self.command = [str(word) for word in command]
        self.stdout_path = directory / f"{name}.stdout"
        self.stderr_path = directory / f"{name}.stderr"
        self.ended = False  # stopped and looked at
        self.n_told = 0  # of stderr: a report fails one test, not each that shares the program
        with open(self.stdout_path, "ab") as out, open(self.stderr_path, "ab") as err:
            self.popen = subprocess.Popen(
                [*WITH_US, *self.command],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=clean_environment(env),
                start_new_session=True,
            )

    @property
    def pid(self):
        return self.popen.pid

    def stdout(self):
        return self.stdout_path.read_text(encoding="utf-8", errors="replace")

    def stderr(self):
        return self.stderr_path.read_text(encoding="utf-8", errors="replace")

    def alive(self):
        return self.popen.poll() is None

    def signal(self, number):
        self.popen.send_signal(number)

    def check(self):
        """Fails if the program has died, or if a sanitizer had something to say since we last looked."""
        self.check_reports()
        if not self.alive():
            raise AssertionError(f"died with {self.popen.returncode}: {self.describe()}")

    def check_reports(self):
        text = self.stderr()
        new, self.n_told = text[self.n_told:], len(text)
        found = REPORT.search(new)
        if found:
            report = "\n".join(new[found.start():].splitlines()[:REPORT_LINES])
            raise AssertionError(f"{' '.join(self.command)}\n{report}")

    def describe(self, n_lines=40):
        tail = "\n".join(self.stderr().splitlines()[-n_lines:])
        return f"{' '.join(self.command)}\n--- its stderr ends:\n{tail}"

    def end(self, expected=0, seconds=wait.PATIENCE_SECONDS):
        """An end that the test has asked for by itself: the code is as it should be and nothing is left."""
        code = self.wait(seconds)
        self.ended = True
        self.kill()
        self.check_reports()
        assert code == expected, f"ended with {code}: {self.describe()}"

    def insist(self, number):
        """Signals until it ends, and returns its code: what comes close behind the first is the same wish."""

        def ends():
            self.signal(number)
            return not self.alive()

        wait.until(f"signal {number} ends it at once", ends)
        return self.popen.returncode

    def wait(self, seconds=wait.PATIENCE_SECONDS):
        """The exit code, negative for a signal."""
        try:
            return self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            raise wait.Timeout(f"has not ended after {seconds} s: {self.describe()}") from None

    def stop(self, expected=(0,)):
        """The ordinary end: SIGTERM, and everything as it should be."""
        died = not self.alive()
        self.ended = True
        try:
            if not died:
                self.signal(signal.SIGTERM)
                code = self.wait()
        finally:
            self.kill()
        self.check_reports()
        if died:
            raise AssertionError(f"had died with {self.popen.returncode}: {self.describe()}")
        if code not in expected:
            raise AssertionError(f"ended with {code} on SIGTERM: {self.describe()}")

    def kill_session(self):
        """For a program that is many processes by nature: all that it started, by their ids."""
        self.ended = True
        for pid in processes_of_session(self.pid):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass  # it went with its parent
        self.popen.wait()

    def kill(self):
        """The end that cannot be refused; for clean-up, and for tests of sudden death. Safe to repeat."""
        if self.alive():
            self.popen.kill()
            self.popen.wait()
        try:  # a sanitizer's symbolizer, say, ends a moment after the program that it served
            wait.until("no process left", lambda: not processes_of_session(self.pid), LEAVE_SECONDS)
        except wait.Timeout:
            left = processes_of_session(self.pid)
            self.kill_session()
            raise AssertionError(f"left processes {left} behind: {' '.join(self.command)}") from None

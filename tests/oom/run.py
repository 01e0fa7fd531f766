"""
Runs the session with the first, second, third… allocation failing, and says which of these a gateway does not survive.

  tests/oom/run.py                     all k from 1 to 2,000, of each kind
  tests/oom/run.py --sample 40         so many k
  tests/oom/run.py --start 17 --keep   this one, with the end of its log

Kinds: start (number k from the start of the process on fails), once (number k from when it serves), every (each multiple of k from then on).
"""

import argparse
import concurrent.futures
import os
import pathlib
import random
import shutil
import sys
import tempfile

import session  # first: it knows where the harness is
from harness.authority import Authority
from harness.redis_server import RedisServer

ROOT = pathlib.Path(__file__).resolve().parents[2]
K_MAX = 2000
KINDS = ("start", "once", "every")
JOBS = 4  # it mostly waits


def build_library(directory):
    library = directory / "failing_malloc.so"
    source = pathlib.Path(__file__).with_name("failing_malloc.c")
    session.subprocess.run(["cc", "-O2", "-Wall", "-Werror", "-shared", "-fPIC", "-o", library, source], check=True)
    return library


def one(binary, library, url, parent, authority, kind, k, keep):
    directory = pathlib.Path(tempfile.mkdtemp(prefix=f"{kind}-{k}-", dir=parent))
    wrong, count = session.verdict(binary, library, url, directory, authority, **{kind: k})
    log = (directory / "stderr").read_text(encoding="utf-8", errors="replace") if wrong or keep else ""
    shutil.rmtree(directory)
    return kind, k, wrong, count, log


def asked_for(options):
    named = [(kind, k) for kind in KINDS for k in getattr(options, kind)]
    ks = range(options.first, options.last + 1)
    if options.sample:
        ks = sorted({1, 2, 3, *random.Random(options.seed).sample(ks, options.sample)})
    return named or [(kind, k) for k in ks for kind in options.kinds]


def main():
    parser = argparse.ArgumentParser(prog="tests/oom/run.py", description=__doc__.splitlines()[1])
    for kind in KINDS:
        parser.add_argument(f"--{kind}", type=int, nargs="*", default=[], help="only these k")
    parser.add_argument("--kinds", nargs="*", default=KINDS, help="only these kinds")
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--last", type=int, default=K_MAX)
    parser.add_argument("--sample", type=int, help="so many k of each kind, instead of 1 to 2,000")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--wrapped", action="store_true", help="the binary has the failing malloc in it (-Dfailing_malloc=true)")
    parser.add_argument("--tls", action="store_true", help="the public port speaks TLS")
    parser.add_argument("--keep", action="store_true", help="print the logs, also of what went well")
    options = parser.parse_args()
    binary = os.environ.get("TIDEGATE_BIN") or ROOT / "build" / "tidegate"
    parent = pathlib.Path(tempfile.mkdtemp(prefix="tidegate-oom-"))
    (parent / "redis").mkdir()
    server, failed, most = RedisServer(parent / "redis"), 0, 0
    try:
        library = None if options.wrapped else build_library(parent)
        authority = Authority(parent) if options.tls else None
        with concurrent.futures.ProcessPoolExecutor(JOBS) as pool:
            runs = [pool.submit(one, binary, library, server.url, parent, authority, kind, k, options.keep) for kind, k in asked_for(options)]
            for run in concurrent.futures.as_completed(runs):
                kind, k, wrong, count, log = run.result()
                failed += wrong is not None
                most = max(most, count)
                if wrong or options.keep:
                    print(f"{kind} {k}: {wrong or 'good'} ({count} allocations)\n" + "".join(f"    {line}\n" for line in log.splitlines()[-12:]), flush=True)
    finally:
        server.stop()
        shutil.rmtree(parent, ignore_errors=True)
    print(f"{len(runs) - failed} passed, {failed} failed; a session has {most} allocations")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

"""
The runner: the faults by name, their controls, and the table.

A module with faults has FAULTS (see fault.py). A control run is the same fault with a mechanism left out; the figure that
it is about must then be missed, and what it was stands in the last column of the table.
"""

import argparse
import sys
import traceback

import bench as benches  # first: it knows where the harness is
import actions
import cluster
import cluster_bus
import disk
import failover
import figures
import gateway_outage
import herd
import hostile
import lifecycle
import partition
import presence
import redis_outage
import redis_tls
import rolling_restart
import sentinels
import several
import slow_clients
import storm
from seqcheck import allow_descriptors

MODULES = (redis_outage, gateway_outage, failover, partition, slow_clients, disk, herd, rolling_restart, hostile, storm, actions, sentinels,
           several, lifecycle, cluster, cluster_bus, presence, redis_tls)
ALL = [fault for module in MODULES for fault in module.FAULTS]


def faults_named(name):
    """`f6` is `f6 RST`, `f6 both 30 s` and all others of it, but never `f6c`; a whole name is that one."""
    return [fault for fault in ALL if name in (fault.name, fault.name.split(" ")[0])]


NAMES = sorted({fault.name.split(" ")[0] for fault in ALL}, key=lambda name: (int(name[1:].rstrip("bcdef")), name))


def run_once(fault, short, off="", is_control=False, **given):
    bench = benches.Bench(fault.name, short, off, is_control)
    try:
        fault.run(bench, **given)
    except benches.NotHere as reason:
        bench.row("the run", "", f"not here: {reason}", None)
    except Exception as failure:  # pylint: disable=broad-except
        # The next fault is worth its run whatever became of this one.
        if not isinstance(failure, AssertionError):
            traceback.print_exc()
        bench.row("the run comes to its end", "yes", str(failure)[:300], False)
    finally:
        bench.close()
    return bench.rows


def run_control(fault, control, short, rows):
    """Puts what came of it into the row that it is about."""
    about = next((row for row in rows if control.misses in row.what), None)
    if about is None or about.good is None:
        return  # it did not come so far; the row that says why counts
    print(f"{fault.name}, control: {control.without}", flush=True)
    without = run_once(fault, short, control.off, True, **{**fault.given, **control.given})
    found = next((row for row in without if control.misses in row.what), None)
    shown = found.shown if found else without[-1].shown
    about.control = f"{control.without}: {shown}"
    about.control_failed = bool(found and found.good is False)


def run_fault(fault, short, with_controls):
    print(f"{fault.name}: {fault.sentence}", flush=True)
    rows = run_once(fault, short, **fault.given)
    for control in fault.controls if with_controls else ():
        if not (short and control.full_only):
            run_control(fault, control, short, rows)
    return [figures.heading(fault.name, fault.sentence), *rows]


def main():
    parser = argparse.ArgumentParser(prog="tests/fault/run.sh", description="Breaks things and looks what comes of it.")
    parser.add_argument("--short", action="store_true", help="smaller crowds, shorter runs")
    parser.add_argument("--no-controls", action="store_true", help="without the control runs")
    parser.add_argument("name", nargs="*", help=f"of {', '.join(NAMES)}; all of them if none is named")
    options = parser.parse_args()
    unknown = [name for name in options.name if not faults_named(name)]
    if unknown:
        parser.error(f"unknown fault {unknown[0]}; there are {', '.join(NAMES)}")
    allow_descriptors()
    rows = []
    for name in options.name or NAMES:
        for fault in faults_named(name):
            if not (options.short and fault.full_only):
                rows += run_fault(fault, options.short, not options.no_controls)
    print("\n" + figures.table(rows))
    n_good, n_bad = figures.count(rows)
    print(f"{n_good} reached, {n_bad} not")
    return 1 if n_bad else 0


if __name__ == "__main__":
    sys.exit(main())

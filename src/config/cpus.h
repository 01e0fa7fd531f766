#ifndef TIDEGATE_SRC_CONFIG_CPUS_H
#define TIDEGATE_SRC_CONFIG_CPUS_H

/*
 * How many CPUs this process may keep busy, at least 1: those it may run on, or fewer where its cgroup (v1 or
 * v2), or one above it, has a quota. A fraction is rounded down: a thread more than the quota pays for is a
 * process that stands still at the end of every period, with all its clients. `root` is put before /proc and
 * /sys: "" but in tests.
 */
unsigned int cpus_allowed(const char *root);

#endif

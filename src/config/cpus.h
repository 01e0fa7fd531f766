#ifndef TIDEGATE_SRC_CONFIG_CPUS_H
#define TIDEGATE_SRC_CONFIG_CPUS_H

/*
 * The number of CPUs that this process may keep busy, at least 1: those that it may run on, or fewer if its
 * cgroup (v1 or v2), or one above it, has a quota. A fraction is rounded down: with one thread more than the
 * quota pays for, the process and all its clients would stand still at the end of every period. root: put
 * before /proc and /sys; "" except in tests.
 */
unsigned int cpus_allowed(const char *root);

#endif

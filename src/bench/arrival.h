#ifndef TIDEGATE_BENCH_ARRIVAL_H
#define TIDEGATE_BENCH_ARRIVAL_H

/*
 * Arrival: when the bytes that a read brings had come to the socket, as the kernel noted it. What a busy load
 * generator reads late has not come late.
 */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The kernel notes it from now on. Without effect where it cannot. */
void arrival_watch(int fd);

/* As recv(2) does without waiting. *at_us: when the last of the bytes came, by clock_monotonic_us(); 0: it is
 * not known. */
ssize_t arrival_receive(int fd, void *data, size_t size, uint64_t *at_us);

#endif

#ifndef TIDEGATE_BENCH_PUBLISHER_H
#define TIDEGATE_BENCH_PUBLISHER_H

/*
 * Publisher: events on their way to a Redis, or to the limit server, many in one write.
 *
 * Nothing here waits after publisher_redis() has connected: what the socket does not take stays queued, and
 * publisher_service() goes on with it when the descriptor is ready. Redis' answers are read and counted, so
 * that it never stops for us; one that is an error ends the run.
 */

#include <stddef.h>
#include <stdint.h>

struct buf;
struct plan;
struct publisher;

/* Connected to the plan's Redis. NULL with one sentence appended to error. */
struct publisher *publisher_redis(const struct plan *plan, struct buf *error);

/*
 * To the limit server, over a descriptor that this takes over. The text goes out as the frame that
 * Tidegate makes of it, with a timestamp and the channel added, so that both send as many bytes.
 * NULL when out of memory.
 */
struct publisher *publisher_limit(const struct plan *plan, int fd);

/* Accepts NULL. */
void publisher_free(struct publisher *publisher);

int publisher_fd(const struct publisher *publisher);

/* Queues one event for channel number n. Several that are to go into the log of one channel, one behind the
 * other and unsent yet, go in one call. */
void publisher_add(struct publisher *publisher, uint32_t n, const char *text, size_t len);

/*
 * Writes what the socket takes and reads what has come. 0, or negative errno with one sentence appended to
 * error.
 */
int publisher_service(struct publisher *publisher, struct buf *error);

/* Bytes that the socket has not taken yet. */
size_t publisher_backlog(const struct publisher *publisher);

#endif

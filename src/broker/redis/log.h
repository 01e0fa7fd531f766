#ifndef TIDEGATE_BROKER_REDIS_LOG_H
#define TIDEGATE_BROKER_REDIS_LOG_H

/*
 * Redis log: the log of a channel as our library's functions keep it. Makes keys and arguments of a call, and
 * positions and entries of its answer.
 *
 * Redis is not trusted: an entry that is none of ours is left out and counted, an answer that cannot be made
 * out is an error. The name is the channel's in Redis, prefix and all.
 */

#include <stddef.h>

#include "broker/broker.h"
#include "core/slice.h"

struct metrics;
struct redis_library;
struct redis_reply;

/* The library to call, and the bounds. Borrowed until each call is answered. */
struct redis_log {
	struct redis_library *library;
	struct metrics *metrics;
	size_t payload_bytes_max; /* an entry with a larger one is handed up without it */
};

/* As broker_log_publish() and broker_log_read(). */
int redis_log_publish(struct redis_log *log, struct slice name, struct slice payload,
	const struct broker_log_options *options, broker_log_published_fn done, void *arg);
int redis_log_read(struct redis_log *log, struct slice name, uint64_t from, uint32_t count, uint64_t ttl_ms,
	broker_log_read_fn done, void *arg);

/* The answers' parsers. 0, or -EIO for nonsense. */
int redis_log_parse_published(const struct redis_reply *reply, struct position *id, bool *is_duplicatep);

/*
 * Entries has room for n_entries of redis_log_count(). How many there were in the end goes to *n_entriesp,
 * how many were left out to *n_badp. Payloads point into the reply.
 */
size_t redis_log_count(const struct redis_reply *reply);
int redis_log_parse_read(const struct redis_reply *reply, size_t payload_bytes_max, struct position *top,
	struct broker_log_entry *entries, size_t *n_entriesp, size_t *n_badp);

#endif

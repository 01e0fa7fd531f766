#ifndef TIDEGATE_WORKER_BACKLOG_H
#define TIDEGATE_WORKER_BACKLOG_H

/*
 * Backlog: what was posted to a worker and not taken yet, and which of it must give way.
 *
 * Bytes are counted by whoever posts and by the worker. Above a bound the worker passes over events, oldest
 * first, until half of the bound waits. The newest event of a key, or of a channel without keys, is kept: it
 * is the last word on something, and a quiet channel does not suffer for a busy one. When half as much again
 * as the bound waits, it gives way too.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct message;
struct worker_mail;

enum {
	WORKER_BACKLOG_BYTES = 64 << 20, /* docs/operations.md, docs/configuration.md and a test say so too */
};

struct backlog {
	_Atomic uint64_t bytes;

	/* All below belongs to the worker's thread. */
	uint64_t bytes_max;
	bool passes;             /* until half of the bound waits */
	struct message **newest; /* of each subject in the mail at hand; NULL: of none. Borrowed */
	size_t newest_capacity;  /* a power of two */
};

void backlog_init(struct backlog *backlog, uint64_t bytes_max);
void backlog_deinit(struct backlog *backlog);

/* What an event costs for as long as it waits. */
size_t backlog_event_bytes(const struct message *event);

/* Any thread. */
void backlog_posted(struct backlog *backlog, uint64_t bytes);
void backlog_taken(struct backlog *backlog, uint64_t bytes);
uint64_t backlog_bytes(const struct backlog *backlog);

/* Must the next event give way? Changes with what waits. */
bool backlog_passes(struct backlog *backlog);

/*
 * Notes the newest event of each key or channel in this mail and what follows it. From then on all of these
 * events must be asked about, in order, with backlog_keeps(), or the backlog be told to forget them. Out of
 * memory: none is kept.
 */
void backlog_learn(struct backlog *backlog, const struct worker_mail *oldest);
void backlog_forget(struct backlog *backlog);

/* Is it the newest of its key or channel, and may it stay for that? */
bool backlog_keeps(struct backlog *backlog, const struct message *event);

#endif

#ifndef TIDEGATE_WORKER_BACKLOG_H
#define TIDEGATE_WORKER_BACKLOG_H

/*
 * Backlog: the mail that was posted to a worker and not taken yet, and the choice of the
 * events that must give way.
 *
 * The posting thread and the worker count its bytes. Above a bound the worker passes over events, the oldest
 * first, until only half of the bound waits. The newest event of a key, or of a channel without keys, is
 * kept: it is the last word on its subject, and so a quiet channel does not suffer for a busy one. If one and
 * a half times the bound waits, these events give way too.
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
	bool passes; /* until half of the bound waits */
	/* the newest event of each subject in the mail at hand, borrowed; NULL without any */
	struct message **newest;
	size_t newest_capacity; /* a power of two */
};

void backlog_init(struct backlog *backlog, uint64_t bytes_max);
void backlog_deinit(struct backlog *backlog);

/* The memory that an event costs while it waits. */
size_t backlog_event_bytes(const struct message *event);

/* Any thread. */
void backlog_posted(struct backlog *backlog, uint64_t bytes);
void backlog_taken(struct backlog *backlog, uint64_t bytes);
uint64_t backlog_bytes(const struct backlog *backlog);

/* Must the next event give way? The answer changes with the waiting bytes. */
bool backlog_passes(struct backlog *backlog);

/*
 * Notes the newest event of each key or channel in this mail and the mail behind it. From then on
 * backlog_keeps() must be asked about each of these events, in order, or the backlog be told to forget them.
 * When out of memory, no event is kept.
 */
void backlog_learn(struct backlog *backlog, const struct worker_mail *oldest);
void backlog_forget(struct backlog *backlog);

/* Is it the newest of its key or channel, and may it stay for that? */
bool backlog_keeps(struct backlog *backlog, const struct message *event);

#endif

#ifndef TIDEGATE_CLIENT_OUTBOX_H
#define TIDEGATE_CLIENT_OUTBOX_H

/*
 * Outbox: the messages one client has not read yet.
 *
 * Events arrive as fast as Redis sends them; sockets drain as fast as the slowest phone reads. The outbox
 * stands between the two. It counts bytes, not messages, and refuses a message rather than grow past its
 * bound. What a refusal means is the client's decision.
 *
 * Messages are shared: pushing takes a reference, never a copy. Zeroed memory is an empty one, and an empty
 * one holds no memory. It belongs to one worker and is never locked.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct message;

enum {
	OUTBOX_FULL = 1, /* the message was not taken; the box is as it was */
};

struct outbox {
	struct message **ring; /* capacity is a power of two */
	uint32_t capacity;
	uint32_t head;
	uint32_t n;
	uint32_t bytes; /* of frames queued */
};

void outbox_deinit(struct outbox *box);

/* Queues the message and keeps a reference to it. 0, OUTBOX_FULL past bytes_max, or -ENOMEM. */
int outbox_push(struct outbox *box, struct message *message, size_t bytes_max);

/* Puts it before all others, whatever the bound: for pings and closes, which are never refused. 0 or -ENOMEM.
 */
int outbox_push_front(struct outbox *box, struct message *message);

/* The i-th oldest, borrowed (i < n). */
struct message *outbox_peek(const struct outbox *box, uint32_t i);

/* Takes out the oldest. The caller owns the reference; NULL when empty. */
struct message *outbox_pop(struct outbox *box);

static inline bool outbox_empty(const struct outbox *box)
{
	return box->n == 0;
}

#endif

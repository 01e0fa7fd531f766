#ifndef TIDEGATE_CLIENT_OUTBOX_H
#define TIDEGATE_CLIENT_OUTBOX_H

/*
 * Outbox: the messages one client has not read yet.
 *
 * Events arrive as fast as Redis sends them; sockets drain as fast as the slowest phone reads. The outbox
 * stands between the two. It counts the bytes of frames, not messages, and refuses a message rather than grow
 * past its bound, with one exception: an event that is larger than the bound by itself is taken where no
 * other event waits, or a client with a small bound could never get it. What a refusal means is the client's
 * decision, and so is which events give way (client/slow.h): replies, pings and closes never do, nor does
 * what the peer was promised. That does not count against the bound either.
 *
 * Messages are shared: pushing takes a reference, never a copy. Zeroed memory is an empty one, and an empty
 * one holds no memory. It belongs to one worker and is never locked.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct message;
struct outbox_queue;

enum {
	OUTBOX_FULL = 1, /* the message was not taken; the box is as it was */
};

struct outbox {
	struct outbox_queue *queue;
	uint32_t n;
	uint32_t bytes; /* of frames queued */
};

void outbox_deinit(struct outbox *box);

/*
 * Queues the message and keeps a reference to it. 0, OUTBOX_FULL past bytes_max, or -ENOMEM. *total counts
 * the bytes of several boxes: it grows as they come and shrinks as they leave, however they leave. It
 * outlives what is in the box, and is the same for all that is.
 */
int outbox_push(struct outbox *box, struct message *message, size_t bytes_max, uint64_t *total);

/* Queues an event that the peer was told of. Neither it nor what waits before it gives way. 0 or -ENOMEM. */
int outbox_push_promised(struct outbox *box, struct message *message, uint64_t *total);

/* Bytes that do not give way for that reason. */
size_t outbox_promised_bytes(const struct outbox *box);

/* Puts it before all others, whatever the bound: for pings and closes, which are never refused. 0 or -ENOMEM.
 */
int outbox_push_front(struct outbox *box, struct message *message, uint64_t *total);

/* The frames of the oldest, at most parts_max of them, borrowed: how many, and how many bytes. */
int outbox_peek(const struct outbox *box, struct iovec *parts, int parts_max, size_t *bytesp);

/* Events in the box that arrived up to then are there because they were asked for again. */
void outbox_note_replay(struct outbox *box, uint64_t arrived_us);

/* The latest such time; 0: all came live. Forgotten when the box is empty. */
uint64_t outbox_replayed_us(const struct outbox *box);

/* Takes out the oldest. The caller owns the reference; NULL when empty. */
struct message *outbox_pop(struct outbox *box);

uint32_t outbox_n_events(const struct outbox *box);

/* The oldest event, borrowed; NULL when there is none. */
const struct message *outbox_oldest_event(struct outbox *box);

/* Drops the oldest event that may give way. False: there is none. */
bool outbox_drop_oldest_event(struct outbox *box);

/*
 * Drops the event of the same channel with the same key, unless it was promised: how many there were (with
 * the first call also those that had been queued twice by then), or -ENOMEM. The new one is still to be
 * pushed, behind all others: what remains of a channel stays in order. Costs the same however many are
 * queued.
 */
int outbox_drop_same_key(struct outbox *box, const struct message *message);

static inline bool outbox_empty(const struct outbox *box)
{
	return box->n == 0;
}

#endif

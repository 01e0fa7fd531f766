#ifndef TIDEGATE_CLIENT_OUTBOX_H
#define TIDEGATE_CLIENT_OUTBOX_H

/*
 * Outbox: the messages that one client has not read yet.
 *
 * Events arrive as fast as Redis sends them; sockets drain as fast as the slowest phone reads. The outbox
 * stands between the two. It counts the bytes of frames, not messages, and refuses a message rather than grow
 * past its bound. There is one exception: an event that alone is larger than the bound is taken if no other
 * event waits, since otherwise a client with a small bound could never get it.
 *
 * What a refusal means is the client's decision, and so is which events give way (client/slow.h). Replies
 * never give way, nor do events that the peer was promised, which do not count against the bound either.
 *
 * Messages are shared: pushing takes a reference, never a copy. Zeroed memory is an empty outbox, which holds
 * no memory. An outbox belongs to one worker and is never locked.
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
 * Queues the message and keeps a reference to it. 0, OUTBOX_FULL past bytes_max, or -ENOMEM.
 *
 * total: counts the bytes of several boxes; it grows with each message that comes and shrinks with each that
 * leaves, in whatever way. All messages of a box are counted in the same total, which outlives them.
 */
int outbox_push(struct outbox *box, struct message *message, size_t bytes_max, uint64_t *total);

/* Queues an event that was promised to the peer. No message up to it gives way. 0 or -ENOMEM. */
int outbox_push_promised(struct outbox *box, struct message *message, uint64_t *total);

/* Bytes of the promised events and of the messages before them. */
size_t outbox_promised_bytes(const struct outbox *box);

/* The frames of the oldest messages, at most parts_max, borrowed. Returns how many; *bytesp: their bytes. */
int outbox_peek(const struct outbox *box, struct iovec *parts, int parts_max, size_t *bytesp);

/* Events in the box that arrived at this time or before are there because the peer asked for them again. */
void outbox_note_replay(struct outbox *box, uint64_t arrived_us);

/* The latest time that was noted; 0: all events came live. Forgotten when the box is empty. */
uint64_t outbox_replayed_us(const struct outbox *box);

/* Takes out the oldest message. The caller owns the reference; NULL when empty. */
struct message *outbox_pop(struct outbox *box);

uint32_t outbox_n_events(const struct outbox *box);

/* The oldest event, borrowed; NULL when there is none. */
const struct message *outbox_oldest_event(struct outbox *box);

/* Drops the oldest event that may give way. False if there is no such event. */
bool outbox_drop_oldest_event(struct outbox *box);

/*
 * Drops the event of the same channel with the same key, unless it was promised. Returns how many were
 * dropped, which with the first call also counts those that had been queued twice by then; or -ENOMEM. The
 * caller then pushes the new event behind all others, so the events of a channel stay in order. The cost does
 * not depend on how many are queued.
 */
int outbox_drop_same_key(struct outbox *box, const struct message *message);

static inline bool outbox_empty(const struct outbox *box)
{
	return box->n == 0;
}

#endif

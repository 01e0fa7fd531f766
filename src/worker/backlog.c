/* Backlog: the mail that was posted to a worker and not taken yet; see the header. */

#include "worker/backlog.h"

#include <stdlib.h>
#include <string.h>

#include "protocol/message.h"
#include "worker/worker_mail.h"

void backlog_init(struct backlog *backlog, uint64_t bytes_max)
{
	*backlog = (struct backlog){.bytes_max = bytes_max};
}

void backlog_deinit(struct backlog *backlog)
{
	backlog_forget(backlog);
}

size_t backlog_event_bytes(const struct message *event)
{
	return sizeof(struct message) + event->frame_len + event->channel_len;
}

void backlog_posted(struct backlog *backlog, uint64_t bytes)
{
	atomic_fetch_add_explicit(&backlog->bytes, bytes, memory_order_relaxed);
}

void backlog_taken(struct backlog *backlog, uint64_t bytes)
{
	atomic_fetch_sub_explicit(&backlog->bytes, bytes, memory_order_relaxed);
}

uint64_t backlog_bytes(const struct backlog *backlog)
{
	return atomic_load_explicit(&backlog->bytes, memory_order_relaxed);
}

bool backlog_passes(struct backlog *backlog)
{
	uint64_t bound = backlog->passes ? backlog->bytes_max / 2 : backlog->bytes_max;

	backlog->passes = backlog_bytes(backlog) > bound;
	return backlog->passes;
}

/* Have both the same key or, without keys, the same channel? */
static bool same_subject(const struct message *a, const struct message *b)
{
	if (a->key_len || b->key_len)
		return message_same_key(a, b);
	return a->channel_hash == b->channel_hash && a->channel_len == b->channel_len &&
	       memcmp(a->channel, b->channel, a->channel_len) == 0;
}

/* The slot of the newest event with the same subject, or the free slot for it. */
static size_t find(const struct backlog *backlog, const struct message *event)
{
	size_t mask = backlog->newest_capacity - 1;
	size_t i = (event->key_len ? event->key_hash : event->channel_hash) & mask;

	while (backlog->newest[i] && !same_subject(backlog->newest[i], event))
		i = (i + 1) & mask;
	return i;
}

static size_t count_events(const struct worker_mail *mail)
{
	size_t n = 0;

	for (; mail; mail = (const struct worker_mail *)mail->mail.next)
		if (mail->kind == WORKER_EVENTS)
			n += mail->n_events - mail->n_taken;
	return n;
}

void backlog_learn(struct backlog *backlog, const struct worker_mail *oldest)
{
	size_t n = count_events(oldest), capacity = 2;

	backlog_forget(backlog);
	while (capacity < 2 * n)
		capacity *= 2;
	backlog->newest = n ? calloc(capacity, sizeof(struct message *)) : NULL;
	if (!backlog->newest)
		return;
	backlog->newest_capacity = capacity;
	for (const struct worker_mail *mail = oldest; mail;
		mail = (const struct worker_mail *)mail->mail.next)
		for (uint32_t i = mail->n_taken; mail->kind == WORKER_EVENTS && i < mail->n_events; i++)
			backlog->newest[find(backlog, mail->events[i])] = mail->events[i];
}

void backlog_forget(struct backlog *backlog)
{
	free(backlog->newest);
	backlog->newest = NULL;
}

/* Frees a slot: entries that stand further behind because this slot was taken move up. */
static void leave(struct backlog *backlog, size_t hole)
{
	size_t mask = backlog->newest_capacity - 1;

	backlog->newest[hole] = NULL;
	for (size_t i = (hole + 1) & mask; backlog->newest[i]; i = (i + 1) & mask) {
		struct message *moved = backlog->newest[i];

		backlog->newest[i] = NULL;
		backlog->newest[find(backlog, moved)] = moved;
	}
}

bool backlog_keeps(struct backlog *backlog, const struct message *event)
{
	size_t i;

	if (!backlog->newest)
		return false;
	i = find(backlog, event);
	if (backlog->newest[i] != event)
		return false;
	leave(backlog, i);
	return backlog_bytes(backlog) <= backlog->bytes_max + backlog->bytes_max / 2;
}

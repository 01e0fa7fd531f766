/* Keepalive: two queues in order of their deadlines, see the header. */

#include "client/keepalive.h"

void keepalive_init(struct keepalive *keepalive, uint64_t interval_ms, uint64_t timeout_ms)
{
	list_init(&keepalive->quiet);
	list_init(&keepalive->expected);
	keepalive->interval_ms = interval_ms;
	keepalive->timeout_ms = timeout_ms;
}

void keepalive_set(struct keepalive *keepalive, uint64_t interval_ms, uint64_t timeout_ms, uint64_t now_ms)
{
	/* All move by the same, or to the same: the queues stay in order. */
	for (struct list *link = keepalive->quiet.next; link != &keepalive->quiet; link = link->next) {
		struct keepalive_link *quiet = list_entry(link, struct keepalive_link, link);

		quiet->due_ms += interval_ms - keepalive->interval_ms;
	}
	for (struct list *link = keepalive->expected.next; link != &keepalive->expected; link = link->next) {
		struct keepalive_link *expected = list_entry(link, struct keepalive_link, link);

		if (timeout_ms != keepalive->timeout_ms)
			expected->due_ms = now_ms + timeout_ms;
	}
	keepalive->interval_ms = interval_ms;
	keepalive->timeout_ms = timeout_ms;
}

void keepalive_add(struct keepalive *keepalive, struct keepalive_link *link, uint64_t now_ms)
{
	list_remove(&link->link);
	link->due_ms = now_ms + keepalive->interval_ms;
	link->owes_pong = false;
	list_push_back(&keepalive->quiet, &link->link);
}

void keepalive_remove(struct keepalive_link *link)
{
	list_remove(&link->link);
	link->owes_pong = false;
}

void keepalive_heard(struct keepalive *keepalive, struct keepalive_link *link, uint64_t now_ms)
{
	if (link->owes_pong)
		keepalive_add(keepalive, link, now_ms);
}

static struct keepalive_link *first_due(struct list *queue, uint64_t now_ms)
{
	struct keepalive_link *link;

	if (list_empty(queue))
		return NULL;
	link = list_entry(queue->next, struct keepalive_link, link);
	return link->due_ms <= now_ms ? link : NULL;
}

void keepalive_expect(struct keepalive *keepalive, struct keepalive_link *link, uint64_t now_ms)
{
	list_remove(&link->link);
	link->due_ms = now_ms + keepalive->timeout_ms;
	link->owes_pong = true;
	list_push_back(&keepalive->expected, &link->link);
}

struct keepalive_link *keepalive_next_ping(struct keepalive *keepalive, uint64_t now_ms)
{
	struct keepalive_link *link = first_due(&keepalive->quiet, now_ms);

	if (link)
		keepalive_expect(keepalive, link, now_ms);
	return link;
}

struct keepalive_link *keepalive_next_dead(struct keepalive *keepalive, uint64_t now_ms)
{
	struct keepalive_link *link = first_due(&keepalive->expected, now_ms);

	if (link)
		keepalive_remove(link);
	return link;
}

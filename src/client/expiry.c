/* Expiry: a wheel of seconds; see the header. */

#include "client/expiry.h"

enum {
	SECOND_MS = 1000,
};

/* The first second at whose beginning it is due. */
static uint64_t second_of(uint64_t ms)
{
	return (ms + SECOND_MS - 1) / SECOND_MS;
}

void expiry_init(struct expiry *expiry, uint64_t now_ms)
{
	for (int i = 0; i < EXPIRY_SLOTS; i++)
		list_init(&expiry->slots[i]);
	list_init(&expiry->due);
	expiry->now_s = now_ms / SECOND_MS;
}

void expiry_set(struct expiry *expiry, struct expiry_link *link, uint64_t due_ms)
{
	uint64_t due_s = second_of(due_ms);

	list_remove(&link->link);
	link->due_ms = due_ms;
	/* What is overdue already stands where the wheel looks next. */
	if (due_s < expiry->now_s)
		due_s = expiry->now_s;
	list_push_back(&expiry->slots[due_s % EXPIRY_SLOTS], &link->link);
}

void expiry_remove(struct expiry_link *link)
{
	list_remove(&link->link);
}

/* Moves what is due out of one slot. The others there belong to later rounds. */
static void take_slot(struct expiry *expiry, struct list *slot, uint64_t now_ms)
{
	struct list *next;

	for (struct list *link = slot->next; link != slot; link = next) {
		next = link->next;
		if (list_entry(link, struct expiry_link, link)->due_ms > now_ms)
			continue;
		list_remove(link);
		list_push_back(&expiry->due, link);
	}
}

struct expiry_link *expiry_next(struct expiry *expiry, uint64_t now_ms)
{
	uint64_t second = now_ms / SECOND_MS;
	struct list *first;

	/* After a long sleep each slot is looked at once, and not once for each round that was missed. */
	if (second >= expiry->now_s + EXPIRY_SLOTS)
		expiry->now_s = second - EXPIRY_SLOTS + 1;
	for (; list_empty(&expiry->due) && expiry->now_s <= second; expiry->now_s++)
		take_slot(expiry, &expiry->slots[expiry->now_s % EXPIRY_SLOTS], now_ms);
	if (list_empty(&expiry->due))
		return NULL;
	first = expiry->due.next;
	list_remove(first);
	return list_entry(first, struct expiry_link, link);
}

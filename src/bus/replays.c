/* Replays: bounds the missed events that are on their way to the workers; see the header. */

#include "bus/replays.h"

#include "mail/join.h"
#include "protocol/message.h"

void replays_init(struct replays *replays)
{
	*replays = (struct replays){0};
	list_init(&replays->held);
}

void replays_deinit(struct replays *replays)
{
	while (!list_empty(&replays->held)) {
		struct join *join = list_entry(replays->held.next, struct join, due);

		list_remove(&join->due);
		join_free(join);
	}
}

bool replays_admit(struct replays *replays, struct join *join)
{
	if (replays->bytes < REPLAYS_BYTES_MAX && list_empty(&replays->held))
		return true;
	list_push_back(&replays->held, &join->due);
	return false;
}

void replays_sent(struct replays *replays, struct join *join)
{
	join->credit.bytes = 0;
	for (uint32_t i = 0; i < join->n_events; i++)
		join->credit.bytes += join->events[i]->frame_len;
	replays->bytes += join->credit.bytes;
}

void replays_spent(struct replays *replays, const struct credit *credit)
{
	replays->bytes -= credit->bytes;
}

struct join *replays_next(struct replays *replays)
{
	struct join *join;

	if (replays->bytes >= REPLAYS_BYTES_MAX || list_empty(&replays->held))
		return NULL;
	join = list_entry(replays->held.next, struct join, due);
	list_remove(&join->due);
	return join;
}

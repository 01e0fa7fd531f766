/* Join: one client's wish to hear a channel from its position on; see the header. */

#include "mail/join.h"

#include <stdlib.h>
#include <string.h>

#include "core/map.h"
#include "protocol/message.h"

struct join *join_new(unsigned int worker, struct slice channel, const struct since *since)
{
	struct join *join = calloc(1, sizeof(*join) + channel.len + 1);

	if (!join)
		return NULL;
	if (since->n_others) {
		join->others = malloc(since->n_others * sizeof(*join->others));
		if (!join->others) {
			free(join);
			return NULL;
		}
		memcpy(join->others, since->others, since->n_others * sizeof(*join->others));
	}
	join->worker = worker;
	join->since = *since;
	join->since.others = join->others;
	join->mail.kind = BUS_JOIN;
	join->credit.mail.kind = BUS_SPENT;
	join->channel_len = channel.len;
	memcpy(join->channel, channel.data, channel.len);
	join->hash = map_hash(join->channel, join->channel_len);
	return join;
}

struct credit *join_spend(struct join *join)
{
	if (join->credit.bytes)
		return &join->credit;
	join_free(join);
	return NULL;
}

void credit_free(struct credit *credit)
{
	join_free(list_entry(credit, struct join, credit));
}

void join_free(struct join *join)
{
	if (!join)
		return;
	for (uint32_t i = 0; i < join->n_events; i++)
		message_unref(join->events[i]);
	free(join->events);
	free(join->others);
	free(join->carrier);
	free(join->owner);
	free(join);
}

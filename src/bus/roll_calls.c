/* Roll calls: clients ask who is on a channel; see the header. */

#include "bus/roll_calls.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "broker/broker.h"
#include "bus/bus_private.h"
#include "core/list.h"
#include "mail/presence.h"
#include "route/route.h"
#include "worker/worker.h"

/* A channel that the broker is asked about. */
struct roll_channel {
	struct map_entry entry;
	struct roll_calls *calls;
	bool names;
	struct list asked; /* wait for the answer that is under way */
	struct list later; /* for the next */
	char name[];
};

static void give_back(struct bus *bus, struct roll_call *call)
{
	if (call->worker < bus->n_workers)
		worker_post_roll(bus->workers[call->worker], call);
	else
		roll_call_free(call); /* the workers are gone */
}

static void answer_all(struct bus *bus, struct list *waiting, int r, struct roll *roll)
{
	while (!list_empty(waiting)) {
		struct roll_call *call = list_entry(waiting->next, struct roll_call, due);

		list_remove(&call->due);
		call->r = r;
		call->roll = roll ? roll_ref(roll) : NULL;
		give_back(bus, call);
	}
}

static void channel_free(struct roll_channel *channel)
{
	map_remove(&channel->calls->channels, &channel->entry);
	free(channel);
}

static void on_answer(void *arg, int r, const struct broker_roll *answer);

/* All that wait for the next answer are those that it is for. */
static void ask(struct roll_channel *channel)
{
	struct bus *bus = channel->calls->bus;
	struct slice name = {channel->name, channel->entry.key_len};
	const struct route_presence *presence = bus->routes ? route_table_presence(bus->routes, name) : NULL;
	int r;

	while (!list_empty(&channel->later)) {
		struct list *link = channel->later.next;

		list_remove(link);
		list_push_back(&channel->asked, link);
	}
	channel->names = presence && presence->list;
	r = broker_ask_presence(bus->broker, name, channel->names, on_answer, channel);
	if (r == 0)
		return;
	answer_all(bus, &channel->asked, r, NULL);
	channel_free(channel);
}

static void on_answer(void *arg, int r, const struct broker_roll *answer)
{
	struct roll_channel *channel = arg;
	struct bus *bus = channel->calls->bus;
	struct roll *roll = NULL;

	if (r == 0) {
		roll = roll_new(answer->n_users, answer->n_anonymous, channel->names, answer->users);
		r = roll ? 0 : -ENOMEM;
	}
	answer_all(bus, &channel->asked, r, roll);
	roll_unref(roll);
	if (r != -ECANCELED && !list_empty(&channel->later)) {
		ask(channel);
		return;
	}
	answer_all(bus, &channel->later, r, NULL);
	channel_free(channel);
}

static struct roll_channel *channel_new(struct roll_calls *calls, const struct roll_call *call)
{
	struct slice name = roll_call_channel(call);
	struct roll_channel *channel = calloc(1, sizeof(*channel) + name.len);

	if (!channel)
		return NULL;
	memcpy(channel->name, name.data, name.len);
	channel->entry = (struct map_entry){.hash = call->hash, .key = channel->name, .key_len = name.len};
	channel->calls = calls;
	list_init(&channel->asked);
	list_init(&channel->later);
	if (map_insert(&calls->channels, &channel->entry) == 0)
		return channel;
	free(channel);
	return NULL;
}

void roll_calls_take(struct roll_calls *calls, struct roll_call *call)
{
	struct slice name = roll_call_channel(call);
	struct map_entry *found = map_find(&calls->channels, call->hash, name.data, name.len);
	struct roll_channel *channel =
		found ? map_value(found, struct roll_channel, entry) : channel_new(calls, call);

	if (!channel) {
		call->r = -ENOMEM;
		give_back(calls->bus, call);
		return;
	}
	list_push_back(&channel->later, &call->due);
	if (!found)
		ask(channel);
}

void roll_calls_deinit(struct roll_calls *calls)
{
	map_deinit(&calls->channels);
}

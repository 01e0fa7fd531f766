/*
 * Redis cluster's channels: at which member each channel is heard. See cluster_channels.h.
 */

#include "broker/redis/cluster_channels.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "broker/redis/members.h"
#include "broker/redis/server.h"
#include "core/buf.h"

struct channel {
	struct map_entry entry;
	struct list link; /* in unplaced, or in none */
	unsigned int slot;
	struct redis_member *at[N_REDIS_HEARINGS]; /* NULL: nowhere */
	bool heard[N_REDIS_HEARINGS];              /* confirmed there */
	struct redis_member
		*from; /* classic: it is heard there still, until it is heard where it went. May be NULL */
	bool told;     /* subscribed() was called, and lost() was not since */
	bool awaited;  /* somebody waits for subscribed(), whatever was told */
	size_t name_len;
	char name[];
};

static struct channel *find(const struct redis_cluster_channels *channels, struct slice name)
{
	struct map_entry *entry =
		map_find(&channels->by_name, map_hash(name.data, name.len), name.data, name.len);

	return entry ? map_value(entry, struct channel, entry) : NULL;
}

static struct slice name_of(const struct channel *channel)
{
	return (struct slice){channel->name, channel->name_len};
}

/* --- what is told --- */

static void tell_lost(struct redis_cluster_channels *channels, struct channel *channel)
{
	if (!channel->told)
		return;
	channel->told = false;
	channels->events.lost(channels->events.arg, name_of(channel));
}

static bool is_heard(const struct redis_cluster_channels *channels, const struct channel *channel)
{
	for (int i = 0; i < N_REDIS_HEARINGS; i++)
		if (channels->hears[i] && !channel->heard[i])
			return false;
	return true;
}

static void tell_subscribed(struct redis_cluster_channels *channels, struct channel *channel)
{
	if (!is_heard(channels, channel))
		return;
	channel->told = true;
	channel->awaited = false;
	channels->events.subscribed(channels->events.arg, name_of(channel));
}

/* --- where it is heard --- */

static void note_unplaced(struct redis_cluster_channels *channels, struct channel *channel)
{
	list_remove(&channel->link);
	for (int i = 0; i < N_REDIS_HEARINGS; i++)
		if (channels->hears[i] && !channel->at[i]) {
			list_push_back(&channels->unplaced, &channel->link);
			return;
		}
}

/* It is heard nowhere in this way, from now on. */
static void take_away(struct channel *channel, enum redis_hearing hearing)
{
	struct redis_member *member = channel->at[hearing];

	channel->at[hearing] = NULL;
	channel->heard[hearing] = false;
	if (!member)
		return;
	if (hearing == REDIS_CLASSIC)
		member->n_classic--;
	redis_server_unsubscribe(member->server, hearing, name_of(channel));
}

static void drop_former(struct channel *channel)
{
	if (channel->from)
		redis_server_unsubscribe(channel->from->server, REDIS_CLASSIC, name_of(channel));
	channel->from = NULL;
}

/* 0 or -ENOMEM; then it is nowhere, and is placed with the next map. */
static int put(struct channel *channel, enum redis_hearing hearing, struct redis_member *member)
{
	int r = member ? redis_server_subscribe(member->server, hearing, name_of(channel)) : 0;

	channel->heard[hearing] = false;
	channel->at[hearing] = r == 0 ? member : NULL;
	if (hearing == REDIS_CLASSIC && channel->at[hearing])
		member->n_classic++;
	return r;
}

static void place_sharded(struct redis_cluster_channels *channels, struct channel *channel)
{
	struct redis_member *owner = redis_members_owner(channels->members, channel->slot);

	if (!channels->hears[REDIS_SHARDED] || channel->at[REDIS_SHARDED] == owner)
		return;
	if (channel->at[REDIS_SHARDED]) {
		take_away(channel, REDIS_SHARDED);
		tell_lost(channels, channel);
	}
	(void)put(channel, REDIS_SHARDED, owner);
}

/* Nobody is sound while we connect: then it waits for the owner. */
static void place_classic(struct redis_cluster_channels *channels, struct channel *channel)
{
	struct redis_member *member;

	if (!channels->hears[REDIS_CLASSIC] || channel->at[REDIS_CLASSIC])
		return;
	member = redis_members_refuge(channels->members, channel->slot);
	(void)put(channel, REDIS_CLASSIC,
		member ? member : redis_members_owner(channels->members, channel->slot));
}

static void place(struct redis_cluster_channels *channels, struct channel *channel)
{
	place_sharded(channels, channel);
	place_classic(channels, channel);
	note_unplaced(channels, channel);
}

/* The member goes on hearing it until the other one does, if it can. */
static void move_classic(
	struct redis_cluster_channels *channels, struct channel *channel, struct redis_member *to)
{
	struct redis_member *from = channel->at[REDIS_CLASSIC];
	bool hears = channel->heard[REDIS_CLASSIC] && redis_server_is_ready(from->server) && !from->late;

	drop_former(channel);
	if (hears) {
		channel->from = from;
		from->n_classic--;
	} else {
		take_away(channel, REDIS_CLASSIC);
		tell_lost(channels, channel);
	}
	(void)put(channel, REDIS_CLASSIC, to);
	note_unplaced(channels, channel);
}

void redis_cluster_channels_evacuate(struct redis_cluster_channels *channels, struct redis_member *member)
{
	struct map_entry *entry = NULL;

	if (FAULT_OFF(channels, classic_moves) || !member->n_classic)
		return;
	while ((entry = map_next(&channels->by_name, entry))) {
		struct channel *channel = map_value(entry, struct channel, entry);
		struct redis_member *to;

		if (channel->at[REDIS_CLASSIC] != member)
			continue;
		to = redis_members_refuge(channels->members, channel->slot);
		if (!to)
			return; /* all are away */
		if (to != member)
			move_classic(channels, channel, to);
	}
}

void redis_cluster_channels_forget(struct redis_cluster_channels *channels, struct redis_member *member)
{
	struct map_entry *entry = NULL;

	while ((entry = map_next(&channels->by_name, entry))) {
		struct channel *channel = map_value(entry, struct channel, entry);

		if (channel->from == member) {
			drop_former(channel);
			if (!channel->heard[REDIS_CLASSIC])
				tell_lost(channels, channel);
		}
		for (int i = 0; i < N_REDIS_HEARINGS; i++) {
			if (channel->at[i] != member)
				continue;
			take_away(channel, (enum redis_hearing)i);
			tell_lost(channels, channel);
			note_unplaced(channels, channel);
		}
	}
}

void redis_cluster_channels_place(struct redis_cluster_channels *channels, bool all)
{
	struct map_entry *entry = NULL;
	struct list some;

	while (all && (entry = map_next(&channels->by_name, entry)))
		place(channels, map_value(entry, struct channel, entry));
	if (all || list_empty(&channels->unplaced))
		return;
	/* What finds no place now goes back into the list. */
	some = channels->unplaced;
	some.next->prev = some.prev->next = &some;
	list_init(&channels->unplaced);
	while (!list_empty(&some))
		place(channels, list_entry(some.next, struct channel, link));
}

void redis_cluster_channels_hear(struct redis_cluster_channels *channels, bool classic, bool sharded)
{
	struct map_entry *entry = NULL;

	channels->hears[REDIS_CLASSIC] = classic;
	channels->hears[REDIS_SHARDED] = sharded;
	while ((entry = map_next(&channels->by_name, entry))) {
		struct channel *channel = map_value(entry, struct channel, entry);

		bool goes_on = classic && channel->from;

		for (int i = 0; i < N_REDIS_HEARINGS; i++)
			if (channels->hears[i])
				goes_on |= channel->heard[i];
			else
				take_away(channel, (enum redis_hearing)i);
		if (!classic)
			drop_former(channel);
		if (!goes_on)
			tell_lost(channels, channel);
		place(channels, channel);
		if (!channel->told || channel->awaited)
			tell_subscribed(channels, channel);
	}
}

void redis_cluster_channels_need_sharded(struct redis_cluster_channels *channels)
{
	struct map_entry *entry = NULL;

	while ((entry = map_next(&channels->by_name, entry))) {
		struct channel *channel = map_value(entry, struct channel, entry);

		if (!channel->heard[REDIS_SHARDED])
			tell_lost(channels, channel);
	}
}

/* --- what is wanted --- */

static unsigned int slot_of(const struct redis_cluster_channels *channels, struct slice name)
{
	struct buf text = {0};
	unsigned int slot;

	buf_append_str(&text, channels->prefix);
	buf_append(&text, name.data, name.len);
	slot = redis_slot(buf_slice(&text));
	buf_deinit(&text);
	return slot;
}

static struct channel *add(struct redis_cluster_channels *channels, struct slice name)
{
	struct channel *channel = calloc(1, sizeof(*channel) + name.len);

	if (!channel)
		return NULL;
	memcpy(channel->name, name.data, name.len);
	channel->name_len = name.len;
	channel->slot = slot_of(channels, name);
	channel->entry.key = channel->name;
	channel->entry.key_len = name.len;
	channel->entry.hash = map_hash(name.data, name.len);
	if (map_insert(&channels->by_name, &channel->entry) < 0) {
		free(channel);
		return NULL;
	}
	return channel;
}

static void drop(struct redis_cluster_channels *channels, struct channel *channel)
{
	drop_former(channel);
	for (int i = 0; i < N_REDIS_HEARINGS; i++)
		take_away(channel, (enum redis_hearing)i);
	list_remove(&channel->link);
	map_remove(&channels->by_name, &channel->entry);
	free(channel);
}

int redis_cluster_channels_want(struct redis_cluster_channels *channels, struct slice name)
{
	struct channel *channel = find(channels, name);
	int r = 0;

	if (!channel)
		channel = add(channels, name);
	if (!channel)
		return -ENOMEM;
	channel->awaited = true;
	/* Where it is already, its server says once more that it is subscribed. */
	for (int i = 0; r == 0 && i < N_REDIS_HEARINGS; i++) {
		channel->heard[i] = false;
		if (channel->at[i])
			r = redis_server_subscribe(channel->at[i]->server, (enum redis_hearing)i, name);
	}
	place(channels, channel);
	if (r < 0)
		drop(channels, channel);
	return r;
}

void redis_cluster_channels_unwant(struct redis_cluster_channels *channels, struct slice name)
{
	struct channel *channel = find(channels, name);

	if (channel)
		drop(channels, channel);
	map_tidy(&channels->by_name);
}

void redis_cluster_channels_hurry(struct redis_cluster_channels *channels, struct slice name)
{
	const struct channel *channel = find(channels, name);

	for (int i = 0; channel && i < N_REDIS_HEARINGS; i++)
		if (channel->at[i])
			redis_server_hurry(channel->at[i]->server, name);
}

/* --- what the servers say --- */

void redis_cluster_channels_event(struct redis_cluster_channels *channels, struct redis_member *member,
	enum redis_hearing hearing, struct slice name, struct slice payload)
{
	const struct channel *channel = find(channels, name);
	bool counts;

	if (!channel)
		return;
	/* One that moved is heard at two members for a moment, of which one counts. They are not in step, so
	 * what is published just then may count twice, or not at all. */
	if (hearing == REDIS_CLASSIC && channel->from && !channel->heard[REDIS_CLASSIC])
		counts = member == channel->from;
	else
		counts = member == channel->at[hearing];
	if (counts)
		channels->events.event(channels->events.arg, name, payload);
}

void redis_cluster_channels_subscribed(struct redis_cluster_channels *channels, struct redis_member *member,
	enum redis_hearing hearing, struct slice name)
{
	struct channel *channel = find(channels, name);
	bool seamless;

	if (!channel || channel->at[hearing] != member)
		return;
	channel->heard[hearing] = true;
	/* It moved and was heard elsewhere meanwhile, or this way is new. */
	seamless = channel->told && !channel->awaited;
	if (hearing == REDIS_CLASSIC)
		drop_former(channel);
	if (!seamless)
		tell_subscribed(channels, channel);
}

void redis_cluster_channels_lost(struct redis_cluster_channels *channels, struct redis_member *member,
	enum redis_hearing hearing, struct slice name)
{
	struct channel *channel = find(channels, name);
	bool left = channel && hearing == REDIS_CLASSIC && channel->from == member;

	if (!channel || (channel->at[hearing] != member && !left))
		return;
	if (left)
		drop_former(channel);
	if (channel->at[hearing] == member)
		channel->heard[hearing] = false;
	/* Said even if it had not been said to be subscribed: it was about to be. */
	channel->told = false;
	channels->events.lost(channels->events.arg, name_of(channel));
}

void redis_cluster_channels_gone(
	struct redis_cluster_channels *channels, struct redis_member *member, struct slice name)
{
	struct channel *channel = find(channels, name);

	if (!channel || channel->at[REDIS_SHARDED] != member) {
		redis_server_unsubscribe(member->server, REDIS_SHARDED, name);
		return;
	}
	take_away(channel, REDIS_SHARDED);
	tell_lost(channels, channel);
	note_unplaced(channels, channel);
}

void redis_cluster_channels_init(struct redis_cluster_channels *channels)
{
	list_init(&channels->unplaced);
}

void redis_cluster_channels_deinit(struct redis_cluster_channels *channels)
{
	map_free_all(&channels->by_name, offsetof(struct channel, entry));
}

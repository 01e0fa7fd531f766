/* Presence: which users are on which channels by this node; see the header. */

#include "bus/presence.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/broker.h"
#include "mail/presence.h"
#include "metrics/metrics.h"
#include "route/route.h"

enum {
	TEXT_BYTES_MAX = 32 * 1024, /* of the users in one call: what an event of it may have */
	UNKNOWN = -1,               /* what the broker was told last: nobody knows whether it heard */
};

/* Does the node hold the channel? Then others clear it up if it dies. */
enum hold {
	HOLD_NOT,
	HOLD_ASKED,
	HOLD_YES,
	HOLD_GOES, /* it is being let go */
};

struct channel {
	struct map_entry entry;
	struct presence *presence;
	struct list active; /* in presence.active */
	struct map users;
	struct list dirty;  /* users of whom the broker was told something else */
	struct list leaves; /* in the order of their ends */
	enum hold hold;
	bool busy;           /* a call is under way */
	uint64_t not_before; /* of the next call */
	char name[];
};

struct user {
	struct map_entry entry;
	struct channel *channel;
	struct list dirty;
	struct list leaves; /* of it, the oldest first */
	uint32_t n;         /* connections */
	uint32_t n_leaving; /* connections that left, and may come back */
	int64_t told;       /* what the broker knows */
	bool said;          /* in the call that is under way */
	char *text;         /* who it is; owned */
	size_t text_len;
	char name[];
};

/* A connection that left. */
struct leave {
	struct list due;     /* in channel.leaves */
	struct list of_user; /* in user.leaves */
	struct user *user;
	uint64_t at_ms;
};

/* A call that is under way. */
struct call {
	struct channel *channel;
	uint64_t era;
	size_t n;
	struct {
		struct user *user;
		uint32_t n;
	} said[];
};

static struct slice channel_name(const struct channel *channel)
{
	return (struct slice){channel->name, channel->entry.key_len};
}

/* --- users --- */

static struct user *user_find(const struct channel *channel, struct slice name)
{
	struct map_entry *entry =
		map_find(&channel->users, map_hash(name.data, name.len), name.data, name.len);

	return entry ? map_value(entry, struct user, entry) : NULL;
}

/* NULL when out of memory. */
static struct user *user_new(struct channel *channel, struct slice name)
{
	struct user *user = calloc(1, sizeof(*user) + name.len + 1);

	if (!user)
		return NULL;
	if (name.len)
		memcpy(user->name, name.data, name.len);
	user->channel = channel;
	list_init(&user->leaves);
	user->entry = (struct map_entry){
		.hash = map_hash(user->name, name.len), .key = user->name, .key_len = name.len};
	if (map_insert(&channel->users, &user->entry) < 0) {
		free(user);
		return NULL;
	}
	channel->presence->n_users++;
	return user;
}

static void user_free(struct user *user)
{
	user->channel->presence->n_users--;
	while (!list_empty(&user->leaves)) {
		struct leave *leave = list_entry(user->leaves.next, struct leave, of_user);

		list_remove(&leave->of_user);
		list_remove(&leave->due);
		free(leave);
	}
	list_remove(&user->dirty);
	map_remove(&user->channel->users, &user->entry);
	free(user->text);
	free(user);
}

static uint32_t user_shown(const struct user *user)
{
	return user->n + user->n_leaving;
}

/* The user has changed, or what the broker knows of it has. It goes when there is nothing left to say. */
static void user_settle(struct user *user)
{
	list_remove(&user->dirty);
	if (user->told != (int64_t)user_shown(user))
		list_push_back(&user->channel->dirty, &user->dirty);
	else if (!user_shown(user) && !user->said)
		user_free(user);
}

/* Keeps the newest text; without memory the one before. */
static void user_describe(struct user *user, struct slice text)
{
	char *copy;

	if (!text.len || (user->text_len == text.len && memcmp(user->text, text.data, text.len) == 0))
		return;
	copy = malloc(text.len);
	if (!copy)
		return;
	free(user->text);
	user->text = memcpy(copy, text.data, text.len);
	user->text_len = text.len;
}

/* --- channels --- */

static struct channel *channel_find(const struct presence *presence, uint64_t hash, struct slice name)
{
	struct map_entry *entry = map_find(&presence->channels, hash, name.data, name.len);

	return entry ? map_value(entry, struct channel, entry) : NULL;
}

/* NULL when out of memory. */
static struct channel *channel_new(struct presence *presence, uint64_t hash, struct slice name)
{
	struct channel *channel = calloc(1, sizeof(*channel) + name.len + 1);

	if (!channel)
		return NULL;
	memcpy(channel->name, name.data, name.len);
	channel->presence = presence;
	list_init(&channel->dirty);
	list_init(&channel->leaves);
	channel->entry = (struct map_entry){.hash = hash, .key = channel->name, .key_len = name.len};
	if (map_insert(&presence->channels, &channel->entry) == 0)
		return channel;
	free(channel);
	return NULL;
}

static void channel_free(struct channel *channel)
{
	struct map_entry *next;

	for (struct map_entry *e = map_next(&channel->users, NULL); e; e = next) {
		next = map_next(&channel->users, e);
		user_free(map_value(e, struct user, entry));
	}
	map_deinit(&channel->users);
	list_remove(&channel->active);
	map_remove(&channel->presence->channels, &channel->entry);
	free(channel);
}

static bool is_empty(const struct channel *channel)
{
	return channel->users.n_entries == 0;
}

/* Has it something to do in a tick? Freed where there is nothing to remember of it. */
static void channel_settle(struct channel *channel)
{
	bool idle = list_empty(&channel->dirty) && list_empty(&channel->leaves) &&
		    !(is_empty(channel) && channel->hold == HOLD_YES);

	if (is_empty(channel) && channel->hold == HOLD_NOT && !channel->busy) {
		channel_free(channel);
		return;
	}
	if (idle)
		list_remove(&channel->active);
	else if (!list_linked(&channel->active))
		list_push_back(&channel->presence->active, &channel->active);
}

/* --- what happens --- */

static void came(struct user *user, struct slice text)
{
	user_describe(user, text);
	user->n++;
	if (!list_empty(&user->leaves)) { /* it is back: the one that left was not away */
		struct leave *leave = list_entry(user->leaves.next, struct leave, of_user);

		list_remove(&leave->of_user);
		list_remove(&leave->due);
		free(leave);
		user->n_leaving--;
	}
	user_settle(user);
}

static uint64_t grace_of(const struct channel *channel)
{
	const struct presence *presence = channel->presence;
	const struct route_presence *kept =
		presence->routes ? route_table_presence(presence->routes, channel_name(channel)) : NULL;

	return kept ? kept->grace_ms : 0;
}

static void left(struct user *user, uint64_t now_ms)
{
	uint64_t grace_ms = grace_of(user->channel);
	struct leave *leave = grace_ms && user->n ? malloc(sizeof(*leave)) : NULL;

	if (!user->n)
		return; /* it came without memory for it */
	user->n--;
	if (leave) { /* without memory it leaves at once */
		*leave = (struct leave){.user = user, .at_ms = now_ms + grace_ms};
		list_push_back(&user->leaves, &leave->of_user);
		list_push_back(&user->channel->leaves, &leave->due);
		user->n_leaving++;
	}
	user_settle(user);
}

int presence_take(struct presence *presence, const struct presence_change *change, uint64_t now_ms)
{
	struct slice name = presence_change_channel(change), who = presence_change_user(change);
	struct channel *channel = channel_find(presence, change->hash, name);
	struct user *user = channel ? user_find(channel, who) : NULL;

	if (!change->is_here) {
		if (user) {
			left(user, now_ms);
			channel_settle(channel);
		}
		return 0;
	}
	if (!channel)
		channel = channel_new(presence, change->hash, name);
	if (channel && !user)
		user = user_new(channel, who);
	if (user)
		came(user, presence_change_text(change));
	if (channel)
		channel_settle(channel);
	return user ? 0 : -ENOMEM;
}

/* --- telling the broker --- */

static void call_over(struct call *call, int r, uint64_t now_ms)
{
	struct channel *channel = call->channel;
	struct presence *presence = channel->presence;

	channel->busy = false;
	if (r < 0) {
		metrics_add(presence->metrics, METRIC_PRESENCE_FAILED, 1);
		channel->not_before = now_ms + PRESENCE_AGAIN_MS;
	}
	for (size_t i = 0; i < call->n; i++) {
		struct user *user = call->said[i].user;

		user->said = false;
		if (call->era == presence->era)
			user->told = r == 0 ? (int64_t)call->said[i].n : UNKNOWN;
		user_settle(user);
	}
	channel_settle(channel);
	free(call);
}

static void on_set(void *arg, int r, const struct broker_roll *roll)
{
	struct call *call = arg;
	struct presence *presence = call->channel->presence;

	presence->n_calls--;
	if (r == 0) {
		metrics_add(presence->metrics, METRIC_PRESENCE_JOINED, roll->n_joined);
		metrics_add(presence->metrics, METRIC_PRESENCE_LEFT, roll->n_left);
	}
	call_over(call, r, presence->now_ms);
}

/* Takes users that are to be told of, as many as one call may have. */
static void fill(struct channel *channel, struct call *call, struct broker_user *users)
{
	size_t bytes = 0;
	struct list *link = channel->dirty.next;

	for (; link != &channel->dirty && call->n < BROKER_USERS_MAX && bytes < TEXT_BYTES_MAX;
		link = link->next) {
		struct user *user = list_entry(link, struct user, dirty);

		user->said = true;
		bytes += user->text_len;
		call->said[call->n].user = user;
		call->said[call->n].n = user_shown(user);
		users[call->n++] = (struct broker_user){
			.user = {user->name, user->entry.key_len},
			.n = user_shown(user),
			.text = {user->text ? user->text : "", user->text_len},
		};
	}
}

void presence_place(const struct presence *presence, struct slice name, struct broker_presence *place)
{
	const struct route_presence *kept =
		presence->routes ? route_table_presence(presence->routes, name) : NULL;
	const struct route_history *history =
		presence->routes ? route_table_history(presence->routes, name) : NULL;

	place->channel = name;
	place->tells = kept && kept->events;
	place->names = kept && kept->list;
	place->log_size = history ? history->size : 0;
	place->log_ttl_ms = history ? history->ttl_ms : 0;
}

static void tell(struct channel *channel)
{
	struct presence *presence = channel->presence;
	struct broker_presence place = {.node = slice_of(presence->node)};
	struct broker_user users[BROKER_USERS_MAX];
	struct call *call = malloc(sizeof(*call) + BROKER_USERS_MAX * sizeof(call->said[0]));
	int r;

	if (!call)
		return;
	*call = (struct call){.channel = channel, .era = presence->era};
	presence_place(presence, channel_name(channel), &place);
	fill(channel, call, users);
	channel->busy = true;
	presence->n_calls++;
	r = broker_set_presence(presence->broker, &place, users, call->n, on_set, call);
	if (r == 0)
		return;
	presence->n_calls--;
	call_over(call, r, presence->now_ms);
}

/* --- what is held --- */

/* One call about several channels. */
struct holding {
	struct presence *presence;
	uint64_t era;
	bool hold;
	size_t n;
	struct channel *channels[BROKER_HELD_MAX];
};

static void on_held(void *arg, int r)
{
	struct holding *holding = arg;
	struct presence *presence = holding->presence;

	presence->n_calls--;
	for (size_t i = 0; i < holding->n; i++) {
		struct channel *channel = holding->channels[i];

		channel->busy = false;
		if (holding->era == presence->era)
			/* What could not be let go is held, as far as anybody knows. */
			channel->hold = holding->hold == (r == 0) ? HOLD_YES : HOLD_NOT;
		if (r < 0)
			channel->not_before = presence->now_ms + PRESENCE_AGAIN_MS;
		channel_settle(channel);
	}
	free(holding);
}

static bool wants(const struct channel *channel, bool hold)
{
	if (channel->busy)
		return false;
	if (hold)
		return channel->hold == HOLD_NOT && !list_empty(&channel->dirty);
	return channel->hold == HOLD_YES && is_empty(channel);
}

/* Holds channels, or lets them go, as many as one call may name. Returns how many. */
static size_t hold_some(struct presence *presence, bool hold)
{
	char texts[BROKER_HELD_MAX][PRESENCE_HELD_MAX];
	struct slice names[BROKER_HELD_MAX];
	struct holding *holding = malloc(sizeof(*holding));
	size_t n = 0;
	int r = 0;

	if (!holding)
		return 0;
	*holding = (struct holding){.presence = presence, .era = presence->era, .hold = hold};
	for (struct list *link = presence->active.next; link != &presence->active && n < BROKER_HELD_MAX;
		link = link->next) {
		struct channel *channel = list_entry(link, struct channel, active);

		if (!wants(channel, hold) || channel->not_before > presence->now_ms)
			continue;
		texts[n][0] = PRESENCE_HELD;
		memcpy(texts[n] + 1, channel->name, channel->entry.key_len);
		names[n] = (struct slice){texts[n], channel->entry.key_len + 1};
		channel->hold = hold ? HOLD_ASKED : HOLD_GOES;
		channel->busy = true;
		holding->channels[n++] = channel;
	}
	holding->n = n;
	presence->n_calls++;
	if (n)
		r = broker_hold(presence->broker, slice_of(presence->node), hold, names, n, on_held, holding);
	if (r == -EOPNOTSUPP)
		r = 0; /* the node is alone: nobody clears up behind it */
	else if (r == 0 && n)
		return n;
	on_held(holding, r);
	return r < 0 ? 0 : n;
}

/* --- time --- */

static void end_leaves(struct channel *channel, uint64_t now_ms)
{
	while (!list_empty(&channel->leaves)) {
		struct leave *leave = list_entry(channel->leaves.next, struct leave, due);
		struct user *user = leave->user;

		if (leave->at_ms > now_ms)
			return;
		list_remove(&leave->of_user);
		list_remove(&leave->due);
		free(leave);
		user->n_leaving--;
		user_settle(user);
	}
}

void presence_tick(struct presence *presence, uint64_t now_ms)
{
	struct list *next;

	presence->now_ms = now_ms;
	for (struct list *link = presence->active.next; link != &presence->active; link = next) {
		struct channel *channel = list_entry(link, struct channel, active);

		next = link->next;
		end_leaves(channel, now_ms);
		channel_settle(channel);
	}
	if (!*presence->node || now_ms >= presence->until_ms)
		return;
	while (presence->n_calls < PRESENCE_CALLS_MAX && hold_some(presence, true) == BROKER_HELD_MAX)
		;
	while (presence->n_calls < PRESENCE_CALLS_MAX && hold_some(presence, false) == BROKER_HELD_MAX)
		;
	for (struct list *link = presence->active.next;
		link != &presence->active && presence->n_calls < PRESENCE_CALLS_MAX; link = next) {
		struct channel *channel = list_entry(link, struct channel, active);

		next = link->next;
		if (channel->hold == HOLD_YES && !channel->busy && !list_empty(&channel->dirty) &&
			channel->not_before <= now_ms)
			tell(channel);
	}
	map_tidy(&presence->channels);
	metrics_set(presence->metrics, METRIC_PRESENCE_USERS, presence->n_users);
}

bool presence_is_active(const struct presence *presence)
{
	return !list_empty(&presence->active);
}

void presence_count(
	const struct presence *presence, struct slice name, uint64_t *n_usersp, uint64_t *n_anonymousp)
{
	const struct channel *channel = channel_find(presence, map_hash(name.data, name.len), name);
	const struct user *nameless = channel ? user_find(channel, (struct slice){"", 0}) : NULL;

	*n_anonymousp = nameless ? user_shown(nameless) : 0;
	*n_usersp = channel ? channel->users.n_entries - (nameless != NULL) : 0;
}

/* --- the name --- */

static void forget_what_was_told(struct channel *channel)
{
	struct map_entry *next;

	channel->hold = HOLD_NOT;
	channel->not_before = 0;
	for (struct map_entry *e = map_next(&channel->users, NULL); e; e = next) {
		struct user *user = map_value(e, struct user, entry);

		next = map_next(&channel->users, e);
		user->told = 0;
		user_settle(user);
	}
}

void presence_set_node(struct presence *presence, const char *node, uint64_t until_ms)
{
	struct map_entry *next;

	presence->until_ms = until_ms;
	if (strcmp(presence->node, node) == 0)
		return;
	presence->era++;
	snprintf(presence->node, sizeof(presence->node), "%s", node);
	for (struct map_entry *e = map_next(&presence->channels, NULL); e; e = next) {
		struct channel *channel = map_value(e, struct channel, entry);

		next = map_next(&presence->channels, e);
		forget_what_was_told(channel);
		channel_settle(channel);
	}
}

void presence_init(struct presence *presence, struct metrics *metrics)
{
	*presence = (struct presence){.metrics = metrics};
	list_init(&presence->active);
}

void presence_deinit(struct presence *presence)
{
	struct map_entry *next;

	for (struct map_entry *e = map_next(&presence->channels, NULL); e; e = next) {
		next = map_next(&presence->channels, e);
		channel_free(map_value(e, struct channel, entry));
	}
	map_deinit(&presence->channels);
}

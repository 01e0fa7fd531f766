/* Memory presence: who is on which channel, for a node that has no Redis; see the header. */

#include "broker/memory_presence.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct channel {
	struct map_entry entry;
	struct map users;
	uint64_t n_anonymous;
	char name[];
};

struct user {
	struct map_entry entry;
	size_t text_len;
	char bytes[]; /* name and text */
};

static struct map_entry *find(const struct map *map, struct slice name)
{
	return map_find(map, map_hash(name.data, name.len), name.data, name.len);
}

static struct channel *channel_get(struct memory_presence *memory, struct slice name)
{
	struct map_entry *found = find(&memory->channels, name);
	struct channel *channel;

	if (found)
		return map_value(found, struct channel, entry);
	channel = calloc(1, sizeof(*channel) + name.len);
	if (!channel)
		return NULL;
	memcpy(channel->name, name.data, name.len);
	channel->entry = (struct map_entry){
		.hash = map_hash(name.data, name.len), .key = channel->name, .key_len = name.len};
	if (map_insert(&memory->channels, &channel->entry) == 0)
		return channel;
	free(channel);
	return NULL;
}

static int add(struct channel *channel, const struct broker_user *said)
{
	struct user *user = calloc(1, sizeof(*user) + said->user.len + said->text.len);

	if (!user)
		return -ENOMEM;
	memcpy(user->bytes, said->user.data, said->user.len);
	if (said->text.len)
		memcpy(user->bytes + said->user.len, said->text.data, said->text.len);
	user->text_len = said->text.len;
	user->entry = (struct map_entry){.hash = map_hash(said->user.data, said->user.len),
		.key = user->bytes,
		.key_len = said->user.len};
	if (map_insert(&channel->users, &user->entry) == 0)
		return 0;
	free(user);
	return -ENOMEM;
}

static struct slice text_of(const struct user *user)
{
	return (struct slice){user->bytes + user->entry.key_len, user->text_len};
}

static void list_text(struct buf *out, struct slice text)
{
	if (out->len)
		buf_append_char(out, ',');
	buf_append(out, text.data, text.len);
}

static void remove_user(struct channel *channel, struct user *user)
{
	map_remove(&channel->users, &user->entry);
	free(user);
}

/* What a call changes. */
struct changes {
	struct buf joined, left;
	bool anonymous;
};

static int set_user(struct channel *channel, const struct broker_user *said, struct changes *changes,
	struct broker_roll *roll)
{
	struct map_entry *found = find(&channel->users, said->user);
	int r = 0;

	if (!said->user.len) {
		changes->anonymous |= channel->n_anonymous != said->n;
		channel->n_anonymous = said->n;
	} else if (said->n && !found) {
		r = add(channel, said);
		list_text(&changes->joined, said->text);
		roll->n_joined += r == 0;
	} else if (!said->n && found) {
		list_text(&changes->left, text_of(map_value(found, struct user, entry)));
		roll->n_left++;
		remove_user(channel, map_value(found, struct user, entry));
	}
	return r;
}

static void write_event(const struct broker_presence *presence, const struct changes *changes,
	const struct broker_roll *roll, struct buf *out)
{
	buf_append_str(out, "{\"type\":\"presence_changed\",\"data\":{");
	if (presence->names) {
		buf_append_str(out, "\"joined\":[");
		buf_append(out, changes->joined.data, changes->joined.len);
		buf_append_str(out, "],\"left\":[");
		buf_append(out, changes->left.data, changes->left.len);
		buf_append_str(out, "],");
	}
	buf_printf(out, "\"n_users\":%" PRIu64 ",\"n_anonymous\":%" PRIu64 "}}", roll->n_users,
		roll->n_anonymous);
}

static void channel_free(struct memory_presence *memory, struct channel *channel)
{
	map_deinit(&channel->users);
	map_remove(&memory->channels, &channel->entry);
	free(channel);
}

int memory_presence_set(struct memory_presence *memory, const struct broker_presence *presence,
	const struct broker_user *users, size_t n, struct broker_roll *roll, struct buf *event)
{
	struct channel *channel = channel_get(memory, presence->channel);
	struct changes changes = {0};
	int r = channel ? 0 : -ENOMEM;

	*roll = (struct broker_roll){0};
	if (!channel)
		return r;
	for (size_t i = 0; r == 0 && i < n; i++)
		r = set_user(channel, &users[i], &changes, roll);
	roll->n_users = channel->users.n_entries;
	roll->n_anonymous = channel->n_anonymous;
	if (event && (changes.anonymous || roll->n_joined || roll->n_left))
		write_event(presence, &changes, roll, event);
	if (event && (changes.joined.failed || changes.left.failed))
		event->failed = true;
	if (!channel->users.n_entries && !channel->n_anonymous)
		channel_free(memory, channel);
	buf_deinit(&changes.joined);
	buf_deinit(&changes.left);
	return r;
}

void memory_presence_ask(const struct memory_presence *memory, struct slice name, bool names,
	struct broker_roll *roll, struct buf *texts)
{
	struct map_entry *found = find(&memory->channels, name);
	const struct channel *channel = found ? map_value(found, struct channel, entry) : NULL;
	size_t n = 0;

	*roll = (struct broker_roll){0};
	if (!channel)
		return;
	roll->n_users = channel->users.n_entries;
	roll->n_anonymous = channel->n_anonymous;
	for (struct map_entry *e = names ? map_next(&channel->users, NULL) : NULL;
		e && n < BROKER_ROLL_MAX && texts->len < BROKER_ROLL_BYTES;
		e = map_next(&channel->users, e), n++)
		list_text(texts, text_of(map_value(e, struct user, entry)));
}

void memory_presence_deinit(struct memory_presence *memory)
{
	struct map_entry *next, *after;

	for (struct map_entry *e = map_next(&memory->channels, NULL); e; e = next) {
		struct channel *channel = map_value(e, struct channel, entry);

		next = map_next(&memory->channels, e);
		for (struct map_entry *u = map_next(&channel->users, NULL); u; u = after) {
			after = map_next(&channel->users, u);
			remove_user(channel, map_value(u, struct user, entry));
		}
		channel_free(memory, channel);
	}
	map_deinit(&memory->channels);
}

/* Presence: what travels between workers and bus about who is on a channel; see the header. */

#include "mail/presence.h"

#include <stdlib.h>
#include <string.h>

#include "core/map.h"

static char *put(char *at, struct slice text)
{
	if (text.len)
		memcpy(at, text.data, text.len);
	return at + text.len;
}

struct presence_change *presence_change_new(
	struct slice channel, struct slice user, struct slice text, bool is_here)
{
	struct presence_change *change = malloc(sizeof(*change) + channel.len + user.len + text.len);

	if (!change)
		return NULL;
	*change = (struct presence_change){
		.mail.kind = BUS_PRESENCE,
		.hash = map_hash(channel.data, channel.len),
		.is_here = is_here,
		.channel_len = channel.len,
		.user_len = user.len,
		.text_len = text.len,
	};
	put(put(put(change->bytes, channel), user), text);
	return change;
}

struct roll *roll_new(uint64_t n_users, uint64_t n_anonymous, bool names, struct slice text)
{
	struct roll *roll = malloc(sizeof(*roll) + text.len);

	if (!roll)
		return NULL;
	*roll = (struct roll){
		.n_users = n_users, .n_anonymous = n_anonymous, .names = names, .len = text.len};
	atomic_init(&roll->n_refs, 1);
	put(roll->text, text);
	return roll;
}

struct roll *roll_ref(struct roll *roll)
{
	atomic_fetch_add_explicit(&roll->n_refs, 1, memory_order_relaxed);
	return roll;
}

void roll_unref(struct roll *roll)
{
	if (roll && atomic_fetch_sub_explicit(&roll->n_refs, 1, memory_order_acq_rel) == 1)
		free(roll);
}

struct roll_call *roll_call_new(unsigned int worker, struct slice channel, struct slice id, void *owner)
{
	struct roll_call *call = calloc(1, sizeof(*call) + channel.len + id.len);

	if (!call)
		return NULL;
	call->mail.kind = BUS_ROLL_CALL;
	call->worker = worker;
	call->owner = owner;
	call->hash = map_hash(channel.data, channel.len);
	call->channel_len = channel.len;
	call->id_len = id.len;
	put(put(call->bytes, channel), id);
	return call;
}

void roll_call_free(struct roll_call *call)
{
	if (!call)
		return;
	list_remove(&call->due);
	roll_unref(call->roll);
	free(call->carrier);
	free(call);
}

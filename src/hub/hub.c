/* Hub: channels, subscriptions, delivery; see the header. */

#include "hub/hub.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/list.h"
#include "core/map.h"
#include "core/prefetch.h"
#include "hub/batch_forms.h"
#include "mail/wish.h"
#include "protocol/message.h"

/*
 * What each event touches comes first, and the name at once behind it: the batches, which are only used while
 * messages are handed out, are the hub's. Most channels of an item have one subscriber and get one message in
 * a flush, so there is room for one of each in here.
 */
struct hub_channel {
	struct map_entry entry; /* key points at name */
	struct hub_subscription **subscribers;
	uint32_t n_subscribers;
	uint32_t capacity;
	struct message **messages;
	uint64_t *arrivals; /* of the messages: the hub's count when each was noted */
	uint32_t n_messages;
	uint32_t messages_capacity;
	struct list dirty; /* in hub.dirty while it has messages */
	struct hub_subscription *first_subscriber;
	struct message *first_message;
	uint64_t first_arrival;
	uint64_t generation;
	struct hub_batch *batches; /* a form each, while messages are handed out */
	uint32_t taken;            /* by the subscriber that is being handed several channels */
	bool confirmed;
	bool urgent; /* and was said to be */
	char name[];
};

struct hub {
	struct hub_listener listener;
	struct map channels;
	size_t n_subscriptions;
	uint64_t generation;
	struct list dirty;
	uint32_t n_dirty;
	uint64_t n_noted;     /* messages, ever */
	uint64_t noted_bytes; /* that the next flush hands out, once for each subscriber */
	uint64_t n_flushes;
	struct buf bytes;                     /* frames laid one behind the other; kept from flush to flush */
	size_t flush_len;                     /* of all frames that are laid out in this flush */
	uint32_t flush_n;                     /* messages of this flush */
	struct hub_batch (*batches)[N_FORMS]; /* room for each channel that is dirty */
	uint32_t batches_capacity;
	struct batch_forms forms;
};

enum {
	NAME_TOUCHED = 32, /* bytes of a channel's name; most have no more */
	FIRST_BATCHES = 64,
	BATCHES_KEPT = 4096,     /* channels in one flush; more were an exception */
	BYTES_KEPT = 256 * 1024, /* of the flush buffer; a larger buffer was an exception */
	AHEAD = 8,               /* subscribers: some microseconds of handing out */
	EXPECT_WORTH = 8,        /* channels in one flush; with fewer, prefetching is not worth its cost */
};

struct hub *hub_new(const struct hub_listener *listener)
{
	struct hub *hub = calloc(1, sizeof(*hub));

	if (!hub)
		return NULL;
	hub->listener = *listener;
	hub->forms.maker = listener->maker;
	list_init(&hub->dirty);
	return hub;
}

void hub_free(struct hub *hub)
{
	if (!hub)
		return;
	map_deinit(&hub->channels);
	buf_deinit(&hub->bytes);
	free(hub->batches);
	batch_forms_deinit(&hub->forms);
	free(hub);
}

/* --- channels --- */

static struct slice channel_name(const struct hub_channel *channel)
{
	return (struct slice){channel->name, channel->entry.key_len};
}

static struct hub_channel *channel_find(const struct hub *hub, uint64_t hash, struct slice name)
{
	struct map_entry *entry = map_find(&hub->channels, hash, name.data, name.len);

	return entry ? map_value(entry, struct hub_channel, entry) : NULL;
}

static struct hub_channel *channel_new(struct hub *hub, uint64_t hash, struct slice name)
{
	struct hub_channel *channel = calloc(1, sizeof(*channel) + name.len + 1);

	if (!channel)
		return NULL;
	channel->subscribers = &channel->first_subscriber;
	channel->messages = &channel->first_message;
	channel->arrivals = &channel->first_arrival;
	channel->capacity = channel->messages_capacity = 1;
	memcpy(channel->name, name.data, name.len);
	channel->entry.key = channel->name;
	channel->entry.key_len = name.len;
	channel->entry.hash = hash;
	if (map_insert(&hub->channels, &channel->entry) < 0) {
		free(channel);
		return NULL;
	}
	return channel;
}

/* Twice the room for n things of this size, of which the first one has its place inside of the channel. NULL:
 * out of memory, and all is as before. */
static void *grow(void *data, const void *inside, uint32_t n, size_t size)
{
	void *grown = reallocarray(data == inside ? NULL : data, n, 2 * size);

	if (grown && data == inside)
		memcpy(grown, inside, size);
	return grown;
}

static void give_back(void *data, const void *inside)
{
	if (data != inside)
		free(data);
}

static struct hub_channel *dirty_channel(const struct list *link)
{
	return list_entry(link, struct hub_channel, dirty);
}

/* Forgets the messages that were noted for the channel. */
static void channel_clear(struct hub *hub, struct hub_channel *channel)
{
	if (!channel->n_messages)
		return;
	for (uint32_t i = 0; i < channel->n_messages; i++)
		message_unref(channel->messages[i]);
	channel->n_messages = 0;
	list_remove(&channel->dirty);
	hub->n_dirty--;
}

static void channel_free(struct hub *hub, struct hub_channel *channel)
{
	channel_clear(hub, channel);
	map_remove(&hub->channels, &channel->entry);
	give_back(channel->messages, &channel->first_message);
	give_back(channel->arrivals, &channel->first_arrival);
	give_back(channel->subscribers, &channel->first_subscriber);
	free(channel);
}

static void tell_wish(struct hub *hub, const struct hub_channel *channel, bool wanted)
{
	const struct wish wish = {
		.channel = channel_name(channel),
		.hash = channel->entry.hash,
		.generation = channel->generation,
		.wanted = wanted,
		.urgent = channel->urgent,
	};

	hub->listener.wish(hub->listener.wish_arg, &wish);
}

/* It has one subscriber more. */
static void want(struct hub *hub, struct hub_channel *channel, bool urgent)
{
	bool is_first = channel->n_subscribers == 1,
	     hurry = urgent && !channel->confirmed && !channel->urgent;

	if (is_first)
		channel->generation = ++hub->generation;
	channel->urgent |= hurry;
	if (is_first || hurry)
		tell_wish(hub, channel, true);
}

static int channel_add(struct hub_channel *channel, struct hub_subscription *subscription)
{
	if (channel->n_subscribers == channel->capacity) {
		void *grown = grow(channel->subscribers, &channel->first_subscriber, channel->capacity,
			sizeof(struct hub_subscription *));

		if (!grown)
			return -ENOMEM;
		channel->subscribers = grown;
		channel->capacity *= 2;
	}
	subscription->slot = channel->n_subscribers;
	channel->subscribers[channel->n_subscribers++] = subscription;
	return 0;
}

/* --- subscriptions --- */

/* The channel may be NULL: then there is no subscription. */
static struct hub_subscription *subscription_to(
	const struct hub_channel *channel, const struct hub_subscriber *subscriber)
{
	for (struct hub_subscription *s = channel ? subscriber->first : NULL; s; s = s->next)
		if (s->channel == channel)
			return s;
	return NULL;
}

struct hub_subscription *hub_find(
	const struct hub *hub, const struct hub_subscriber *subscriber, struct slice channel)
{
	return subscription_to(channel_find(hub, map_hash(channel.data, channel.len), channel), subscriber);
}

int hub_subscribe(struct hub *hub, struct hub_subscriber *subscriber, struct slice channel,
	struct hub_subscription **subscriptionp)
{
	uint64_t hash = map_hash(channel.data, channel.len);
	struct hub_channel *found = channel_find(hub, hash, channel);
	struct hub_subscription *subscription = subscription_to(found, subscriber);

	*subscriptionp = subscription;
	if (subscription)
		return HUB_ALREADY;
	if (!found)
		found = channel_new(hub, hash, channel);
	subscription = calloc(1, sizeof(*subscription));
	if (!found || !subscription || channel_add(found, subscription) < 0) {
		if (found && !found->n_subscribers)
			channel_free(hub, found);
		free(subscription);
		return -ENOMEM;
	}
	subscription->channel = found;
	subscription->subscriber = subscriber;
	subscription->confirmed = found->confirmed;
	subscription->next = subscriber->first;
	subscriber->first = subscription;
	subscriber->n++;
	hub->n_subscriptions++;
	*subscriptionp = subscription;
	want(hub, found, subscriber->urgent);
	if (hub->listener.joined)
		hub->listener.joined(hub->listener.arg, subscription);
	return 0;
}

void hub_unsubscribe(struct hub *hub, struct hub_subscription *subscription)
{
	struct hub_channel *channel = subscription->channel;
	struct hub_subscription **link = &subscription->subscriber->first;
	struct hub_subscription *last;

	if (subscription->present)
		hub->listener.left(hub->listener.arg, subscription);
	last = channel->subscribers[--channel->n_subscribers];
	channel->subscribers[subscription->slot] = last;
	last->slot = subscription->slot;
	while (*link != subscription)
		link = &(*link)->next;
	*link = subscription->next;
	subscription->subscriber->n--;
	hub->n_subscriptions--;
	free(subscription);
	if (channel->n_subscribers == 0) {
		tell_wish(hub, channel, false);
		channel_free(hub, channel);
	}
}

struct slice hub_subscription_channel(const struct hub_subscription *subscription)
{
	return channel_name(subscription->channel);
}

void hub_confirm(struct hub *hub, struct slice channel, uint64_t hash, uint64_t generation)
{
	struct hub_channel *found = channel_find(hub, hash, channel);

	if (!found || found->generation != generation || found->confirmed)
		return;
	found->confirmed = true;
	found->urgent = false;
	/* From the back: a subscription that leaves inside the call is replaced by one that
	 * was already visited. */
	for (uint32_t i = found->n_subscribers; i-- > 0;) {
		struct hub_subscription *subscription = found->subscribers[i];
		bool last = found->n_subscribers == 1;

		if (subscription->confirmed)
			continue;
		subscription->confirmed = true;
		hub->listener.confirmed(hub->listener.arg, subscription);
		if (last)
			return; /* it may have left, and the channel with it */
	}
}

void hub_lost(struct hub *hub)
{
	for (struct map_entry *e = map_next(&hub->channels, NULL); e; e = map_next(&hub->channels, e)) {
		struct hub_channel *channel = map_value(e, struct hub_channel, entry);

		channel->confirmed = channel->urgent = false;
	}
}

void hub_channel_lost(struct hub *hub, struct slice channel, uint64_t hash)
{
	struct hub_channel *found = channel_find(hub, hash, channel);

	if (found)
		found->confirmed = found->urgent = false;
}

/* --- noting events --- */

static int reserve_message(struct hub_channel *channel)
{
	uint32_t n = channel->messages_capacity;
	void *messages, *arrivals;

	if (channel->n_messages < n)
		return 0;
	messages = grow(channel->messages, &channel->first_message, n, sizeof(struct message *));
	if (!messages)
		return -ENOMEM;
	channel->messages = messages;
	arrivals = grow(channel->arrivals, &channel->first_arrival, n, sizeof(uint64_t));
	if (!arrivals)
		return -ENOMEM;
	channel->arrivals = arrivals;
	channel->messages_capacity = 2 * n;
	return 0;
}

/* Room for the batches of one channel more. */
static int reserve_batches(struct hub *hub)
{
	uint32_t capacity = hub->batches_capacity ? hub->batches_capacity * 2 : FIRST_BATCHES;
	void *grown;

	if (hub->n_dirty < hub->batches_capacity)
		return 0;
	grown = reallocarray(hub->batches, capacity, sizeof(*hub->batches));
	if (!grown)
		return -ENOMEM;
	hub->batches = grown;
	hub->batches_capacity = capacity;
	return 0;
}

void hub_expect(struct hub *hub, struct message *const *messages, uint32_t n)
{
	if (n < EXPECT_WORTH)
		return;
	for (uint32_t i = 0; i < n; i++)
		map_prefetch_bucket(&hub->channels, messages[i]->channel_hash);
	for (uint32_t i = 0; i < n; i++)
		prefetch(map_peek(&hub->channels, messages[i]->channel_hash),
			sizeof(struct hub_channel) + NAME_TOUCHED);
}

int hub_deliver(struct hub *hub, struct message *message)
{
	struct slice name = {message->channel, message->channel_len};
	struct hub_channel *channel = channel_find(hub, message->channel_hash, name);

	if (!channel) {
		message_unref(message); /* its last subscriber left while it was on its way */
		return 0;
	}
	if (reserve_message(channel) < 0 || (channel->n_messages == 0 && reserve_batches(hub) < 0)) {
		message_unref(message);
		return -ENOMEM;
	}
	if (channel->n_messages == 0) {
		list_push_back(&hub->dirty, &channel->dirty);
		hub->n_dirty++;
	}
	channel->arrivals[channel->n_messages] = hub->n_noted++;
	channel->messages[channel->n_messages++] = message;
	hub->noted_bytes += (uint64_t)message->frame_len * channel->n_subscribers;
	return 0;
}

uint64_t hub_noted_bytes(const struct hub *hub)
{
	return hub->noted_bytes;
}

/* --- handing out --- */

/* Room in hub->bytes for all batches of this flush that are not a single frame: laid out once, it does not
 * move. */
static bool reserve_bytes(struct hub *hub)
{
	hub->flush_len = 0;
	hub->flush_n = 0;
	for (struct list *link = hub->dirty.next; link != &hub->dirty; link = link->next) {
		struct hub_channel *channel = dirty_channel(link);

		hub->flush_n += channel->n_messages;
		for (uint32_t i = 0; channel->n_messages > 1 && i < channel->n_messages; i++)
			hub->flush_len += channel->messages[i]->frame_len;
	}
	buf_reset(&hub->bytes);
	return hub->flush_len == 0 || buf_reserve(&hub->bytes, hub->flush_len);
}

static void batch_make(
	struct hub *hub, struct hub_channel *channel, struct hub_batch batches[N_FORMS], bool together)
{
	struct hub_batch *plain = &batches[FORM_PLAIN];

	channel->batches = batches;
	for (size_t i = 0; i < N_FORMS; i++)
		batches[i].n = 0; /* until a subscriber takes that form */
	*plain = (struct hub_batch){.messages = channel->messages, .n = channel->n_messages};
	if (channel->n_messages == 1 || together)
		hub_batch_lay_out(plain, &hub->bytes);
}

/* Skips messages that a muted subscription does not get. */
static void skip_unheard(const struct hub_subscription *subscription)
{
	struct hub_channel *channel = subscription->channel;

	while (channel->taken < channel->n_messages &&
		(!subscription->hears_plain || channel->messages[channel->taken]->is_entry))
		channel->taken++;
}

/* The channel of the subscriber whose next message arrived first. */
static struct hub_channel *earliest(const struct hub_subscriber *subscriber)
{
	struct hub_channel *first = NULL;

	for (struct hub_subscription *s = subscriber->first; s; s = s->next) {
		struct hub_channel *channel = s->channel;

		if (s->muted)
			skip_unheard(s);
		if (channel->taken < channel->n_messages &&
			(!first || channel->arrivals[channel->taken] < first->arrivals[first->taken]))
			first = channel;
	}
	return first;
}

/*
 * For a subscriber of several channels with messages: hands them all out in the order in which they
 * arrived, across channels. So messages that a backend publishes to two channels, one after the other,
 * are received in this order.
 */
static void hand_out_merged(struct hub *hub, struct hub_subscriber *subscriber)
{
	struct hub_channel *channel;

	if (subscriber->flush == hub->n_flushes)
		return; /* was met in another of its channels */
	subscriber->flush = hub->n_flushes;
	for (struct hub_subscription *s = subscriber->first; s; s = s->next)
		s->channel->taken = 0;
	while ((channel = earliest(subscriber))) {
		struct message *message = channel->messages[channel->taken++];
		struct hub_batch one = {.messages = &message, .n = 1};

		if (subscriber->form != FORM_PLAIN && hub->forms.maker)
			message = message_as(message, subscriber->form, hub->forms.maker);
		if (message)
			hub_batch_lay_out(&one, NULL);
		else
			one.n = 0;
		hub->listener.deliver(hub->listener.arg, subscriber, &one, false);
	}
}

/* The form of the channel's batch that the subscriber takes. */
static const struct hub_batch *batch_for(
	struct hub *hub, struct hub_channel *channel, const struct hub_subscriber *subscriber)
{
	struct hub_batch *batch;

	if (subscriber->form == FORM_PLAIN)
		return &channel->batches[FORM_PLAIN];
	batch = &channel->batches[subscriber->form];
	if (!batch->n)
		batch_forms_make(&hub->forms, subscriber->form, &channel->batches[FORM_PLAIN], hub->flush_n,
			hub->flush_len, batch);
	return batch;
}

/* Fetches the memory of subscribers behind this one: first how they subscribed, then themselves. */
static void expect_behind(const struct hub *hub, const struct hub_channel *channel, uint32_t i)
{
	if (i + 2 * AHEAD < channel->n_subscribers)
		prefetch(channel->subscribers[i + 2 * AHEAD], sizeof(struct hub_subscription));
	if (i + AHEAD < channel->n_subscribers)
		prefetch(channel->subscribers[i + AHEAD]->subscriber, hub->listener.subscriber_bytes);
}

static void channel_hand_out(struct hub *hub, struct hub_channel *channel, bool only_one)
{
	for (uint32_t i = 0; i < channel->n_subscribers; i++) {
		const struct hub_subscription *subscription = channel->subscribers[i];
		struct hub_subscriber *subscriber = subscription->subscriber;

		expect_behind(hub, channel, i);
		if (subscription->muted && !subscription->hears_plain)
			continue;
		if ((only_one || subscriber->n == 1) && !subscription->muted) {
			const struct hub_batch *batch = batch_for(hub, channel, subscriber);

			/* Without memory for the common stretch, subscribers get the messages one by one. */
			hub->listener.deliver(hub->listener.arg, subscriber, batch, batch->bytes != NULL);
		} else {
			hand_out_merged(hub, subscriber);
		}
	}
}

/* Most channels have one subscriber, and with many channels most of the time is spent on finding it. */
static void expect_subscribers(const struct hub *hub)
{
	const struct list *end = &hub->dirty, *link;

	for (link = end->next; link != end; link = link->next)
		prefetch(dirty_channel(link)->subscribers, sizeof(struct hub_subscription *));
	for (link = end->next; link != end; link = link->next)
		prefetch(dirty_channel(link)->subscribers[0], sizeof(struct hub_subscription));
	for (link = end->next; link != end; link = link->next)
		prefetch(dirty_channel(link)->subscribers[0]->subscriber, hub->listener.subscriber_bytes);
}

void hub_flush(struct hub *hub)
{
	bool only_one = hub->n_dirty == 1;
	uint32_t i = 0;
	bool together;

	hub->noted_bytes = 0;
	if (list_empty(&hub->dirty))
		return;
	hub->n_flushes++;
	together = reserve_bytes(hub);
	if (hub->n_dirty >= EXPECT_WORTH)
		expect_subscribers(hub);
	for (struct list *link = hub->dirty.next; link != &hub->dirty; link = link->next) {
		struct hub_channel *channel = dirty_channel(link);

		batch_make(hub, channel, hub->batches[i++], together);
		channel_hand_out(hub, channel, only_one);
	}
	if (hub->listener.flushed)
		hub->listener.flushed(hub->listener.arg);
	while (!list_empty(&hub->dirty))
		channel_clear(hub, list_entry(hub->dirty.next, struct hub_channel, dirty));
	if (hub->bytes.cap > BYTES_KEPT)
		buf_deinit(&hub->bytes);
	if (hub->batches_capacity > BATCHES_KEPT) {
		free(hub->batches);
		hub->batches = NULL;
		hub->batches_capacity = 0;
	}
	batch_forms_forget(&hub->forms, BYTES_KEPT);
}

/* --- questions --- */

void hub_each(struct hub *hub, struct slice channel, uint64_t hash,
	void (*fn)(void *arg, struct hub_subscription *subscription), void *arg)
{
	struct hub_channel *found = channel_find(hub, hash, channel);
	uint32_t i = found ? found->n_subscribers : 0;

	/* From the back: a subscription that leaves is replaced by one for which fn was already called. */
	while (i-- > 0) {
		bool last = found->n_subscribers == 1;

		fn(arg, found->subscribers[i]);
		if (last)
			return; /* it may have left, and the channel with it */
	}
}

void hub_each_channel(const struct hub *hub,
	void (*fn)(void *arg, struct slice channel, uint64_t hash, uint32_t n_subscribers), void *arg)
{
	for (struct map_entry *e = map_next(&hub->channels, NULL); e; e = map_next(&hub->channels, e)) {
		struct hub_channel *channel = map_value(e, struct hub_channel, entry);

		fn(arg, channel_name(channel), channel->entry.hash, channel->n_subscribers);
	}
}

void hub_tidy(struct hub *hub)
{
	map_tidy(&hub->channels);
}

uint32_t hub_n_subscribers(const struct hub *hub, struct slice channel, uint64_t hash)
{
	const struct hub_channel *found = channel_find(hub, hash, channel);

	return found ? found->n_subscribers : 0;
}

size_t hub_n_channels(const struct hub *hub)
{
	return hub->channels.n_entries;
}

size_t hub_n_subscriptions(const struct hub *hub)
{
	return hub->n_subscriptions;
}

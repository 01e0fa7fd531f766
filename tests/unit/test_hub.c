/* Hub: what hub/hub.h promises. What the hub says is written down, one word each, and compared. */

#include "hub/hub.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <zlib.h>

#include "core/buf.h"
#include "core/map.h"
#include "mail/wish.h"
#include "protocol/form.h"
#include "protocol/message.h"

enum {
	PEERS = 12,
	CHANNELS = 10,
	WIDE = 400, /* bytes of an event that gets smaller deflated */
};

/* A subscriber with a letter for a name. */
struct peer {
	struct hub_subscriber subscriber;
	char letter;
	unsigned int n_heard;
	bool leaves; /* as soon as it is confirmed, from inside the call */
};

struct world {
	struct hub *hub;
	struct form_maker maker;
	/* Sockets may look at the batch of one who hears nothing else until the flush is over. */
	struct {
		const struct hub_batch *batch;
		char channel; /* its first letter */
	} kept[PEERS];
	unsigned int n_kept;
	const void *bytes;        /* of the last deflated batch */
	unsigned int n_stretches; /* how often those changed */
	struct peer peers[PEERS];
	struct buf said;
	uint64_t generation; /* of the interest said last */
	bool flushing;
};

static struct peer *peer_of(struct hub_subscriber *subscriber)
{
	return (struct peer *)((char *)subscriber - offsetof(struct peer, subscriber));
}

static void on_wish(void *arg, const struct wish *wish)
{
	struct world *world = arg;
	struct slice channel = wish->channel;

	assert_true(wish->hash == map_hash(channel.data, channel.len));
	world->generation = wish->generation;
	buf_printf(&world->said, "%s%.*s ",
		!wish->wanted  ? "-"
		: wish->urgent ? "++"
			       : "+",
		(int)channel.len, channel.data);
}

static void on_confirmed(void *arg, struct hub_subscription *subscription)
{
	struct world *world = arg;
	struct peer *peer = peer_of(subscription->subscriber);
	struct slice channel = hub_subscription_channel(subscription);

	assert_true(subscription->confirmed);
	buf_printf(&world->said, "%c@%.*s ", peer->letter, (int)channel.len, channel.data);
	if (peer->leaves)
		hub_unsubscribe(world->hub, subscription);
}

/* The number that an event was made with. */
static long number_of(const char *text)
{
	text += strlen("{\"type\":\"update\",\"data\":");
	return strtol(text + (*text == '"'), NULL, 10);
}

static long number_of_deflated(struct slice payload)
{
	char text[2 * WIDE] = "";
	z_stream z = {.next_in = (unsigned char *)payload.data,
		.avail_in = (uInt)payload.len,
		.next_out = (unsigned char *)text,
		.avail_out = sizeof(text) - 1};

	assert_int_equal(inflateInit2(&z, -MAX_WBITS), Z_OK);
	inflate(&z, Z_SYNC_FLUSH);
	inflateEnd(&z);
	return number_of(text);
}

/* "a:1,~2! " is a batch of the messages 1 and 2 for a, alone; the second is deflated. */
static void on_deliver(
	void *arg, struct hub_subscriber *subscriber, const struct hub_batch *batch, bool alone)
{
	struct world *world = arg;
	struct peer *peer = peer_of(subscriber);
	size_t at = 0;

	assert_true(world->flushing);
	assert_true(batch->n > 0);
	buf_printf(&world->said, "%c:", peer->letter);
	for (uint32_t i = 0; i < batch->n; i++) {
		struct slice text = message_text(batch->messages[i]);

		assert_true(batch->len - at >= batch->messages[i]->frame_len);
		assert_memory_equal((const char *)batch->bytes + at, batch->messages[i]->frame,
			batch->messages[i]->frame_len);
		at += batch->messages[i]->frame_len;
		if (batch->messages[i]->frame[0] & 0x40)
			buf_printf(&world->said, "%s~%ld", i ? "," : "", number_of_deflated(text));
		else
			buf_printf(&world->said, "%s%ld", i ? "," : "", number_of(text.data));
	}
	assert_int_equal(at, batch->len);
	if (subscriber->form == FORM_DEFLATED && world->bytes != batch->bytes) {
		world->bytes = batch->bytes;
		world->n_stretches++;
	}
	if (alone && world->n_kept < PEERS) {
		world->kept[world->n_kept].batch = batch;
		world->kept[world->n_kept++].channel = batch->messages[0]->channel[0];
	}
	peer->n_heard++;
	buf_append_str(&world->said, alone ? "! " : " ");
}

static void on_flushed(void *arg)
{
	struct world *world = arg;

	for (unsigned int k = 0; k < world->n_kept; k++) {
		const struct hub_batch *batch = world->kept[k].batch;
		const char *at = batch->bytes;

		for (uint32_t i = 0; i < batch->n; i++) {
			assert_int_equal(batch->messages[i]->channel[0], world->kept[k].channel);
			assert_memory_equal(at, batch->messages[i]->frame, batch->messages[i]->frame_len);
			at += batch->messages[i]->frame_len;
		}
	}
	world->n_kept = 0;
}

static int setup(void **state)
{
	struct world *world = calloc(1, sizeof(*world));
	struct hub_listener listener = {
		world, on_wish, on_confirmed, on_deliver, on_flushed, NULL, 0, world, NULL, NULL};

	assert_non_null(world);
	listener.maker = &world->maker;
	assert_int_equal(form_maker_init(&world->maker, 200), 0);
	map_seed();
	world->hub = hub_new(&listener);
	assert_non_null(world->hub);
	for (int i = 0; i < PEERS; i++)
		world->peers[i].letter = (char)('a' + i);
	*state = world;
	return 0;
}

static int teardown(void **state)
{
	struct world *world = *state;

	for (int i = 0; i < PEERS; i++)
		while (world->peers[i].subscriber.first)
			hub_unsubscribe(world->hub, world->peers[i].subscriber.first);
	assert_int_equal(hub_n_channels(world->hub), 0);
	assert_int_equal(hub_n_subscriptions(world->hub), 0);
	hub_free(world->hub);
	form_maker_deinit(&world->maker);
	buf_deinit(&world->said);
	free(world);
	return 0;
}

/* What was said since the last time is exactly this. */
static void says(struct world *world, const char *expected)
{
	assert_string_equal(buf_text(&world->said), expected);
	buf_reset(&world->said);
}

static struct hub_subscription *find(struct world *world, char letter, const char *channel)
{
	return hub_find(world->hub, &world->peers[letter - 'a'].subscriber, slice_of(channel));
}

static struct hub_subscription *subscribe(struct world *world, char letter, const char *channel)
{
	struct hub_subscription *subscription = NULL;

	assert_int_equal(hub_subscribe(world->hub, &world->peers[letter - 'a'].subscriber, slice_of(channel),
				 &subscription),
		0);
	assert_non_null(subscription);
	assert_ptr_equal(find(world, letter, channel), subscription);
	return subscription;
}

static void leave(struct world *world, char letter, const char *channel)
{
	struct hub_subscription *subscription = find(world, letter, channel);

	assert_non_null(subscription);
	hub_unsubscribe(world->hub, subscription);
	assert_null(find(world, letter, channel));
}

static void confirm(struct world *world, const char *channel, uint64_t generation)
{
	hub_confirm(world->hub, slice_of(channel), map_hash(channel, strlen(channel)), generation);
}

/* Everybody listens to these, and all is confirmed and said. */
static void confirmed(struct world *world, const char *letters, const char *channel)
{
	for (; *letters; letters++) {
		subscribe(world, *letters, channel);
		if (world->said.len)
			confirm(world, channel, world->generation);
		buf_reset(&world->said);
	}
}

static struct message *event_of(const char *channel, int number)
{
	struct message *message = NULL;
	char payload[16];

	snprintf(payload, sizeof(payload), "%d", number);
	assert_int_equal(message_from_event(message_channel(slice_of(channel)), slice_of(payload),
				 (struct slice){0}, 0, 0, &message),
		0);
	return message;
}

static struct message *wide_event_of(const char *channel, int number)
{
	struct message *message = NULL;
	char payload[WIDE];
	int n = snprintf(payload, sizeof(payload), "\"%d ", number);

	memset(payload + n, 'x', sizeof(payload) - (size_t)n);
	payload[WIDE - 1] = '"';
	assert_int_equal(message_from_event(message_channel(slice_of(channel)), (struct slice){payload, WIDE},
				 (struct slice){0}, 0, 0, &message),
		0);
	return message;
}

static void deliver_wide(struct world *world, const char *channel, int number)
{
	assert_int_equal(hub_deliver(world->hub, wide_event_of(channel, number)), 0);
}

static void deliver(struct world *world, const char *channel, int number)
{
	assert_int_equal(hub_deliver(world->hub, event_of(channel, number)), 0);
}

static void flush(struct world *world)
{
	world->flushing = true;
	hub_flush(world->hub);
	world->flushing = false;
}

static void wants_a_channel_with_its_first_and_no_longer_with_its_last(void **state)
{
	struct world *world = *state;

	subscribe(world, 'a', "x");
	says(world, "+x ");
	subscribe(world, 'b', "x");
	subscribe(world, 'c', "x");
	says(world, "");
	subscribe(world, 'a', "y");
	says(world, "+y ");
	leave(world, 'a', "x");
	leave(world, 'c', "x");
	says(world, "");
	leave(world, 'b', "x");
	says(world, "-x ");
	assert_int_equal(hub_n_channels(world->hub), 1);
	assert_int_equal(hub_n_subscriptions(world->hub), 1);
}

static void counts_a_new_turn_each_time_it_begins_to_want(void **state)
{
	struct world *world = *state;
	uint64_t first, second;

	subscribe(world, 'a', "x");
	first = world->generation;
	leave(world, 'a', "x");
	assert_true(world->generation == first); /* what it stops to want is what it asked for then */
	subscribe(world, 'a', "y");
	assert_true(world->generation != first);
	subscribe(world, 'a', "x");
	second = world->generation;
	assert_true(second != first);
	leave(world, 'a', "x");
	assert_true(world->generation == second);
}

/* Also when somebody who can wait has asked for the channel before. It is said once. */
static void a_wish_is_urgent_once_somebody_cannot_wait(void **state)
{
	struct world *world = *state;

	world->peers[1].subscriber.urgent = world->peers[2].subscriber.urgent = true;
	subscribe(world, 'a', "x");
	says(world, "+x ");
	subscribe(world, 'b', "x");
	says(world, "++x ");
	assert_int_equal(world->generation, 1);
	subscribe(world, 'c', "x");
	says(world, "");
	subscribe(world, 'b', "y");
	says(world, "++y ");
	confirm(world, "x", 1);
	says(world, "c@x b@x a@x ");
	leave(world, 'b', "x");
	subscribe(world, 'b', "x"); /* it is confirmed */
	says(world, "");
}

static void a_second_subscription_is_the_one_there_is(void **state)
{
	struct world *world = *state;
	struct hub_subscription *first = subscribe(world, 'a', "x"), *second = NULL;

	says(world, "+x ");
	assert_int_equal(
		hub_subscribe(world->hub, &world->peers[0].subscriber, slice_of("x"), &second), HUB_ALREADY);
	assert_ptr_equal(second, first);
	assert_int_equal(hub_n_subscriptions(world->hub), 1);
	assert_int_equal(world->peers[0].subscriber.n, 1);
	deliver(world, "x", 1);
	flush(world);
	says(world, "a:1! "); /* never doubled */
	leave(world, 'a', "x");
	says(world, "-x ");
}

static void tells_names_apart_by_all_their_bytes(void **state)
{
	struct world *world = *state;

	subscribe(world, 'a', "x");
	subscribe(world, 'b', "xx");
	subscribe(world, 'c', "x:1");
	says(world, "+x +xx +x:1 ");
	deliver(world, "x:1", 1);
	deliver(world, "x:2", 2);
	flush(world);
	says(world, "c:1! ");
	assert_null(find(world, 'a', "xx"));
	assert_null(find(world, 'a', "nobody"));
	assert_true(find(world, 'c', "x:1") && !find(world, 'c', "x:"));
}

static void owns_its_copy_of_the_name(void **state)
{
	struct world *world = *state;
	char name[] = "cards";
	struct hub_subscription *subscription;

	subscription = subscribe(world, 'a', name);
	memset(name, '#', sizeof(name) - 1);
	assert_int_equal(hub_subscription_channel(subscription).len, 5);
	assert_memory_equal(hub_subscription_channel(subscription).data, "cards", 5);
	deliver(world, "cards", 1);
	flush(world);
	says(world, "+cards a:1! ");
}

static void confirms_all_when_the_node_is_subscribed(void **state)
{
	struct world *world = *state;
	struct hub_subscription *a = subscribe(world, 'a', "x"), *b = subscribe(world, 'b', "x");

	subscribe(world, 'a', "y");
	assert_false(a->confirmed || b->confirmed);
	buf_reset(&world->said);
	confirm(world, "x", 1);
	assert_true(a->confirmed && b->confirmed);
	assert_true(strstr(buf_text(&world->said), "a@x ") && strstr(buf_text(&world->said), "b@x "));
	assert_int_equal(world->said.len, 8); /* each once, and nobody of another channel */
	buf_reset(&world->said);
	confirm(world, "x", 1);
	says(world, "");
	assert_true(subscribe(world, 'c', "x")->confirmed); /* at once, nothing to wait for */
	says(world, "");
}

static void ignores_a_confirmation_of_another_turn(void **state)
{
	struct world *world = *state;
	uint64_t stale;

	subscribe(world, 'a', "x");
	stale = world->generation;
	leave(world, 'a', "x");
	confirm(world, "x", stale); /* nobody is there any more */
	subscribe(world, 'b', "x");
	buf_reset(&world->said);
	confirm(world, "x", stale);
	confirm(world, "x", world->generation + 1);
	confirm(world, "unknown", world->generation);
	says(world, "");
	assert_false(find(world, 'b', "x")->confirmed);
	confirm(world, "x", world->generation);
	says(world, "b@x ");
}

static void who_comes_after_a_loss_waits_for_the_next_confirmation(void **state)
{
	struct world *world = *state;
	uint64_t generation;

	subscribe(world, 'a', "x");
	generation = world->generation;
	confirm(world, "x", generation);
	subscribe(world, 'b', "y");
	hub_lost(world->hub);
	buf_reset(&world->said);
	assert_false(subscribe(world, 'c', "x")->confirmed);
	assert_true(find(world, 'a', "x")->confirmed); /* once confirmed, it is not told again */
	says(world, "");
	confirm(world, "x", generation); /* the channel was wanted all the time: same generation */
	says(world, "c@x ");
	assert_true(subscribe(world, 'd', "x")->confirmed);
}

static void a_channel_may_be_lost_alone(void **state)
{
	struct world *world = *state;
	uint64_t generation;

	subscribe(world, 'a', "x");
	generation = world->generation;
	confirm(world, "x", generation);
	subscribe(world, 'b', "y");
	confirm(world, "y", world->generation);
	hub_channel_lost(world->hub, slice_of("x"), map_hash("x", 1));
	hub_channel_lost(world->hub, slice_of("unknown"), map_hash("unknown", 7));
	buf_reset(&world->said);
	assert_true(subscribe(world, 'b', "x") && !find(world, 'b', "x")->confirmed);
	assert_true(subscribe(world, 'c', "y")->confirmed);
	confirm(world, "x", generation);
	says(world, "b@x ");
}

static void who_comes_to_a_channel_that_was_never_confirmed_waits_like_the_first(void **state)
{
	struct world *world = *state;

	subscribe(world, 'a', "x");
	assert_false(subscribe(world, 'b', "x")->confirmed);
}

/* Every subset of four leaves as it is confirmed: the others are confirmed all the same, each once. */
static void may_leave_as_it_is_confirmed(void **state)
{
	struct world *world = *state;

	for (unsigned int who = 0; who < 16; who++) {
		for (int i = 0; i < 4; i++) {
			subscribe(world, (char)('a' + i), "x");
			world->peers[i].leaves = who >> i & 1;
		}
		buf_reset(&world->said);
		confirm(world, "x", world->generation);
		for (int i = 0; i < 4; i++) {
			char word[5] = {(char)('a' + i), '@', 'x', ' '};
			const char *first = strstr(buf_text(&world->said), word);

			assert_non_null(first);
			assert_null(strstr(first + 1, word));
			assert_int_equal(find(world, (char)('a' + i), "x") == NULL, who >> i & 1);
			world->peers[i].leaves = false;
			if (find(world, (char)('a' + i), "x"))
				leave(world, (char)('a' + i), "x");
		}
		assert_int_equal(hub_n_channels(world->hub), 0);
		buf_reset(&world->said);
	}
}

static void only_notes_until_it_is_told_to_hand_out(void **state)
{
	struct world *world = *state;

	confirmed(world, "ab", "x");
	deliver(world, "x", 1);
	deliver(world, "x", 2);
	says(world, "");
	flush(world);
	says(world, "a:1,2! b:1,2! ");
	flush(world);
	says(world, ""); /* once */
	deliver(world, "x", 3);
	flush(world);
	says(world, "a:3! b:3! ");
}

/* A parked client is not confirmed, and misses nothing that comes before it is. */
static void says_how_much_a_flush_will_hand_out(void **state)
{
	struct world *world = *state;
	struct message *event = event_of("x", 1);
	uint64_t bytes = event->frame_len;

	message_unref(event);
	subscribe(world, 'a', "x");
	subscribe(world, 'b', "x");
	deliver(world, "x", 1);
	deliver(world, "unheard", 1);
	assert_int_equal(hub_noted_bytes(world->hub), 2 * bytes);
	deliver(world, "x", 2);
	assert_int_equal(hub_noted_bytes(world->hub), 4 * bytes);
	flush(world);
	assert_int_equal(hub_noted_bytes(world->hub), 0);
}

static void delivers_to_those_that_are_not_confirmed_too(void **state)
{
	struct world *world = *state;

	subscribe(world, 'a', "x");
	deliver(world, "x", 1);
	flush(world);
	says(world, "+x a:1! ");
}

static void hands_out_one_batch_a_channel_in_order(void **state)
{
	struct world *world = *state;

	confirmed(world, "a", "x");
	confirmed(world, "b", "y");
	for (int i = 1; i <= 4; i++)
		deliver(world, i % 2 ? "x" : "y", i);
	flush(world);
	assert_non_null(strstr(buf_text(&world->said), "a:1,3"));
	assert_non_null(strstr(buf_text(&world->said), "b:2,4"));
	assert_int_equal(world->peers[0].n_heard, 1);
	assert_int_equal(world->peers[1].n_heard, 1);
}

static void lays_any_number_of_frames_one_behind_the_other(void **state)
{
	struct world *world = *state;

	confirmed(world, "a", "x");
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 5000; i++)
			deliver(world, "x", i);
		flush(world); /* on_deliver() compares every byte */
		assert_int_equal(world->peers[0].n_heard, round + 1);
		buf_reset(&world->said);
	}
	deliver(world, "x", 7);
	flush(world);
	says(world, "a:7! ");
}

static void alone_is_said_only_when_there_is_nothing_else(void **state)
{
	struct world *world = *state;

	confirmed(world, "ab", "x");
	confirmed(world, "b", "y");
	deliver(world, "x", 1);
	flush(world); /* b listens to two, but only one of them has something */
	says(world, "a:1! b:1! ");
	deliver(world, "x", 1);
	deliver(world, "y", 2);
	flush(world);
	assert_non_null(strstr(buf_text(&world->said), "a:1! ")); /* it has one channel only */
	assert_non_null(strstr(buf_text(&world->said), "b:1 "));
	assert_non_null(strstr(buf_text(&world->said), "b:2 ")); /* not even the last of two */
}

static void one_that_hears_several_channels_hears_them_in_the_order_of_arrival(void **state)
{
	struct world *world = *state;

	confirmed(world, "a", "x");
	confirmed(world, "a", "y");
	confirmed(world, "a", "z"); /* has nothing to say */
	deliver(world, "x", 1);
	deliver(world, "y", 2);
	deliver(world, "x", 3);
	deliver(world, "y", 4);
	deliver(world, "y", 5);
	flush(world);
	says(world, "a:1 a:2 a:3 a:4 a:5 ");
	deliver(world, "y", 6);
	deliver(world, "x", 7);
	flush(world); /* nothing is left of the flush before */
	says(world, "a:6 a:7 ");
}

static void forgets_what_nobody_listens_to(void **state)
{
	struct world *world = *state;
	struct message *message = event_of("x", 1);

	message_ref(message);
	assert_int_equal(hub_deliver(world->hub, message), 0);
	assert_int_equal(atomic_load(&message->n_refs), 1);
	flush(world);
	says(world, "");
	message_unref(message);
}

static void who_leaves_hears_nothing_that_was_only_noted(void **state)
{
	struct world *world = *state;
	struct message *message = event_of("y", 2);

	confirmed(world, "abc", "x");
	confirmed(world, "a", "y");
	deliver(world, "x", 1);
	assert_int_equal(hub_deliver(world->hub, message_ref(message)), 0);
	leave(world, 'a', "x");
	leave(world, 'a', "y"); /* the last: what was noted goes with the channel */
	assert_int_equal(atomic_load(&message->n_refs), 1);
	says(world, "-y ");
	flush(world);
	assert_non_null(strstr(buf_text(&world->said), "b:1"));
	assert_non_null(strstr(buf_text(&world->said), "c:1"));
	assert_int_equal(world->peers[0].n_heard, 0);
	message_unref(message);
}

static void gives_back_every_reference(void **state)
{
	struct world *world = *state;
	struct message *message = event_of("x", 1);

	confirmed(world, "abc", "x");
	assert_int_equal(hub_deliver(world->hub, message_ref(message)), 0);
	assert_int_equal(atomic_load(&message->n_refs), 2); /* one for all, however many listen */
	flush(world);
	assert_int_equal(atomic_load(&message->n_refs), 1);
	message_unref(message);
}

/* The model: who listens to what, as a table. */
struct model {
	bool listens[PEERS][CHANNELS];
	unsigned int random;
};

static unsigned int draw(struct model *model, unsigned int below)
{
	model->random = model->random * 1103515245 + 12345;
	return (model->random >> 16) % below;
}

static void assert_as_the_model(struct world *world, const struct model *model)
{
	size_t n_channels = 0, n_subscriptions = 0;

	for (int c = 0; c < CHANNELS; c++) {
		char name[] = {(char)('A' + c), '\0'};
		bool wanted = false;

		for (int p = 0; p < PEERS; p++) {
			assert_int_equal(find(world, (char)('a' + p), name) != NULL, model->listens[p][c]);
			wanted |= model->listens[p][c];
			n_subscriptions += model->listens[p][c];
			world->peers[p].n_heard = 0;
		}
		n_channels += wanted;
		deliver(world, name, c);
		flush(world);
		for (int p = 0; p < PEERS; p++)
			assert_int_equal(world->peers[p].n_heard, model->listens[p][c]);
	}
	assert_int_equal(hub_n_channels(world->hub), n_channels);
	assert_int_equal(hub_n_subscriptions(world->hub), n_subscriptions);
	buf_reset(&world->said);
}

static void both_indexes_agree_whatever_happens(void **state)
{
	struct world *world = *state;
	struct model model = {.random = 20260101};

	for (int step = 0; step < 3000; step++) {
		unsigned int p = draw(&model, PEERS), c = draw(&model, CHANNELS);
		char name[] = {(char)('A' + c), '\0'};

		if (model.listens[p][c])
			leave(world, (char)('a' + p), name);
		else
			subscribe(world, (char)('a' + p), name);
		model.listens[p][c] = !model.listens[p][c];
		if (step % 50 == 0)
			assert_as_the_model(world, &model);
	}
}

static void frees_nothing(void **state)
{
	(void)state;
	hub_free(NULL);
}

static void deflates(struct world *world, const char *letters)
{
	for (; *letters; letters++)
		world->peers[*letters - 'a'].subscriber.form = FORM_DEFLATED;
}

static void who_takes_deflated_frames_gets_them_and_nobody_else(void **state)
{
	struct world *world = *state;

	confirmed(world, "abc", "x");
	deflates(world, "bc");
	deliver_wide(world, "x", 1);
	flush(world);
	says(world, "a:1! b:~1! c:~1! ");
	deliver_wide(world, "x", 2);
	deliver_wide(world, "x", 3);
	flush(world);
	says(world, "a:2,3! b:~2,~3! c:~2,~3! ");
}

static void all_who_take_deflated_frames_share_one_stretch(void **state)
{
	struct world *world = *state;

	confirmed(world, "abcdef", "x");
	deflates(world, "abdef");
	for (int i = 0; i < 5; i++)
		deliver_wide(world, "x", i);
	flush(world);
	assert_int_equal(world->n_stretches, 1);
}

static void stretches_of_several_channels_stay_until_the_end(void **state)
{
	struct world *world = *state;
	char name[2] = "0";

	for (int i = 0; i < CHANNELS; i++) {
		char letter[2] = {(char)('a' + i), 0};

		name[0] = (char)('0' + i);
		confirmed(world, letter, name);
		deflates(world, letter);
	}
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < CHANNELS * (round * 20 + 2); i++) {
			name[0] = (char)('0' + i % CHANNELS);
			deliver_wide(world, name, i);
		}
		flush(world);
	}
	assert_int_equal(world->n_stretches, 3 * CHANNELS);
}

static void what_does_not_get_smaller_goes_as_it_is(void **state)
{
	struct world *world = *state;

	confirmed(world, "ab", "x");
	deflates(world, "b");
	deliver(world, "x", 1);
	flush(world);
	says(world, "a:1! b:1! ");
	deliver(world, "x", 2);
	deliver_wide(world, "x", 3);
	deliver(world, "x", 4);
	flush(world);
	says(world, "a:2,3,4! b:2,~3,4! ");
	deliver(world, "x", 5);
	deliver(world, "x", 6);
	flush(world);
	says(world, "a:5,6! b:5,6! ");
}

static void who_hears_several_channels_gets_them_deflated_too(void **state)
{
	struct world *world = *state;

	confirmed(world, "ab", "x");
	confirmed(world, "b", "y");
	deflates(world, "b");
	deliver_wide(world, "x", 1);
	deliver_wide(world, "y", 2);
	deliver_wide(world, "x", 3);
	flush(world);
	says(world, "a:1,3! b:~1 b:~2 b:~3 ");
}

static void nothing_is_deflated_that_nobody_takes(void **state)
{
	struct world *world = *state;
	struct message *event = wide_event_of("x", 1);

	confirmed(world, "ab", "x");
	assert_int_equal(hub_deliver(world->hub, message_ref(event)), 0);
	flush(world);
	assert_null(atomic_load(&event->others[FORM_DEFLATED - 1]));
	message_unref(event);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(wants_a_channel_with_its_first_and_no_longer_with_its_last),
		TEST(counts_a_new_turn_each_time_it_begins_to_want),
		TEST(a_wish_is_urgent_once_somebody_cannot_wait),
		TEST(a_second_subscription_is_the_one_there_is),
		TEST(tells_names_apart_by_all_their_bytes),
		TEST(owns_its_copy_of_the_name),
		TEST(confirms_all_when_the_node_is_subscribed),
		TEST(ignores_a_confirmation_of_another_turn),
		TEST(who_comes_after_a_loss_waits_for_the_next_confirmation),
		TEST(a_channel_may_be_lost_alone),
		TEST(who_comes_to_a_channel_that_was_never_confirmed_waits_like_the_first),
		TEST(may_leave_as_it_is_confirmed),
		TEST(only_notes_until_it_is_told_to_hand_out),
		TEST(says_how_much_a_flush_will_hand_out),
		TEST(delivers_to_those_that_are_not_confirmed_too),
		TEST(hands_out_one_batch_a_channel_in_order),
		TEST(lays_any_number_of_frames_one_behind_the_other),
		TEST(alone_is_said_only_when_there_is_nothing_else),
		TEST(one_that_hears_several_channels_hears_them_in_the_order_of_arrival),
		TEST(forgets_what_nobody_listens_to),
		TEST(who_leaves_hears_nothing_that_was_only_noted),
		TEST(gives_back_every_reference),
		TEST(who_takes_deflated_frames_gets_them_and_nobody_else),
		TEST(all_who_take_deflated_frames_share_one_stretch),
		TEST(stretches_of_several_channels_stay_until_the_end),
		TEST(what_does_not_get_smaller_goes_as_it_is),
		TEST(who_hears_several_channels_gets_them_deflated_too),
		TEST(nothing_is_deflated_that_nobody_takes),
		TEST(both_indexes_agree_whatever_happens),
		cmocka_unit_test(frees_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

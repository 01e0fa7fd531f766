/*
 * Sharded channels: what src/broker/redis/channels.h promises of them, against a model of a server in a
 * cluster, over thousands of orders in which wishes, commands, answers, moved slots, rights and lost
 * links may come.
 */

#include "broker/redis/channels.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum {
	N_CHANNELS = 6,
	QUEUE_MAX = 4096,
	N_RUNS = 3000,
	N_STEPS = 300,
};

enum said {
	SUBSCRIBE,
	UNSUBSCRIBE,
	FENCE,
	MOVED,
	NOPERM,
};

struct queue {
	struct {
		enum said said;
		int channel;
	} items[QUEUE_MAX];
	int head, tail;
};

struct world {
	uint64_t random;
	struct redis_channels channels;
	bool fenced;
	/* the server */
	bool here[N_CHANNELS], forbidden[N_CHANNELS], has[N_CHANNELS];
	struct queue commands, answers;
	/* who is above the channels */
	bool desired[N_CHANNELS], placed[N_CHANNELS], told[N_CHANNELS];
};

static unsigned int draw(struct world *world, unsigned int n)
{
	world->random = world->random * 6364136223846793005u + 1442695040888963407u;
	return (unsigned int)(world->random >> 33) % n;
}

static void push(struct queue *queue, enum said said, int channel)
{
	assert_true(queue->tail < QUEUE_MAX);
	queue->items[queue->tail].said = said;
	queue->items[queue->tail++].channel = channel;
}

static struct slice name_of(int channel)
{
	static const char names[] = "abcdef";

	return (struct slice){names + channel, 1};
}

static int channel_of(struct slice name)
{
	assert_int_equal(name.len, 1);
	return name.data[0] - 'a';
}

/* --- the gateway: as redis/subscriber.c and the cluster above it --- */

static void unplace(struct world *world, int channel)
{
	redis_channels_unwant(&world->channels, name_of(channel));
	world->placed[channel] = world->told[channel] = false;
}

static void tell_gone(struct world *world)
{
	struct slice channel;

	while (redis_channels_gone(&world->channels, &channel))
		unplace(world, channel_of(channel));
}

static void send_batch(struct world *world)
{
	struct slice argv[1 + REDIS_CHANNELS_PER_COMMAND];
	struct slice channel;
	bool any = false;
	size_t n;

	while (redis_channels_announce(&world->channels, &channel))
		world->told[channel_of(channel)] = true;
	if (world->fenced)
		return;
	while ((n = redis_channels_next(&world->channels, argv)) > 0) {
		assert_int_equal(n, 2);
		assert_true(slice_is(argv[0], "SSUBSCRIBE") || slice_is(argv[0], "SUNSUBSCRIBE"));
		push(&world->commands, argv[0].len == 10 ? SUBSCRIBE : UNSUBSCRIBE,
			channel_of((struct slice){argv[1].data + 2, argv[1].len - 2}));
		any = true;
	}
	if (any)
		push(&world->commands, FENCE, 0);
	world->fenced = any;
}

static void hear_fence(struct world *world)
{
	struct slice channel;

	assert_true(world->fenced);
	world->fenced = false;
	while (redis_channels_fenced(&world->channels, &channel) > 0)
		continue;
	tell_gone(world);
}

static void hear(struct world *world)
{
	enum said said = world->answers.items[world->answers.head].said;
	int at = world->answers.items[world->answers.head++].channel;
	char full[] = {'p', ':', (char)('a' + at), 0};
	struct slice channel;
	int r = 0;

	if (said == FENCE)
		hear_fence(world);
	else if (said == MOVED || said == NOPERM)
		redis_channels_erred(&world->channels, slice_of(said == MOVED ? "MOVED 1 a:1" : "NOPERM no"));
	else
		r = redis_channels_confirmed(&world->channels, said == SUBSCRIBE, slice_of(full), &channel);
	assert_true(r >= 0);
	if (r == REDIS_CHANNELS_LISTENS)
		world->told[channel_of(channel)] = true;
	tell_gone(world);
}

static void wish(struct world *world, int channel)
{
	world->desired[channel] = !world->desired[channel];
	if (world->desired[channel] && !world->placed[channel]) {
		assert_int_equal(redis_channels_want(&world->channels, name_of(channel)), 0);
		world->placed[channel] = true;
	} else if (!world->desired[channel] && world->placed[channel]) {
		unplace(world, channel);
	}
}

/* The map says that it is here, which may be out of date. */
static void place(struct world *world, int channel)
{
	if (!world->desired[channel] || world->placed[channel])
		return;
	assert_int_equal(redis_channels_want(&world->channels, name_of(channel)), 0);
	world->placed[channel] = true;
}

/* --- the server --- */

static void carry_out(struct world *world)
{
	enum said said = world->commands.items[world->commands.head].said;
	int at = world->commands.items[world->commands.head++].channel;

	if (said == FENCE)
		push(&world->answers, FENCE, 0);
	else if (world->forbidden[at])
		push(&world->answers, NOPERM, at);
	else if (!world->here[at] && (said == SUBSCRIBE || draw(world, 2)))
		push(&world->answers, MOVED, at);
	else {
		world->has[at] = said == SUBSCRIBE;
		push(&world->answers, said, at);
	}
}

static void move_slot(struct world *world, int channel)
{
	world->here[channel] = !world->here[channel];
	if (!world->here[channel] && world->has[channel]) {
		world->has[channel] = false;
		push(&world->answers, UNSUBSCRIBE, channel);
	}
}

static void lose_link(struct world *world)
{
	struct slice channel;

	world->commands = world->answers = (struct queue){0};
	memset(world->has, 0, sizeof(world->has));
	memset(world->told, 0, sizeof(world->told));
	world->fenced = false;
	redis_channels_lost(&world->channels);
	while (redis_channels_tell_lost(&world->channels, &channel))
		continue;
}

static void step(struct world *world)
{
	int at = (int)draw(world, N_CHANNELS);

	switch (draw(world, 16)) {
	case 0:
	case 1:
		wish(world, at);
		break;
	case 2:
		place(world, at);
		break;
	case 3:
		move_slot(world, at);
		break;
	case 4:
		if (draw(world, 8) == 0)
			world->forbidden[at] = !world->forbidden[at];
		break;
	case 5:
		if (draw(world, 20) == 0)
			lose_link(world);
		break;
	case 6:
		redis_channels_retry(&world->channels, 2);
		break;
	case 7:
	case 8:
		send_batch(world);
		break;
	default:
		if (draw(world, 2) && world->commands.head < world->commands.tail)
			carry_out(world);
		else if (world->answers.head < world->answers.tail)
			hear(world);
	}
}

/* Nothing happens any more but what is under way. */
static void settle(struct world *world)
{
	for (int round = 0; round < 8; round++) {
		for (int i = 0; i < N_CHANNELS; i++) {
			world->forbidden[i] = false;
			if (world->here[i])
				place(world, i);
		}
		redis_channels_retry(&world->channels, N_CHANNELS);
		send_batch(world);
		while (world->commands.head < world->commands.tail ||
			world->answers.head < world->answers.tail) {
			while (world->commands.head < world->commands.tail)
				carry_out(world);
			while (world->answers.head < world->answers.tail)
				hear(world);
		}
	}
}

static void check_end(struct world *world)
{
	size_t n_heard = 0;

	for (int i = 0; i < N_CHANNELS; i++) {
		bool heard = world->desired[i] && world->here[i];

		assert_int_equal(world->told[i], heard);
		if (heard)
			assert_true(world->has[i]);
		n_heard += heard;
	}
	assert_int_equal(world->channels.n_wanted, n_heard);
	assert_int_equal(world->channels.n_in_flight, 0);
	assert_int_equal(world->channels.by_name.n_entries, n_heard);
}

static void whatever_crosses_ends_with_what_is_wanted_and_here(void **state)
{
	(void)state;
	for (uint64_t run = 0; run < N_RUNS; run++) {
		struct world world = {.random = run};

		assert_int_equal(redis_channels_init(&world.channels, "p:"), 0);
		world.channels.sharded = true;
		for (int i = 0; i < N_CHANNELS; i++)
			world.here[i] = draw(&world, 2);
		for (int i = 0; i < N_STEPS; i++)
			step(&world);
		settle(&world);
		check_end(&world);
		redis_channels_deinit(&world.channels);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whatever_crosses_ends_with_what_is_wanted_and_here),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

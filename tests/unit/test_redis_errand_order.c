/*
 * Redis errands in a line: what src/broker/redis/errand.h promises of their order, against a model of a
 * cluster of three servers, over thousands of orders in which commands, answers, a slot that moves, lost
 * links and new maps may come. Links are made up.
 */

#include "broker/redis/errand.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <event2/event.h>

#include "broker/redis/reply.h"

enum {
	N_SERVERS = 3,
	N_ERRANDS = 40,
	N_STEPS = 400,
	N_RUNS = 1000,
	QUEUE_MAX = 4096,
	TIMERS_MAX = 128,
	NOBODY = -1,
};

struct asked {
	bool asking; /* it is ASKING itself */
	int number;
	redis_answer_fn fn;
	void *arg;
	char answer[40]; /* empty: OK */
};

/* A server, and our link to it. */
struct server {
	struct asked queue[QUEUE_MAX];
	int n_done, n_answered, n; /* carried out, and answered, of those that came */
	bool asks;                 /* the next command follows ASKING */
};

static struct {
	uint64_t random;
	struct server servers[N_SERVERS];
	int owner, target, key; /* of the slot; to whom it moves, or NOBODY; where its only key is */
	int known;              /* who has it, as we know */
	int begun, carried_out; /* the newest */
	int n_answered, n_carried_out, n_late; /* behind one that began after it */
	bool is_carried_out[N_ERRANDS + 1];
	bool loses_links, is_late; /* timers run out while answers are under way */
	bool keeps_no_order;
	struct event *timers[TIMERS_MAX];
	size_t n_timers;
	struct event_base *base;
	struct redis_errands errands;
} world;

static struct redis_line lines[REDIS_SLOTS];

static unsigned int draw(unsigned int n)
{
	world.random = world.random * 6364136223846793005u + 1442695040888963407u;
	return (unsigned int)(world.random >> 33) % n;
}

static struct redis_link *link_of(int server)
{
	return (struct redis_link *)&world.servers[server];
}

static int number_of(struct slice text)
{
	int number = 0;

	for (size_t i = 0; i < text.len; i++)
		number = number * 10 + text.data[i] - '0';
	return number;
}

int __wrap_redis_link_ask(
	struct redis_link *link, const struct slice *argv, size_t n, redis_answer_fn fn, void *arg);
int __wrap_redis_link_ask(
	struct redis_link *link, const struct slice *argv, size_t n, redis_answer_fn fn, void *arg)
{
	struct server *server = (struct server *)link;

	assert_true(n > 0 && server->n < QUEUE_MAX);
	server->queue[server->n++] = (struct asked){
		.asking = slice_is(argv[0], "ASKING"),
		.number = n > 2 ? number_of(argv[2]) : 0,
		.fn = fn,
		.arg = arg,
	};
	return 0;
}

/* --- timers, which run out when it is their turn --- */

int __wrap_event_add(struct event *timer, const struct timeval *wait);
int __wrap_event_add(struct event *timer, const struct timeval *wait)
{
	(void)wait;
	for (size_t i = 0; i < world.n_timers; i++)
		if (world.timers[i] == timer)
			return 0;
	assert_true(world.n_timers < TIMERS_MAX);
	world.timers[world.n_timers++] = timer;
	return 0;
}

static void forget(const struct event *timer)
{
	for (size_t i = 0; i < world.n_timers; i++)
		if (world.timers[i] == timer)
			world.timers[i] = world.timers[--world.n_timers];
}

void __real_event_free(struct event *timer);
void __wrap_event_free(struct event *timer);
void __wrap_event_free(struct event *timer)
{
	forget(timer);
	__real_event_free(timer);
}

static void run_out(void)
{
	struct event *timer;

	if (!world.n_timers)
		return;
	timer = world.timers[draw((unsigned int)world.n_timers)];
	forget(timer);
	event_get_callback(timer)(-1, EV_TIMEOUT, event_get_callback_arg(timer));
}

/* --- the servers --- */

/* Carries out the oldest command that waits at this server. */
static void serve(int at)
{
	struct server *server = &world.servers[at];
	struct asked *asked;
	bool asks = server->asks;

	if (server->n_done == server->n)
		return;
	asked = &server->queue[server->n_done++];
	server->asks = asked->asking;
	if (asked->asking)
		return;
	if (at == world.owner && world.target != NOBODY && world.key != at)
		snprintf(asked->answer, sizeof(asked->answer), "ASK 7 s:%d", 1 + world.target);
	else if (at != world.owner && !(asks && at == world.target))
		snprintf(asked->answer, sizeof(asked->answer), "MOVED 7 s:%d", 1 + world.owner);
	if (*asked->answer)
		return;
	world.n_late += asked->number < world.carried_out;
	world.carried_out = asked->number;
	world.is_carried_out[asked->number] = true;
	world.n_carried_out++;
}

/* Its oldest answer arrives, or a loss of the link, which is all the same to who waits. */
static void answer(int at, bool is_lost)
{
	struct server *server = &world.servers[at];
	struct redis_value value = {REDIS_INTEGER, 0, 1, 0};
	struct redis_reply reply = {.values = &value, .n_values = 1};
	struct asked *asked;

	if (server->n_answered == server->n_done)
		return;
	asked = &server->queue[server->n_answered++];
	if (*asked->answer) {
		value = (struct redis_value){REDIS_ERROR, 0, 0, strlen(asked->answer)};
		reply.text = (struct buf){.data = asked->answer, .len = strlen(asked->answer)};
	}
	asked->fn(asked->arg, is_lost ? NULL : &reply);
}

/* Has this server answered all that it would not do, and is nothing under way to it that stood behind? */
static bool may_get_the_slot(int at)
{
	const struct server *server = &world.servers[at];

	for (int i = server->n_answered; i < server->n; i++)
		if (i >= server->n_done || *server->queue[i].answer)
			return false;
	return true;
}

/* A move's next step. No server gets the slot while it is still saying that it does not have it: a move takes
 * longer than a round trip. */
static void move_on(void)
{
	if (world.target == NOBODY)
		world.target = (world.owner + 1 + (int)draw(N_SERVERS - 1)) % N_SERVERS;
	else if (world.key != world.target)
		world.key = world.target;
	else if (may_get_the_slot(world.target)) {
		world.owner = world.target;
		world.target = NOBODY;
	}
}

/* --- the gateway --- */

static struct redis_link *owner(void *arg, unsigned int slot)
{
	(void)arg;
	(void)slot;
	return link_of(world.known);
}

static struct redis_link *at(void *arg, struct slice host, uint16_t port)
{
	(void)arg;
	(void)host;
	return link_of(port - 1);
}

static void redirected(void *arg, const struct redis_redirect *redirect)
{
	(void)arg;
	if (redirect->kind == REDIS_REDIRECT_MOVED)
		world.known = redirect->port - 1;
}

static void lacks(void *arg, const struct redis_link *link)
{
	(void)arg;
	(void)link;
}

static const struct redis_slots_source router = {NULL, lines, owner, at, redirected, lacks};

static void on_answered(void *arg, const struct redis_reply *reply)
{
	int number = (int)(intptr_t)arg;

	world.n_answered++;
	if (reply)
		assert_int_equal(reply->values[0].kind == REDIS_INTEGER, world.is_carried_out[number]);
	else
		assert_true(world.loses_links);
	if (!world.is_late && !world.loses_links)
		assert_true(world.is_carried_out[number]);
}

static void begin(void)
{
	char text[16];
	struct slice argv[] = {slice_of("XADD"), slice_of("stream"), {0}};

	if (world.begun == N_ERRANDS)
		return;
	snprintf(text, sizeof(text), "%d", ++world.begun);
	argv[2] = slice_of(text);
	assert_int_equal(
		(world.keeps_no_order ? redis_errand_begin : redis_errand_begin_in_line)(&world.errands,
			link_of(world.known), argv, 3, on_answered, (void *)(intptr_t)world.begun),
		0);
}

static void take_step(void)
{
	int server = (int)draw(N_SERVERS);

	switch (draw(13)) {
	case 0:
	case 1:
	case 2:
		begin();
		break;
	case 3:
		if (draw(3) == 0)
			move_on();
		break;
	case 12:
		if (world.is_late)
			run_out();
		break;
	case 4:
		world.known = world.owner; /* a map came */
		break;
	case 5:
	case 6:
	case 7:
		serve(server);
		break;
	default:
		answer(server, world.loses_links && draw(8) == 0);
		break;
	}
}

/* Is there no answer to be had? */
static bool is_idle(void)
{
	for (int i = 0; i < N_SERVERS; i++)
		if (world.servers[i].n_answered < world.servers[i].n)
			return false;
	return true;
}

static void calm_down(void)
{
	for (int round = 0; round < 4 * N_ERRANDS; round++)
		for (int server = 0; server < N_SERVERS; server++) {
			serve(server);
			answer(server, false);
			if (is_idle())
				run_out();
		}
}

/* How many came too late. */
static int run(uint64_t seed, bool loses_links, bool is_late, bool keeps_no_order)
{
	memset(&world, 0, sizeof(world));
	memset(lines, 0, sizeof(lines));
	world.random = seed * 2654435761u + 1;
	world.target = NOBODY;
	world.loses_links = loses_links;
	world.is_late = is_late;
	world.keeps_no_order = keeps_no_order;
	world.base = event_base_new();
	redis_errands_init(&world.errands, world.base, &router);
	for (int step = 0; step < N_STEPS; step++)
		take_step();
	while (world.begun < N_ERRANDS)
		begin();
	calm_down();
	assert_int_equal(world.n_answered, N_ERRANDS);
	if (!loses_links && !is_late)
		assert_int_equal(world.n_carried_out, N_ERRANDS);
	assert_int_equal(world.errands.n_bytes, 0);
	redis_errands_cancel(&world.errands);
	event_base_free(world.base);
	return world.n_late;
}

static void those_of_a_slot_keep_their_order_while_it_moves(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= N_RUNS; seed++)
		assert_int_equal(run(seed, false, false, false), 0);
}

static void those_of_a_slot_keep_their_order_when_links_are_lost(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= N_RUNS; seed++)
		assert_int_equal(run(seed, true, false, false), 0);
}

/* Whoever was passed is not carried out any more, and is told so. */
static void those_that_are_not_answered_in_time_are_passed_in_order(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= N_RUNS; seed++)
		assert_int_equal(run(seed, seed % 2, true, false), 0);
}

/* So the model can tell. */
static void those_that_stand_in_no_line_pass_each_other(void **state)
{
	int n_late = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= N_RUNS / 10; seed++)
		n_late += run(seed, false, false, true);
	assert_true(n_late > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(those_of_a_slot_keep_their_order_while_it_moves),
		cmocka_unit_test(those_of_a_slot_keep_their_order_when_links_are_lost),
		cmocka_unit_test(those_that_are_not_answered_in_time_are_passed_in_order),
		cmocka_unit_test(those_that_stand_in_no_line_pass_each_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

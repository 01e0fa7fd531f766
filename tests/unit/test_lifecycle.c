/*
 * Lifecycle: what src/bus/lifecycle.h promises, between two nodes and a broker made of paper, which keeps
 * what our library keeps in Redis. Answers come late, or are lost after the call was carried out or before,
 * nodes are taken for dead and come back under another name, the paper is burnt: in the end it knows the
 * truth, and each beginning and end was said once.
 */

#include "bus/lifecycle.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "broker/broker.h"
#include "core/buf.h"
#include "core/log.h"
#include "mail/session.h"
#include "metrics/metrics.h"
#include "route/route.h"

enum {
	NODES = 2,
	CHANNELS = 3,
	CONNECTIONS = 400,
	CALLS = 64,
	SEEDS = 200,
	STEPS = 400,
};

/* An answer that has not come yet. */
struct answer {
	broker_said_fn said;
	broker_done_fn done;
	void *arg;
	int r;
	bool forgot;
};

/* What the paper says of one node. */
struct sheet {
	int connections[CONNECTIONS]; /* the tenure that put it there; 0: it is not there */
	int channels[CHANNELS];
	uint64_t last; /* call */
	int held;      /* the tenure that holds the stream */
};

struct node {
	struct lifecycle lifecycle;
	struct metrics *metrics;
	int tenure;
	bool open[CONNECTIONS];
	bool listens[CHANNELS];
};

struct world {
	struct broker broker; /* first: it is cast back */
	struct route_table *routes;
	struct log *log;
	struct node nodes[NODES];
	struct sheet sheets[NODES];
	int n_occupied[CHANNELS];
	int n_begun[CONNECTIONS]; /* how often it was said */
	int n_ended[CONNECTIONS];
	int n_lost[CONNECTIONS];
	bool shown[CHANNELS]; /* what those who follow the stream believe */
	int n_shown[CHANNELS];
	int n_connections;
	struct answer answers[CALLS];
	size_t n_answers;
	size_t n_calls;
	bool away; /* all calls fail at once */
	bool burnt;
	uint64_t random;
	uint64_t now_ms;
	unsigned int faults; /* of a hundred calls */
};

static uint32_t draw(struct world *world, uint32_t below)
{
	world->random = world->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(world->random >> 33) % below;
}

/* --- the paper --- */

static void appears(struct world *world, int node, const struct broker_said *said, int tenure)
{
	struct sheet *sheet = &world->sheets[node];
	int i = atoi(said->name.data + (said->name.data[0] == '#'));
	int *place = said->name.data[0] == '#' ? &sheet->channels[i] : &sheet->connections[i];
	bool is_news = *place == 0;

	*place = tenure;
	if (!is_news)
		return;
	if (said->name.data[0] != '#') {
		assert_true(slice_is(said->text, "2 9 42/ws/cards{}"));
		assert_int_equal(world->n_begun[i] - world->n_ended[i] - world->n_lost[i], 0);
		world->n_begun[i]++;
	} else if (++world->n_occupied[i] == 1) {
		assert_false(world->shown[i]);
		world->shown[i] = true;
		world->n_shown[i]++;
	}
}

static void goes(struct world *world, int node, bool is_channel, int i, int *n_ended)
{
	struct sheet *sheet = &world->sheets[node];

	if (!is_channel) {
		assert_int_equal(world->n_begun[i] - world->n_ended[i] - world->n_lost[i], 1);
		sheet->connections[i] = 0;
		n_ended[i]++;
		return;
	}
	sheet->channels[i] = 0;
	if (--world->n_occupied[i] == 0) {
		assert_true(world->shown[i]);
		world->shown[i] = false;
	}
}

static void disappears(struct world *world, int node, const struct broker_said *said, bool forgot)
{
	struct sheet *sheet = &world->sheets[node];
	bool is_channel = said->name.data[0] == '#';
	int i = atoi(said->name.data + is_channel);

	if (is_channel ? sheet->channels[i] : sheet->connections[i])
		goes(world, node, is_channel, i, world->n_ended);
	else if (forgot && said->text.len)
		world->n_ended[i]++; /* its beginning burnt */
}

static void carry_out(struct world *world, int node, int tenure, uint64_t call, bool *forgotp,
	const struct broker_said *said, size_t n)
{
	struct sheet *sheet = &world->sheets[node];

	if (call <= sheet->last)
		return;
	*forgotp |= sheet->last + 1 < call;
	sheet->last = call;
	for (size_t i = 0; i < n; i++) {
		if (said[i].is_here)
			appears(world, node, &said[i], tenure);
		else
			disappears(world, node, &said[i], *forgotp);
	}
}

static void answer_later(struct world *world, struct answer answer)
{
	assert_true(world->n_answers < CALLS);
	world->answers[world->n_answers++] = answer;
}

/* How a call ends: 0, or lost, before it is carried out or after that. */
static int fate(struct world *world, bool *carriedp)
{
	bool lost = draw(world, 100) < world->faults;

	*carriedp = !lost || draw(world, 2);
	return lost ? -ETIMEDOUT : 0;
}

static int paper_say(struct broker *broker, const struct broker_session *session, uint64_t call, bool forgot,
	const struct broker_said *said, size_t n, broker_said_fn done, void *arg)
{
	struct world *world = (struct world *)broker;
	int node = session->node.data[1] - '0', tenure = atoi(session->node.data + 3);
	bool carried;
	int r;

	assert_true(slice_is(session->stream, "sessions") && session->size == 5000);
	assert_true(n > 0 && n <= BROKER_SAID_MAX);
	assert_int_equal(world->sheets[node].held, tenure); /* or nobody would clear it up */
	world->n_calls++;
	if (world->away)
		return -ENOTCONN;
	r = fate(world, &carried);
	if (carried)
		carry_out(world, node, tenure, call, &forgot, said, n);
	answer_later(world, (struct answer){.said = done, .arg = arg, .r = r, .forgot = forgot});
	return 0;
}

static int paper_hold(struct broker *broker, struct slice node, bool hold, const struct slice *names,
	size_t n, broker_done_fn done, void *arg)
{
	struct world *world = (struct world *)broker;
	bool carried;
	int r;

	assert_true(hold && n == 1 && slice_is(names[0], "lsessions"));
	if (world->away)
		return -ENOTCONN;
	r = fate(world, &carried);
	if (r == 0)
		world->sheets[node.data[1] - '0'].held = atoi(node.data + 3);
	answer_later(world, (struct answer){.done = done, .arg = arg, .r = r});
	return 0;
}

static const struct broker_ops paper_ops = {.say = paper_say, .hold = paper_hold};

static void answer_one(struct world *world, size_t i)
{
	struct answer answer = world->answers[i];
	struct broker_said_answer said = {.forgot = answer.forgot};

	world->answers[i] = world->answers[--world->n_answers];
	if (answer.said)
		answer.said(answer.arg, answer.r, answer.r == 0 ? &said : NULL);
	else
		answer.done(answer.arg, answer.r);
}

/* --- what happens --- */

static void take_name(struct world *world, int i)
{
	char text[16];

	snprintf(text, sizeof(text), "n%d.%d", i, ++world->nodes[i].tenure);
	lifecycle_set_node(&world->nodes[i].lifecycle, text, UINT64_MAX);
}

/* Somebody clears up behind that tenure. */
static void clear_up(struct world *world, int node, int tenure)
{
	struct sheet *sheet = &world->sheets[node];

	for (int i = 0; i < CONNECTIONS; i++)
		if (sheet->connections[i] == tenure)
			goes(world, node, false, i, world->n_lost);
	for (int i = 0; i < CHANNELS; i++)
		if (sheet->channels[i] == tenure)
			goes(world, node, true, i, NULL);
}

/* Others take the node for dead; then it is back. Calls that are late find the paper as it is then. */
static void die(struct world *world, int i)
{
	int tenure = world->nodes[i].tenure;

	lifecycle_set_node(&world->nodes[i].lifecycle, "", 0);
	clear_up(world, i, tenure);
	take_name(world, i);
}

static void tell(struct world *world, int i, struct session_change *change, uint64_t conn)
{
	assert_non_null(change);
	change->conn = conn;
	change->events = LIFECYCLE_CONNECTIONS;
	change->size = 5000;
	assert_int_equal(lifecycle_take(&world->nodes[i].lifecycle, change, world->now_ms), 0);
	free(change);
}

static int begin_one(struct world *world, int i)
{
	int conn = world->n_connections++;

	assert_true(conn < CONNECTIONS);
	tell(world, i,
		session_begun(slice_of("sessions"), slice_of("42"), slice_of("/ws/cards"), slice_of("{}")),
		(uint64_t)conn);
	world->nodes[i].open[conn] = true;
	return conn;
}

static void end_one(struct world *world, int i, int conn)
{
	tell(world, i, session_over(), (uint64_t)conn);
	world->nodes[i].open[conn] = false;
}

static void listen(struct world *world, int i, int channel, bool is_here)
{
	char name[2] = {(char)('0' + channel), '\0'};

	lifecycle_channel(&world->nodes[i].lifecycle, slice_of(name), is_here, world->now_ms);
	world->nodes[i].listens[channel] = is_here;
}

static void pass(struct world *world, uint64_t ms)
{
	world->now_ms += ms;
	for (int i = 0; i < NODES; i++)
		lifecycle_tick(&world->nodes[i].lifecycle, world->now_ms);
}

static void step(struct world *world)
{
	int i = (int)draw(world, NODES), conn = (int)draw(world, CONNECTIONS);
	int channel = (int)draw(world, CHANNELS);
	uint32_t what = draw(world, 100);

	if (what < 25 && world->n_connections < CONNECTIONS)
		begin_one(world, i);
	else if (what < 50 && world->nodes[i].open[conn])
		end_one(world, i, conn);
	else if (what < 60)
		listen(world, i, channel, !world->nodes[i].listens[channel]);
	else if (what < 80)
		pass(world, LIFECYCLE_TICK_MS * (1 + draw(world, 30)));
	else if (what < 98 && world->n_answers)
		answer_one(world, draw(world, (uint32_t)world->n_answers));
	else if (what == 98)
		die(world, i);
	else if (what == 99)
		take_name(world, i); /* a server was away: it gives its name up itself */
}

static void settle(struct world *world)
{
	world->faults = 0;
	world->away = false;
	for (int round = 0; round < 100; round++) {
		while (world->n_answers)
			answer_one(world, 0);
		pass(world, LIFECYCLE_TICK_MS);
	}
	for (int i = 0; i < NODES; i++) {
		assert_true(lifecycle_has_said_all(&world->nodes[i].lifecycle));
		assert_false(lifecycle_is_active(&world->nodes[i].lifecycle));
		for (int tenure = 1; tenure < world->nodes[i].tenure; tenure++)
			clear_up(world, i, tenure);
	}
}

static void check_truth(const struct world *world)
{
	for (int conn = 0; conn < world->n_connections; conn++) {
		bool is_open = false;

		for (int i = 0; i < NODES; i++) {
			is_open |= world->nodes[i].open[conn];
			assert_int_equal(world->sheets[i].connections[conn] != 0, world->nodes[i].open[conn]);
		}
		assert_int_equal(world->n_begun[conn], is_open + world->n_ended[conn] + world->n_lost[conn]);
		assert_true(world->n_begun[conn] >= 1);
		assert_true(world->n_ended[conn] <= 1);
	}
	for (int channel = 0; channel < CHANNELS; channel++) {
		int n = 0;

		for (int i = 0; i < NODES; i++)
			n += world->nodes[i].listens[channel];
		assert_int_equal(world->n_occupied[channel], n);
		assert_int_equal(world->shown[channel], n > 0);
	}
}

static void begin(struct world *world, uint64_t seed)
{
	const char *const channels[] = {"0", "1", "2"};
	const struct route_spec spec = {.path = "/ws/cards",
		.channels = channels,
		.n_channels = CHANNELS,
		.lifecycle = {.stream = "sessions", .size = 5000}};
	struct buf error = {0};

	memset(world, 0, sizeof(*world));
	world->broker.ops = &paper_ops;
	world->random = seed;
	world->now_ms = 100000;
	world->log = log_new(-1, LOG_ERROR, LOG_FORMAT_TEXT);
	assert_non_null(world->log);
	world->routes = route_table_new();
	assert_int_equal(route_table_add(world->routes, &spec, &error), 0);
	for (int i = 0; i < NODES; i++) {
		struct node *node = &world->nodes[i];

		node->metrics = aligned_alloc(_Alignof(struct metrics), sizeof(*node->metrics));
		assert_non_null(node->metrics);
		memset(node->metrics, 0, sizeof(*node->metrics));
		lifecycle_init(&node->lifecycle, world->log, node->metrics);
		node->lifecycle.broker = &world->broker;
		lifecycle_configure(&node->lifecycle, world->routes);
		take_name(world, i);
	}
}

static void finish(struct world *world)
{
	while (world->n_answers)
		answer_one(world, 0);
	for (int i = 0; i < NODES; i++) {
		lifecycle_deinit(&world->nodes[i].lifecycle);
		free(world->nodes[i].metrics);
	}
	route_table_unref(world->routes);
	log_free(world->log);
}

static void knows_the_truth_after_whatever_has_happened(void **state)
{
	static struct world world;

	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		begin(&world, seed);
		world.faults = seed % 3 * 20;
		for (int i = 0; i < STEPS; i++)
			step(&world);
		settle(&world);
		check_truth(&world);
		finish(&world);
	}
}

/* As when a call is lost after it was carried out: the connection came and went within it. */
static void says_what_came_and_went_once_though_its_call_is_repeated(void **state)
{
	static struct world world;

	(void)state;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		begin(&world, seed);
		pass(&world, LIFECYCLE_TICK_MS);
		end_one(&world, 0, begin_one(&world, 0));
		pass(&world, LIFECYCLE_TICK_MS);
		while (world.n_answers)
			answer_one(&world, 0); /* it is held */
		assert_int_equal(world.n_ended[0], 1);
		world.faults = 90;
		end_one(&world, 0, begin_one(&world, 0));
		for (int i = 0; i < 10; i++) {
			pass(&world, LIFECYCLE_AGAIN_MS);
			while (world.n_answers)
				answer_one(&world, 0);
		}
		settle(&world);
		assert_int_equal(world.n_begun[1], 1);
		assert_int_equal(world.n_ended[1], 1);
		finish(&world);
	}
}

static void a_storm_is_a_few_calls(void **state)
{
	static struct world world;

	(void)state;
	begin(&world, 1);
	for (int i = 0; i < CONNECTIONS; i++)
		begin_one(&world, 0);
	settle(&world);
	for (int i = 0; i < CONNECTIONS; i++)
		end_one(&world, 0, i);
	settle(&world);
	check_truth(&world);
	assert_int_equal(world.n_calls, 2);
	finish(&world);
}

static void remembers_what_was_open_and_a_bounded_number_of_what_came_and_went(void **state)
{
	static struct world world;
	struct lifecycle *lifecycle = &world.nodes[0].lifecycle;
	uint64_t number = 1000;

	(void)state;
	begin(&world, 1);
	for (int i = 0; i < 10; i++)
		begin_one(&world, 0);
	settle(&world);
	world.away = true;
	for (int i = 0; i < 5; i++)
		end_one(&world, 0, i);
	for (int i = 0; i < LIFECYCLE_UNSAID_MAX + 100; i++, number++) {
		tell(&world, 0,
			session_begun(slice_of("sessions"), slice_of("42"), slice_of("/"), slice_of("{}")),
			number);
		if (i % 1000 == 0)
			pass(&world, LIFECYCLE_TICK_MS);
		tell(&world, 0, session_over(), number);
	}
	assert_int_equal(metrics_get(world.nodes[0].metrics, METRIC_LIFECYCLE_DROPPED), 100);
	assert_int_equal(lifecycle->n_unsaid, LIFECYCLE_UNSAID_MAX);
	assert_int_equal(lifecycle->things.n_entries, 10 + LIFECYCLE_UNSAID_MAX);
	finish(&world);
}

static void says_again_what_a_broker_has_lost_and_the_ends_of_what_it_does_not_know(void **state)
{
	static struct world world;

	(void)state;
	begin(&world, 1);
	for (int i = 0; i < 3; i++)
		begin_one(&world, 0);
	listen(&world, 0, 1, true);
	settle(&world);
	memset(world.sheets, 0, sizeof(world.sheets));
	memset(world.n_begun, 0, sizeof(world.n_begun));
	memset(world.n_occupied, 0, sizeof(world.n_occupied));
	memset(world.shown, 0, sizeof(world.shown));
	end_one(&world, 0, 0);
	take_name(&world, 0);
	settle(&world);
	assert_int_equal(world.n_ended[0], 1);
	assert_int_equal(world.n_begun[1], 1);
	assert_int_equal(world.n_begun[2], 1);
	assert_true(world.shown[1]);
	finish(&world);
}

static void a_channel_is_vacated_when_nobody_is_back_for_a_while(void **state)
{
	static struct world world;

	(void)state;
	begin(&world, 1);
	for (int i = 0; i < 3; i++) {
		listen(&world, 0, 1, true);
		settle(&world);
		listen(&world, 0, 1, false);
		pass(&world, LIFECYCLE_VACANT_MS - 1);
		assert_true(world.shown[1]);
	}
	listen(&world, 1, 1, true);
	while (world.n_answers)
		answer_one(&world, 0);
	pass(&world, 0);
	settle(&world);
	assert_true(world.shown[1]);
	listen(&world, 1, 1, false);
	settle(&world);
	assert_false(world.shown[1]);
	assert_int_equal(world.n_shown[1], 1);
	finish(&world);
}

static void says_nothing_without_a_name_or_once_its_name_is_not_its_own(void **state)
{
	static struct world world;
	struct lifecycle *lifecycle = &world.nodes[0].lifecycle;

	(void)state;
	begin(&world, 1);
	lifecycle_set_node(lifecycle, "", 0);
	begin_one(&world, 0);
	pass(&world, 1000);
	assert_int_equal(world.n_calls, 0);
	world.nodes[0].tenure++;
	lifecycle_set_node(lifecycle, "n0.2", world.now_ms);
	pass(&world, 1000);
	assert_int_equal(world.n_answers, 0);
	lifecycle_set_node(lifecycle, "n0.2", world.now_ms + 5000);
	settle(&world);
	assert_int_equal(world.n_begun[0], 1);
	finish(&world);
}

static void what_a_route_no_longer_says_of_its_channels_ends(void **state)
{
	static struct world world;
	struct route_table *none = route_table_new();

	(void)state;
	begin(&world, 1);
	begin_one(&world, 0);
	listen(&world, 0, 1, true);
	settle(&world);
	lifecycle_configure(&world.nodes[0].lifecycle, none);
	settle(&world);
	assert_false(world.shown[1]);
	assert_int_equal(world.n_ended[0], 0); /* connections keep what they came with */
	listen(&world, 0, 1, true);
	settle(&world);
	assert_false(world.shown[1]);
	lifecycle_configure(&world.nodes[0].lifecycle, world.routes);
	listen(&world, 0, 1, true);
	settle(&world);
	assert_true(world.shown[1]);
	finish(&world);
	route_table_unref(none);
}

/* --- several streams --- */

/* A broker that writes down what it is told: "STREAM +channel mask" or "STREAM -channel". */
struct scribe {
	struct broker broker; /* first: it is cast back */
	struct buf text;
	struct answer answer;
	bool awaits; /* of the one call that may be under way */
};

static int scribe_say(struct broker *broker, const struct broker_session *session, uint64_t call, bool forgot,
	const struct broker_said *said, size_t n, broker_said_fn done, void *arg)
{
	struct scribe *scribe = (struct scribe *)broker;

	(void)call;
	(void)forgot;
	assert_false(scribe->awaits);
	for (size_t i = 0; i < n; i++) {
		buf_printf(&scribe->text, "%.*s %c%.*s", (int)session->stream.len, session->stream.data,
			said[i].is_here ? '+' : '-', (int)said[i].name.len - 1, said[i].name.data + 1);
		if (said[i].is_here)
			buf_printf(&scribe->text, " %u", (unsigned int)said[i].events);
		buf_append(&scribe->text, "\n", 1);
	}
	scribe->answer = (struct answer){.said = done, .arg = arg};
	scribe->awaits = true;
	return 0;
}

static int scribe_hold(struct broker *broker, struct slice node, bool hold, const struct slice *names,
	size_t n, broker_done_fn done, void *arg)
{
	struct scribe *scribe = (struct scribe *)broker;

	(void)node;
	assert_true(hold && n == 1 && names[0].len);
	assert_false(scribe->awaits);
	scribe->answer = (struct answer){.done = done, .arg = arg};
	scribe->awaits = true;
	return 0;
}

static const struct broker_ops scribe_ops = {.say = scribe_say, .hold = scribe_hold};

static void scribe_answer(struct scribe *scribe)
{
	struct answer answer = scribe->answer;
	struct broker_said_answer said = {0};

	scribe->awaits = false;
	if (answer.said)
		answer.said(answer.arg, 0, &said);
	else if (answer.done)
		answer.done(answer.arg, 0);
}

/* All that is to be said is said, and nothing but this. */
static void check_said(struct scribe *scribe, struct lifecycle *lifecycle, const char *text)
{
	for (int i = 0; i < 20; i++) {
		lifecycle_tick(lifecycle, lifecycle->now_ms + LIFECYCLE_TICK_MS);
		while (scribe->awaits)
			scribe_answer(scribe);
	}
	assert_true(lifecycle_has_said_all(lifecycle));
	assert_string_equal(buf_text(&scribe->text), text);
	buf_reset(&scribe->text);
}

static struct route_table *routes_that_say(const char *stream, unsigned int events)
{
	const char *const channels[] = {"cards"};
	const struct route_spec spec = {.path = "/ws/cards",
		.channels = channels,
		.n_channels = 1,
		.lifecycle = {.stream = stream, .events = events, .size = 5000}};
	struct route_table *routes = route_table_new();
	struct buf error = {0};

	assert_int_equal(route_table_add(routes, &spec, &error), 0);
	return routes;
}

struct scene {
	struct scribe scribe;
	struct lifecycle lifecycle;
	struct metrics *metrics;
	struct log *log;
	struct route_table *here, *there, *more;
};

static const struct slice cards = {"cards", 5};

static void scene_begin(struct scene *scene)
{
	*scene = (struct scene){.scribe.broker.ops = &scribe_ops};
	scene->log = log_new(-1, LOG_ERROR, LOG_FORMAT_TEXT);
	scene->metrics = aligned_alloc(_Alignof(struct metrics), sizeof(*scene->metrics));
	assert_non_null(scene->metrics);
	memset(scene->metrics, 0, sizeof(*scene->metrics));
	scene->here = routes_that_say("here", LIFECYCLE_BIT(LIFECYCLE_OCCUPIED));
	scene->there = routes_that_say("there", LIFECYCLE_BIT(LIFECYCLE_OCCUPIED));
	scene->more = routes_that_say("here", LIFECYCLE_CHANNELS);
	lifecycle_init(&scene->lifecycle, scene->log, scene->metrics);
	scene->lifecycle.broker = &scene->scribe.broker;
	lifecycle_configure(&scene->lifecycle, scene->here);
	lifecycle_set_node(&scene->lifecycle, "n0.1", UINT64_MAX);
	lifecycle_channel(&scene->lifecycle, cards, true, 1000);
	check_said(&scene->scribe, &scene->lifecycle, "here +cards 4\n");
}

static void scene_finish(struct scene *scene)
{
	while (scene->scribe.awaits)
		scribe_answer(&scene->scribe);
	lifecycle_deinit(&scene->lifecycle);
	buf_deinit(&scene->scribe.text);
	free(scene->metrics);
	log_free(scene->log);
	route_table_unref(scene->here);
	route_table_unref(scene->there);
	route_table_unref(scene->more);
}

/* As the bus does with a reload, while somebody listens or nobody does. */
static void reload(struct scene *scene, const struct route_table *routes, bool somebody_listens)
{
	lifecycle_configure(&scene->lifecycle, routes);
	if (somebody_listens)
		lifecycle_channel(&scene->lifecycle, cards, true, scene->lifecycle.now_ms);
}

static void a_channel_that_moves_to_another_stream_ends_in_the_one_and_begins_in_the_other(void **state)
{
	struct scene scene;

	(void)state;
	scene_begin(&scene);
	reload(&scene, scene.there, true);
	check_said(&scene.scribe, &scene.lifecycle, "here -cards\nthere +cards 4\n");
	reload(&scene, scene.here, true);
	lifecycle_channel(&scene.lifecycle, cards, false, scene.lifecycle.now_ms);
	check_said(&scene.scribe, &scene.lifecycle, "there -cards\n");
	scene_finish(&scene);
}

static void a_channel_that_moves_to_and_fro_before_anything_is_said_is_occupied_where_it_was(void **state)
{
	struct scene scene;

	(void)state;
	scene_begin(&scene);
	reload(&scene, scene.there, true);
	reload(&scene, scene.here, true);
	check_said(&scene.scribe, &scene.lifecycle, "");
	reload(&scene, scene.there, true);
	reload(&scene, NULL, true); /* and its listener leaves while nothing is said of channels */
	reload(&scene, scene.there, false);
	check_said(&scene.scribe, &scene.lifecycle, "here -cards\n");
	scene_finish(&scene);
}

static void events_that_a_reload_adds_are_those_of_channels_that_are_occupied_already(void **state)
{
	struct scene scene;

	(void)state;
	scene_begin(&scene);
	reload(&scene, scene.more, true);
	check_said(&scene.scribe, &scene.lifecycle, "here +cards 12\n");
	reload(&scene, scene.here, true);
	lifecycle_tick(&scene.lifecycle, scene.lifecycle.now_ms);
	assert_true(scene.scribe.awaits);
	reload(&scene, scene.more, true); /* while a call says the former events */
	check_said(&scene.scribe, &scene.lifecycle, "here +cards 4\nhere +cards 12\n");
	reload(&scene, scene.more, true);
	check_said(&scene.scribe, &scene.lifecycle, "");
	scene_finish(&scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(knows_the_truth_after_whatever_has_happened),
		cmocka_unit_test(says_what_came_and_went_once_though_its_call_is_repeated),
		cmocka_unit_test(a_storm_is_a_few_calls),
		cmocka_unit_test(remembers_what_was_open_and_a_bounded_number_of_what_came_and_went),
		cmocka_unit_test(says_again_what_a_broker_has_lost_and_the_ends_of_what_it_does_not_know),
		cmocka_unit_test(a_channel_is_vacated_when_nobody_is_back_for_a_while),
		cmocka_unit_test(says_nothing_without_a_name_or_once_its_name_is_not_its_own),
		cmocka_unit_test(what_a_route_no_longer_says_of_its_channels_ends),
		cmocka_unit_test(
			a_channel_that_moves_to_another_stream_ends_in_the_one_and_begins_in_the_other),
		cmocka_unit_test(
			a_channel_that_moves_to_and_fro_before_anything_is_said_is_occupied_where_it_was),
		cmocka_unit_test(events_that_a_reload_adds_are_those_of_channels_that_are_occupied_already),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The promises of route: which path finds which route, which ids are let through, who may subscribe to what.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/buf.h"
#include "protocol/key_path.h"
#include "route/access.h"
#include "route/route.h"

static int add_spec(struct route_table *table, const struct route_spec *spec, struct buf *error)
{
	error->len = 0;
	return route_table_add(table, spec, error);
}

/* One path, one channel, may subscribe to whatever some route joins. */
static void add(struct route_table *table, const char *path, const char *channel)
{
	struct buf error = {0};
	struct route_spec spec = {.path = path,
		.channels = &channel,
		.n_channels = channel ? 1 : 0,
		.subscribe_any_route = true};

	assert_int_equal(add_spec(table, &spec, &error), 0);
	buf_deinit(&error);
}

static void assert_refused(const char *path, const char *channel, const char *sentence)
{
	struct route_table *table = route_table_new();
	struct buf error = {0};
	struct route_spec spec = {.path = path, .channels = &channel, .n_channels = channel ? 1 : 0};

	assert_int_equal(route_table_add(table, &spec, &error), ROUTE_BAD_TEMPLATE);
	if (!strstr(buf_text(&error), sentence))
		fail_msg("'%s' does not say '%s'", buf_text(&error), sentence);
	assert_int_equal(route_table_size(table), 0);
	buf_deinit(&error);
	route_table_unref(table);
}

static struct route_table *default_table(void)
{
	struct route_table *table = route_table_new();

	add(table, "/ws/cards", "cards");
	add(table, "/ws/execution/{execution_id}", "execution:{execution_id}");
	add(table, "/ws/cards/{item_id}", "cards:{item_id}");
	return table;
}

static int match_text(const struct route_table *table, const char *path, struct route_match *match)
{
	return route_table_match(table, path, strlen(path), match);
}

/* The first channel that this path joins; "" when it matches nothing. */
static const char *first_channel(
	const struct route_table *table, const char *path, char out[ROUTE_CHANNEL_MAX + 1])
{
	struct route_match match;
	size_t len;

	out[0] = '\0';
	if (match_text(table, path, &match) != 0)
		return out;
	len = route_channel(&match, 0, out);
	assert_int_equal(len, strlen(out));
	return out;
}

#define assert_joins(table, path, channel)                                                                   \
	do {                                                                                                 \
		char name[ROUTE_CHANNEL_MAX + 1];                                                            \
		assert_string_equal(first_channel(table, path, name), channel);                              \
	} while (0)

#define assert_match(table, path, outcome)                                                                   \
	do {                                                                                                 \
		struct route_match match;                                                                    \
		assert_int_equal(match_text(table, path, &match), outcome);                                  \
	} while (0)

static void finds_channels_by_path(void **state)
{
	struct route_table *table = default_table();

	(void)state;
	assert_joins(table, "/ws/cards", "cards");
	assert_joins(table, "/ws/execution/e-1", "execution:e-1");
	assert_joins(table, "/ws/cards/card_42.~x", "cards:card_42.~x");
	route_table_unref(table);
}

static void does_not_find_other_shapes(void **state)
{
	struct route_table *table = default_table();
	static const char *const paths[] = {"", "/", "ws/cards", "/ws", "/ws/", "/ws/cards/", "/ws//cards",
		"//ws/cards", "/ws/execution", "/ws/execution/", "/ws/execution/1/", "/ws/execution/1/2",
		"/ws/Cards", "/ws/card", "/ws/cardss", "/ws/cards?x=1", "/ws/%2fcards", "/ws%2Fcards",
		"/ws/../ws/cards", "*", "/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a"};

	(void)state;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		assert_match(table, paths[i], ROUTE_NOT_FOUND);
	route_table_unref(table);
}

static void does_not_look_at_a_path_past_its_bound(void **state)
{
	struct route_table *table = default_table();
	char path[ROUTE_PATH_MAX + 2];
	struct route_match match;

	(void)state;
	memset(path, 'a', sizeof(path));
	memcpy(path, "/ws/cards/", 10);
	assert_int_equal(route_table_match(table, path, ROUTE_PATH_MAX, &match), ROUTE_BAD_ID);
	assert_int_equal(route_table_match(table, path, ROUTE_PATH_MAX + 1, &match), ROUTE_NOT_FOUND);
	route_table_unref(table);
}

static void reads_no_further_than_its_length(void **state)
{
	struct route_table *table = default_table();
	struct route_match match;

	(void)state;
	assert_int_equal(route_table_match(table, "/ws/cards?token=x", 9, &match), 0);
	assert_int_equal(route_table_match(table, "/ws/cards/%41", 12, &match), ROUTE_BAD_ID);
	route_table_unref(table);
}

static void decodes_percent_once(void **state)
{
	struct route_table *table = default_table();

	(void)state;
	assert_joins(table, "/ws/cards/%41b%2e%7Ec", "cards:Ab.~c");
	assert_joins(table, "/%77s/c%61rds", "cards");
	assert_match(table, "/ws/cards/%2541", ROUTE_BAD_ID); /* once: "%41" has a '%' */
	route_table_unref(table);
}

static void refuses_what_is_no_id(void **state)
{
	struct route_table *table = default_table();
	static const char *const ids[] = {"%00", "a%00", "%2F", "a%2fb", "%0d%0a", "%0D%0ASUBSCRIBE", "..",
		".", "%2e", "%2E%2e", "*", "a*", "a b", "a%20b", "+%2B", "%zz", "%", "%4", "a%", "%4g", "a:b",
		"a%3Ab", "{id}", "[a]", "\xc3\xa9", "%c3%a9", "%ff", "a;b", "a,b", "a=b", "a@b", "a|b", "\\",
		"\x7f", "a?b", "a#b"};
	char path[64];

	(void)state;
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		snprintf(path, sizeof(path), "/ws/cards/%s", ids[i]);
		assert_match(table, path, ROUTE_BAD_ID);
	}
	assert_joins(table, "/ws/cards/...", "cards:...");
	assert_joins(table, "/ws/cards/.a", "cards:.a");
	route_table_unref(table);
}

static void bounds_the_id_after_decoding(void **state)
{
	struct route_table *table = default_table();
	char path[512] = "/ws/cards/";
	struct route_match match;
	char *end = path + strlen(path);

	(void)state;
	for (int i = 0; i < ROUTE_ID_MAX; i++)
		end = stpcpy(end, "%61");
	assert_int_equal(match_text(table, path, &match), 0);
	assert_int_equal(match.values[0].len, ROUTE_ID_MAX);
	strcpy(end, "b");
	assert_int_equal(match_text(table, path, &match), ROUTE_BAD_ID);
	route_table_unref(table);
}

static void refuses_ids_that_make_no_channel_name(void **state)
{
	struct route_table *table = route_table_new();
	char path[512];

	(void)state;
	add(table, "/ws/{a}/{b}", "{a}:{b}");
	snprintf(path, sizeof(path), "/ws/%0127d/%0127d", 1, 2);
	assert_match(table, path, 0); /* 127 + 1 + 127 = 255 */
	snprintf(path, sizeof(path), "/ws/%0127d/%0128d", 1, 2);
	assert_match(table, path, ROUTE_BAD_ID);
	assert_match(table, "/ws/tg/probe", ROUTE_BAD_ID);
	assert_match(table, "/ws/probe/tg", 0);
	route_table_unref(table);
}

static void prefers_the_literal_from_the_left(void **state)
{
	struct route_table *table = route_table_new();

	(void)state;
	add(table, "/ws/{topic}/{id}", "any-any:{topic}:{id}");
	add(table, "/ws/{topic}/x", "any-x:{topic}");
	add(table, "/ws/a/{id}", "a-any:{id}");
	assert_joins(table, "/ws/b/c", "any-any:b:c");
	assert_joins(table, "/ws/b/x", "any-x:b");
	assert_joins(table, "/ws/a/x", "a-any:x"); /* the left segment decides, not their number */
	assert_joins(table, "/ws/a/y", "a-any:y");
	add(table, "/ws/a/x", "a-x");
	assert_joins(table, "/ws/a/x", "a-x");
	route_table_unref(table);
}

static void goes_back_from_a_literal_that_leads_nowhere(void **state)
{
	struct route_table *table = route_table_new();

	(void)state;
	add(table, "/ws/{topic}/x", "any-x:{topic}");
	add(table, "/ws/a/y", "a-y");
	add(table, "/{p}/a/{q}/z", "deep:{p}:{q}");
	assert_joins(table, "/ws/a/x", "any-x:a");
	assert_joins(table, "/ws/a/y", "a-y");
	assert_joins(table, "/ws/a/x/z", "deep:ws:x");
	assert_match(table, "/ws/a/z", ROUTE_NOT_FOUND);
	route_table_unref(table);
}

static void finds_each_of_hundreds(void **state)
{
	struct route_table *table = route_table_new();
	char path[64], channel[64];

	(void)state;
	for (int i = 0; i < 500; i++) {
		int n = i * 7919 % 500; /* not in their order */

		snprintf(path, sizeof(path), "/ws/topic%d/{id}", n);
		snprintf(channel, sizeof(channel), "topic%d:{id}", n);
		add(table, path, channel);
		assert_int_equal(route_index(route_table_get(table, (size_t)i)), i);
	}
	for (int i = 0; i < 500; i++) {
		snprintf(path, sizeof(path), "/ws/topic%d/x", i);
		snprintf(channel, sizeof(channel), "topic%d:x", i);
		assert_joins(table, path, channel);
	}
	assert_match(table, "/ws/topic500/x", ROUTE_NOT_FOUND);
	route_table_unref(table);
}

static void refuses_two_routes_of_one_shape(void **state)
{
	struct route_table *table = default_table();
	struct buf error = {0};
	struct route_spec spec = {.path = "/ws/execution/{run}"};

	(void)state;
	assert_int_equal(add_spec(table, &spec, &error), ROUTE_CONFLICT);
	assert_string_equal(buf_text(&error),
		"path '/ws/execution/{run}': it matches the same paths as '/ws/execution/{execution_id}'");
	assert_int_equal(route_table_size(table), 3);
	assert_joins(table, "/ws/execution/1", "execution:1");
	buf_deinit(&error);
	route_table_unref(table);
}

static void finds_a_route_by_shape(void **state)
{
	struct route_table *table = default_table();

	(void)state;
	assert_string_equal(
		route_path(route_table_find(table, "/ws/execution/{x}")), "/ws/execution/{execution_id}");
	assert_null(route_table_find(table, "/ws/{x}"));
	assert_null(route_table_find(table, "/ws/execution/1"));
	assert_null(route_table_find(table, "not a template"));
	route_table_unref(table);
}

static void refuses_bad_paths(void **state)
{
	(void)state;
	assert_refused("ws/cards", NULL, "starts with '/'");
	assert_refused("", NULL, "starts with '/'");
	assert_refused("/ws/", NULL, "empty part");
	assert_refused("/ws//x", NULL, "empty part");
	assert_refused("/ws/..", NULL, "each part is");
	assert_refused("/ws/a b", NULL, "each part is");
	assert_refused("/ws/*", NULL, "each part is");
	assert_refused("/ws/x-{id}", NULL, "must fill the whole part");
	assert_refused("/ws/{a}{b}", NULL, "variable's name");
	assert_refused("/ws/{id", NULL, "must fill the whole part");
	assert_refused("/ws/{}", NULL, "variable's name");
	assert_refused("/ws/{1a}", NULL, "variable's name");
	assert_refused("/ws/{id}/{id}", NULL, "{id} is in it twice");
	assert_refused("/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/{i}", NULL, "more than 8 variables");
	assert_refused("/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17", NULL, "more than 16 parts");
}

static void refuses_bad_channels(void **state)
{
	(void)state;
	assert_refused("/ws/{id}", "nova:{item}", "channel 'nova:{item}': {item} is no variable of the path");
	assert_refused("/ws/{id}", "nova:", "empty part");
	assert_refused("/ws/{id}", "", "empty part");
	assert_refused("/ws/{id}", "nova-{id}", "must fill the whole part");
	assert_refused("/ws/{id}", "a*", "each part is");
	assert_refused("/ws/{id}", "tg:{id}", "reserved");
	assert_refused("/ws/{token.sub}", NULL, "{token.NAME} stands in channels only");
	assert_refused("/ws", "user:{token.}", "a claim's name in {token.NAME} is");
	assert_refused("/ws", "user:{token.a b}", "a claim's name in {token.NAME} is");
	assert_refused("/ws", "user:{token.a{b}", "a claim's name in {token.NAME} is");
	assert_refused("/ws", "user:{token.\xc3\xa9}", "a claim's name in {token.NAME} is");
	assert_refused("/ws", "user-{token.sub}", "must fill the whole part");
	assert_refused("/ws", "{token.sub}-user", "must fill the whole part");
	assert_refused("/ws", "user:{token.sub", "must fill the whole part");
	assert_refused("/ws", "user:{tokens.sub}", "variable's name");
	assert_refused("/ws", "user:{token}", "{token} is no variable of the path");
}

static void refuses_a_channel_twice_and_too_many(void **state)
{
	struct route_table *table = route_table_new();
	const char *channels[ROUTE_CHANNELS_MAX + 1];
	char names[ROUTE_CHANNELS_MAX + 1][8];
	struct route_spec spec = {.path = "/ws", .channels = channels};
	struct buf error = {0};

	(void)state;
	for (size_t i = 0; i <= ROUTE_CHANNELS_MAX; i++) {
		snprintf(names[i], sizeof(names[i]), "c%zu", i);
		channels[i] = names[i];
	}
	spec.n_channels = ROUTE_CHANNELS_MAX + 1;
	assert_int_equal(add_spec(table, &spec, &error), ROUTE_BAD_TEMPLATE);
	channels[2] = "c1";
	spec.n_channels = ROUTE_CHANNELS_MAX;
	assert_int_equal(add_spec(table, &spec, &error), ROUTE_BAD_TEMPLATE);
	channels[2] = "c2";
	assert_int_equal(add_spec(table, &spec, &error), 0);
	assert_int_equal(route_n_channels(route_table_get(table, 0)), ROUTE_CHANNELS_MAX);
	buf_deinit(&error);
	route_table_unref(table);
}

static void joins_several_channels(void **state)
{
	struct route_table *table = route_table_new();
	const char *channels[] = {"board", "board:{board}", "{user}:{board}:log"};
	struct route_spec spec = {.path = "/{board}/{user}", .channels = channels, .n_channels = 3};
	struct buf error = {0};
	struct route_match match;
	char name[ROUTE_CHANNEL_MAX + 1];

	(void)state;
	assert_int_equal(add_spec(table, &spec, &error), 0);
	assert_int_equal(match_text(table, "/b1/u2", &match), 0);
	route_channel(&match, 1, name);
	assert_string_equal(name, "board:b1");
	route_channel(&match, 2, name);
	assert_string_equal(name, "u2:b1:log");
	assert_string_equal(route_channel_template(match.route, 2), "{user}:{board}:log");
	buf_deinit(&error);
	route_table_unref(table);
}

static void may_be_the_root(void **state)
{
	struct route_table *table = route_table_new();

	(void)state;
	add(table, "/", "all");
	assert_joins(table, "/", "all");
	assert_match(table, "//", ROUTE_NOT_FOUND);
	route_table_unref(table);
}

/* May a connection with these ids subscribe to the channel? NULL: it has none. */
static bool may(
	const struct route_table *table, const struct route *route, const char *ids, const char *channel)
{
	struct route_match match;

	route_rematch(route, ids ? ids : "", NULL, &match);
	return access_may_subscribe(table, &match, slice_of(channel));
}

static void any_means_what_some_route_joins(void **state)
{
	struct route_table *table = default_table();
	const struct route *cards = route_table_get(table, 0);

	(void)state;
	assert_true(may(table, cards, NULL, "cards"));
	assert_true(may(table, cards, NULL, "cards:7"));
	assert_true(may(table, cards, NULL, "execution:7"));
	assert_false(may(table, cards, NULL, "execution"));
	assert_false(may(table, cards, NULL, "secret"));
	assert_false(may(table, cards, NULL, "execution:7:log"));
	route_table_unref(table);
}

static void never_lets_an_invalid_name_through(void **state)
{
	struct route_table *table = route_table_new();
	const struct route *route;
	static const char *const names[] = {
		"", ":", "a:", ":a", "a::b", "..:a", "a:*", "tg:a", "a b:c", "a:\n"};

	(void)state;
	add(table, "/ws/{a}/{b}", "{a}:{b}");
	route = route_table_get(table, 0);
	assert_true(may(table, route, NULL, "a:b"));
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_false(may(table, route, NULL, names[i]));
	assert_false(may(table, route, NULL, "a:a:a:a:a:a:a:a:a:a:a:a:a:a:a:a:a:a"));
	route_table_unref(table);
}

static void none_means_its_own_channels_only(void **state)
{
	struct route_table *table = default_table();
	const char *channel = "run:{id}";
	struct route_spec spec = {.path = "/run/{id}", .channels = &channel, .n_channels = 1};
	struct buf error = {0};
	const struct route *route;

	(void)state;
	assert_int_equal(add_spec(table, &spec, &error), 0);
	route = route_table_find(table, "/run/{id}");
	assert_true(may(table, route, "r1", "run:r1"));
	assert_false(may(table, route, "r1", "run:r2"));
	assert_false(may(table, route, "r1", "run:r11"));
	assert_false(may(table, route, "r1", "cards"));
	assert_false(may(table, route, NULL, "run:r1")); /* nobody knows whose it is */
	buf_deinit(&error);
	route_table_unref(table);
}

static void a_list_binds_the_paths_own_ids(void **state)
{
	struct route_table *table = default_table();
	const char *subscribe[] = {"chat:{room}", "user:{user}:{topic}"};
	struct route_spec spec = {.path = "/{x}/{user}", .subscribe = subscribe, .n_subscribe = 2};
	struct buf error = {0};
	const struct route *route;

	(void)state;
	assert_int_equal(add_spec(table, &spec, &error), 0);
	route = route_table_find(table, "/{x}/{user}");
	assert_true(may(table, route, "x/anna", "chat:lobby"));
	assert_true(may(table, route, NULL, "chat:lobby"));
	assert_true(may(table, route, "x/anna", "user:anna:mail"));
	assert_false(may(table, route, "x/anna", "user:bert:mail"));
	assert_false(may(table, route, "anna/x", "user:anna:mail"));
	assert_false(may(table, route, NULL, "user:anna:mail"));
	assert_false(may(table, route, "x", "user:anna:mail"));
	assert_false(may(table, route, "x/anna", "cards"));
	buf_deinit(&error);
	route_table_unref(table);
}

static void keeps_the_ids_of_a_match(void **state)
{
	struct route_table *table = route_table_new();
	struct route_match match, again;
	char ids[ROUTE_IDS_MAX + 1], name[ROUTE_CHANNEL_MAX + 1], other[ROUTE_CHANNEL_MAX + 1];

	(void)state;
	add(table, "/{a}/x/{b}", "x:{b}:{a}");
	add(table, "/plain", "y");
	assert_int_equal(match_text(table, "/1/x/%32", &match), 0);
	assert_int_equal(route_ids(&match, ids), 3);
	route_rematch(match.route, ids, NULL, &again);
	assert_int_equal(again.n_values, match.n_values);
	assert_int_equal(route_channel(&again, 0, name), route_channel(&match, 0, other));
	assert_string_equal(name, other);
	assert_string_equal(ids, "1/2");
	assert_int_equal(match_text(table, "/plain", &match), 0);
	assert_int_equal(route_ids(&match, ids), 0);
	assert_string_equal(ids, "");
	route_table_unref(table);
}

static void lives_as_long_as_its_last_reference(void **state)
{
	struct route_table *table = default_table();

	(void)state;
	assert_ptr_equal(route_table_ref(table), table);
	route_table_unref(table);
	assert_joins(table, "/ws/cards", "cards");
	route_table_unref(table);
	route_table_unref(NULL);
}

/* A route that is latest_by_key, or without a key drop_oldest. */
static int add_slow(struct route_table *table, const char *path, const char *channel, const char *subscribe,
	const char *key, struct buf *error)
{
	struct route_spec spec = {
		.path = path,
		.channels = &channel,
		.n_channels = channel ? 1 : 0,
		.subscribe = &subscribe,
		.n_subscribe = subscribe ? 1 : 0,
		.slow = {.policy = key ? SLOW_LATEST_BY_KEY : SLOW_DROP_OLDEST, .key = key},
	};

	return add_spec(table, &spec, error);
}

static void assert_key(const struct route_table *table, const char *channel, const char *expected)
{
	const struct key_path *key = route_table_key(table, slice_of(channel));

	if (!expected) {
		assert_null(key);
		return;
	}
	assert_non_null(key);
	assert_string_equal(key->text, expected);
}

static void knows_the_key_of_a_channel(void **state)
{
	struct route_table *table = route_table_new();
	struct buf error = {0};

	(void)state;
	add(table, "/ws/plain", "plain");
	assert_int_equal(add_slow(table, "/a/{id}", "items:{id}", "chat:{room}", "data.id", &error), 0);
	assert_int_equal(add_slow(table, "/b/{t}/{id}", "{t}:{id}", NULL, "data.key", &error), 0);
	assert_int_equal(add_slow(table, "/c/{x}", "items:{x}", NULL, NULL, &error), 0);
	assert_key(table, "plain", NULL);
	assert_key(table, "items:7", "data.id"); /* the more literal, whoever listens */
	assert_key(table, "chat:7", "data.id");
	assert_key(table, "cards:7", "data.key");
	assert_key(table, "items:7:8", NULL);
	assert_key(table, "items", NULL);
	assert_key(table, "a:b:c:d:e:f:g:h:i:j:k:l:m:n:o:p:q:r:s", NULL);
	buf_deinit(&error);
	route_table_unref(table);
}

static void refuses_two_keys_of_one_channel(void **state)
{
	struct route_table *table = route_table_new();
	struct buf error = {0};

	(void)state;
	assert_int_equal(add_slow(table, "/a/{id}", "items:{id}", NULL, "data.id", &error), 0);
	assert_int_equal(add_slow(table, "/b/{id}", "items:{id}", NULL, "id", &error), ROUTE_BAD_TEMPLATE);
	assert_string_equal(
		buf_text(&error), "key 'id': another route has key 'data.id' for channel 'items:{id}'");
	assert_int_equal(route_table_size(table), 1);
	assert_match(table, "/b/1", ROUTE_NOT_FOUND);
	assert_int_equal(add_slow(table, "/b/{id}", NULL, "items:{x}", "id", &error), ROUTE_BAD_TEMPLATE);
	assert_int_equal(add_slow(table, "/b/{id}", "items:{id}", NULL, "data.id", &error), 0);
	assert_int_equal(add_slow(table, "/d", "d", NULL, "data..id", &error), ROUTE_BAD_TEMPLATE);
	assert_string_equal(buf_text(&error), "key 'data..id' has an empty name in it");
	assert_key(table, "items:7", "data.id");
	buf_deinit(&error);
	route_table_unref(table);
}

static int add_history(struct route_table *table, const char *path, const char *channel,
	struct route_history history, struct buf *error)
{
	const char *subscribe = "listed:{any}";
	struct route_spec spec = {.path = path,
		.channels = &channel,
		.n_channels = channel ? 1 : 0,
		.subscribe = &subscribe,
		.n_subscribe = 1,
		.history = history};

	return add_spec(table, &spec, error);
}

/* 0: none. */
static void assert_history(const struct route_table *table, const char *channel, uint32_t size)
{
	const struct route_history *history = route_table_history(table, slice_of(channel));

	assert_int_equal(history ? history->size : 0, size);
	assert_true(!history || history->size > 0);
}

static void knows_the_history_of_a_channel(void **state)
{
	struct route_table *table = route_table_new();
	struct buf error = {0};
	const struct route_history *history;

	(void)state;
	add(table, "/plain", "plain");
	add(table, "/{a}/plain", "plain:{a}");
	assert_int_equal(
		add_history(table, "/h/{t}/{id}", "{t}:{id}",
			(struct route_history){.size = 5, .ttl_ms = 77, .close_on_gap = true}, &error),
		0);
	assert_int_equal(
		add_history(table, "/a/{id}", "items:{id}", (struct route_history){.size = 7}, &error), 0);
	assert_history(table, "items:1", 7); /* the more literal */
	assert_history(table, "cards:1", 5);
	assert_history(table, "plain:1", 5); /* it says nothing about it, so it does not switch it off */
	assert_history(table, "plain", 0);
	assert_history(table, "listed", 0);
	assert_history(table, "items:1:2", 0);
	assert_history(table, "a:b:c:d:e:f:g:h:i:j:k:l:m:n:o:p:q:r:s", 0);
	history = route_table_history(table, (struct slice){"cards:1", 7});
	assert_ptr_equal(history, route_history(route_table_get(table, 2)));
	assert_true(history->ttl_ms == 77 && history->close_on_gap);
	history = route_history(route_table_get(table, 3));
	assert_true(history->ttl_ms == ROUTE_HISTORY_TTL_MS && !history->close_on_gap);
	assert_int_equal(route_history(route_table_get(table, 0))->size, 0);
	buf_deinit(&error);
	route_table_unref(table);
}

/* A channel is looked up without anybody in mind: whosever it is, a claim's part is one id. */
static void a_claim_is_a_variable_to_whoever_looks_a_channel_up(void **state)
{
	struct route_table *table = route_table_new();
	struct buf error = {0};
	const char *channels[] = {"user:{token.sub}", "team:{token.https://a.test/team}:{token.sub}"};
	struct route_spec spec = {.path = "/me",
		.channels = channels,
		.n_channels = 2,
		.history = {.size = 5},
		.slow = {.policy = SLOW_LATEST_BY_KEY, .key = "id"}};
	struct route_spec other = {
		.path = "/user/{id}", .channels = channels, .n_channels = 1, .history = {.size = 6}};

	(void)state;
	assert_null(*route_table_claims(table));
	assert_int_equal(add_spec(table, &spec, &error), 0);
	assert_history(table, "user:auth0~7C5", 5);
	assert_history(table, "team:red:7", 5);
	assert_history(table, "user", 0);
	assert_history(table, "user:a%20b", 0); /* what a claim becomes has no '%' in it */
	assert_string_equal(route_table_key(table, slice_of("user:7"))->text, "id");
	assert_int_equal(add_spec(table, &other, &error), ROUTE_BAD_TEMPLATE);
	channels[0] = "user:{id}";
	assert_int_equal(add_spec(table, &other, &error), ROUTE_BAD_TEMPLATE);
	assert_string_equal(route_table_claims(table)[0], "sub");
	assert_string_equal(route_table_claims(table)[1], "https://a.test/team");
	assert_null(route_table_claims(table)[2]);
	buf_deinit(&error);
	route_table_unref(table);
}

static void keeps_no_history_of_what_is_only_listed(void **state)
{
	struct route_table *table = route_table_new();
	struct buf error = {0};

	(void)state;
	assert_int_equal(add_history(table, "/a", "a", (struct route_history){.size = 5}, &error), 0);
	assert_history(table, "a", 5);
	assert_history(table, "listed:1", 0);
	assert_int_equal(add_history(table, "/b", NULL, (struct route_history){.size = 5}, &error),
		ROUTE_BAD_TEMPLATE);
	assert_string_equal(
		buf_text(&error), "path '/b': it has a history, but joins no channel to keep one of");
	buf_deinit(&error);
	route_table_unref(table);
}

static void refuses_two_histories_of_one_channel(void **state)
{
	static const struct route_history one = {.size = 5, .ttl_ms = 1000};
	static const struct route_history others[] = {{.size = 6, .ttl_ms = 1000},
		{.size = 5, .ttl_ms = 1001}, {.size = 5, .ttl_ms = 1000, .close_on_gap = true}};
	struct route_table *table = route_table_new();
	struct buf error = {0};

	(void)state;
	assert_int_equal(add_history(table, "/a/{id}", "items:{id}", one, &error), 0);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(
			add_history(table, "/b/{x}", "items:{x}", others[i], &error), ROUTE_BAD_TEMPLATE);
		assert_string_equal(
			buf_text(&error), "history: route '/a/{id}' has another one for channel 'items:{x}'");
	}
	assert_int_equal(route_table_size(table), 1);
	assert_match(table, "/b/1", ROUTE_NOT_FOUND);
	assert_history(table, "items:1", 5);
	assert_int_equal(add_history(table, "/b/{x}", "items:{x}", one, &error), 0);
	assert_int_equal(add_history(table, "/c/{x}", "items:{x}", (struct route_history){0}, &error), 0);
	assert_history(table, "items:1", 5);
	buf_deinit(&error);
	route_table_unref(table);
}

/* Nothing but the newest event of a key is worth keeping however long it takes. */
static void knows_how_long_an_event_may_wait(void **state)
{
	struct route_table *table = route_table_new();
	struct buf error = {0};
	struct route_spec spec = {.path = "/c",
		.slow = {.policy = SLOW_LATEST_BY_KEY, .key = "id", .age_max_ms = 77, .bytes_max = 99}};

	(void)state;
	add(table, "/ws/plain", "plain");
	assert_int_equal(add_slow(table, "/a", "a", NULL, NULL, &error), 0);
	assert_int_equal(add_slow(table, "/b", "b", NULL, "id", &error), 0);
	assert_int_equal(add_spec(table, &spec, &error), 0);
	assert_int_equal(route_slow(route_table_get(table, 0))->policy, SLOW_DISCONNECT);
	assert_true(route_slow(route_table_get(table, 0))->age_max_ms == SLOW_AGE_MS);
	assert_int_equal(route_slow(route_table_get(table, 0))->bytes_max, 0);
	assert_true(route_slow(route_table_get(table, 1))->age_max_ms == SLOW_AGE_MS);
	assert_true(route_slow(route_table_get(table, 2))->age_max_ms == SLOW_AGE_NONE);
	assert_true(route_slow(route_table_get(table, 3))->age_max_ms == 77);
	assert_int_equal(route_slow(route_table_get(table, 3))->bytes_max, 99);
	assert_string_equal(route_slow(route_table_get(table, 3))->key, "id");
	buf_deinit(&error);
	route_table_unref(table);
}

static void knows_its_policies_by_name(void **state)
{
	enum slow_policy policy = SLOW_DISCONNECT;

	(void)state;
	assert_true(slow_policy_parse("latest_by_key", &policy));
	assert_int_equal(policy, SLOW_LATEST_BY_KEY);
	assert_string_equal(slow_policy_name(SLOW_DROP_OLDEST), "drop_oldest");
	assert_false(slow_policy_parse("Disconnect", &policy));
	assert_false(slow_policy_parse("", &policy));
}

static void knows_a_channel_name(void **state)
{
	char name[ROUTE_CHANNEL_MAX + 2];

	(void)state;
	assert_true(route_channel_valid("cards", 5));
	assert_true(route_channel_valid("a:b:c.d~e_f-g", 13));
	assert_true(route_channel_valid("tg", 2));
	assert_false(route_channel_valid("tg:", 3));
	assert_false(route_channel_valid("a\0b", 3));
	memset(name, 'a', sizeof(name));
	name[128] = ':';
	assert_true(route_channel_valid(name, ROUTE_CHANNEL_MAX));
	name[127] = ':';
	name[128] = 'a';
	assert_true(route_channel_valid(name, ROUTE_CHANNEL_MAX));
	assert_false(route_channel_valid(name, ROUTE_CHANNEL_MAX + 1));
}

/* A table of one route, and the route. */
static void add_wide(struct route_table *table, const char *path, const char *channel, const char *listed)
{
	struct buf error = {0};
	struct route_spec spec = {.path = path,
		.channels = &channel,
		.n_channels = 1,
		.subscribe = &listed,
		.n_subscribe = listed ? 1 : 0,
		.any_ids = true};

	assert_int_equal(add_spec(table, &spec, &error), 0);
	buf_deinit(&error);
}

/* What stands in names is what Python's urllib.parse.quote(id, safe="") makes of the id. */
static void a_wide_id_has_one_form(void **state)
{
	static const struct {
		const char *segment, *channel; /* NULL: no id */
	} rows[] = {{"7", "items:7"}, {"a.b_c~d-e", "items:a.b_c~d-e"}, {"%61%7e", "items:a~"},
		{"a%20b", "items:a%20b"}, {"user@example.com", "items:user%40example.com"},
		{"user%40example.com", "items:user%40example.com"}, {"%c3%a9", "items:%C3%A9"},
		{"\xc3\xa9", "items:%C3%A9"}, {"a%2fb", "items:a%2Fb"}, {"a:b", "items:a%3Ab"},
		{"a%2520b", "items:a%2520b"}, {"*", "items:%2A"}, {"%7Bx%7D", "items:%7Bx%7D"},
		{"...", "items:..."}, {".", NULL}, {"..", NULL}, {"%2e%2E", NULL}, {"%", NULL}, {"%zz", NULL},
		{"%2", NULL}, {"%00", NULL}, {"a%0ab", NULL}, {"%7f", NULL}, {"%ff", NULL}, {"%c3", NULL},
		{"%ed%a0%80", NULL}};
	struct route_table *table = route_table_new();

	(void)state;
	add_wide(table, "/items/{id}", "items:{id}", NULL);
	add(table, "/plain/{id}", "items:{id}");
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		char path[64], name[ROUTE_CHANNEL_MAX + 1];
		struct route_match match;
		int r;

		snprintf(path, sizeof(path), "/items/%s", rows[i].segment);
		r = match_text(table, path, &match);
		assert_int_equal(r, rows[i].channel ? 0 : ROUTE_BAD_ID);
		if (r)
			continue;
		route_channel(&match, 0, name);
		assert_string_equal(name, rows[i].channel);
		assert_true(route_channel_valid(name, strlen(name)));
		/* A plain route takes the same plain ids, for the same channel, and no others. */
		snprintf(path, sizeof(path), "/plain/%s", rows[i].segment);
		r = match_text(table, path, &match);
		assert_int_equal(r, strchr(name, '%') ? ROUTE_BAD_ID : 0);
		if (r)
			continue;
		route_channel(&match, 0, name);
		assert_string_equal(name, rows[i].channel);
	}
	route_table_unref(table);
}

static void a_wide_id_is_as_long_as_a_plain_one_where_it_is_written(void **state)
{
	struct route_table *table = route_table_new();
	struct route_match match;
	char path[512] = "/items/";

	(void)state;
	add_wide(table, "/items/{id}", "items:{id}", NULL);
	for (int i = 0; i < 42; i++)
		strcat(path, "%20");
	strcat(path, "ab");
	assert_int_equal(match_text(table, path, &match), 0);
	assert_int_equal(match.values[0].len, ROUTE_ID_MAX);
	strcat(path, "c");
	assert_int_equal(match_text(table, path, &match), ROUTE_BAD_ID);
	route_table_unref(table);
}

/* Names of no other spelling are let through, or two of them would be one channel to people and two to Redis.
 */
static void a_name_has_its_escapes_in_one_way(void **state)
{
	static const char *const good[] = {"a%20b", "items:%C3%A9", "%2F:.%20"};
	static const char *const bad[] = {"a b", "%c3%a9", "%41", "%7E", "%", "a%2", "%00", "%FF", "%C3",
		"%0A", "items:%2E", "items:%2E%2E", "\xc3\xa9", "tg:%20"};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		assert_true(route_channel_valid(good[i], strlen(good[i])));
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		if (route_channel_valid(bad[i], strlen(bad[i])))
			fail_msg("%s", bad[i]);
}

static void who_may_subscribe_to_wide_ids_is_said_by_routes(void **state)
{
	struct route_table *table = route_table_new();
	const struct route *plain, *wide;
	struct route_match match;
	char ids[ROUTE_IDS_MAX + 1];

	(void)state;
	add(table, "/cards/{id}", "cards:{id}");
	add_wide(table, "/items/{a}/{b}", "items:{a}:{b}", "chat:{room}");
	plain = route_table_get(table, 0);
	wide = route_table_get(table, 1);
	assert_true(may(table, plain, NULL, "items:a%20b:c"));
	assert_true(may(table, plain, NULL, "items:a:c"));
	assert_false(may(table, plain, NULL, "cards:a%20b")); /* nobody can join it by a path */
	assert_true(may(table, wide, NULL, "chat:a%20b"));
	assert_false(may(table, wide, NULL, "cards:a"));
	assert_int_equal(match_text(table, "/items/a%2Fb/c", &match), 0);
	route_ids(&match, ids);
	assert_string_equal(ids, "a%2Fb/c");
	assert_true(may(table, wide, ids, "items:a%2Fb:c"));
	assert_false(may(table, wide, ids, "items:a:b"));
	route_table_unref(table);
}

static const struct route *only_route(const struct route_spec *spec, struct route_table **tablep)
{
	struct buf error = {0};

	*tablep = route_table_new();
	assert_int_equal(route_table_add(*tablep, spec, &error), 0);
	buf_deinit(&error);
	return route_table_get(*tablep, 0);
}

static bool alike(const struct route_spec *a, const struct route_spec *b)
{
	struct route_table *table_a, *table_b;
	const struct route *route_a = only_route(a, &table_a), *route_b = only_route(b, &table_b);
	bool answer = route_serves_alike(route_a, route_b);

	assert_true(route_serves_alike(route_b, route_a) == answer);
	route_table_unref(table_a);
	route_table_unref(table_b);
	return answer;
}

static void tells_routes_that_serve_alike_from_others(void **state)
{
	static const char *const channels[] = {"a:{id}", "b"}, *const subscribe[] = {"c:{id}", "d"};
	const struct route_spec spec = {.path = "/ws/{id}",
		.channels = channels,
		.n_channels = 2,
		.subscribe = subscribe,
		.n_subscribe = 2,
		.slow = {.policy = SLOW_LATEST_BY_KEY, .key = "data.id"}};
	struct route_spec other = spec;

	(void)state;
	assert_true(alike(&spec, &other));
	other.history = (struct route_history){.size = 7};
	assert_true(alike(&spec, &other)); /* that is the channels' */
	other = spec;
	other.n_channels = 1;
	assert_false(alike(&spec, &other));
	other = spec;
	other.n_subscribe = 1;
	assert_false(alike(&spec, &other));
	other = spec;
	other.subscribe = channels;
	assert_false(alike(&spec, &other));
	other = spec;
	other.subscribe_any_route = true;
	assert_false(alike(&spec, &other));
	other = spec;
	other.compression = true;
	assert_false(alike(&spec, &other));
	other = spec;
	other.auth = ROUTE_AUTH_NONE;
	assert_true(alike(&spec, &other)); /* what holds, not what is written */
	other.auth = ROUTE_AUTH_OPTIONAL;
	assert_false(alike(&spec, &other));
	other = spec;
	other.access = ROUTE_ACCESS_TOKEN;
	assert_false(alike(&spec, &other));
	other = spec;
	other.slow.key = "data.name";
	assert_false(alike(&spec, &other));
	other.slow = (struct route_slow){.policy = SLOW_DROP_OLDEST};
	assert_false(alike(&spec, &other));
	other = spec;
	other.slow.bytes_max = 4096;
	assert_false(alike(&spec, &other));
	other = spec;
	other.slow.age_max_ms = 4096;
	assert_false(alike(&spec, &other));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_wide_id_has_one_form),
		cmocka_unit_test(a_wide_id_is_as_long_as_a_plain_one_where_it_is_written),
		cmocka_unit_test(a_name_has_its_escapes_in_one_way),
		cmocka_unit_test(who_may_subscribe_to_wide_ids_is_said_by_routes),
		cmocka_unit_test(finds_channels_by_path),
		cmocka_unit_test(does_not_find_other_shapes),
		cmocka_unit_test(does_not_look_at_a_path_past_its_bound),
		cmocka_unit_test(reads_no_further_than_its_length),
		cmocka_unit_test(decodes_percent_once),
		cmocka_unit_test(refuses_what_is_no_id),
		cmocka_unit_test(bounds_the_id_after_decoding),
		cmocka_unit_test(refuses_ids_that_make_no_channel_name),
		cmocka_unit_test(prefers_the_literal_from_the_left),
		cmocka_unit_test(goes_back_from_a_literal_that_leads_nowhere),
		cmocka_unit_test(finds_each_of_hundreds),
		cmocka_unit_test(refuses_two_routes_of_one_shape),
		cmocka_unit_test(finds_a_route_by_shape),
		cmocka_unit_test(refuses_bad_paths),
		cmocka_unit_test(refuses_bad_channels),
		cmocka_unit_test(refuses_a_channel_twice_and_too_many),
		cmocka_unit_test(joins_several_channels),
		cmocka_unit_test(may_be_the_root),
		cmocka_unit_test(any_means_what_some_route_joins),
		cmocka_unit_test(never_lets_an_invalid_name_through),
		cmocka_unit_test(none_means_its_own_channels_only),
		cmocka_unit_test(a_list_binds_the_paths_own_ids),
		cmocka_unit_test(keeps_the_ids_of_a_match),
		cmocka_unit_test(lives_as_long_as_its_last_reference),
		cmocka_unit_test(knows_the_key_of_a_channel),
		cmocka_unit_test(refuses_two_keys_of_one_channel),
		cmocka_unit_test(knows_the_history_of_a_channel),
		cmocka_unit_test(a_claim_is_a_variable_to_whoever_looks_a_channel_up),
		cmocka_unit_test(keeps_no_history_of_what_is_only_listed),
		cmocka_unit_test(refuses_two_histories_of_one_channel),
		cmocka_unit_test(knows_how_long_an_event_may_wait),
		cmocka_unit_test(knows_its_policies_by_name),
		cmocka_unit_test(knows_a_channel_name),
		cmocka_unit_test(tells_routes_that_serve_alike_from_others),
	};

	return cmocka_run_group_tests_name("route", tests, NULL, NULL);
}

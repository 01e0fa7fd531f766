/* Rights: what route/rights.h promises; what a route allows is in test_route.c. */

#include "route/rights.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "auth/claims.h"
#include "auth/identity.h"
#include "core/buf.h"
#include "route/route.h"

static void add(struct route_table *table, const char *path, const char *channel, bool any)
{
	const struct route_spec spec = {
		.path = path, .channels = &channel, .n_channels = 1, .subscribe_any_route = any};
	struct buf error = {0};

	assert_int_equal(route_table_add(table, &spec, &error), 0);
	buf_deinit(&error);
}

/* Of a path of this table, which lives as long as the rights. */
static struct rights rights_of(struct route_table *table, const char *path)
{
	struct route_match match;
	struct rights rights;

	assert_int_equal(route_table_match(table, path, strlen(path), &match), 0);
	assert_int_equal(rights_init(&rights, table, &match, NULL), 0);
	return rights;
}

static struct route_table *table_of(const char *path, const char *channel, bool any)
{
	struct route_table *table = route_table_new();

	assert_non_null(table);
	add(table, path, channel, any);
	return table;
}

static void a_connection_has_the_channels_of_its_own_ids(void **state)
{
	struct route_table *table = table_of("/ws/own/{user}", "user:{user}", false);
	struct rights rights = rights_of(table, "/ws/own/7");
	struct route_match match;
	char name[ROUTE_CHANNEL_MAX + 1];

	(void)state;
	route_table_unref(table); /* it lives on with the rights */
	rights_match(&rights, &match);
	assert_int_equal(route_n_channels(match.route), 1);
	assert_int_equal(route_channel(&match, 0, name), 6);
	assert_string_equal(name, "user:7");
	assert_true(rights_may_subscribe(&rights, slice_of("user:7")));
	assert_false(rights_may_subscribe(&rights, slice_of("user:8")));
	assert_false(rights_may_subscribe(&rights, slice_of("user:{user}")));
	assert_false(rights_may_subscribe(&rights, slice_of("")));
	rights_deinit(&rights);
}

static void rights_of_a_path_without_ids_have_none(void **state)
{
	struct route_table *table = table_of("/ws/cards", "cards", true);
	struct rights rights;

	(void)state;
	add(table, "/ws/own/{user}", "user:{user}", false);
	rights = rights_of(table, "/ws/cards");
	route_table_unref(table);
	assert_null(rights.holder);
	assert_true(rights_may_subscribe(&rights, slice_of("cards")));
	assert_true(rights_may_subscribe(&rights, slice_of("user:8"))); /* its route says: any */
	assert_false(rights_may_subscribe(&rights, slice_of("other")));
	rights_deinit(&rights);
}

static void rights_follow_a_table_that_has_the_route_unchanged(void **state)
{
	struct route_table *old = table_of("/ws/cards", "cards", true);
	struct route_table *same = table_of("/ws/cards", "cards", true);
	struct route_table *other = table_of("/ws/cards", "cards", false);
	struct route_table *without = table_of("/ws/news", "news", true);
	struct rights rights = rights_of(old, "/ws/cards");

	(void)state;
	route_table_unref(old);
	add(same, "/ws/news", "news", true);
	rights_follow(&rights, without);
	assert_ptr_equal(rights.routes, old);
	rights_follow(&rights, other);
	assert_ptr_equal(rights.routes, old);
	assert_false(rights_may_subscribe(&rights, slice_of("news")));
	rights_follow(&rights, same);
	assert_ptr_equal(rights.routes, same);
	assert_ptr_equal(rights.route, route_table_get(same, 0));
	assert_true(rights_may_subscribe(&rights, slice_of("news")));
	rights_follow(&rights, same);
	route_table_unref(same);
	route_table_unref(other);
	route_table_unref(without);
	rights_deinit(&rights);
	rights_deinit(&rights);
}

static struct identity *identify(const char *json)
{
	static const char *const claims[] = {"sub", "team", NULL};
	const struct claims_rules rules = {
		.identity = {.user = "sub", .channels = "channels", .claims = claims}, .exp_optional = true};
	struct identity *identity = NULL;

	assert_int_equal(claims_read(slice_of(json), &rules, 1000, &identity), 0);
	return identity;
}

/* The rights of this identity, or RIGHTS_FORBIDDEN. */
static int come(struct route_table *table, const char *path, const char *json, struct rights *rights)
{
	struct route_match match;

	assert_int_equal(route_table_match(table, path, strlen(path), &match), 0);
	return rights_init(rights, table, &match, json ? identify(json) : NULL);
}

static void a_connection_is_who_its_token_says(void **state)
{
	struct route_table *table = table_of("/me/{x}", "user:{token.sub}:{x}", false);
	struct rights rights;
	struct route_match match;
	char name[ROUTE_CHANNEL_MAX + 1];

	(void)state;
	assert_int_equal(come(table, "/me/a", NULL, &rights), RIGHTS_FORBIDDEN);
	assert_null(rights.routes);
	assert_int_equal(come(table, "/me/a", "{\"sub\":\"anna b\"}", &rights), 0);
	route_table_unref(table);
	assert_string_equal(identity_user(rights_identity(&rights)), "anna b");
	rights_match(&rights, &match);
	route_channel(&match, 0, name);
	assert_string_equal(name, "user:anna~20b:a");
	assert_true(rights_may_subscribe(&rights, slice_of("user:anna~20b:a")));
	assert_false(rights_may_subscribe(&rights, slice_of("user:anna~20b:b")));
	assert_false(rights_may_subscribe(&rights, slice_of("user:anna:a")));
	rights_deinit(&rights);
	assert_null(rights_identity(&rights));
}

/*
 * Ids that other gateways refuse, or take apart at the wrong place: pusher-http-php #360 (`e:2`) and
 * dart_pusher_channels #21 (an address with a plus).
 */
static void no_two_users_share_a_channel(void **state)
{
	static const struct {
		const char *claims, *channel;
	} rows[] = {
		{"{\"sub\":\"e:2\",\"team\":\"x\"}", "e~3A2:x"},
		{"{\"sub\":\"e\",\"team\":\"2:x\"}", "e:2~3Ax"},
		{"{\"sub\":\"nicolas+a@gmail.com\",\"team\":\"x\"}", "nicolas~2Ba~40gmail.com:x"},
		{"{\"sub\":\"nicolas a@gmail.com\",\"team\":\"x\"}", "nicolas~20a~40gmail.com:x"},
		{"{\"sub\":\"e~3A2\",\"team\":\"x\"}", "e~7E3A2:x"},
		{"{\"sub\":\"E:2\",\"team\":\"x\"}", "E~3A2:x"},
		{"{\"sub\":\"\u00e9\",\"team\":\"x\"}", "~C3~A9:x"},
		{"{\"sub\":\"e\u0301\",\"team\":\"x\"}", "e~CC~81:x"}, {"{\"sub\":7,\"team\":\"x\"}", "7:x"},
		{"{\"sub\":\"7\",\"team\":\"x\"}", "7:x"}, /* the same user: a number or its text */
	};
	struct route_table *table = table_of("/me", "{token.sub}:{token.team}", false);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct rights rights;

		assert_int_equal(come(table, "/me", rows[i].claims, &rights), 0);
		for (size_t j = 0; j < sizeof(rows) / sizeof(*rows); j++)
			assert_true(rights_may_subscribe(&rights, slice_of(rows[j].channel)) ==
				    (strcmp(rows[i].channel, rows[j].channel) == 0));
		rights_deinit(&rights);
	}
	route_table_unref(table);
}

/* A claim is longer than a name may be, or makes one of Tidegate's own. */
static void a_claim_that_makes_no_name_is_no_right(void **state)
{
	struct route_table *table = table_of("/a/{x}", "{token.team}:{x}:{token.sub}", false);
	char id[ROUTE_ID_MAX + 4] = "/a/", json[2 * ROUTE_ID_MAX];
	struct rights rights;

	(void)state;
	memset(id + 3, 'x', 100);
	assert_int_equal(come(table, "/a/1", "{\"sub\":\"1\",\"team\":\"tg\"}", &rights), RIGHTS_FORBIDDEN);
	assert_int_equal(come(table, "/a/1", "{\"sub\":\"1\",\"team\":{}}", &rights), RIGHTS_FORBIDDEN);
	assert_int_equal(come(table, "/a/1", "{\"sub\":\"1\",\"team\":\"t\"}", &rights), 0);
	rights_deinit(&rights);
	snprintf(json, sizeof(json), "{\"sub\":\"%0100d\",\"team\":\"%053d\"}", 1,
		2); /* 255 bytes with the id */
	assert_int_equal(come(table, id, json, &rights), 0);
	rights_deinit(&rights);
	snprintf(json, sizeof(json), "{\"sub\":\"%0100d\",\"team\":\"%054d\"}", 1, 2);
	assert_int_equal(come(table, id, json, &rights), RIGHTS_FORBIDDEN);
	route_table_unref(table);
}

static void a_newer_token_of_the_same_user_counts(void **state)
{
	struct route_table *table = table_of("/team", "team:{token.team}", false);
	struct rights rights, anonymous;
	struct route_match match;
	char name[ROUTE_CHANNEL_MAX + 1], json[ROUTE_CHANNEL_MAX + 64];

	(void)state;
	add(table, "/all", "all", false);
	assert_int_equal(come(table, "/team", "{\"sub\":\"7\",\"team\":\"red\"}", &rights), 0);
	assert_int_equal(
		rights_renew(&rights, identify("{\"sub\":\"8\",\"team\":\"red\"}")), RIGHTS_OTHER_USER);
	assert_string_equal(identity_user(rights_identity(&rights)), "7");
	assert_int_equal(rights_renew(&rights, identify("{\"sub\":7,\"team\":\"blue\"}")), 0);
	assert_false(rights_may_subscribe(&rights, slice_of("team:red")));
	assert_true(rights_may_subscribe(&rights, slice_of("team:blue")));
	/* What does not come in anew stays, and has nothing. */
	assert_int_equal(rights_renew(&rights, identify("{\"sub\":\"7\"}")), 0);
	assert_false(rights_may_subscribe(&rights, slice_of("team:blue")));
	rights_match(&rights, &match);
	route_channel(&match, 0, name);
	assert_false(rights_may_subscribe(&rights, slice_of(name)));
	snprintf(json, sizeof(json), "{\"sub\":\"7\",\"team\":\"%0128d\"}", 1);
	assert_int_equal(rights_renew(&rights, identify(json)), 0);
	rights_match(&rights, &match);
	assert_int_equal(route_channel(&match, 0, name), 133);
	assert_int_equal(come(table, "/all", NULL, &anonymous), 0);
	assert_int_equal(rights_renew(&anonymous, identify("{\"sub\":\"7\"}")), RIGHTS_OTHER_USER);
	rights_deinit(&anonymous);
	rights_deinit(&rights);
	route_table_unref(table);
}

/* The old table said that anybody may come. Who came so stays, and does not get by it what now needs a
 * token. */
static void rights_do_not_follow_a_table_that_asks_who_it_is(void **state)
{
	struct route_table *old = table_of("/ws/cards", "cards", true);
	struct route_table *same = table_of("/ws/cards", "cards", true);
	struct rights rights = rights_of(old, "/ws/cards");

	(void)state;
	route_table_set_auth(same, ROUTE_AUTH_REQUIRED);
	add(same, "/ws/news", "news", true); /* also of routes that are added later */
	assert_int_equal(route_auth(route_table_get(same, 1)), ROUTE_AUTH_REQUIRED);
	rights_follow(&rights, same);
	assert_ptr_equal(rights.routes, old);
	assert_false(rights_may_subscribe(&rights, slice_of("news")));
	rights_deinit(&rights);
	route_table_unref(old);
	route_table_unref(same);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_connection_is_who_its_token_says),
		cmocka_unit_test(no_two_users_share_a_channel),
		cmocka_unit_test(a_claim_that_makes_no_name_is_no_right),
		cmocka_unit_test(a_newer_token_of_the_same_user_counts),
		cmocka_unit_test(rights_do_not_follow_a_table_that_asks_who_it_is),
		cmocka_unit_test(a_connection_has_the_channels_of_its_own_ids),
		cmocka_unit_test(rights_of_a_path_without_ids_have_none),
		cmocka_unit_test(rights_follow_a_table_that_has_the_route_unchanged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

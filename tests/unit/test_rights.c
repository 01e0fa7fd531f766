/* Rights: what route/rights.h promises; what a route allows is in test_route.c. */

#include "route/rights.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

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
	assert_int_equal(rights_init(&rights, table, &match), 0);
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
	assert_null(rights.ids);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_connection_has_the_channels_of_its_own_ids),
		cmocka_unit_test(rights_of_a_path_without_ids_have_none),
		cmocka_unit_test(rights_follow_a_table_that_has_the_route_unchanged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

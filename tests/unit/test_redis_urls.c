/* Redis URLs: what include/broker/redis/urls.h promises. */

#include "broker/redis/urls.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/buf.h"

static struct redis_urls parsed(const char *text)
{
	struct redis_urls urls;
	struct buf error = {0};
	int r = redis_urls_parse(text, &urls, &error);

	if (r)
		print_message("%s: %s\n", text, buf_text(&error));
	assert_int_equal(r, 0);
	buf_deinit(&error);
	return urls;
}

static void prints_all_forms_without_their_passwords(void **state)
{
	static const struct {
		const char *text, *printed;
	} rows[] = {
		{"redis://h", "redis://h:6379/0"},
		{"redis://me:hunter2@h/2", "redis://me:***@h:6379/2"},
		{"redis://:a,hunter2@h", "redis://:***@h:6379/0"},
		{"unix://:hunter2@/run/s", "unix://:***@/run/s"},
		{"redis://a,redis://b:1,rediss://c/3", "redis://a:6379/0,redis://b:1/0,rediss://c:6379/3"},
		{"redis://a , redis://b", "redis://a:6379/0,redis://b:6379/0"},
		{"redis+sentinel://s1/mymaster", "redis+sentinel://s1:26379/mymaster/0"},
		{"REDISS+SENTINEL://s1:1,[::1],s3:3/my.master-1_x/7",
			"rediss+sentinel://s1:1,[::1]:26379,s3:3/my.master-1_x/7"},
		{"redis+sentinel://me:hunter2@s1,s2/m?sentinel_password=hunter2",
			"redis+sentinel://me:***@s1:26379,s2:26379/m/0?sentinel_password=***"},
		{"redis+sentinel://:a,hunter2@s1,s2/m/0?sentinel_user=joe&sentinel_password=hunter2",
			"redis+sentinel://:***@s1:26379,s2:26379/m/"
			"0?sentinel_user=joe&sentinel_password=***"},
		{"redis+sentinel://s1/m%2Fn,redis+sentinel://s1/other",
			"redis+sentinel://s1:26379/m/n/0,redis+sentinel://s1:26379/other/0"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct redis_urls urls = parsed(rows[i].text);
		struct buf printed = {0};

		redis_urls_print(&urls, &printed);
		assert_string_equal(buf_text(&printed), rows[i].printed);
		buf_deinit(&printed);
		redis_urls_deinit(&urls);
	}
}

static void keeps_apart_the_users_of_the_server_and_of_its_sentinels(void **state)
{
	struct redis_urls urls = parsed(
		"rediss+sentinel://me:s%2Fw@s1,s2:7/mymaster/3?sentinel_user=you&sentinel_password=s%26w");
	struct redis_element copy;
	struct buf text = {0};

	(void)state;
	assert_int_equal(urls.n, 1);
	assert_int_equal(redis_element_copy(&urls.elements[0], &copy), 0);
	redis_urls_deinit(&urls);
	assert_int_equal(copy.kind, REDIS_SENTINEL);
	assert_string_equal(copy.master, "mymaster");
	assert_null(copy.server.host);
	assert_string_equal(copy.server.user, "me");
	assert_string_equal(copy.server.password, "s/w");
	assert_int_equal(copy.server.db, 3);
	assert_true(copy.server.tls);
	assert_int_equal(copy.n_seeds, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_string_equal(copy.seeds[i].host, i ? "s2" : "s1");
		assert_int_equal(copy.seeds[i].port, i ? 7 : 26379);
		assert_string_equal(copy.seeds[i].user, "you");
		assert_string_equal(copy.seeds[i].password, "s&w");
		assert_int_equal(copy.seeds[i].db, 0);
		assert_true(copy.seeds[i].tls);
	}
	redis_element_describe(&copy, &text);
	assert_string_equal(buf_text(&text), "mymaster by s1:26379/3");
	buf_deinit(&text);
	redis_element_deinit(&copy);
}

static void a_refusal_is_one_sentence_that_says_what_to_write(void **state)
{
	static const struct {
		const char *text, *says;
	} rows[] = {
		{"redis-sentinel://h1/m", "redis-sentinel:// is written redis+sentinel://HOST/NAME"},
		{"redis-cluster://h1", "redis-cluster:// is written redis+cluster://HOST"},
		{"valkey://h1", "redis+sentinel:// or redis+cluster://"},
		{"sentinel://h1/m", "is written redis+sentinel://HOST/NAME"},
		{"redis+sentinel://:hunter2@s1", "needs the name of the primary"},
		{"redis+sentinel://:hunter2@s1/", "needs the name of the primary"},
		{"redis+sentinel://:hunter2@s1//0", "needs the name of the primary"},
		{"redis+sentinel://s1?sentinel_master_name=hunter2", "needs the name of the primary"},
		{"redis+sentinel:///m", "names no host"},
		{"redis+sentinel://s1,,s2/m", "names no host"},
		{"redis+sentinel://s1,s2:0/m", "the port in the Redis URL"},
		{"redis+sentinel://s1/m/hunter2", "the database in the Redis URL"},
		{"redis+sentinel://s1/m/1/2", "the database in the Redis URL"},
		{"redis+sentinel://s1/m?db=1", "only options of redis+sentinel://"},
		{"redis+sentinel://s1/m?sentinel_password=", "each once and not empty"},
		{"redis+sentinel://s1/m?sentinel_password=a&sentinel_password=hunter2", "each once"},
		{"redis+sentinel://s1/m?sentinel_user=hunter2", "sentinel_user needs a sentinel_password"},
		{"redis+sentinel://s1/m#hunter2", "write %23"},
		{"redis+sentinel://s1/m%00", "a usable byte"},
		{"redis://h1/1,redis://h2/hunter2", "the database in the Redis URL"},
		{"redis://h1,redis://h1:6379/0", "two of the Redis URLs name the same server"},
		{"redis://:hunter2@h1:6379,h2:6379,redis://h3", "a Redis Cluster cannot be one of several"},
		{"redis://h3,redis+cluster://h1", "a Redis Cluster cannot be one of several"},
		{"redis+cluster://h1?a=b", "takes no options"},
		{"redis://h1,h2/1", "a cluster has no databases"},
		{"redis+cluster://h1/1", "a cluster has no databases"},
		{"redis://h1,h2?hunter2", "takes no options"},
		{"redis://h1,", "names no host"},
		{"redis://h1;h2", "are parted by commas"},
		{"redis://h1; redis://h2", "are parted by commas"},
		{"redis+sentinel://:hunter2@s1;s2/m", "are parted by commas"},
		{"", "must start with redis://"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct redis_urls urls;
		struct buf error = {0};

		print_message("%s\n", rows[i].text);
		assert_int_equal(redis_urls_parse(rows[i].text, &urls, &error), -EINVAL);
		print_message("    %s\n", buf_text(&error));
		assert_non_null(strstr(buf_text(&error), rows[i].says));
		assert_null(strstr(buf_text(&error), "hunter2"));
		assert_int_equal(urls.n, 0);
		buf_deinit(&error);
	}
}

static void bounds_how_many_there_are(void **state)
{
	static const struct {
		const char *start, *between, *end;
		unsigned int most;
	} rows[] = {{"", ",", "", REDIS_ELEMENTS_MAX}, {"redis+sentinel://", ",", "/m", REDIS_SEEDS_MAX}};

	(void)state;
	for (size_t i = 0; i < 2; i++)
		for (unsigned int extra = 0; extra < 2; extra++) {
			struct redis_urls urls;
			struct buf error = {0}, text = {0};

			buf_append_str(&text, rows[i].start);
			for (unsigned int n = 0; n < rows[i].most + extra; n++)
				buf_printf(&text, "%s%sh%u", n ? "," : "", i ? "" : "redis://", n);
			buf_append_str(&text, rows[i].end);
			assert_int_equal(
				redis_urls_parse(buf_text(&text), &urls, &error), extra ? -EINVAL : 0);
			redis_urls_deinit(&urls);
			buf_deinit(&text);
			buf_deinit(&error);
		}
}

static void the_hash_tells_lists_apart_by_what_they_lead_to(void **state)
{
	static const struct {
		const char *a, *b;
		bool same;
	} rows[] = {
		{"redis://a,redis://b", "redis://me:x@a,redis://:y@b:6379/0", true},
		{"redis://a,redis://b", "redis://b,redis://a", false},
		{"redis://a,redis://b", "redis://a,redis://b,redis://c", false},
		{"redis://a", "redis://a/1", false},
		{"redis+sentinel://s1,s2/m", "redis+sentinel://s3/m", true},
		{"redis+sentinel://s1/m", "redis+sentinel://s1/n", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct redis_urls a = parsed(rows[i].a), b = parsed(rows[i].b);

		print_message("%s %s\n", rows[i].a, rows[i].b);
		assert_int_equal(redis_urls_hash(&a) == redis_urls_hash(&b), rows[i].same);
		redis_urls_deinit(&a);
		redis_urls_deinit(&b);
	}
}

static void says_whether_one_of_them_wants_tls(void **state)
{
	(void)state;
	assert_false(redis_urls_want_tls("redis://a,redis://rediss"));
	assert_true(redis_urls_want_tls("redis://a, rediss://b"));
	assert_true(redis_urls_want_tls("REDISS+sentinel://s/m"));
	assert_false(redis_urls_want_tls(""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(prints_all_forms_without_their_passwords),
		cmocka_unit_test(keeps_apart_the_users_of_the_server_and_of_its_sentinels),
		cmocka_unit_test(a_refusal_is_one_sentence_that_says_what_to_write),
		cmocka_unit_test(bounds_how_many_there_are),
		cmocka_unit_test(the_hash_tells_lists_apart_by_what_they_lead_to),
		cmocka_unit_test(says_whether_one_of_them_wants_tls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

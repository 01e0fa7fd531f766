/* Redis URL: what redis_url_parse() and redis_url_describe() promise. */

#include "broker/redis/url.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/buf.h"

static void assert_text(const char *is, const char *should)
{
	if (!should)
		assert_null(is);
	else
		assert_string_equal(is, should);
}

static void takes_every_documented_form(void **state)
{
	static const struct {
		const char *text;
		struct redis_url url;
		const char *description;
	} rows[] = {
		{"redis://localhost", {.host = "localhost", .port = 6379}, "localhost:6379/0"},
		{"redis://127.0.0.1:6380", {.host = "127.0.0.1", .port = 6380}, "127.0.0.1:6380/0"},
		{"redis://redis.example/", {.host = "redis.example", .port = 6379}, "redis.example:6379/0"},
		{"redis://h:1/15", {.host = "h", .port = 1, .db = 15}, "h:1/15"},
		{"REDIS://h", {.host = "h", .port = 6379}, "h:6379/0"},
		{"rediss://:secret@h/2",
			{.host = "h", .password = "secret", .port = 6379, .db = 2, .tls = true}, "h:6379/2"},
		{"redis://[::1]", {.host = "::1", .port = 6379}, "[::1]:6379/0"},
		{"redis://[fe80::1%25eth0]:65535/2", {.host = "fe80::1%eth0", .port = 65535, .db = 2},
			"[fe80::1%eth0]:65535/2"},
		{"redis://:secret@h", {.host = "h", .password = "secret", .port = 6379}, "h:6379/0"},
		{"redis://me:secret@h", {.host = "h", .user = "me", .password = "secret", .port = 6379},
			"h:6379/0"},
		{"redis://m%3ae:s%2Fe%25c@h", {.host = "h", .user = "m:e", .password = "s/e%c", .port = 6379},
			"h:6379/0"},
		{"redis://:p@ss:w@h:2", {.host = "h", .password = "p@ss:w", .port = 2}, "h:2/0"},
		{"redis://me:secret@[::1]:7", {.host = "::1", .user = "me", .password = "secret", .port = 7},
			"[::1]:7/0"},
		{"unix:///run/redis.sock", {.unix_path = "/run/redis.sock"}, "/run/redis.sock"},
		{"unix:///run/a%20b.sock?db=3", {.unix_path = "/run/a b.sock", .db = 3},
			"/run/a b.sock?db=3"},
		{"redis+unix://me:secret@/s", {.unix_path = "/s", .user = "me", .password = "secret"}, "/s"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct redis_url url, copy;
		struct buf error = {0}, description = {0};

		print_message("%s\n", rows[i].text);
		assert_int_equal(redis_url_parse(rows[i].text, &url, &error), 0);
		assert_int_equal(error.len, 0);
		assert_int_equal(redis_url_copy(&url, &copy), 0);
		redis_url_deinit(&url);
		assert_text(copy.host, rows[i].url.host);
		assert_text(copy.unix_path, rows[i].url.unix_path);
		assert_text(copy.user, rows[i].url.user);
		assert_text(copy.password, rows[i].url.password);
		assert_int_equal(copy.port, rows[i].url.port);
		assert_int_equal(copy.db, rows[i].url.db);
		assert_int_equal(copy.tls, rows[i].url.tls);
		redis_url_describe(&copy, &description);
		assert_string_equal(buf_text(&description), rows[i].description);
		redis_url_deinit(&copy);
		buf_deinit(&description);
		buf_deinit(&error);
	}
}

static void refuses_what_it_does_not_understand_in_one_sentence_without_the_secret(void **state)
{
	static const char *const rows[] = {
		"",
		"localhost:6379",
		"http://hunter2@h",
		"rediss://",
		"rediss+unix://:hunter2@/s",
		"redis://",
		"redis:///1",
		"redis://:6379",
		"redis://:hunter2@",
		"redis://:hunter2@:6379",
		"redis://hunter2@h",
		"redis://:@h",
		"redis://me:@h",
		"redis://:hunter2/x@h",
		"redis://:hunter2?x@h",
		"redis://:hunter2#x@h",
		"redis://:hunter2%@h",
		"redis://:hunter2%4@h",
		"redis://:hunter2%zz@h",
		"redis://:hunter2%00@h",
		"redis://:hunter2@h:",
		"redis://:hunter2@h:0",
		"redis://:hunter2@h:65536",
		"redis://:hunter2@h:-1",
		"redis://:hunter2@h:6379x",
		"redis://:hunter2@h/x",
		"redis://:hunter2@h/-1",
		"redis://:hunter2@h/99999999999",
		"redis://:hunter2@h/1/2",
		"redis://:hunter2@h?db=1",
		"redis://:hunter2@h/1?x=1",
		"redis://:hunter2@h h",
		"redis://:hunter2@h;h2",
		"redis://:hunter2@h%0d%0a",
		"redis://:hunter2@::1",
		"redis://:hunter2@[::1",
		"redis://:hunter2@[::1]x",
		"redis://:hunter2@[]",
		"unix://hunter2",
		"unix://",
		"unix:///",
		"unix:///s?db=hunter2",
		"unix:///s?db",
		"unix:///s?timeout=1",
		"unix://h/s",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct redis_url url;
		struct buf error = {0};
		const char *text;

		print_message("%s\n", rows[i]);
		assert_int_equal(redis_url_parse(rows[i], &url, &error), -EINVAL);
		text = buf_text(&error);
		assert_true(strlen(text) > 10);
		assert_null(strstr(text, "hunter2"));
		assert_null(strchr(text, '\n'));
		assert_null(url.host);
		assert_null(url.password);
		buf_deinit(&error);
	}
}

static void refuses_paths_and_hosts_past_their_bounds(void **state)
{
	static const struct {
		const char *start;
		size_t longest;
	} rows[] = {{"unix:///", 106}, {"redis://", 255}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		for (size_t extra = 0; extra < 2; extra++) {
			struct redis_url url;
			struct buf error = {0}, text = {0};

			buf_append_str(&text, rows[i].start);
			for (size_t n = 0; n < rows[i].longest + extra; n++)
				buf_append_char(&text, 'a');
			assert_int_equal(redis_url_parse(buf_text(&text), &url, &error), extra ? -EINVAL : 0);
			redis_url_deinit(&url);
			buf_deinit(&text);
			buf_deinit(&error);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_every_documented_form),
		cmocka_unit_test(refuses_what_it_does_not_understand_in_one_sentence_without_the_secret),
		cmocka_unit_test(refuses_paths_and_hosts_past_their_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

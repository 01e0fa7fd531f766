/* Key path: what protocol/key_path.h promises, and what a message makes of it. */

#include "protocol/key_path.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/map.h"
#include "protocol/message.h"

/* What stands at the path in the text; NULL: nothing that is a key. */
static void finds(const char *path_text, const char *text, const char *expected)
{
	struct key_path path;
	struct slice key;
	const char *why;

	assert_int_equal(key_path_parse(&path, path_text, &why), 0);
	assert_string_equal(path.text, path_text);
	key = key_path_find(&path, slice_of(text));
	if (!expected) {
		assert_null(key.data);
		return;
	}
	assert_non_null(key.data);
	assert_int_equal(key.len, strlen(expected));
	assert_memory_equal(key.data, expected, key.len);
}

static void finds_strings_numbers_and_literals_as_they_stand(void **state)
{
	(void)state;
	finds("id", "{\"id\":\"a\"}", "\"a\"");
	finds("id", "{\"id\": \"\\u0061\" }", "\"\\u0061\"");
	finds("id", "{\"id\":-1.50e3}", "-1.50e3");
	finds("id", "{\"id\":true}", "true");
	finds("id", "{\"id\":null}", "null");
	finds("id", "{\"id\":\"\"}", "\"\"");
}

static void goes_inwards_through_objects_only(void **state)
{
	(void)state;
	finds("data.id", "{\"id\":1,\"data\":{\"id\":2,\"data\":{\"id\":3}}}", "2");
	finds("a.b.c.d.e.f.g.h", "{\"a\":{\"b\":{\"c\":{\"d\":{\"e\":{\"f\":{\"g\":{\"h\":7}}}}}}}}", "7");
	finds("type", "{\"type\":\"e\"}", "\"e\"");
	finds("data.id", "{\"data\":[{\"id\":1}]}", NULL);
	finds("data.0", "{\"data\":[1]}", NULL);
	finds("data.id", "{\"data\":\"id\"}", NULL);
	finds("data.id", "[1]", NULL);
	finds("data", "1", NULL);
}

static void what_is_not_there_or_no_scalar_is_no_key(void **state)
{
	(void)state;
	finds("data.id", "{}", NULL);
	finds("data.id", "{\"data\":{}}", NULL);
	finds("data.id", "{\"data\":{\"ID\":1}}", NULL);
	finds("data", "{\"data\":{\"id\":1}}", NULL);
	finds("data", "{\"data\":[]}", NULL);
}

static void refuses(const char *text, const char *because)
{
	struct key_path path;
	const char *why;

	assert_int_equal(key_path_parse(&path, text, &why), KEY_PATH_BAD);
	assert_non_null(strstr(why, because));
}

static void refuses_what_is_no_path(void **state)
{
	char text[200];
	struct key_path path;
	const char *why;

	(void)state;
	refuses("", "an empty name");
	refuses(".", "an empty name");
	refuses("a.", "an empty name");
	refuses(".a", "an empty name");
	refuses("a..b", "an empty name");
	refuses("a b", "printable");
	refuses("a\nb", "printable");
	refuses("a\"b", "printable");
	refuses("a\\b", "printable");
	refuses("\xc3\xa9", "printable");
	refuses("a.b.c.d.e.f.g.h.i", "8 names");
	memset(text, 'x', sizeof(text));
	text[KEY_PATH_LEN_MAX + 1] = '\0';
	refuses(text, "128 bytes");
	text[KEY_PATH_LEN_MAX] = '\0';
	assert_int_equal(key_path_parse(&path, text, &why), 0);
}

static struct message *event(const char *channel, const char *payload)
{
	struct key_path path;
	struct message *message;
	const char *why;

	assert_int_equal(key_path_parse(&path, "data.id", &why), 0);
	assert_int_equal(message_from_event(message_channel(slice_of(channel)), slice_of(payload),
				 (struct slice){0}, 0, 1, &message),
		0);
	message_set_key(message, &path);
	return message;
}

static void same(struct message *a, struct message *b, bool expected)
{
	assert_int_equal(message_same_key(a, b), expected);
	assert_int_equal(message_same_key(b, a), expected);
	if (expected)
		assert_true(a->key_hash == b->key_hash);
	message_unref(a);
	message_unref(b);
}

#define A1 "{\"type\":\"e\",\"data\":{\"id\":\"a\",\"n\":1}}"
#define A2 "{\"type\":\"x\",\"data\":{\"n\":22, \"id\": \"a\" },\"timestamp\":\"t\"}"
#define B  "{\"type\":\"e\",\"data\":{\"id\":\"b\",\"n\":1}}"

static void events_of_one_channel_with_one_key_are_alike(void **state)
{
	(void)state;
	same(event("c", A1), event("c", A2), true);
	same(event("c", A1), event("c", B), false);
	same(event("c", A1), event("d", A1), false);
	same(event("c", "{\"type\":\"e\",\"data\":{\"id\":1}}"),
		event("c", "{\"type\":\"e\",\"data\":{\"id\":1}}"), true);
	same(event("c", "{\"type\":\"e\",\"data\":{\"id\":1}}"),
		event("c", "{\"type\":\"e\",\"data\":{\"id\":\"1\"}}"), false);
	same(event("c", "{\"type\":\"e\"}"), event("c", "{\"type\":\"e\"}"),
		false); /* without one nothing is */
}

/* A payload without a type arrives inside `data`, and there the path looks for it. */
static void the_path_is_that_of_the_event_as_clients_see_it(void **state)
{
	(void)state;
	same(event("c", A1), event("c", "{\"id\":\"a\"}"), true);
	same(event("c", "{\"data\":{\"id\":\"a\"}}"), event("c", "{\"data\":{\"id\":\"a\"}}"), false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_strings_numbers_and_literals_as_they_stand),
		cmocka_unit_test(goes_inwards_through_objects_only),
		cmocka_unit_test(what_is_not_there_or_no_scalar_is_no_key),
		cmocka_unit_test(refuses_what_is_no_path),
		cmocka_unit_test(events_of_one_channel_with_one_key_are_alike),
		cmocka_unit_test(the_path_is_that_of_the_event_as_clients_see_it),
	};

	map_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}

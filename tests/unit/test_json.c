/* JSON: what protocol/json.h promises. Every text is checked from memory of exactly its size, for the
 * sanitizers. */

#include "protocol/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A literal with its length, so that it may hold NUL. */
#define TEXT(literal)                                                                                        \
	{                                                                                                    \
		literal, sizeof(literal) - 1                                                                 \
	}

static int check_depth(const char *text, size_t len, unsigned int depth_max)
{
	char *exact = malloc(len ? len : 1);
	bool is_object;
	int r;

	assert_non_null(exact);
	memcpy(exact, text, len);
	r = json_check(exact, len, depth_max, NULL, 0, &is_object);
	free(exact);
	return r;
}

static int check(const char *text, size_t len)
{
	return check_depth(text, len, 64);
}

static void assert_all(const struct slice *texts, size_t n, int expected)
{
	for (size_t i = 0; i < n; i++)
		if (check(texts[i].data, texts[i].len) != expected)
			fail_msg("%.*s: not %d", (int)texts[i].len, texts[i].data, expected);
}

static void takes_every_kind_of_value(void **state)
{
	const struct slice texts[] = {
		TEXT("{}"),
		TEXT("[]"),
		TEXT("null"),
		TEXT("true"),
		TEXT("false"),
		TEXT("\"\""),
		TEXT("0"),
		TEXT("-0"),
		TEXT("-12"),
		TEXT("1.5"),
		TEXT("0.0"),
		TEXT("1e5"),
		TEXT("1E+05"),
		TEXT("-1.25e-7"),
		TEXT("1e999999"),
		TEXT(" \t\r\n{ \"a\" : [ 1 , 2 ] , \"b\" : { } } \n"),
		TEXT("[[],{},[{}]]"),
		TEXT("{\"a\":1,\"a\":2}"),
		TEXT("[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0000\\uFFff\"]"),
		TEXT("\"\\ud83d\\ude00\""),
		TEXT("\"\x7f\""),
		TEXT("\"\xc2\x80\""),
		TEXT("\"\xdf\xbf\""),
		TEXT("\"\xe0\xa0\x80\""),
		TEXT("\"\xed\x9f\xbf\""),
		TEXT("\"\xee\x80\x80\""),
		TEXT("\"\xef\xbf\xbf\""),
		TEXT("\"\xf0\x90\x80\x80\""),
		TEXT("\"\xf4\x8f\xbf\xbf\""),
	};

	(void)state;
	assert_all(texts, sizeof(texts) / sizeof(*texts), 0);
}

/* Encoders write them for a text that was cut inside an emoji; RFC 8259's grammar has them. */
static void takes_half_a_surrogate_pair(void **state)
{
	const struct slice texts[] = {
		TEXT("\"\\ud800\""),
		TEXT("\"\\udc00\""),
		TEXT("\"\\ud800\\ud800\""),
		TEXT("\"\\ud800\\u0041\""),
		TEXT("\"\\ud800\\ue000\""),
		TEXT("\"\\ud800x\""),
		TEXT("\"\\ud800\\n\""),
		TEXT("\"\\udc00\\ud800\""),
		TEXT("{\"\\ud83d\":\"\\ud83d\"}"),
	};

	(void)state;
	assert_all(texts, sizeof(texts) / sizeof(*texts), 0);
}

/* What jsmn lets through, even strict: docs/decisions/0003-json-is-checked-by-us-and-tokenized-by-jsmn.md. */
static void refuses_what_jsmn_takes(void **state)
{
	const struct slice texts[] = {
		TEXT("{\"a\"}"),
		TEXT("{,}"),
		TEXT("{\"a\"::::\"b\"}"),
		TEXT("{\"a\":1}{\"b\":2}"),
		TEXT(":,:{}"),
		TEXT("[1,]"),
		TEXT("{\"a\":tru}"),
		TEXT("{\"a\":nul\"b\"}"),
		TEXT("{\"a\":-}"),
		TEXT("\"a\nb\""),
		TEXT("\"\xff\""),
	};

	(void)state;
	assert_all(texts, sizeof(texts) / sizeof(*texts), JSON_INVALID);
}

static void refuses_every_other_slip_of_the_grammar(void **state)
{
	const struct slice texts[] = {
		TEXT(""),
		TEXT(" "),
		TEXT("{"),
		TEXT("["),
		TEXT("}"),
		TEXT("]"),
		TEXT("[}"),
		TEXT("{]"),
		TEXT("[1}"),
		TEXT("{\"a\":1]"),
		TEXT("{\"a\":1"),
		TEXT("{\"a\":"),
		TEXT("{\"a\""),
		TEXT("{\"a"),
		TEXT("{\"a\":1,}"),
		TEXT("{\"a\":1,,\"b\":2}"),
		TEXT("{\"a\":1 \"b\":2}"),
		TEXT("{\"a\" 1}"),
		TEXT("{a:1}"),
		TEXT("{1:1}"),
		TEXT("{null:1}"),
		TEXT("{\"a\":}"),
		TEXT("[,1]"),
		TEXT("[1,,2]"),
		TEXT("[1 2]"),
		TEXT("[1"),
		TEXT("[1,"),
		TEXT("[]]"),
		TEXT("{}}"),
		TEXT("1 2"),
		TEXT("{}x"),
		TEXT("nulll"),
		TEXT("nul"),
		TEXT("True"),
		TEXT("NaN"),
		TEXT("Infinity"),
		TEXT("-Infinity"),
		TEXT("undefined"),
		TEXT("'a'"),
		TEXT("// a\n1"),
		TEXT("/**/1"),
		TEXT("\v1"),
		TEXT("\f1"),
		TEXT("\xc2\xa0"
		     "1"),
		TEXT("\xef\xbb\xbf{}"),
		TEXT("{}\0"),
		TEXT("\0{}"),
		TEXT("{\0}"),
		TEXT("\x1e{}"),
	};

	(void)state;
	assert_all(texts, sizeof(texts) / sizeof(*texts), JSON_INVALID);
}

static void refuses_bad_numbers(void **state)
{
	const struct slice texts[] = {
		TEXT("01"),
		TEXT("-01"),
		TEXT("00"),
		TEXT("+1"),
		TEXT("-"),
		TEXT("--1"),
		TEXT("1."),
		TEXT(".5"),
		TEXT("-.5"),
		TEXT("1.e5"),
		TEXT("1e"),
		TEXT("1e+"),
		TEXT("1e5.5"),
		TEXT("1.5.5"),
		TEXT("0x10"),
		TEXT("1_000"),
		TEXT("1a"),
		TEXT("[1.]"),
		TEXT("[-]"),
		TEXT("[1e]"),
		TEXT("\xef\xbc\x91"),
	};

	(void)state;
	assert_all(texts, sizeof(texts) / sizeof(*texts), JSON_INVALID);
}

static void refuses_bad_strings(void **state)
{
	const struct slice texts[] = {
		TEXT("\""),
		TEXT("\"a"),
		TEXT("\"\\"),
		TEXT("\"\\\""),
		TEXT("\"\\x41\""),
		TEXT("\"\\a\""),
		TEXT("\"\\'\""),
		TEXT("\"\\0\""),
		TEXT("\"\\u\""),
		TEXT("\"\\u12\""),
		TEXT("\"\\u123\""),
		TEXT("\"\\u123g\""),
		TEXT("\"\\U0041\""),
		TEXT("\"\\u"),
		TEXT("\"\\u123"),
		TEXT("\"\\ud800"),
		TEXT("\"\\ud800\\"),
		TEXT("\"\\ud800\\u"),
		TEXT("\"\\ud800\\udc0"),
		TEXT("\"\0\""),
		TEXT("\"\t\""),
		TEXT("\"\x1f\""),
		TEXT("\"0123456\x01"
		     "89abcdef\""),
	};

	(void)state;
	assert_all(texts, sizeof(texts) / sizeof(*texts), JSON_INVALID);
}

static void refuses_what_is_no_utf8(void **state)
{
	const struct slice texts[] = {
		TEXT("\"\x80\""),
		TEXT("\"\xbf\""),
		TEXT("\"\xc0\x80\""),
		TEXT("\"\xc1\xbf\""),
		TEXT("\"\xc2\""),
		TEXT("\"\xc2"),
		TEXT("\"\xc2\xc0\""),
		TEXT("\"\xe0\x80\x80\""),
		TEXT("\"\xe0\x9f\xbf\""),
		TEXT("\"\xe1\x80\""),
		TEXT("\"\xe1\x80"),
		TEXT("\"\xed\xa0\x80\""),
		TEXT("\"\xed\xbf\xbf\""),
		TEXT("\"\xf0\x80\x80\x80\""),
		TEXT("\"\xf0\x8f\xbf\xbf\""),
		TEXT("\"\xf0\x90\x80\""),
		TEXT("\"\xf0\x90\x80"),
		TEXT("\"\xf4\x90\x80\x80\""),
		TEXT("\"\xf5\x80\x80\x80\""),
		TEXT("\"\xfe\""),
		TEXT("\"\xff\""),
		TEXT("{\"\xff\":1}"),
		TEXT("[\"\xc3\xa9\xc3\"]"),
	};

	(void)state;
	assert_all(texts, sizeof(texts) / sizeof(*texts), JSON_INVALID);
}

/* Strings are read eight bytes at a time: every byte, at every place of a word. */
static void judges_a_byte_alike_wherever_it_stands(void **state)
{
	char text[32];

	(void)state;
	for (unsigned int c = 0; c < 256; c++) {
		for (size_t at = 1; at < 26; at++) {
			int expected = c < 0x20 || c >= 0x80 || c == '"' || c == '\\' ? JSON_INVALID : 0;

			memset(text, 'a', sizeof(text));
			text[0] = text[27] = '"';
			text[at] = (char)c;
			assert_int_equal(check(text, 28), expected);
		}
	}
}

static void bounds_the_depth(void **state)
{
	char text[600];

	(void)state;
	assert_int_equal(check_depth("1", 1, 0), 0);
	assert_int_equal(check_depth("[]", 2, 0), JSON_TOO_DEEP);
	for (unsigned int depth = 1; depth <= 128; depth++) {
		memset(text, '[', depth);
		memset(text + depth, ']', depth);
		assert_int_equal(check_depth(text, 2 * depth, depth), 0);
		assert_int_equal(check_depth(text, 2 * depth, depth - 1), JSON_TOO_DEEP);
	}
	memset(text, '[', sizeof(text));
	assert_int_equal(check_depth(text, sizeof(text), 1000), JSON_TOO_DEEP); /* its own limit is 128 */
}

static void remembers_what_kind_of_bracket_each_level_is(void **state)
{
	enum {
		DEPTH = 128
	};
	char text[DEPTH * 6];
	size_t len;

	(void)state;
	for (unsigned int wrong = 0; wrong <= DEPTH; wrong++) {
		len = 0;
		for (unsigned int i = 0; i < DEPTH; i++)
			len += (size_t)sprintf(text + len, i * 7 % 3 ? "{\"\":" : "[");
		text[len++] = '1';
		for (unsigned int i = DEPTH; i-- > 0;)
			text[len++] = (i * 7 % 3 != 0) != (i == wrong) ? '}' : ']';
		assert_int_equal(check_depth(text, len, DEPTH), wrong < DEPTH ? JSON_INVALID : 0);
	}
}

static void assert_member(const char *text, const char *name, const char *expected)
{
	struct json_member members[] = {{.name = "other"}, {.name = name}, {.name = "typ"}};
	bool is_object;

	assert_int_equal(json_check(text, strlen(text), 8, members, 3, &is_object), 0);
	if (!expected) {
		assert_null(members[1].value.data);
		return;
	}
	assert_true(is_object);
	assert_int_equal(members[1].value.len, strlen(expected));
	assert_memory_equal(members[1].value.data, expected, strlen(expected));
}

static void notes_members_of_the_outermost_object_only(void **state)
{
	(void)state;
	assert_member("{\"type\":\"a\",\"data\":{\"type\":\"b\"}}", "type", "\"a\"");
	assert_member("{\"data\":{\"type\":\"b\"}}", "type", NULL);
	assert_member("[{\"type\":1}]", "type", NULL);
	assert_member("[\"type\",1]", "type", NULL);
	assert_member("\"type\"", "type", NULL);
	assert_member("{\"a\":\"type\"}", "type", NULL);
	assert_member("{}", "type", NULL);
}

static void notes_values_exactly_as_they_stand(void **state)
{
	(void)state;
	assert_member(" { \"data\" :  { \"a\" : [ 1 ] }  , \"b\":1}", "data", "{ \"a\" : [ 1 ] }");
	assert_member("{\"data\":[]}", "data", "[]");
	assert_member("{\"data\":-1.5e3 }", "data", "-1.5e3");
	assert_member("{\"data\":null,\"x\":{}}", "data", "null");
	assert_member("{\"x\":[{}],\"data\":\"\\\"}\"}", "data", "\"\\\"}\"");
}

static void notes_the_last_of_several(void **state)
{
	(void)state;
	assert_member("{\"type\":1,\"type\":2}", "type", "2");
	assert_member("{\"type\":{\"type\":3},\"type\":\"x\",\"typ\":4}", "type", "\"x\"");
}

static void compares_names_unescaped_and_whole(void **state)
{
	(void)state;
	assert_member("{\"\\u0074ype\":1}", "type", "1");
	assert_member("{\"typ\\u0065\":1,\"x\":2}", "type", "1");
	assert_member("{\"types\":1}", "type", NULL);
	assert_member("{\"typ\":1}", "type", NULL);
	assert_member("{\"\":1}", "type", NULL);
	assert_member("{\"Type\":1}", "type", NULL);
	assert_member("{\"type\\u0000\":1}", "type", NULL);
	assert_member("{\"\\ttype\":1}", "type", NULL);
}

static void says_whether_it_is_an_object(void **state)
{
	bool is_object = false;

	(void)state;
	assert_int_equal(json_check(" {\"a\":[]}", 9, 8, NULL, 0, &is_object), 0);
	assert_true(is_object);
	assert_int_equal(json_check("[{}]", 4, 8, NULL, 0, &is_object), 0);
	assert_false(is_object);
	assert_int_equal(json_check("\"{\"", 3, 8, NULL, 0, &is_object), 0);
	assert_false(is_object);
}

static void unescapes(void **state)
{
	char out[16];

	(void)state;
	assert_int_equal(json_unescape(slice_of("\"\""), out, 0), 0);
	assert_int_equal(json_unescape(slice_of("\"a\\\"\\\\\\/\\b\\f\\n\\r\\tz\""), out, 16), 10);
	assert_memory_equal(out, "a\"\\/\b\f\n\r\tz", 10);
	assert_int_equal(json_unescape(slice_of("\"\\u0041\\u00e9\\u20AC\\ud83d\\uDE00!\""), out, 16), 11);
	assert_memory_equal(out, "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80!", 11);
	assert_int_equal(
		json_unescape(slice_of("\"\\u0000\\u007f\\u0080\\u07ff\\u0800\\uffff\""), out, 16), 12);
	assert_memory_equal(out, "\0\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf", 12);
	assert_int_equal(json_unescape(slice_of("\"\\ud800\\udc00\\udbff\\udfff\""), out, 16), 8);
	assert_memory_equal(out, "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", 8);
	assert_int_equal(json_unescape(slice_of("\"\\ud83dx\\udc00\\ud83d\""), out, 16), 10);
	assert_memory_equal(out, "\xed\xa0\xbdx\xed\xb0\x80\xed\xa0\xbd", 10);
}

static void refuses_to_unescape_past_the_room_there_is(void **state)
{
	char out[4] = "####";

	(void)state;
	assert_int_equal(json_unescape(slice_of("\"abc\""), out, 3), 3);
	assert_int_equal(json_unescape(slice_of("\"abcd\""), out, 3), -1);
	assert_int_equal(json_unescape(slice_of("\"ab\\u20ac\""), out, 3), -1);
	assert_int_equal(out[3], '#');
}

static void compares_strings_unescaped(void **state)
{
	(void)state;
	assert_true(json_string_is(slice_of("\"c\\u0061rds\""), "cards", 5));
	assert_false(json_string_is(slice_of("\"cards\""), "card", 4));
	assert_false(json_string_is(slice_of("\"card\""), "cards", 5));
	assert_true(json_string_is(slice_of("\"\""), "", 0));
	assert_true(json_string_equal(slice_of("\"\\u00e9a\""), slice_of("\"\xc3\xa9\\u0061\"")));
	assert_false(json_string_equal(slice_of("\"a\""), slice_of("\"ab\"")));
	assert_false(json_string_equal(slice_of("\"a\\u0000\""), slice_of("\"a\"")));
}

static void knows_integers(void **state)
{
	(void)state;
	assert_true(json_is_integer(slice_of("0")));
	assert_true(json_is_integer(slice_of("-12345678901234567890")));
	assert_false(json_is_integer(slice_of("1.0")));
	assert_false(json_is_integer(slice_of("1e3")));
	assert_false(json_is_integer(slice_of("\"1\"")));
	assert_false(json_is_integer(slice_of("null")));
	assert_false(json_is_integer((struct slice){0}));
}

static void walks_the_items_of_an_array(void **state)
{
	static const char text[] = "[1, \"a,]\\\"[\" ,{\"x\":[1,2],\"y\":\"}\"},[ [] ],null,-1.5e3 ]";
	static const char *const items[] = {
		"1", "\"a,]\\\"[\"", "{\"x\":[1,2],\"y\":\"}\"}", "[ [] ]", "null", "-1.5e3"};
	struct slice array = {text, sizeof(text) - 1}, item;
	size_t pos = 0, n = 0;

	(void)state;
	while (json_array_next(array, &pos, &item)) {
		assert_int_equal(item.len, strlen(items[n]));
		assert_memory_equal(item.data, items[n], item.len);
		n++;
	}
	assert_int_equal(n, 6);
	pos = 0;
	assert_false(json_array_next((struct slice){"[ ]", 3}, &pos, &item));
}

static void walks_the_members_of_an_object(void **state)
{
	const struct slice object = slice_of("{ \"a\" : 1, \"b}\":{\"c\":[\"}\"]},\"\\\"\":\"x\" ,\"d\":-1}");
	const char *const expected[][2] = {
		{"\"a\"", "1"}, {"\"b}\"", "{\"c\":[\"}\"]}"}, {"\"\\\"\"", "\"x\""}, {"\"d\"", "-1"}};
	struct slice name, value;
	size_t pos = 0, n = 0;

	(void)state;
	for (; json_object_next(object, &pos, &name, &value); n++) {
		assert_int_equal(name.len, strlen(expected[n][0]));
		assert_memory_equal(name.data, expected[n][0], name.len);
		assert_int_equal(value.len, strlen(expected[n][1]));
		assert_memory_equal(value.data, expected[n][1], value.len);
	}
	assert_int_equal(n, 4);
	pos = 0;
	assert_false(json_object_next(slice_of("{ }"), &pos, &name, &value));
}

/* What lies behind it would go on with it. */
static void walks_stop_at_the_end_of_a_text_that_nobody_checked(void **state)
{
	static const char text[] = "[{\"a\\\"b\" : \"c\\\\\", \"d\":[1 ,{}]} , \"e\", 12, [ \"f\" ]]";
	struct slice name, item;

	(void)state;
	for (size_t begin = 0; begin < sizeof(text); begin++)
		for (size_t end = begin; end < sizeof(text); end++) {
			struct slice part = {text + begin, end - begin};

			for (size_t pos = 0; json_array_next(part, &pos, &item);)
				assert_true(item.data + item.len <= text + end && pos <= part.len);
			for (size_t pos = 0; json_object_next(part, &pos, &name, &item);)
				assert_true(name.data + name.len <= text + end &&
					    item.data + item.len <= text + end && pos <= part.len);
		}
}

static void says_where_a_text_stops_being_json(void **state)
{
	static const struct {
		const char *text;
		size_t at;
	} rows[] = {
		{"", 0},
		{"{type:1}", 1},
		{"{\"a\":1,}", 7},
		{"{\"a\":[1,2,x]}", 10},
		{"{\"a\": \"b\\q\"}", 6},
		{"{\"a\" 1}", 5},
		{"[1 2]", 4},
		{"{} x", 3},
		{"[tru]", 1},
		{"[1,nul]", 3},
		{"{\"a\":1,\"b: 2}", 7},
		{"{\"a\":1", 6},
		{"'x'", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (json_fault(rows[i].text, strlen(rows[i].text), 8) != rows[i].at)
			fail_msg("%s: at %zu, not %zu", rows[i].text,
				json_fault(rows[i].text, strlen(rows[i].text), 8), rows[i].at);
	assert_int_equal(json_fault("[[[]]]", 6, 2), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(walks_the_items_of_an_array),
		cmocka_unit_test(walks_the_members_of_an_object),
		cmocka_unit_test(walks_stop_at_the_end_of_a_text_that_nobody_checked),
		cmocka_unit_test(says_where_a_text_stops_being_json),
		cmocka_unit_test(takes_every_kind_of_value),
		cmocka_unit_test(takes_half_a_surrogate_pair),
		cmocka_unit_test(refuses_what_jsmn_takes),
		cmocka_unit_test(refuses_every_other_slip_of_the_grammar),
		cmocka_unit_test(refuses_bad_numbers),
		cmocka_unit_test(refuses_bad_strings),
		cmocka_unit_test(refuses_what_is_no_utf8),
		cmocka_unit_test(judges_a_byte_alike_wherever_it_stands),
		cmocka_unit_test(bounds_the_depth),
		cmocka_unit_test(remembers_what_kind_of_bracket_each_level_is),
		cmocka_unit_test(notes_members_of_the_outermost_object_only),
		cmocka_unit_test(notes_values_exactly_as_they_stand),
		cmocka_unit_test(notes_the_last_of_several),
		cmocka_unit_test(compares_names_unescaped_and_whole),
		cmocka_unit_test(says_whether_it_is_an_object),
		cmocka_unit_test(unescapes),
		cmocka_unit_test(refuses_to_unescape_past_the_room_there_is),
		cmocka_unit_test(compares_strings_unescaped),
		cmocka_unit_test(knows_integers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

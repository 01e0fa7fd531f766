/* Buf: what core/buf.h promises. */

#include "core/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void is_empty_when_zeroed(void **state)
{
	struct buf buf = {0};

	(void)state;
	assert_string_equal(buf_text(&buf), "");
	assert_int_equal(buf.len, 0);
	buf_deinit(&buf);
}

static void keeps_what_was_appended_while_it_grows(void **state)
{
	struct buf buf = {0};

	(void)state;
	for (unsigned int i = 0; i < 10000; i++)
		buf_append_char(&buf, (char)('a' + i % 26));
	assert_int_equal(buf.len, 10000);
	for (unsigned int i = 0; i < 10000; i++)
		assert_int_equal(buf.data[i], 'a' + i % 26);
	buf_deinit(&buf);
	assert_null(buf.data);
}

static void formats_past_the_room_it_has(void **state)
{
	struct buf buf = {0};
	char wide[301];

	(void)state;
	memset(wide, 'x', 300);
	wide[300] = '\0';
	buf_append_str(&buf, "<");
	buf_printf(&buf, "%s|%d>", wide, 42);
	assert_int_equal(buf.len, 1 + 300 + 4);
	assert_memory_equal(buf.data + 301, "|42>", 4);
	buf_deinit(&buf);
}

/* Printing wants a place for its NUL, which is no byte of the text. */
static void formats_what_just_fits_and_what_just_does_not(void **state)
{
	(void)state;
	for (int more = -1; more <= 1; more++) {
		struct buf buf = {0};
		size_t room;

		buf_append_str(&buf, "<");
		room = buf.cap - buf.len;
		buf_printf(&buf, "%*d", (int)room + more, 42);
		assert_int_equal(buf.len, 1 + room + (size_t)more);
		assert_string_equal(buf_text(&buf) + buf.len - 3, " 42");
		buf_deinit(&buf);
	}
}

static void refuses_everything_after_a_failure_until_reset(void **state)
{
	struct buf buf = {0};

	(void)state;
	buf_append_str(&buf, "before");
	assert_null(buf_reserve(&buf, SIZE_MAX - 2));
	buf_append_str(&buf, "after");
	buf_printf(&buf, "%d", 1);
	buf_append_json_string(&buf, "x", 1);
	assert_true(buf.failed);
	assert_null(buf_text(&buf));
	assert_int_equal(buf.len, 6);
	assert_memory_equal(buf.data, "before", 6);
	buf_reset(&buf);
	buf_append_str(&buf, "again");
	assert_string_equal(buf_text(&buf), "again");
	buf_deinit(&buf);
}

static void drops_its_first_bytes(void **state)
{
	struct buf buf = {0};

	(void)state;
	buf_consume(&buf, 0);
	buf_append_str(&buf, "headtail");
	buf_consume(&buf, 4);
	assert_string_equal(buf_text(&buf), "tail");
	buf_consume(&buf, 4);
	assert_string_equal(buf_text(&buf), "");
	buf_deinit(&buf);
}

static void assert_quoted(const char *in, size_t len, const char *expected)
{
	struct buf buf = {0};

	buf_append_json_string(&buf, in, len);
	assert_string_equal(buf_text(&buf), expected);
	buf_deinit(&buf);
}

static void quotes_json_strings(void **state)
{
	(void)state;
	assert_quoted("", 0, "\"\"");
	assert_quoted("plain ~", 7, "\"plain ~\"");
	assert_quoted("a\"b\\c", 5, "\"a\\\"b\\\\c\"");
	assert_quoted("\b\f\n\r\t", 5, "\"\\b\\f\\n\\r\\t\"");
	assert_quoted("\0\x1f\x7f", 3, "\"\\u0000\\u001f\\u007f\"");
	assert_quoted("\xc2\x85|\xc2\x9f|\xc2\xa0", 8, "\"\\u0085|\\u009f|\xc2\xa0\"");
	assert_quoted("\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xa7", 9, "\"\\u2028\\u2029\xe2\x80\xa7\"");
	assert_quoted("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 9, "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"");
}

static void replaces_what_is_no_utf8(void **state)
{
	(void)state;
	assert_quoted("a\xff"
		      "b",
		3,
		"\"a\xef\xbf\xbd"
		"b\"");
	assert_quoted("\xc0\x80", 2, "\"\xef\xbf\xbd\xef\xbf\xbd\"");                 /* overlong NUL */
	assert_quoted("\xed\xa0\x80", 3, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""); /* surrogate */
	assert_quoted("\xf4\x90\x80\x80", 4,
		"\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""); /* > U+10FFFF */
	assert_quoted("\xe2\x82", 2, "\"\xef\xbf\xbd\xef\xbf\xbd\"");    /* cut */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_empty_when_zeroed),
		cmocka_unit_test(keeps_what_was_appended_while_it_grows),
		cmocka_unit_test(formats_past_the_room_it_has),
		cmocka_unit_test(formats_what_just_fits_and_what_just_does_not),
		cmocka_unit_test(refuses_everything_after_a_failure_until_reset),
		cmocka_unit_test(drops_its_first_bytes),
		cmocka_unit_test(quotes_json_strings),
		cmocka_unit_test(replaces_what_is_no_utf8),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

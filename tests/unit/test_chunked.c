/* What a chunked body promises: the same text in whatever portions it comes, and its end without a guess. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/buf.h"
#include "http/chunked.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The outcome, with the body read in portions of so many bytes. */
static int read_in(const char *text, size_t portion, size_t max, struct buf *out)
{
	struct chunked chunked = {0};
	size_t len = strlen(text);
	int r = 0;

	buf_reset(out);
	for (size_t i = 0; i < len && r == 0; i += portion)
		r = chunked_read(&chunked, text + i, len - i < portion ? len - i : portion, out, max);
	return r;
}

#define WITH_EXTRAS                                                                                          \
	"5;name=\"value\"\r\nhello\r\n7 \t;x\r\n, world\r\n0;last\r\nTrailer: a\r\nAnother: "                \
	"b\r\n\r\nbehind it"

static void reads_a_body_in_whatever_portions(void **state)
{
	static const char *const texts[] = {
		"5\r\nhello\r\n7\r\n, world\r\n0\r\n\r\n",
		"00C\r\nhello, world\r\n000\r\n\r\n",
		WITH_EXTRAS,
	};
	struct buf out = {0};

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		for (size_t portion = 1; portion < 80; portion++) {
			assert_int_equal(read_in(texts[i], portion, 100, &out), CHUNKED_DONE);
			assert_string_equal(buf_text(&out), "hello, world");
		}
	}
	assert_int_equal(read_in("0\r\n\r\n", 1, 0, &out), CHUNKED_DONE);
	assert_int_equal(out.len, 0);
	buf_deinit(&out);
}

static void waits_for_the_end(void **state)
{
	static const char text[] = "5\r\nhello\r\n0\r\nT: x\r\n\r\n";
	struct buf out = {0};

	(void)state;
	for (size_t len = 0; len < sizeof(text) - 1; len++) {
		struct chunked chunked = {0};

		buf_reset(&out);
		assert_int_equal(chunked_read(&chunked, text, len, &out, 100), 0);
	}
	buf_deinit(&out);
}

static void refuses_what_leaves_the_end_open(void **state)
{
	static const char *const bad[] = {"\r\n", ";\r\n", "x\r\n", "-1\r\n", "0x5\r\n", " 5\r\n", "5\nhello",
		"5\r\rhello", "5;a\nb\r\n", "5\r\nhello!", "5\r\nhello\n", "5\r\nhello\r\r", "1\r\na\r\n\r\n",
		"0\r\n\n", "0\r\nT\n", "0\r\n\r\r"};
	struct buf out = {0};

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++)
		if (read_in(bad[i], 1, 100, &out) != CHUNKED_BAD)
			fail_msg("taken: %s", bad[i]);
	buf_deinit(&out);
}

static void refuses_what_is_too_big_before_it_is_there(void **state)
{
	struct buf out = {0};

	(void)state;
	assert_int_equal(read_in("64\r\n", 1, 100, &out), 0);
	assert_int_equal(read_in("65\r\n", 1, 100, &out), CHUNKED_TOO_BIG);
	assert_int_equal(read_in("5\r\nhello\r\n5\r\n", 100, 9, &out), CHUNKED_TOO_BIG);
	assert_int_equal(read_in("FFFFFFFFFFFFFFF\r\n", 1, SIZE_MAX, &out), 0);
	assert_int_equal(read_in("1234567890123456\r\n", 1, SIZE_MAX, &out), CHUNKED_BAD);
	assert_int_equal(read_in("FFFFFFFFFFFFFFF\r\n", 1, 1000, &out), CHUNKED_TOO_BIG);
	buf_deinit(&out);
}

static void reads_no_line_without_an_end(void **state)
{
	char text[4096] = "5;";
	struct buf out = {0};

	(void)state;
	memset(text + 2, 'x', sizeof(text) - 3);
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(read_in(text, 100, 100, &out), CHUNKED_BAD);
	memcpy(text, "0\r\n", 3);
	assert_int_equal(read_in(text, 100, 100, &out), CHUNKED_BAD);
	buf_deinit(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_a_body_in_whatever_portions),
		cmocka_unit_test(waits_for_the_end),
		cmocka_unit_test(refuses_what_leaves_the_end_open),
		cmocka_unit_test(refuses_what_is_too_big_before_it_is_there),
		cmocka_unit_test(reads_no_line_without_an_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Redis reply: what src/broker/redis/reply.h promises. */

#include "broker/redis/reply.h"

#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum {
	BULK_MAX = 1000,
};

/* What was heard, written down: one line a reply. */
struct heard {
	struct buf text;
	unsigned int n;
	unsigned int stop_after;
};

static size_t write_value(struct heard *heard, const struct redis_reply *reply, size_t i)
{
	const struct redis_value *value = &reply->values[i];
	struct slice text = redis_reply_text(reply, i);
	size_t next = i + 1;

	buf_append_char(&heard->text, "_:$+-*!"[value->kind]);
	if (value->kind == REDIS_ARRAY) {
		buf_append_char(&heard->text, '(');
		for (long long n = 0; n < value->integer; n++)
			next = write_value(heard, reply, next);
		buf_append_char(&heard->text, ')');
	} else if (value->kind == REDIS_INTEGER || value->kind == REDIS_TOO_LARGE)
		buf_printf(&heard->text, "%lld", value->integer);
	buf_append(&heard->text, text.data, text.len);
	buf_append_char(&heard->text, ' ');
	return next;
}

static int on_reply(void *arg, const struct redis_reply *reply)
{
	struct heard *heard = arg;

	assert_int_equal(write_value(heard, reply, 0), reply->n_values);
	buf_append_char(&heard->text, '|');
	return ++heard->n == heard->stop_after ? 1 : 0;
}

static struct redis_parser *parser_new(void)
{
	struct redis_parser *parser;

	assert_int_equal(redis_parser_new(BULK_MAX, &parser), 0);
	return parser;
}

/* Feeds the text in portions of n bytes, and compares what is heard. */
static void check(const char *text, size_t len, size_t portion, const char *expected)
{
	struct redis_parser *parser = parser_new();
	struct heard heard = {0};

	for (size_t i = 0; i < len; i += portion)
		assert_int_equal(redis_parser_feed(parser, text + i, len - i < portion ? len - i : portion,
					 on_reply, &heard),
			0);
	assert_string_equal(buf_text(&heard.text), expected);
	buf_deinit(&heard.text);
	redis_parser_free(parser);
}

static void check_all_portions(const char *text, size_t len, const char *expected)
{
	for (size_t portion = 1; portion <= len; portion++)
		check(text, len, portion, expected);
}

static void lays_a_reply_flat_however_it_is_cut(void **state)
{
	const char text[] = "*3\r\n$7\r\nmessage\r\n$5\r\ncards\r\n$2\r\n{}\r\n"
			    "+OK\r\n-ERR no\r\n:-42\r\n$-1\r\n*-1\r\n*0\r\n$0\r\n\r\n"
			    "*4\r\n$1\r\ne\r\n:1\r\n*2\r\n*2\r\n+a\r\n*1\r\n$1\r\nb\r\n*0\r\n$1\r\nc\r\n"
			    "$4\r\na\r\nb\r\n";

	(void)state;
	check_all_portions(text, sizeof(text) - 1,
		"*($message $cards ${} ) |+OK |-ERR no |:-42 |_ |_ |*() |$ |"
		"*($e :1 *(*(+a *($b ) ) *() ) $c ) |$a\r\nb |");
}

static void skips_a_string_past_its_bound_and_hears_what_follows(void **state)
{
	static const size_t lengths[] = {BULK_MAX, BULK_MAX + 1, 9000, 20000, 1000000};

	(void)state;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++)
		for (size_t portion = 1; portion < 70000; portion = portion * 7 + 1) {
			struct buf text = {0}, expected = {0};

			buf_printf(&text, "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$%zu\r\n", lengths[i]);
			for (size_t n = 0; n < lengths[i]; n++)
				buf_append_char(&text, "*1\r\n$"[n % 5]);
			buf_append_str(&text, "\r\n*1\r\n+next\r\n");
			buf_append_str(&expected, "*($message $c ");
			if (lengths[i] > BULK_MAX)
				buf_printf(&expected, "!%zu ) |*(+next ) |", lengths[i]);
			else {
				buf_append_char(&expected, '$');
				for (size_t n = 0; n < lengths[i]; n++)
					buf_append_char(&expected, "*1\r\n$"[n % 5]);
				buf_append_str(&expected, " ) |*(+next ) |");
			}
			check(text.data, text.len, portion, buf_text(&expected));
			buf_deinit(&text);
			buf_deinit(&expected);
		}
}

static void refuse(const char *text, size_t len, const char *complaint)
{
	struct redis_parser *parser = parser_new();
	struct heard heard = {0};
	int r = 0;

	for (size_t i = 0; i < len && r == 0; i += 1000)
		r = redis_parser_feed(parser, text + i, len - i < 1000 ? len - i : 1000, on_reply, &heard);
	assert_int_equal(r, -EPROTO);
	if (!strstr(redis_parser_error(parser), complaint))
		fail_msg("\"%s\" does not say \"%s\"", redis_parser_error(parser), complaint);
	/* And it stays refused. */
	assert_true(redis_parser_feed(parser, "+OK\r\n", 5, on_reply, &heard) < 0);
	assert_int_equal(heard.n, 0);
	buf_deinit(&heard.text);
	redis_parser_free(parser);
}

static void refuses_what_is_not_redis(void **state)
{
	static const struct {
		const char *text;
		const char *complaint;
	} rows[] = {
		{"HTTP/1.1 400 Bad Request\r\n", "\"H\""},
		{"$x\r\n", "Bad bulk string length"},
		{"$-2\r\n", "out of range"},
		{"$99999999999999999999\r\n", "Bad bulk string length"},
		{"*x\r\n", "Bad multi-bulk length"},
		{"*524289\r\n", "out of range"},
		{":1x\r\n", "Bad integer"},
		{"*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n", "nested deeper"},
		{"*1\r\n?", "\"?\""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		refuse(rows[i].text, strlen(rows[i].text), rows[i].complaint);
}

static void refuses_a_line_without_end_and_a_reply_without_measure(void **state)
{
	struct buf text = {0};

	(void)state;
	buf_append_char(&text, '+');
	for (unsigned int i = 0; i < 100000; i++)
		buf_append_char(&text, 'x');
	refuse(text.data, text.len, "a line of the protocol");
	text.data[0] = '$';
	memset(text.data + 1, '1', text.len - 1);
	refuse(text.data, text.len, "a line of the protocol");
	buf_reset(&text);
	buf_append_str(&text, "*2\r\n");
	for (unsigned int i = 0; i < 2; i++) {
		buf_append_str(&text, "*300000\r\n");
		for (unsigned int n = 0; n < 300000; n++)
			buf_append_str(&text, ":1\r\n");
	}
	refuse(text.data, text.len, "more values");
	buf_deinit(&text);
}

static void stops_when_it_is_told_to(void **state)
{
	struct redis_parser *parser = parser_new();
	struct heard heard = {.stop_after = 2};

	(void)state;
	assert_int_equal(redis_parser_feed(parser, "+a\r\n+b\r\n+c\r\n", 12, on_reply, &heard), 1);
	assert_string_equal(buf_text(&heard.text), "+a |+b |");
	buf_deinit(&heard.text);
	redis_parser_free(parser);
}

static int on_event(void *arg, const struct redis_reply *reply)
{
	(void)reply;
	++*(unsigned int *)arg;
	return 0;
}

/* Counts what malloc has handed out: mallinfo2() does not see it under the sanitizer, where this proves
 * nothing. */
static void allocates_nothing_for_a_run_of_events(void **state)
{
	struct redis_parser *parser = parser_new();
	struct buf text = {0};
	struct mallinfo2 before, after;
	unsigned int n = 0;

	(void)state;
	for (unsigned int i = 0; i < 100; i++)
		buf_append_str(
			&text, "*3\r\n$7\r\nmessage\r\n$5\r\ncards\r\n$16\r\n{\"type\":\"moved\"}\r\n");
	assert_int_equal(redis_parser_feed(parser, text.data, text.len, on_event, &n), 0);
	before = mallinfo2();
	for (unsigned int i = 0; i < 100; i++)
		assert_int_equal(redis_parser_feed(parser, text.data, text.len, on_event, &n), 0);
	after = mallinfo2();
	assert_int_equal(after.uordblks, before.uordblks);
	assert_int_equal(n, 10100);
	buf_deinit(&text);
	redis_parser_free(parser);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lays_a_reply_flat_however_it_is_cut),
		cmocka_unit_test(skips_a_string_past_its_bound_and_hears_what_follows),
		cmocka_unit_test(refuses_what_is_not_redis),
		cmocka_unit_test(refuses_a_line_without_end_and_a_reply_without_measure),
		cmocka_unit_test(stops_when_it_is_told_to),
		cmocka_unit_test(allocates_nothing_for_a_run_of_events),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

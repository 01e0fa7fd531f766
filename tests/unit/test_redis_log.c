/*
 * Redis log: what src/broker/redis/log.h promises of answers, given as bytes; and the words for what Redis
 * refuses with (redis/error.h), and the forms of our library (redis/script.h).
 */

#include "broker/redis/log.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "broker/redis/error.h"
#include "broker/redis/reply.h"
#include "broker/redis/script.h"
#include "broker/redis_broker.h"
#include "core/buf.h"

enum {
	PAYLOAD_MAX = 8,
};

/* What was made of the answer, in a form to compare. */
struct heard {
	struct buf text;
	bool is_read;
};

static int on_published(struct heard *heard, const struct redis_reply *reply)
{
	struct position id;
	bool is_duplicate = false;
	int r = redis_log_parse_published(reply, &id, &is_duplicate);

	if (r < 0)
		buf_printf(&heard->text, "%d", r);
	else
		buf_printf(&heard->text, "%.16s.%d.%d dup=%d", id.epoch.text, (int)id.offset, (int)id.tag,
			is_duplicate);
	return 0;
}

static int on_reply(void *arg, const struct redis_reply *reply)
{
	struct heard *heard = arg;
	/* Not one more than is said to be needed: the sanitizer looks. */
	struct broker_log_entry *entries = calloc(redis_log_count(reply) + 1, sizeof(*entries));
	struct position top;
	size_t n, n_bad;
	int r;

	if (!heard->is_read) {
		free(entries);
		return on_published(heard, reply);
	}
	r = redis_log_parse_read(reply, PAYLOAD_MAX, &top, entries, &n, &n_bad);
	if (r < 0) {
		buf_printf(&heard->text, "%d", r);
	} else {
		buf_printf(&heard->text, "%.16s.%d.%d bad=%d", top.epoch.text, (int)top.offset, (int)top.tag,
			(int)n_bad);
		for (size_t i = 0; i < n; i++)
			buf_printf(&heard->text, " %d-%d=%.*s", (int)entries[i].offset, (int)entries[i].tag,
				entries[i].payload.data ? (int)entries[i].payload.len : 4,
				entries[i].payload.data ? entries[i].payload.data : "none");
	}
	free(entries);
	return 0;
}

static void check(bool is_read, const char *bytes, const char *expected)
{
	struct heard heard = {.is_read = is_read};
	struct redis_parser *parser;

	assert_int_equal(redis_parser_new(64, &parser), 0);
	assert_int_equal(redis_parser_feed(parser, bytes, strlen(bytes), on_reply, &heard), 0);
	assert_string_equal(buf_text(&heard.text), expected);
	redis_parser_free(parser);
	buf_deinit(&heard.text);
}

#define TOP   "$8\r\nabcdefgh\r\n$1\r\n7\r\n$2\r\n70\r\n"
#define ID(x) "*2\r\n$4\r\n" x "\r\n"

static void understands_a_publication(void **state)
{
	(void)state;
	check(false, "*3\r\n$4\r\n1-20\r\n:0\r\n$8\r\nabcdefgh\r\n", "abcdefgh.1.20 dup=0");
	check(false, "*3\r\n$4\r\n1-20\r\n:1\r\n$8\r\nabcdefgh\r\n", "abcdefgh.1.20 dup=1");
	check(false, "*2\r\n$4\r\n1-20\r\n:1\r\n", ".1.20 dup=1"); /* of an older library */
}

static void refuses_a_publication_that_makes_no_sense(void **state)
{
	static const char *const rows[] = {
		"+OK\r\n",
		":1\r\n",
		"*0\r\n",
		"*-1\r\n",
		"*1\r\n$4\r\n1-20\r\n",
		"*2\r\n$4\r\n1-20\r\n:0\r\n", /* new, and without an epoch */
		"*3\r\n$4\r\n1-20\r\n:0\r\n$0\r\n\r\n",
		"*3\r\n$4\r\n1-20\r\n:0\r\n$3\r\na.b\r\n",
		"*3\r\n$4\r\n1-20\r\n$1\r\n0\r\n$8\r\nabcdefgh\r\n",
		"*3\r\n$4\r\n1 20\r\n:0\r\n$8\r\nabcdefgh\r\n",
		"*3\r\n$4\r\n0-20\r\n:0\r\n$8\r\nabcdefgh\r\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		check(false, rows[i], "-5");
}

static void understands_a_read(void **state)
{
	(void)state;
	check(true, "*4\r\n" TOP "*0\r\n", "abcdefgh.7.70 bad=0");
	check(true, "*4\r\n$8\r\nabcdefgh\r\n$1\r\n0\r\n$1\r\n0\r\n*0\r\n", "abcdefgh.0.0 bad=0");
	check(true,
		"*4\r\n" TOP
		"*2\r\n" ID("6-60") "*2\r\n$1\r\nd\r\n$2\r\n{}\r\n" ID("7-70") "*2\r\n$1\r\nd\r\n$0\r\n\r\n",
		"abcdefgh.7.70 bad=0 6-60={} 7-70=");
}

static void keeps_the_place_of_a_payload_that_cannot_be_shown(void **state)
{
	(void)state;
	/* Past the bound of payloads, past that of strings, other fields, none. */
	check(true, "*4\r\n" TOP "*1\r\n" ID("7-70") "*2\r\n$1\r\nd\r\n$9\r\n123456789\r\n",
		"abcdefgh.7.70 bad=0 7-70=none");
	check(true,
		"*4\r\n" TOP
		"*1\r\n" ID("7-70") "*2\r\n$1\r\nd\r\n$70\r\n"
				    "1234567890123456789012345678901234567890123456789012345678901234567"
				    "890\r\n",
		"abcdefgh.7.70 bad=0 7-70=none");
	check(true, "*4\r\n" TOP "*1\r\n" ID("7-70") "*4\r\n$1\r\nx\r\n$1\r\ny\r\n$1\r\nd\r\n$1\r\nz\r\n",
		"abcdefgh.7.70 bad=0 7-70=z");
	check(true, "*4\r\n" TOP "*1\r\n" ID("7-70") "*2\r\n$1\r\nx\r\n$1\r\ny\r\n",
		"abcdefgh.7.70 bad=0 7-70=none");
	check(true, "*4\r\n" TOP "*1\r\n" ID("7-70") "*1\r\n$1\r\nd\r\n", "abcdefgh.7.70 bad=0 7-70=none");
	check(true, "*4\r\n" TOP "*1\r\n" ID("7-70") "*-1\r\n", "abcdefgh.7.70 bad=0 7-70=none");
}

static void leaves_out_what_is_no_entry_and_finds_its_way(void **state)
{
	(void)state;
	check(true,
		"*4\r\n" TOP "*6\r\n:5\r\n*3\r\n:1\r\n*1\r\n:2\r\n:3\r\n*2\r\n$1\r\nx\r\n*0\r\n" ID(
			"6-60") "*2\r\n$1\r\nd\r\n$1\r\n1\r\n" ID("6-61") "*2\r\n$1\r\nd\r\n$1\r\n2\r\n" ID("7-"
													    "70") "*2\r\n$"
														  "1\r\nd\r"
														  "\n$1\r\n"
														  "3\r\n",
		"abcdefgh.7.70 bad=4 6-60=1 7-70=3");
	check(true, "*4\r\n" TOP "*1\r\n" ID("7-70") ":1\r\n", "abcdefgh.7.70 bad=0 7-70=none");
	check(true, "*4\r\n" TOP "*1\r\n*0\r\n", "abcdefgh.7.70 bad=1");
}

static void refuses_a_read_that_makes_no_sense(void **state)
{
	static const char *const rows[] = {
		"+OK\r\n",
		"*0\r\n",
		"*-1\r\n",
		"*4\r\n:1\r\n:2\r\n:3\r\n*0\r\n",
		"*3\r\n" TOP,
		"*4\r\n" TOP ":1\r\n",
		"*4\r\n" TOP "*-1\r\n",
		"*4\r\n$8\r\nabcdefgh\r\n$1\r\n7\r\n$-1\r\n*0\r\n",
		"*4\r\n$8\r\nabcdefgh\r\n$1\r\n0\r\n$2\r\n70\r\n*0\r\n",
		"*4\r\n$8\r\nabcdefgh\r\n$2\r\n-7\r\n$2\r\n70\r\n*0\r\n",
		"*4\r\n$8\r\nabcd fgh\r\n$1\r\n7\r\n$2\r\n70\r\n*0\r\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		check(true, rows[i], "-5");
}

static void says_in_our_words_what_redis_refuses_with(void **state)
{
	static const struct {
		const char *text;
		int error;
	} rows[] = {
		{"NOPERM User gate has no permissions to run the 'fcall' command", -EACCES},
		{"LOADING Redis is loading the dataset in memory", -EAGAIN},
		{"BUSY Redis is busy running a script.", -EAGAIN},
		{"TRYAGAIN Multiple keys request during rehashing of slot", -EAGAIN},
		{"READONLY You can't write against a read only replica.", -EROFS},
		{"MISCONF Redis is configured to save RDB snapshots", -EROFS},
		{"OOM command not allowed when used memory > 'maxmemory'.", -ENOSPC},
		{"ERR Error running script (call to f_1): @user_script:5: -READONLY You can't", -EROFS},
		{"ERR Error running script (call to f_1): @user_script:5: attempt to index", -EIO},
		{"ERR something about OOM", -EIO},
		{"WRONGTYPE Operation against a key", -EIO},
		{"", -EIO},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		assert_int_equal(redis_error_errno(slice_of(rows[i].text)), rows[i].error);
}

static void has_its_library_as_it_was_written_and_as_scripts(void **state)
{
	static const char name[] = "#!lua name=tidegate\n";
	struct buf library = {0}, script = {0};

	(void)state;
	redis_broker_library(&library);
	redis_script_of(REDIS_FUNCTION_READ, &script);
	assert_int_equal(strncmp(buf_text(&library), name, strlen(name)), 0);
	assert_non_null(strstr(buf_text(&library), "'\\1' .. id .. ' ' .. prev .. ' ' .. epoch .. '\\n'"));
	assert_int_equal(library.data[library.len - 1], '\n');
	assert_int_equal(
		strncmp(buf_text(&script), library.data + strlen(name), library.len - strlen(name)), 0);
	assert_non_null(strstr(buf_text(&script), "\nend\nreturn read(KEYS, ARGV)\n"));
	assert_in_range(redis_script_version(), 1, 1000);
	buf_deinit(&library);
	buf_deinit(&script);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(understands_a_publication),
		cmocka_unit_test(refuses_a_publication_that_makes_no_sense),
		cmocka_unit_test(understands_a_read),
		cmocka_unit_test(keeps_the_place_of_a_payload_that_cannot_be_shown),
		cmocka_unit_test(leaves_out_what_is_no_entry_and_finds_its_way),
		cmocka_unit_test(refuses_a_read_that_makes_no_sense),
		cmocka_unit_test(says_in_our_words_what_redis_refuses_with),
		cmocka_unit_test(has_its_library_as_it_was_written_and_as_scripts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Log: what core/log.h promises. Lines are read back from a file in memory. */

#include "core/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/clock.h"

static char written[16384];

static int open_memory(void)
{
	int fd = memfd_create("log", MFD_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

/* All that reached the file so far. */
static const char *read_back(int fd)
{
	ssize_t n = pread(fd, written, sizeof(written) - 1, 0);

	assert_true(n >= 0);
	written[n] = '\0';
	return written;
}

static const char *text_of(const char *message, const char *key, const char *data, size_t len)
{
	int fd = open_memory();
	struct log *log = log_new(fd, LOG_INFO, LOG_FORMAT_TEXT);

	log_info(log, message, log_mem(key, data, len));
	log_free(log);
	read_back(fd);
	close(fd);
	assert_true(strlen(written) > CLOCK_TIMESTAMP_LEN);
	return written + CLOCK_TIMESTAMP_LEN;
}

static void writes_a_line_as_text(void **state)
{
	int fd = open_memory();
	struct log *log = log_new(fd, LOG_INFO, LOG_FORMAT_TEXT);

	(void)state;
	log_info(log, "client closed", log_str("peer", "10.0.0.1:443"), log_uint("code", 1013),
		log_int("r", -32), log_bool("clean", false), log_str("why", "read too slowly"),
		log_str("none", NULL));
	assert_string_equal(read_back(fd), ""); /* collected */
	log_flush(log);
	assert_string_equal(read_back(fd) + CLOCK_TIMESTAMP_LEN,
		" INFO  client closed peer=10.0.0.1:443 code=1013 r=-32 clean=false why=\"read too slowly\" "
		"none=\"\"\n");
	assert_int_equal(written[CLOCK_TIMESTAMP_LEN - 1], 'Z');
	log_free(log);
	close(fd);
}

static void writes_a_line_as_json(void **state)
{
	int fd = open_memory();
	struct log *log = log_new(fd, LOG_INFO, LOG_FORMAT_JSON);

	(void)state;
	log_info(log, "a \"b\"", log_str("peer", "x\ny"), log_uint("n", UINT64_MAX), log_int("r", INT64_MIN),
		log_bool("ok", true));
	log_free(log);
	read_back(fd);
	assert_memory_equal(written, "{\"time\":\"", 9);
	assert_string_equal(written + 9 + CLOCK_TIMESTAMP_LEN,
		"\",\"level\":\"info\",\"msg\":\"a \\\"b\\\"\",\"peer\":\"x\\ny\",\"n\":18446744073709551615,"
		"\"r\":-9223372036854775808,\"ok\":true}\n");
	close(fd);
}

static void drops_lines_below_its_level(void **state)
{
	int fd = open_memory();
	struct log *log = log_new(fd, LOG_WARN, LOG_FORMAT_TEXT);

	(void)state;
	log_info(log, "not this");
	log_flush(log);
	assert_string_equal(read_back(fd), "");
	log_set_level(log, LOG_DEBUG);
	assert_int_equal(log_get_level(log), LOG_DEBUG);
	log_debug(log, "but this");
	log_flush(log);
	assert_non_null(strstr(read_back(fd), " DEBUG but this\n"));
	log_free(log);
	close(fd);
}

static void writes_warnings_at_once_with_what_came_before(void **state)
{
	int fd = open_memory();
	struct log *log = log_new(fd, LOG_INFO, LOG_FORMAT_TEXT);

	(void)state;
	log_info(log, "first");
	log_warn(log, "second");
	assert_non_null(strstr(read_back(fd), "first\n"));
	assert_non_null(strstr(written, "WARN  second\n"));
	log_error(log, "third");
	assert_non_null(strstr(read_back(fd), "ERROR third\n"));
	log_free(log);
	close(fd);
}

static void never_lets_a_value_forge_a_line(void **state)
{
	(void)state;
	assert_string_equal(text_of("m", "k", "a\n2026 INFO x", 13), " INFO  m k=\"a\\n2026 INFO x\"\n");
	assert_string_equal(text_of("m", "k", "a b=c", 5), " INFO  m k=\"a b=c\"\n");
	assert_string_equal(text_of("m", "k", "k=v", 3), " INFO  m k=\"k=v\"\n");
	assert_string_equal(text_of("m", "k", "\"", 1), " INFO  m k=\"\\\"\"\n");
	assert_string_equal(
		text_of("m", "k", "\0\x1b[2J\x7f", 6), " INFO  m k=\"\\u0000\\u001b[2J\\u007f\"\n");
	assert_string_equal(text_of("m", "k", "\xc2\x9b\xe2\x80\xa8\xff", 6),
		" INFO  m k=\"\\u009b\\u2028\xef\xbf\xbd\"\n");
	assert_string_equal(text_of("m", "k", "\xc3\xa9", 2), " INFO  m k=\"\xc3\xa9\"\n");
}

static void cuts_a_value_at_its_bound_between_characters(void **state)
{
	char value[LOG_VALUE_MAX + 1];
	char expected[LOG_VALUE_MAX + 32];

	(void)state;
	memset(value, 'a', sizeof(value));
	snprintf(expected, sizeof(expected), " INFO  m k=%.*s\n", LOG_VALUE_MAX, value);
	assert_string_equal(text_of("m", "k", value, LOG_VALUE_MAX), expected);
	snprintf(expected, sizeof(expected), " INFO  m k=\"%.*s\xe2\x80\xa6\"\n", LOG_VALUE_MAX, value);
	assert_string_equal(text_of("m", "k", value, LOG_VALUE_MAX + 1), expected);
	/* A euro sign over the bound goes as a whole. */
	memcpy(value + LOG_VALUE_MAX - 2, "\xe2\x82\xac", 3);
	snprintf(expected, sizeof(expected), " INFO  m k=\"%.*s\xe2\x80\xa6\"\n", LOG_VALUE_MAX - 2, value);
	assert_string_equal(text_of("m", "k", value, LOG_VALUE_MAX + 1), expected);
	/* What is no UTF-8 cannot push the cut back to nothing. */
	memset(value, '\x80', sizeof(value));
	assert_true(strlen(text_of("m", "k", value, sizeof(value))) > (size_t)LOG_VALUE_MAX * 3);
}

static void keeps_a_line_within_what_one_write_carries(void **state)
{
	char value[LOG_VALUE_MAX];
	int fd = open_memory();
	struct log *log = log_new(fd, LOG_INFO, LOG_FORMAT_JSON);
	const char *tail = ",\"truncated\":true}\n";

	(void)state;
	memset(value, '\x01', sizeof(value));
#define FIELD log_mem("k", value, sizeof(value))
	log_info(log, "m", FIELD, FIELD, FIELD, FIELD, FIELD, FIELD, FIELD, FIELD);
#undef FIELD
	log_free(log);
	read_back(fd);
	assert_true(strlen(written) <= PIPE_BUF);
	assert_true(strlen(written) > PIPE_BUF / 2);
	assert_string_equal(written + strlen(written) - strlen(tail), tail);
	close(fd);
}

static void *write_lines(void *userdata)
{
	struct log *log = log_new(*(int *)userdata, LOG_INFO, LOG_FORMAT_TEXT);

	for (unsigned int i = 0; i < 2000; i++)
		log_info(log, "a line of some length",
			log_str("k", "0123456789012345678901234567890123456789"));
	log_free(log);
	return NULL;
}

static void mixes_no_lines_of_two_threads_in_a_pipe(void **state)
{
	pthread_t threads[2];
	size_t n_lines = 0;
	int fds[2];
	FILE *in;
	char line[256];

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	for (unsigned int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, write_lines, &fds[1]), 0);
	in = fdopen(fds[0], "r");
	assert_non_null(in);
	for (; n_lines < 4000; n_lines++) {
		assert_non_null(fgets(line, sizeof(line), in));
		assert_string_equal(line + CLOCK_TIMESTAMP_LEN,
			" INFO  a line of some length k=0123456789012345678901234567890123456789\n");
	}
	for (unsigned int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	fclose(in);
	close(fds[1]);
}

static void survives_a_file_that_takes_nothing(void **state)
{
	struct log *log = log_new(-1, LOG_INFO, LOG_FORMAT_TEXT);

	(void)state;
	log_error(log, "lost");
	log_info(log, "lost too");
	log_free(log);
}

static void says_nothing_without_a_log(void **state)
{
	(void)state;
	log_error(NULL, "nothing");
	log_flush(NULL);
	log_free(NULL);
}

static void knows_the_words_of_levels_and_formats(void **state)
{
	enum log_level level = LOG_DEBUG;
	enum log_format format = LOG_FORMAT_TEXT;

	(void)state;
	assert_int_equal(log_level_parse("error", &level), 0);
	assert_int_equal(level, LOG_ERROR);
	assert_string_equal(log_level_name(LOG_WARN), "warn");
	assert_int_equal(log_level_parse("Error", &level), -EINVAL);
	assert_int_equal(log_level_parse("", &level), -EINVAL);
	assert_int_equal(log_format_parse("json", &format), 0);
	assert_int_equal(format, LOG_FORMAT_JSON);
	assert_string_equal(log_format_name(LOG_FORMAT_TEXT), "text");
	assert_int_equal(log_format_parse("xml", &format), -EINVAL);
}

static void limits_a_site_and_counts_what_it_held_back(void **state)
{
	struct log_limit limit = {.burst = 2, .interval_ms = 1000};
	struct log *log = log_new(-1, LOG_INFO, LOG_FORMAT_TEXT);
	uint64_t suppressed = 99;

	(void)state;
	assert_true(log_limit_allow(log, &limit, 50, &suppressed));
	assert_int_equal(suppressed, 0);
	assert_true(log_limit_allow(log, &limit, 60, &suppressed));
	for (unsigned int i = 0; i < 5; i++)
		assert_false(log_limit_allow(log, &limit, 999, &suppressed));
	assert_true(log_limit_allow(log, &limit, 2000, &suppressed));
	assert_int_equal(suppressed, 5);
	assert_true(log_limit_allow(log, &limit, 2999, &suppressed));
	assert_int_equal(suppressed, 0);
	assert_false(log_limit_allow(log, &limit, 2999, &suppressed));
	assert_true(log_limit_allow(log, &limit, 3000, &suppressed));
	assert_int_equal(suppressed, 1);
	assert_int_equal(log_n_suppressed(log), 6);
	log_free(log);
	assert_true(log_limit_allow(NULL, &limit, 3000, &suppressed));
	assert_false(log_limit_allow(NULL, &limit, 3000, &suppressed));
	assert_int_equal(log_n_suppressed(NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_a_line_as_text),
		cmocka_unit_test(writes_a_line_as_json),
		cmocka_unit_test(drops_lines_below_its_level),
		cmocka_unit_test(writes_warnings_at_once_with_what_came_before),
		cmocka_unit_test(never_lets_a_value_forge_a_line),
		cmocka_unit_test(cuts_a_value_at_its_bound_between_characters),
		cmocka_unit_test(keeps_a_line_within_what_one_write_carries),
		cmocka_unit_test(mixes_no_lines_of_two_threads_in_a_pipe),
		cmocka_unit_test(survives_a_file_that_takes_nothing),
		cmocka_unit_test(says_nothing_without_a_log),
		cmocka_unit_test(knows_the_words_of_levels_and_formats),
		cmocka_unit_test(limits_a_site_and_counts_what_it_held_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

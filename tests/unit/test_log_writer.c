/* Log writer: what core/log_writer.h promises. Its descriptor is a pipe that the test reads when it likes. */

#include "core/log_writer.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum {
	LINE = 100,                                   /* bytes of a numbered line */
	TOO_MANY = 2 * LOG_WRITER_QUEUE_BYTES / LINE, /* lines: more than queue and pipe hold */
	PIPE_BYTES = 4096,
	PATIENCE_MS = 20000,
};

struct world {
	struct log_writer *writer;
	int read_fd, write_fd;
	char *text; /* what was read */
	size_t len;
};

static int setup(void **state)
{
	struct world *world = calloc(1, sizeof(*world));
	int fds[2];

	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	world->read_fd = fds[0];
	world->write_fd = fds[1];
	assert_true(fcntl(world->write_fd, F_SETPIPE_SZ, PIPE_BYTES) >= 0);
	assert_int_equal(log_writer_new(world->write_fd, LOG_FORMAT_TEXT, &world->writer), 0);
	*state = world;
	return 0;
}

static int teardown(void **state)
{
	struct world *world = *state;

	if (world->read_fd >= 0)
		close(world->read_fd); /* who is still writing is told so */
	log_writer_free(world->writer);
	close(world->write_fd);
	free(world->text);
	free(world);
	return 0;
}

static void add_line(struct world *world, unsigned int number)
{
	char line[LINE + 1];

	snprintf(line, sizeof(line), "line %0*u\n", LINE - 6, number);
	log_writer_add(world->writer, line, LINE);
}

/* Reads until the text has this in it. */
static void read_until(struct world *world, const char *wanted)
{
	ssize_t n;

	while (!world->text || !strstr(world->text, wanted)) {
		world->text = realloc(world->text, world->len + PIPE_BYTES + 1);
		assert_non_null(world->text);
		n = read(world->read_fd, world->text + world->len, PIPE_BYTES);
		assert_true(n > 0);
		world->len += (size_t)n;
		world->text[world->len] = '\0';
	}
}

static unsigned int count(const char *text, const char *word)
{
	unsigned int n = 0;

	for (; (text = strstr(text, word)); text += strlen(word))
		n++;
	return n;
}

static void writes_lines_in_their_order(void **state)
{
	struct world *world = *state;
	const char *at;

	for (unsigned int i = 0; i < 500; i++)
		add_line(world, i);
	log_writer_add(world->writer, "the end\n", 8);
	read_until(world, "the end\n");
	at = world->text;
	for (unsigned int i = 0; i < 500; i++, at += LINE)
		assert_int_equal(strtoul(at + strlen("line "), NULL, 10), i);
	assert_int_equal(log_writer_n_lost(world->writer), 0);
}

static void loses_and_counts_what_nobody_reads_and_waits_for_nobody(void **state)
{
	struct world *world = *state;
	uint64_t lost;
	char told[64];

	for (unsigned int i = 0; i < TOO_MANY; i++)
		add_line(world, i); /* comes back: that is the promise */
	lost = log_writer_n_lost(world->writer);
	assert_true(lost > 0 && lost < TOO_MANY);
	snprintf(told, sizeof(told), "lines_in_all=%llu\n", (unsigned long long)lost);
	read_until(world, told);
	add_line(world, TOO_MANY);
	log_writer_add(world->writer, "the end\n", 8);
	read_until(world, "the end\n");
	assert_int_equal(count(world->text, "line 0"), TOO_MANY + 1 - lost);
	assert_int_equal(count(world->text, "log lines were lost"), 1);
	assert_non_null(strstr(world->text, " WARN "));
}

static void a_reader_who_has_gone_costs_lines_and_nothing_else(void **state)
{
	struct world *world = *state;

	close(world->read_fd);
	world->read_fd = -1;
	for (unsigned int i = 0; i < 50; i++)
		add_line(world, i);
	log_writer_wait(world->writer, PATIENCE_MS);
	assert_int_equal(log_writer_n_lost(world->writer), 50);
}

static void writes_what_is_queued_at_the_end(void **state)
{
	struct world *world = *state;

	add_line(world, 7);
	log_writer_free(world->writer);
	world->writer = NULL;
	read_until(world, "7\n");
}

static void ends_though_nobody_reads(void **state)
{
	struct world *world = *state;

	for (unsigned int i = 0; i < TOO_MANY; i++)
		add_line(world, i);
	log_writer_free(world->writer); /* comes back */
	world->writer = NULL;
}

static void leaves_the_flags_of_the_descriptor_as_they_are(void **state)
{
	struct world *world = *state;
	int before = fcntl(world->write_fd, F_GETFL);

	add_line(world, 1);
	read_until(world, "1\n");
	assert_int_equal(fcntl(world->write_fd, F_GETFL), before);
}

static void a_descriptor_that_does_not_wait_loses_nothing(void **state)
{
	struct world *world = *state;

	assert_int_equal(fcntl(world->write_fd, F_SETFL, O_NONBLOCK), 0); /* by somebody who shares it */
	for (unsigned int i = 0; i < 500; i++)
		add_line(world, i);
	log_writer_add(world->writer, "the end\n", 8);
	read_until(world, "the end\n");
	assert_int_equal(count(world->text, "line 0"), 500);
}

static void *add_many(void *arg)
{
	for (unsigned int i = 0; i < 500; i++)
		add_line(arg, i);
	return NULL;
}

static void lines_of_several_threads_never_mix(void **state)
{
	struct world *world = *state;
	pthread_t threads[3];

	for (int i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, add_many, world), 0);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	log_writer_add(world->writer, "the end\n", 8);
	read_until(world, "the end\n");
	for (const char *at = world->text; at < world->text + world->len - 8; at += LINE) {
		assert_memory_equal(at, "line 0", 6);
		assert_int_equal(at[LINE - 1], '\n');
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(writes_lines_in_their_order),
		TEST(loses_and_counts_what_nobody_reads_and_waits_for_nobody),
		TEST(a_reader_who_has_gone_costs_lines_and_nothing_else),
		TEST(writes_what_is_queued_at_the_end),
		TEST(ends_though_nobody_reads),
		TEST(leaves_the_flags_of_the_descriptor_as_they_are),
		TEST(a_descriptor_that_does_not_wait_loses_nothing),
		TEST(lines_of_several_threads_never_mix),
	};
#undef TEST

	return cmocka_run_group_tests(tests, NULL, NULL);
}

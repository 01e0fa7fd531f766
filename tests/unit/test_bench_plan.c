/* Plan: what bench/plan.h promises. */

#include "bench/plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>

#include <cmocka.h>

enum {
	WORDS_MAX = 16,
};

/* Words after `bench`, split at blanks. */
static int parse(struct plan *plan, const char *words)
{
	static char copy[512]; /* the plan borrows from it */
	char *argv[WORDS_MAX + 2] = {(char *)"bench"};
	int argc = 1;

	snprintf(copy, sizeof(copy), "%s", words);
	for (char *word = strtok(copy, " "); word && argc <= WORDS_MAX; word = strtok(NULL, " "))
		argv[argc++] = word;
	return plan_parse(plan, argc, argv);
}

/* The same with what it says on standard error, which is one line. */
static void assert_refused(const char *words, const char *mention)
{
	int saved = dup(STDERR_FILENO), ends[2], r;
	struct plan plan;
	char said[512];
	ssize_t n;

	assert_int_equal(pipe(ends), 0);
	dup2(ends[1], STDERR_FILENO);
	r = parse(&plan, words);
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(ends[1]);
	n = read(ends[0], said, sizeof(said) - 1);
	close(ends[0]);
	assert_int_equal(r, PLAN_WRONG);
	assert_true(n > 0);
	said[n] = '\0';
	assert_non_null(strstr(said, mention));
	assert_ptr_equal(strchr(said, '\n'), said + n - 1);
}

static void takes_a_token_or_a_file_that_has_one(void **state)
{
	FILE *file = tmpfile();
	struct plan plan;
	char words[64];

	(void)state;
	assert_int_equal(parse(&plan, "--token eyJh.eyJz.c2ln"), 0);
	assert_string_equal(plan.token, "eyJh.eyJz.c2ln");
	assert_non_null(file);
	fputs("eyJm\n", file);
	fflush(file);
	snprintf(words, sizeof(words), "--token /proc/self/fd/%d", fileno(file));
	assert_int_equal(parse(&plan, words), 0);
	assert_string_equal(plan.token, "eyJm");
	fclose(file);
	assert_refused("--token /nowhere/at/all", "--token");
	assert_int_equal(parse(&plan, ""), 0);
	assert_string_equal(plan.token, "");
}

static void has_defaults_for_everything(void **state)
{
	struct plan plan;

	(void)state;
	assert_int_equal(parse(&plan, ""), 0);
	assert_int_equal(plan.n_connections, 1000);
	assert_int_equal(plan.window, 64);
	assert_int_equal(plan.payload, 150);
	assert_string_equal(plan.urls[0].host, "127.0.0.1:8080");
	assert_int_equal(((struct sockaddr_in *)&plan.urls[0].server)->sin_port, htons(8080));
	assert_int_equal(plan.limit, PLAN_LIMIT_NONE);
}

static void publishes_where_nobody_else_listens_unless_it_is_told_both(void **state)
{
	struct plan plan;
	char expected[64];

	(void)state;
	assert_int_equal(parse(&plan, ""), 0);
	snprintf(expected, sizeof(expected), "execution:bench-%d-{n}", (int)getpid());
	assert_string_equal(plan.channel, expected);
	snprintf(expected, sizeof(expected), "/ws/execution/bench-%d-{n}", (int)getpid());
	assert_string_equal(plan.path, expected);
	assert_int_equal(parse(&plan, "--path /ws/cards"), PLAN_WRONG);
	assert_int_equal(parse(&plan, "--channel cards"), PLAN_WRONG);
	assert_int_equal(parse(&plan, "--path /ws/cards --open-only"), 0);
	assert_int_equal(parse(&plan, "--path /ws/cards --channel cards"), 0);
	assert_string_equal(plan.channel, "cards");
}

static void takes_either_a_rate_or_a_window(void **state)
{
	struct plan plan;

	(void)state;
	assert_int_equal(parse(&plan, "--rate 20"), 0);
	assert_int_equal(plan.window, 0);
	assert_true(plan.rate > 19.9 && plan.rate < 20.1);
	assert_int_equal(parse(&plan, "--rate 20 --window 5"), 0);
	assert_int_equal(plan.window, 5);
	assert_true(plan.rate < 0.1);
}

static void takes_sources_as_count_address_or_range(void **state)
{
	struct plan plan;

	(void)state;
	assert_int_equal(parse(&plan, "--sources 3"), 0);
	assert_int_equal(plan.n_sources, 3);
	assert_int_equal(plan.sources[2], 0x7f000003);
	assert_int_equal(parse(&plan, "--sources 10.0.0.7"), 0);
	assert_int_equal(plan.n_sources, 1);
	assert_int_equal(plan.sources[0], 0x0a000007);
	assert_int_equal(parse(&plan, "--sources 127.0.0.250-255"), 0);
	assert_int_equal(plan.n_sources, 6);
	assert_int_equal(plan.sources[5], 0x7f0000ff);
}

static void writes_templates_out(void **state)
{
	char out[PLAN_NAME_MAX];

	(void)state;
	assert_int_equal(plan_expand("cards", 7, out), 5);
	assert_string_equal(out, "cards");
	assert_int_equal(plan_expand("a{n}b", 4294967295, out), 12);
	assert_string_equal(out, "a4294967295b");
}

static void refuses_wrong_words_in_one_line(void **state)
{
	(void)state;
	assert_refused("--bogus", "--bogus");
	assert_refused("--window", "--window");
	assert_refused("word", "word");
	assert_refused("--window 0", "--window");
	assert_refused("--window 1.5", "--window");
	assert_refused("--connections 10x", "--connections");
	assert_refused("--payload 99", "--payload");
	assert_refused("--rate nan", "--rate");
	assert_refused("--duration -1", "--duration");
	assert_refused("--limit both", "--limit");
	assert_refused("--url http://127.0.0.1", "--url");
	assert_refused("--url ws://127.0.0.1:8080/ws", "--url");
	assert_refused("--sources 127.0.0.9-3", "--sources");
	assert_refused("--sources 127.0.0", "--sources");
	assert_refused("--path ws", "--path");
	assert_refused("--path /{n}/{n}", "--path");
	assert_refused("--path /a\r\nX:y", "--path");
}

static void refuses_words_that_do_not_go_together(void **state)
{
	(void)state;
	assert_refused("--connections 5 --slow 6", "--slow");
	assert_refused("--channels 5 --path /ws/items/{n}", "--channel");
	assert_refused("--channels 5 --channel items:{n}", "--path");
	assert_refused("--connections 4 --channels 5 --channel i:{n} --path /i/{n}", "--channels");
	assert_refused("--url ws://[::1]:80 --sources 2", "--url");
	assert_refused("--storm", "--rate");
	assert_refused("--storm --rate 1 --open-only", "--storm");
	assert_refused("--storm --rate 1 --slow 1", "--storm");
}

static void tls_is_the_scheme_and_its_port(void **state)
{
	struct plan plan;

	(void)state;
	assert_int_equal(parse(&plan, "--url wss://127.0.0.1"), 0);
	assert_true(plan.urls[0].tls);
	assert_int_equal(((struct sockaddr_in *)&plan.urls[0].server)->sin_port, htons(443));
	assert_int_equal(parse(&plan, "--url ws://127.0.0.1"), 0);
	assert_false(plan.urls[0].tls);
	assert_int_equal(((struct sockaddr_in *)&plan.urls[0].server)->sin_port, htons(80));
	assert_refused("--url wss://127.0.0.1:8443 --url ws://127.0.0.1", "--url");
	assert_refused("--url wss://127.0.0.1:1 --limit each", "limit");
}

/* Two clients of each channel, one here and one there, whatever the numbers divide by. */
static void each_channel_has_clients_on_all_gateways(void **state)
{
	struct plan plan;

	(void)state;
	for (uint32_t n = 1; n <= 6; n++) {
		char words[200];

		snprintf(words, sizeof(words),
			"--url ws://127.0.0.1:1 --url ws://127.0.0.1:2 --channels %u --connections %u "
			"--sources 2",
			n, 4 * n);
		assert_int_equal(parse(&plan, words), 0);
		for (uint32_t channel = 0; channel < n; channel++)
			assert_ptr_not_equal(plan_url(&plan, channel), plan_url(&plan, channel + n));
		assert_int_not_equal(plan_source(&plan, 0), plan_source(&plan, 2));
	}
}

static void clients_are_in_threads_or_in_processes(void **state)
{
	struct plan plan;

	(void)state;
	assert_int_equal(parse(&plan, "--processes 6"), 0);
	assert_true(plan.processes);
	assert_int_equal(plan.n_crowds, 6);
	assert_int_equal(parse(&plan, "--processes 6 --threads 2"), 0);
	assert_false(plan.processes);
	assert_int_equal(plan.n_crowds, 2);
	assert_refused("--processes 65", "--processes");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tls_is_the_scheme_and_its_port),
		cmocka_unit_test(each_channel_has_clients_on_all_gateways),
		cmocka_unit_test(clients_are_in_threads_or_in_processes),
		cmocka_unit_test(has_defaults_for_everything),
		cmocka_unit_test(takes_a_token_or_a_file_that_has_one),
		cmocka_unit_test(publishes_where_nobody_else_listens_unless_it_is_told_both),
		cmocka_unit_test(takes_either_a_rate_or_a_window),
		cmocka_unit_test(takes_sources_as_count_address_or_range),
		cmocka_unit_test(writes_templates_out),
		cmocka_unit_test(refuses_wrong_words_in_one_line),
		cmocka_unit_test(refuses_words_that_do_not_go_together),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Redis errand: what src/broker/redis/errand.h promises. Links are made up: what is sent over them is
 * noted, and answered by hand. */

#include "broker/redis/errand.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <event2/event.h>

#include "broker/redis/reply.h"

enum {
	SENT_MAX = 64,
	WORD_BYTES = 1024 * 1024,
};

/* Two servers, of which the addresses alone are used. */
static char places[2];
static struct redis_link *const old = (struct redis_link *)&places[0];
static struct redis_link *const new = (struct redis_link *)&places[1];

static struct {
	struct {
		struct redis_link *link;
		bool asking;
		redis_answer_fn fn;
		void *arg;
	} sent[SENT_MAX];
	size_t n_sent;
	const struct redis_link *lacking;
	unsigned int n_redirected;
	unsigned int n_answers;
	char answer[100]; /* the last one; empty: the link was lost */
	struct event_base *base;
	struct redis_errands errands;
} world;

int __wrap_redis_link_ask(
	struct redis_link *link, const struct slice *argv, size_t n, redis_answer_fn fn, void *arg);
int __wrap_redis_link_ask(
	struct redis_link *link, const struct slice *argv, size_t n, redis_answer_fn fn, void *arg)
{
	assert_true(n > 0 && world.n_sent < SENT_MAX);
	world.sent[world.n_sent].link = link;
	world.sent[world.n_sent].asking = slice_is(argv[0], "ASKING");
	world.sent[world.n_sent].fn = fn;
	world.sent[world.n_sent++].arg = arg;
	return 0;
}

static struct redis_link *owner(void *arg, unsigned int slot)
{
	(void)arg;
	(void)slot;
	return old;
}

static struct redis_link *at(void *arg, struct slice host, uint16_t port)
{
	(void)arg;
	return slice_is(host, "new") && port == 7 ? new : NULL;
}

static void redirected(void *arg, const struct redis_redirect *redirect)
{
	(void)arg;
	world.n_redirected += redirect->kind != REDIS_REDIRECT_NONE;
}

static void lacks(void *arg, const struct redis_link *link)
{
	(void)arg;
	world.lacking = link;
}

static struct redis_line lines[REDIS_SLOTS];
static const struct redis_slots_source router = {NULL, lines, owner, at, redirected, lacks};

static void on_answer(void *arg, const struct redis_reply *reply)
{
	struct slice text = reply ? redis_reply_text(reply, 0) : (struct slice){"", 0};

	(void)arg;
	assert_true(text.len < sizeof(world.answer));
	memcpy(world.answer, text.data, text.len);
	world.answer[text.len] = '\0';
	world.n_answers++;
}

static void begin_in_line(void)
{
	const struct slice argv[] = {slice_of("XADD"), slice_of("stream")};

	assert_int_equal(redis_errand_begin_in_line(&world.errands, old, argv, 2, on_answer, NULL), 0);
}

static int begin(size_t n_bytes)
{
	char *text = calloc(1, n_bytes);
	const struct slice argv[] = {slice_of("FCALL"), slice_of("f"), slice_of("1"), {text, n_bytes}};
	int r = redis_errand_begin(&world.errands, old, argv, 4, on_answer, NULL);

	free(text);
	return r;
}

/* What was sent as the i-th is answered with this error. */
static void answer(size_t i, const char *error)
{
	struct redis_value value = {REDIS_ERROR, 0, 0, strlen(error)};
	const struct redis_reply reply = {
		.values = &value, .n_values = 1, .text = {.data = (char *)error, .len = strlen(error)}};

	world.sent[i].fn(world.sent[i].arg, &reply);
}

static int set_up(void **state)
{
	(void)state;
	memset(&world, 0, sizeof(world));
	world.base = event_base_new();
	assert_non_null(world.base);
	redis_errands_init(&world.errands, world.base, &router);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	redis_errands_cancel(&world.errands);
	event_base_free(world.base);
	return 0;
}

static void goes_where_it_is_sent_and_says_that_it_was(void **state)
{
	(void)state;
	assert_int_equal(begin(10), 0);
	answer(0, "ASK 7 new:7");
	assert_int_equal(world.n_redirected, 1);
	assert_int_equal(world.n_sent, 3);
	assert_ptr_equal(world.sent[1].link, new);
	assert_true(world.sent[1].asking);
	answer(1, "ERR whatever");
	assert_int_equal(world.n_answers, 0);
	answer(2, "ERR the end");
	assert_string_equal(world.answer, "ERR the end");
}

/* Not the owner of the slot, which has them. */
static void names_the_server_that_lacks_our_functions(void **state)
{
	(void)state;
	assert_int_equal(begin(10), 0);
	answer(0, "ASK 7 new:7");
	answer(1, "OK");
	answer(2, "ERR Function not found");
	assert_ptr_equal(world.lacking, new);
	assert_int_equal(world.n_answers, 0);
}

/* Whoever called it has its text, and the errand has not. */
static void hands_on_at_once_that_a_script_is_not_known(void **state)
{
	(void)state;
	assert_int_equal(begin(10), 0);
	answer(0, "MOVED 7 new:7");
	answer(1, "NOSCRIPT No matching script.");
	assert_string_equal(world.answer, "NOSCRIPT No matching script.");
	assert_null(world.lacking);
}

static void those_that_wait_are_bounded(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 16; i++) {
		assert_int_equal(begin(WORD_BYTES), 0);
		answer(i, "CLUSTERDOWN Hash slot not served");
	}
	assert_int_equal(begin(10), -EAGAIN);
	assert_int_equal(world.n_answers, 0);
	redis_errands_cancel(&world.errands);
	assert_int_equal(world.n_answers, 16);
	assert_int_equal(begin(10), 0);
	answer(16, "ERR no");
	assert_int_equal(world.errands.n_bytes, 0);
}

/* It comes when the errands, and their server, have gone. */
static void an_answer_that_nobody_waits_for_is_dropped(void **state)
{
	(void)state;
	assert_int_equal(begin(10), 0);
	redis_errands_cancel(&world.errands);
	assert_int_equal(world.n_answers, 1);
	memset(&world.errands, 0xff, sizeof(world.errands));
	answer(0, "MOVED 7 new:7");
	assert_int_equal(world.n_answers, 1);
	redis_errands_init(&world.errands, world.base, &router);
}

/* Its caller is told that nobody knows how it ended, and it had waited. */
static void none_of_a_line_is_sent_while_all_are_cancelled(void **state)
{
	size_t n_sent;

	(void)state;
	begin_in_line();
	begin_in_line();
	answer(0, "MOVED 7 new:7");
	answer(1, "MOVED 7 new:7");
	n_sent = world.n_sent;
	assert_int_equal(n_sent, 3); /* the second waits behind the first */
	redis_errands_cancel(&world.errands);
	assert_int_equal(world.n_answers, 2);
	assert_int_equal(world.n_sent, n_sent);
	answer(2, "ERR late");
	assert_int_equal(world.n_answers, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			goes_where_it_is_sent_and_says_that_it_was, set_up, tear_down),
		cmocka_unit_test_setup_teardown(names_the_server_that_lacks_our_functions, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			hands_on_at_once_that_a_script_is_not_known, set_up, tear_down),
		cmocka_unit_test_setup_teardown(those_that_wait_are_bounded, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			an_answer_that_nobody_waits_for_is_dropped, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			none_of_a_line_is_sent_while_all_are_cancelled, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

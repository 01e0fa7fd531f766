/* The promises of auth/jwks_fetch, against a server that says what the test wants. What takes seconds,
 * and TLS, is in tests/integration/test_keys_by_url.py. */

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>

#include "auth/jwks_fetch.h"
#include "core/buf.h"

struct world {
	struct event_base *base;
	struct event *accepting;
	struct event *peer; /* of the last connection */
	int fd;
	int peer_fd;
	char url[64];
	const char *answer;
	size_t endless; /* bytes that follow the answer */
	struct buf asked;
	unsigned int n_asked;
	struct jwks_fetch *fetch;
	struct buf text;
	struct buf reason;
	unsigned int n_fetched;
	bool fetches_again;
};

static void on_fetched(void *arg, struct slice text, const char *reason)
{
	struct world *world = arg;

	buf_append(&world->text, text.data, text.len);
	if (reason)
		buf_append_str(&world->reason, reason);
	world->n_fetched++;
	if (world->fetches_again && world->n_fetched == 1)
		assert_int_equal(jwks_fetch_start(world->fetch), 0);
}

static void drop_peer(struct world *world)
{
	if (!world->peer)
		return;
	event_free(world->peer);
	world->peer = NULL;
	close(world->peer_fd);
}

static void on_request(evutil_socket_t fd, short events, void *arg)
{
	struct world *world = arg;
	char bytes[2048];
	ssize_t n = recv(fd, bytes, sizeof(bytes), 0);

	(void)events;
	if (n > 0)
		buf_append(&world->asked, bytes, (size_t)n);
	if (n > 0 && !memmem(bytes, (size_t)n, "\r\n\r\n", 4) && *bytes == 'G')
		return;
	world->n_asked++;
	(void)!send(fd, world->answer, strlen(world->answer), MSG_NOSIGNAL);
	memset(bytes, ' ', sizeof(bytes));
	for (size_t sent = 0; sent < world->endless; sent += sizeof(bytes))
		if (send(fd, bytes, sizeof(bytes), MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && errno != EAGAIN)
			break;
	drop_peer(world);
}

static void on_accept(evutil_socket_t fd, short events, void *arg)
{
	struct world *world = arg;

	(void)events;
	drop_peer(world);
	world->peer_fd = accept(fd, NULL, NULL);
	assert_true(world->peer_fd >= 0);
	world->peer = event_new(world->base, world->peer_fd, EV_READ | EV_PERSIST, on_request, world);
	event_add(world->peer, NULL);
}

static int setup(void **state)
{
	struct world *world = calloc(1, sizeof(*world));
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	struct buf error = {0};

	assert_non_null(world);
	world->base = event_base_new();
	world->fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(world->fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(world->fd, 8), 0);
	assert_int_equal(getsockname(world->fd, (struct sockaddr *)&address, &len), 0);
	world->accepting = event_new(world->base, world->fd, EV_READ | EV_PERSIST, on_accept, world);
	event_add(world->accepting, NULL);
	snprintf(world->url, sizeof(world->url), "http://127.0.0.1:%u/keys", ntohs(address.sin_port));
	assert_int_equal(
		jwks_fetch_new(world->base, world->url, NULL, on_fetched, world, &world->fetch, &error), 0);
	*state = world;
	return 0;
}

static int teardown(void **state)
{
	struct world *world = *state;

	jwks_fetch_free(world->fetch);
	drop_peer(world);
	event_free(world->accepting);
	close(world->fd);
	event_base_free(world->base);
	buf_deinit(&world->asked);
	buf_deinit(&world->text);
	buf_deinit(&world->reason);
	free(world);
	return 0;
}

static void fetch(struct world *world, const char *answer)
{
	unsigned int n = world->n_fetched + 1;

	world->answer = answer;
	assert_int_equal(jwks_fetch_start(world->fetch), 0);
	while (world->n_fetched < n)
		event_base_loop(world->base, EVLOOP_ONCE);
}

/* A failure with these words in its sentence. */
static void fails(struct world *world, const char *words)
{
	const char *reason = buf_text(&world->reason);

	assert_int_equal(world->text.len, 0);
	if (!reason || !strstr(reason, words))
		fail_msg("\"%s\" does not say \"%s\"", reason, words);
	assert_null(strchr(reason, '\n'));
}

static void brings_the_text_behind_the_url(void **state)
{
	struct world *world = *state;

	fetch(world, "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{\"keys\":[]}");
	assert_string_equal(buf_text(&world->text), "{\"keys\":[]}");
	assert_int_equal(world->reason.len, 0);
	assert_non_null(strstr(buf_text(&world->asked), "GET /keys HTTP/1.1\r\n"));
	assert_null(strstr(buf_text(&world->asked), "Cookie"));
}

static void fetches_again_and_again(void **state)
{
	struct world *world = *state;

	world->fetches_again = true;
	fetch(world, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
	while (world->n_fetched < 2)
		event_base_loop(world->base, EVLOOP_ONCE);
	fetch(world, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]");
	assert_string_equal(buf_text(&world->text), "{}{}[]");
}

static void there_is_one_fetch_at_a_time(void **state)
{
	struct world *world = *state;

	world->answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
	assert_false(jwks_fetch_is_under_way(world->fetch));
	assert_int_equal(jwks_fetch_start(world->fetch), 0);
	assert_true(jwks_fetch_is_under_way(world->fetch));
	assert_int_equal(jwks_fetch_start(world->fetch), -EALREADY);
	while (!world->n_fetched)
		event_base_loop(world->base, EVLOOP_ONCE);
	assert_int_equal(world->n_asked, 1);
	assert_false(jwks_fetch_is_under_way(world->fetch));
}

static void takes_no_other_status(void **state)
{
	struct world *world = *state;

	fetch(world, "HTTP/1.1 500 Oh\r\nContent-Length: 11\r\n\r\n{\"keys\":[]}");
	fails(world, "status 500");
	fetch(world, "HTTP/1.1 204 No Content\r\n\r\n");
	fails(world, "status 204");
}

static void follows_no_redirect(void **state)
{
	struct world *world = *state;
	char answer[256];

	snprintf(answer, sizeof(answer), "HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n",
		world->url);
	fetch(world, answer);
	fails(world, "redirect");
	assert_int_equal(world->n_asked, 1);
}

static void takes_no_more_than_256_kib(void **state)
{
	struct world *world = *state;

	fetch(world, "HTTP/1.1 200 OK\r\nContent-Length: 262145\r\n\r\n");
	assert_int_equal(world->text.len, 0);
	assert_true(world->reason.len > 0);
	buf_reset(&world->reason);
	world->endless = 4 << 20;
	fetch(world, "HTTP/1.1 200 OK\r\n\r\n");
	fails(world, "larger than 256 KiB");
}

static void an_answer_that_is_cut_is_none(void **state)
{
	struct world *world = *state;

	fetch(world, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"keys\":[]}");
	assert_int_equal(world->text.len, 0);
	assert_true(world->reason.len > 0);
	fetch(world, "");
	assert_int_equal(world->text.len, 0);
	fetch(world, "SSH-2.0-OpenSSH_9.2\r\n");
	assert_int_equal(world->text.len, 0);
}

static void says_that_nobody_is_there(void **state)
{
	struct world *world = *state;

	event_del(world->accepting);
	close(world->fd);
	world->fd = -1;
	fetch(world, "");
	fails(world, "onnect");
}

static void may_be_freed_under_way(void **state)
{
	struct world *world = *state;

	world->answer = "";
	assert_int_equal(jwks_fetch_start(world->fetch), 0);
	event_base_loop(world->base, EVLOOP_NONBLOCK);
}

static void refuses_urls_that_it_would_not_ask(void **state)
{
	struct world *world = *state;
	struct jwks_fetch *fetch = NULL;
	struct buf error = {0};

	assert_int_equal(jwks_fetch_new(world->base, "ftp://example.com/keys", NULL, on_fetched, world,
				 &fetch, &error),
		JWKS_FETCH_BAD);
	assert_null(fetch);
	assert_true(error.len > 0);
	buf_deinit(&error);
}

static bool memory_is_short;

static void *reallocate(void *old, size_t size)
{
	return memory_is_short ? NULL : realloc(old, size);
}

static void *allocate(size_t size)
{
	return memory_is_short ? NULL : malloc(size);
}

static void never(evutil_socket_t fd, short events, void *arg)
{
	(void)fd;
	(void)events;
	(void)arg;
}

/* So many timers that the loop has to grow for one more, which it cannot. */
static size_t fill(struct world *world, struct event *timers[64])
{
	struct timeval hour = {3600, 0};
	size_t n = 0;

	for (; n < 64; n++) {
		timers[n] = evtimer_new(world->base, never, NULL);
		assert_non_null(timers[n]);
		memory_is_short = true;
		if (event_add(timers[n], &hour) < 0)
			break;
		memory_is_short = false;
	}
	memory_is_short = false;
	assert_true(n < 64);
	event_free(timers[n]);
	return n;
}

static void goes_on_after_the_loop_had_no_memory_for_its_time(void **state)
{
	struct world *world = *state;
	struct event *timers[64];
	size_t n;

	event_set_mem_functions(allocate, reallocate, free);
	n = fill(world, timers);
	world->answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
	memory_is_short = true;
	assert_int_equal(jwks_fetch_start(world->fetch), 0);
	memory_is_short = false;
	for (int turn = 0; turn < 10; turn++)
		event_base_loop(world->base, EVLOOP_NONBLOCK);
	assert_int_equal(world->n_asked, 0); /* nobody would ever have gone on with it */
	jwks_fetch_nudge(world->fetch);
	while (!world->n_fetched)
		event_base_loop(world->base, EVLOOP_ONCE);
	assert_string_equal(buf_text(&world->text), "{}");
	while (n > 0)
		event_free(timers[--n]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(brings_the_text_behind_the_url),
		TEST(fetches_again_and_again),
		TEST(there_is_one_fetch_at_a_time),
		TEST(takes_no_other_status),
		TEST(follows_no_redirect),
		TEST(takes_no_more_than_256_kib),
		TEST(an_answer_that_is_cut_is_none),
		TEST(says_that_nobody_is_there),
		TEST(may_be_freed_under_way),
		TEST(refuses_urls_that_it_would_not_ask),
		TEST(goes_on_after_the_loop_had_no_memory_for_its_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

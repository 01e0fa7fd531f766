/*
 * Crowd: what bench/crowd.h promises, against a server that this test plays itself, in the same thread.
 *
 * Nothing sleeps: a turn of the crowd is repeated until the kernel has carried over what was written.
 */

#include "bench/crowd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "bench/event.h"
#include "bench/histogram.h"
#include "bench/plan.h"
#include "bench/window.h"

enum {
	N_CLIENTS = 2,
	TURNS_MAX = 100000, /* of at most 1 ms: a loaded machine must not fail the test */
};

#define ANSWER                                                                                               \
	"HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n"                  \
	"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"

struct fixture {
	struct plan plan;
	struct event event;
	struct window window;
	struct crowd_shared shared;
	struct crowd *crowd;
	int listen_fd;
	int clients[N_CLIENTS];
	uint64_t n_bytes; /* written to clients */
};

static int make(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);

	*state = f;
	f->listen_fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(f->listen_fd, (struct sockaddr *)&address, len), 0);
	assert_int_equal(listen(f->listen_fd, 8), 0);
	assert_int_equal(getsockname(f->listen_fd, (struct sockaddr *)&address, &len), 0);
	f->plan = (struct plan){
		.path = "/ws/items/{n}",
		.urls[0].host = "test",
		.n_urls = 1,
		.n_connections = N_CLIENTS,
		.n_channels = 1,
		.n_crowds = 1,
		.opening_max = 8,
		.payload = 150,
	};
	memcpy(&f->plan.urls[0].server, &address, len);
	f->plan.urls[0].server_len = len;
	assert_int_equal(event_init(&f->event, 150, 1), 0);
	assert_int_equal(window_init(&f->window, 8), 0);
	f->shared = (struct crowd_shared){
		.plan = &f->plan, .event = &f->event, .window = &f->window, .wake_fd = -1};
	f->shared.to_us = UINT64_MAX;
	f->clients[0] = f->clients[1] = -1;
	return 0;
}

static int drop(void **state)
{
	struct fixture *f = *state;

	crowd_free(f->crowd);
	for (int i = 0; i < N_CLIENTS; i++)
		if (f->clients[i] >= 0)
			close(f->clients[i]);
	close(f->listen_fd);
	window_deinit(&f->window);
	event_deinit(&f->event);
	free(f);
	return 0;
}

static void turn_until(struct fixture *f, const _Atomic uint64_t *count, uint64_t value)
{
	for (int i = 0; i < TURNS_MAX && *count < value; i++)
		assert_int_equal(crowd_turn(f->crowd, 1), 0);
	assert_int_equal(*count, value);
}

/* Of what was published below `end`. */
static uint64_t missing(struct fixture *f, uint64_t end)
{
	f->shared.published = end;
	crowd_end(f->crowd);
	return crowd_missing(f->crowd);
}

static void serve(struct fixture *f, int client, const void *data, size_t len)
{
	assert_int_equal(send(f->clients[client], data, len, MSG_NOSIGNAL), len);
	f->n_bytes += len;
}

/* Accepts a connection, and reads and checks its request. */
static void take_request(struct fixture *f, int client, const char *path)
{
	char request[2048], expected[200];
	ssize_t n;

	if (f->clients[client] >= 0)
		close(f->clients[client]);
	f->clients[client] = accept(f->listen_fd, NULL, NULL);
	assert_true(f->clients[client] >= 0);
	assert_int_equal(crowd_turn(f->crowd, 0), 0); /* sends what waited for the connection */
	n = recv(f->clients[client], request, sizeof(request) - 1, 0);
	assert_true(n > 4);
	request[n] = '\0';
	snprintf(expected, sizeof(expected), "GET %s HTTP/1.1\r\nHost: test\r\n", path);
	assert_memory_equal(request, expected, strlen(expected));
	assert_string_equal(request + n - 4, "\r\n\r\n");
}

/* Connects and accepts; the answers are the caller's. */
static void start(struct fixture *f)
{
	assert_int_equal(crowd_new(&f->shared, 0, &f->crowd), 0);
	assert_int_equal(crowd_turn(f->crowd, 0), 0);
	for (int i = 0; i < N_CLIENTS; i++)
		take_request(f, i, "/ws/items/0");
}

static void open_all(struct fixture *f)
{
	start(f);
	for (int i = 0; i < N_CLIENTS; i++)
		serve(f, i, ANSWER, strlen(ANSWER));
	turn_until(f, &crowd_counts(f->crowd)->opened, N_CLIENTS);
	assert_int_equal(crowd_share(f->crowd, 0), N_CLIENTS);
}

/* A frame with the event of this number, due at 1 µs. */
static size_t frame_of(struct fixture *f, uint64_t number, unsigned char out[200])
{
	event_stamp(&f->event, number, 1);
	out[0] = 0x81;
	out[1] = 126;
	out[2] = 0;
	out[3] = (unsigned char)f->event.len;
	memcpy(out + 4, f->event.text, f->event.len);
	return 4 + f->event.len;
}

static void serve_event(struct fixture *f, int client, uint64_t number)
{
	unsigned char frame[200];

	serve(f, client, frame, frame_of(f, number, frame));
}

static void settle(struct fixture *f)
{
	turn_until(f, &crowd_counts(f->crowd)->bytes, f->n_bytes);
}

static void opens_and_counts_deliveries(void **state)
{
	struct fixture *f = *state;

	open_all(f);
	for (uint64_t n = 0; n < 4; n++) {
		window_open(&f->window, 1);
		f->shared.published++;
		serve_event(f, 0, n);
		serve_event(f, 1, n);
	}
	settle(f);
	assert_int_equal(crowd_counts(f->crowd)->delivered, 8);
	assert_int_equal(crowd_latency(f->crowd)->n, 8);
	assert_int_equal(missing(f, 4), 0);
	assert_true(window_advance(&f->window));
	assert_int_equal(f->window.oldest, 4);
}

static void takes_frames_in_any_pieces(void **state)
{
	struct fixture *f = *state;
	unsigned char bytes[1000];
	size_t n = strlen(ANSWER);

	start(f);
	memcpy(bytes, ANSWER, n);
	for (uint64_t number = 0; number < 3; number++)
		n += frame_of(f, number, bytes + n);
	for (size_t i = 0; i < n; i++) {
		serve(f, 0, bytes + i, 1);
		settle(f);
	}
	serve(f, 1, bytes, n); /* the answer and three events in one */
	settle(f);
	assert_int_equal(crowd_counts(f->crowd)->opened, 2);
	assert_int_equal(crowd_counts(f->crowd)->delivered, 6);
	assert_int_equal(missing(f, 3), 0);
}

static void tells_lost_doubled_and_reordered(void **state)
{
	static const uint64_t numbers[] = {0, 2, 1, 2, 5};
	struct fixture *f = *state;

	open_all(f);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		serve_event(f, 0, numbers[i]);
	settle(f);
	assert_int_equal(crowd_counts(f->crowd)->delivered, 4);
	assert_int_equal(crowd_counts(f->crowd)->doubled, 1);
	assert_int_equal(crowd_counts(f->crowd)->reordered, 1);
	assert_int_equal(missing(f, 7), 3 + 7); /* 3, 4, 6; and all of the other one's */
}

static void leaves_other_texts_out(void **state)
{
	struct fixture *f = *state;

	open_all(f);
	serve(f, 0, "\x81\x02{}", 4);
	settle(f);
	assert_int_equal(crowd_counts(f->crowd)->foreign, 1);
	assert_int_equal(crowd_counts(f->crowd)->delivered, 0);
}

static void answers_pings(void **state)
{
	struct fixture *f = *state;
	unsigned char pong[32];

	open_all(f);
	serve(f, 0,
		"\x89\x03"
		"abc",
		5);
	settle(f);
	assert_int_equal(recv(f->clients[0], pong, sizeof(pong), 0), 9);
	assert_memory_equal(pong, "\x8a\x83\0\0\0\0abc", 9);
}

static void counts_who_was_closed_and_goes_on(void **state)
{
	struct fixture *f = *state;

	open_all(f);
	window_open(&f->window, 1);
	f->shared.published = 1;
	serve_event(f, 0, 0);
	serve(f, 1, "\x88\x02\x03\xf4", 4);
	turn_until(f, &crowd_counts(f->crowd)->closed, 1);
	settle(f);
	assert_string_equal(crowd_trouble(f->crowd), "the server closed a connection: code 1012");
	assert_int_equal(crowd_share(f->crowd, 0), 1);
	assert_true(window_advance(&f->window)); /* nobody waits for the one that is gone */
	assert_int_equal(missing(f, 1), 1);
}

static void counts_a_refused_handshake(void **state)
{
	static const char refusal[] = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
	struct fixture *f = *state;

	start(f);
	serve(f, 0, refusal, strlen(refusal));
	turn_until(f, &crowd_counts(f->crowd)->failed, 1);
	assert_string_equal(crowd_trouble(f->crowd), "the server refused: HTTP/1.1 404 Not Found");
}

static void ends_a_connection_that_breaks_the_protocol(void **state)
{
	struct fixture *f = *state;

	open_all(f);
	serve(f, 0, "\x81\x82", 2);
	turn_until(f, &crowd_counts(f->crowd)->closed, 1);
}

static void does_not_read_what_is_to_be_slow(void **state)
{
	struct fixture *f = *state;

	f->plan.n_slow = 1;
	start(f);
	for (int i = 0; i < N_CLIENTS; i++)
		serve(f, i, ANSWER, strlen(ANSWER));
	turn_until(f, &crowd_counts(f->crowd)->opened, N_CLIENTS);
	assert_int_equal(crowd_share(f->crowd, 0), 1);
	serve_event(f, 0, 0);
	settle(f);
	serve_event(f, 1, 0);
	for (int i = 0; i < 100; i++)
		assert_int_equal(crowd_turn(f->crowd, 0), 0);
	assert_int_equal(crowd_counts(f->crowd)->delivered, 1);
	assert_int_equal(missing(f, 1), 0);
	close(f->clients[1]);
	f->clients[1] = -1;
	f->shared.wake_slow = true;
	turn_until(f, &crowd_counts(f->crowd)->slow_closed, 1);
	assert_int_equal(crowd_counts(f->crowd)->delivered, 1); /* what it reads now is of no interest */
	assert_int_equal(crowd_counts(f->crowd)->closed, 0);
}

static void serve_text(struct fixture *f, int client, const char *text)
{
	unsigned char head[4] = {0x81, 126, 0, (unsigned char)strlen(text)};

	serve(f, client, head, sizeof(head));
	serve(f, client, text, strlen(text));
}

static void comes_back_with_its_position_when_it_is_cut_off(void **state)
{
	struct fixture *f = *state;
	char text[250];

	f->plan.storm = true;
	f->shared.window = NULL;
	assert_int_equal(crowd_new(&f->shared, 0, &f->crowd), 0);
	assert_int_equal(crowd_turn(f->crowd, 0), 0);
	for (int i = 0; i < N_CLIENTS; i++) {
		take_request(f, i, "/ws/items/0?since=now");
		serve(f, i, ANSWER, strlen(ANSWER));
	}
	turn_until(f, &crowd_counts(f->crowd)->opened, N_CLIENTS);
	event_stamp(&f->event, 0, 1);
	snprintf(text, sizeof(text), "%.*s,\"pos\":\"abc.1.5\"}", (int)f->event.len - 1, f->event.text);
	serve_text(f, 0, text);
	settle(f);
	f->shared.storm_from_us = 1;
	turn_until(f, &crowd_counts(f->crowd)->cut, N_CLIENTS);
	take_request(f, 0, "/ws/items/0?since=abc.1.5");
	take_request(f, 1, "/ws/items/0?since=now");
	for (int i = 0; i < N_CLIENTS; i++)
		serve(f, i, ANSWER, strlen(ANSWER));
	serve_text(f, 0, "{\"type\":\"subscribed\",\"data\":{\"recovered\":true,\"pos\":\"abc.1.5\"}}");
	serve_text(f, 1, "{\"type\":\"subscribed\",\"data\":{\"recovered\":false,\"pos\":\"abc.1.5\"}}");
	serve_event(f, 1, 0); /* was due while the client was away */
	settle(f);
	assert_int_equal(crowd_counts(f->crowd)->recovered, 1);
	assert_int_equal(crowd_counts(f->crowd)->unrecovered, 1);
	assert_int_equal(crowd_counts(f->crowd)->replayed, 1);
	assert_int_equal(crowd_counts(f->crowd)->opened, N_CLIENTS);
	assert_int_equal(crowd_share(f->crowd, 0), N_CLIENTS);
	assert_int_equal(missing(f, 1), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(opens_and_counts_deliveries, make, drop),
		cmocka_unit_test_setup_teardown(takes_frames_in_any_pieces, make, drop),
		cmocka_unit_test_setup_teardown(tells_lost_doubled_and_reordered, make, drop),
		cmocka_unit_test_setup_teardown(leaves_other_texts_out, make, drop),
		cmocka_unit_test_setup_teardown(answers_pings, make, drop),
		cmocka_unit_test_setup_teardown(counts_who_was_closed_and_goes_on, make, drop),
		cmocka_unit_test_setup_teardown(counts_a_refused_handshake, make, drop),
		cmocka_unit_test_setup_teardown(ends_a_connection_that_breaks_the_protocol, make, drop),
		cmocka_unit_test_setup_teardown(does_not_read_what_is_to_be_slow, make, drop),
		cmocka_unit_test_setup_teardown(comes_back_with_its_position_when_it_is_cut_off, make, drop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

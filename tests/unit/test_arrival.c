/* Arrival: what bench/arrival.h promises. */

#include "bench/arrival.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/clock.h"

enum {
	TRIES = 10000,    /* the kernel begins to note times a moment after it was asked to */
	UNREAD_US = 2000, /* so long bytes wait to be read, and when they came is another time */
};

/* Both ends of a connection over loopback; Unix sockets have no such notes. */
static void connect_pair(int pair[2])
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &len), 0);
	pair[0] = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(pair[0], (struct sockaddr *)&address, sizeof(address)), 0);
	pair[1] = accept(listener, NULL, NULL);
	assert_true(pair[1] >= 0);
	close(listener);
}

static void await_bytes(int fd)
{
	struct pollfd readable = {.fd = fd, .events = POLLIN};

	assert_int_equal(poll(&readable, 1, 10000), 1);
}

/* The time at which bytes came, by the kernel; 0: it noted no time. */
static uint64_t noted_of(const int pair[2])
{
	uint64_t at_us;
	char data[8];

	assert_int_equal(send(pair[0], "first", 5, 0), 5);
	await_bytes(pair[1]);
	assert_int_equal(arrival_receive(pair[1], data, sizeof(data), &at_us), 5);
	return at_us;
}

static void tells_when_bytes_came_and_not_when_they_were_read(void **state)
{
	uint64_t sent_us, came_us, at_us;
	char data[8];
	int pair[2];

	(void)state;
	connect_pair(pair);
	arrival_watch(pair[1]);
	for (int n = 0; noted_of(pair) == 0; n++)
		assert_true(n < TRIES);
	sent_us = clock_monotonic_us();
	assert_int_equal(send(pair[0], "early", 5, 0), 5);
	await_bytes(pair[1]);
	came_us = clock_monotonic_us();
	while (clock_monotonic_us() < came_us + UNREAD_US)
		;
	assert_int_equal(arrival_receive(pair[1], data, sizeof(data), &at_us), 5);
	assert_memory_equal(data, "early", 5);
	/* Two clocks are asked one after the other, and we may lose the CPU between them. */
	assert_in_range(at_us, sent_us - 1000000, came_us + 1);
	assert_int_equal(arrival_receive(pair[1], data, sizeof(data), &at_us), -1);
	assert_int_equal(at_us, 0);
	close(pair[0]);
	close(pair[1]);
}

static void tells_nothing_of_a_socket_that_nobody_watches(void **state)
{
	uint64_t at_us;
	char data[8];
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(send(pair[0], "x", 1, 0), 1);
	assert_int_equal(arrival_receive(pair[1], data, sizeof(data), &at_us), 1);
	assert_int_equal(at_us, 0);
	close(pair[0]);
	close(pair[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tells_when_bytes_came_and_not_when_they_were_read),
		cmocka_unit_test(tells_nothing_of_a_socket_that_nobody_watches),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

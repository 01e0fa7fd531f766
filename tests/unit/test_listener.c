/* Listener: what ws/listener.h promises, on the loopback. Every wait is one for the kernel, never for a
 * clock. */

#include "ws/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <cmocka.h>
#include <event2/event.h>

#include "core/buf.h"
#include "core/ip.h"
#include "support/fake_clock.h"

struct world {
	struct event_base *base;
	struct buf error;
	unsigned int n_accepted;
	int fd;               /* the one accepted last */
	struct in6_addr peer; /* and whom it comes from */
};

static int setup(void **state)
{
	struct world *world = calloc(1, sizeof(*world));

	assert_non_null(world);
	world->base = event_base_new();
	world->fd = -1;
	*state = world;
	return 0;
}

static int teardown(void **state)
{
	struct world *world = *state;

	if (world->fd >= 0)
		close(world->fd);
	event_base_free(world->base);
	buf_deinit(&world->error);
	free(world);
	return 0;
}

static void on_accept(void *arg, int fd, const struct in6_addr *peer)
{
	struct world *world = arg;

	if (world->fd >= 0)
		close(world->fd);
	world->fd = fd;
	world->peer = *peer;
	world->n_accepted++;
}

static int try_to_listen(
	struct world *world, const char *host, uint16_t port, bool shared, struct listener **listenerp)
{
	buf_reset(&world->error);
	return listener_new(world->base, host, port, shared, on_accept, world, listenerp, &world->error);
}

static struct listener *listen_on(struct world *world, const char *host, uint16_t port, bool shared)
{
	struct listener *listener = NULL;
	int r = try_to_listen(world, host, port, shared, &listener);

	if (r < 0)
		fail_msg("%s", buf_text(&world->error));
	assert_non_null(listener);
	assert_int_equal(world->error.len, 0);
	return listener;
}

/* A blocking connect to the loopback: done as soon as the kernel has queued the connection. */
static int dial(uint16_t port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		close(fd);
		return -errno;
	}
	return fd;
}

static void turn(struct world *world)
{
	event_base_loop(world->base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
}

static void finds_a_free_port_and_tells_it(void **state)
{
	struct world *world = *state;
	struct listener *a = listen_on(world, "127.0.0.1", 0, false);
	struct listener *b = listen_on(world, "127.0.0.1", 0, true);

	assert_int_not_equal(listener_port(a), 0);
	assert_int_not_equal(listener_port(b), 0);
	assert_int_not_equal(listener_port(a), listener_port(b));
	listener_free(a);
	listener_free(b);
	listener_free(NULL);
}

static void hands_over_a_descriptor_that_never_blocks(void **state)
{
	struct world *world = *state;
	struct listener *listener = listen_on(world, "127.0.0.1", 0, false);
	int peer = dial(listener_port(listener));
	int on = 0;
	socklen_t len = sizeof(on);
	char byte, text[INET6_ADDRSTRLEN];

	assert_true(peer >= 0);
	turn(world);
	assert_int_equal(world->n_accepted, 1);
	ip_print(&world->peer, text);
	assert_string_equal(text, "127.0.0.1");
	assert_true(fcntl(world->fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(world->fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(getsockopt(world->fd, IPPROTO_TCP, TCP_NODELAY, &on, &len), 0);
	assert_int_not_equal(on, 0);
	assert_int_equal(write(peer, "x", 1), 1);
	assert_int_equal(recv(world->fd, &byte, 1, MSG_WAITALL), 1); /* it is that peer's */
	assert_int_equal(byte, 'x');
	close(peer);
	listener_free(listener);
}

static void what_it_handed_over_outlives_it(void **state)
{
	struct world *world = *state;
	struct listener *listener = listen_on(world, "127.0.0.1", 0, false);
	int peer = dial(listener_port(listener));

	turn(world);
	assert_int_equal(world->n_accepted, 1);
	listener_free(listener);
	assert_int_equal(write(world->fd, "x", 1), 1);
	close(peer);
}

static void takes_all_that_wait(void **state)
{
	struct world *world = *state;
	struct listener *listener = listen_on(world, "127.0.0.1", 0, false);
	int peers[20];

	for (size_t i = 0; i < 20; i++)
		assert_true((peers[i] = dial(listener_port(listener))) >= 0);
	for (size_t i = 0; i < 20 && world->n_accepted < 20; i++)
		turn(world);
	assert_int_equal(world->n_accepted, 20);
	for (size_t i = 0; i < 20; i++)
		close(peers[i]);
	listener_free(listener);
}

static void takes_a_crowd_in_pieces(void **state)
{
	enum {
		CROWD = LISTENER_ACCEPTS_MAX + 20
	};
	struct world *world = *state;
	struct listener *listener = listen_on(world, "127.0.0.1", 0, false);
	int peers[CROWD];

	for (size_t i = 0; i < CROWD; i++)
		assert_true((peers[i] = dial(listener_port(listener))) >= 0);
	event_base_loop(world->base, EVLOOP_ONCE);
	assert_int_equal(world->n_accepted, LISTENER_ACCEPTS_MAX);
	event_base_loop(world->base, EVLOOP_ONCE);
	assert_int_equal(world->n_accepted, CROWD);
	for (size_t i = 0; i < CROWD; i++)
		close(peers[i]);
	listener_free(listener);
}

static void says_in_one_sentence_that_a_port_is_taken(void **state)
{
	struct world *world = *state;
	struct listener *first = listen_on(world, "127.0.0.1", 0, false), *second = NULL;
	char port[8];

	snprintf(port, sizeof(port), "%u", listener_port(first));
	for (int shared = 0; shared < 2; shared++) {
		assert_int_equal(try_to_listen(world, "127.0.0.1", listener_port(first), shared, &second),
			-EADDRINUSE);
		assert_non_null(strstr(buf_text(&world->error), port));
		assert_non_null(strstr(buf_text(&world->error), "127.0.0.1"));
		assert_non_null(strstr(buf_text(&world->error), strerror(EADDRINUSE)));
		assert_null(strchr(buf_text(&world->error), '\n'));
	}
	listener_free(first);
}

static void a_shared_port_is_not_for_one_that_wants_it_alone(void **state)
{
	struct world *world = *state;
	struct listener *first = listen_on(world, "127.0.0.1", 0, true), *second = NULL;

	assert_int_equal(
		try_to_listen(world, "127.0.0.1", listener_port(first), false, &second), -EADDRINUSE);
	listener_free(first);
}

static void several_share_one_port_and_lose_no_connection(void **state)
{
	struct world *world = *state, others[2] = {{.fd = -1}, {.fd = -1}};
	struct listener *first = listen_on(world, "127.0.0.1", 0, true), *second, *third;
	int peers[100];

	for (size_t i = 0; i < 2; i++)
		others[i].base = world->base;
	second = listen_on(&others[0], "127.0.0.1", listener_port(first), true);
	third = listen_on(&others[1], "127.0.0.1", listener_port(first), true);
	assert_int_equal(listener_port(second), listener_port(first));
	for (size_t i = 0; i < 100; i++)
		assert_true((peers[i] = dial(listener_port(first))) >= 0);
	for (size_t i = 0; i < 100; i++)
		turn(world);
	assert_int_equal(world->n_accepted + others[0].n_accepted + others[1].n_accepted, 100);
	/* The kernel hashes 100 ports over three: one without any would be a wonder of 1 in 10^17. */
	assert_true(world->n_accepted && others[0].n_accepted && others[1].n_accepted);
	for (size_t i = 0; i < 100; i++)
		close(peers[i]);
	close(others[0].fd);
	close(others[1].fd);
	listener_free(first);
	listener_free(second);
	listener_free(third);
}

static void stops_listening_and_leaves_the_port(void **state)
{
	struct world *world = *state;
	struct listener *listener = listen_on(world, "127.0.0.1", 0, false);
	uint16_t port = listener_port(listener);

	listener_free(listener);
	assert_int_equal(dial(port), -ECONNREFUSED);
	listener_free(listen_on(world, "127.0.0.1", port, false));
}

static void listens_on_every_address(void **state)
{
	struct world *world = *state;
	struct listener *listener = listen_on(world, "", 0, false);
	int peer = dial(listener_port(listener));

	assert_true(peer >= 0);
	turn(world);
	assert_int_equal(world->n_accepted, 1);
	close(peer);
	listener_free(listener);
}

static void listens_on_a_name(void **state)
{
	struct world *world = *state;
	struct listener *listener = listen_on(world, "localhost", 0, false);

	assert_int_not_equal(listener_port(listener), 0);
	listener_free(listener);
}

static void listens_on_ipv6(void **state)
{
	struct world *world = *state;
	int fd = socket(AF_INET6, SOCK_STREAM, 0);
	struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	bool has_ipv6 = fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
	struct listener *listener;

	if (fd >= 0)
		close(fd);
	if (!has_ipv6)
		skip();
	listener = listen_on(world, "::1", 0, false);
	assert_int_not_equal(listener_port(listener), 0);
	listener_free(listener);
}

static void refuses_an_address_that_is_not_of_this_machine(void **state)
{
	/* TEST-NET-3 belongs to nobody; the others are no addresses, and no name has a blank. */
	static const char *const hosts[] = {"203.0.113.9", "256.0.0.1 ", "no such host", ":::"};
	struct world *world = *state;
	struct listener *listener = NULL;

	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		if (try_to_listen(world, hosts[i], 0, false, &listener) >= 0)
			fail_msg("listens on '%s'", hosts[i]);
		assert_true(world->error.len > 0);
		assert_non_null(strstr(buf_text(&world->error), hosts[i]));
		assert_null(strchr(buf_text(&world->error), '\n'));
	}
}

/* Leaves this process not one descriptor; returns the limit that it had. */
static struct rlimit take_all_descriptors(void)
{
	struct rlimit old, none;
	int lowest_free = dup(STDERR_FILENO);

	assert_true(lowest_free >= 0);
	close(lowest_free);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	none = old;
	none.rlim_cur = (rlim_t)lowest_free;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	return old;
}

static void rests_when_it_has_no_descriptors_left(void **state)
{
	struct world *world = *state;
	struct listener *listener = listen_on(world, "127.0.0.1", 0, false);
	int peer = dial(listener_port(listener));
	struct rlimit old = take_all_descriptors();

	turn(world);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(world->n_accepted, 0);
	fake_clock_ms += LISTENER_REST_MS - 1;
	for (int i = 0; i < 3; i++)
		turn(world);
	assert_int_equal(world->n_accepted, 0); /* it would spin if it tried again at once */
	fake_clock_ms += 1;
	for (int i = 0; i < 3; i++)
		turn(world);
	assert_int_equal(world->n_accepted, 1); /* the connection waited in the kernel */
	close(peer);
	listener_free(listener);
}

static void may_be_freed_while_it_rests(void **state)
{
	struct world *world = *state;
	struct listener *listener = listen_on(world, "127.0.0.1", 0, false);
	int peer = dial(listener_port(listener));
	struct rlimit old = take_all_descriptors();

	turn(world);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	listener_free(listener);
	fake_clock_ms += LISTENER_REST_MS;
	turn(world);
	assert_int_equal(world->n_accepted, 0);
	close(peer);
}

static void drain_for(struct world *world, unsigned int ms)
{
	fake_clock_ms += ms;
	turn(world);
}

/* They were connected before, or while it drains as far as the kernel got with them. */
static void drains_with_an_empty_queue(void **state)
{
	struct world *world = *state;
	struct listener *listener = listen_on(world, "127.0.0.1", 0, false);
	int peers[3];

	for (int i = 0; i < 3; i++)
		peers[i] = dial(listener_port(listener));
	listener_drain(listener);
	listener_drain(listener); /* harmless twice */
	assert_false(listener_drained(listener));
	drain_for(world, LISTENER_DRAIN_MS - 1);
	assert_false(listener_drained(listener));
	drain_for(world, 1);
	drain_for(world, 0);
	assert_true(listener_drained(listener));
	assert_int_equal(world->n_accepted, 3);
	assert_int_equal(dial(listener_port(listener)), -ECONNREFUSED);
	for (int i = 0; i < 3; i++)
		close(peers[i]);
	listener_free(listener);
}

/* A connect to it is neither taken nor refused while it drains: another listener may come to be asked. */
static void leaves_beginners_to_who_comes_next(void **state)
{
	struct world *world = *state;
	struct listener *listener = listen_on(world, "127.0.0.1", 0, false), *next;
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(listener_port(listener))};
	int peer = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct pollfd poll_peer = {.fd = peer, .events = POLLOUT};

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	listener_drain(listener);
	assert_int_equal(connect(peer, (struct sockaddr *)&address, sizeof(address)), -1);
	assert_int_equal(errno, EINPROGRESS);
	drain_for(world, LISTENER_DRAIN_MS);
	drain_for(world, 0);
	assert_true(listener_drained(listener));
	assert_int_equal(world->n_accepted, 0);
	next = listen_on(world, "127.0.0.1", listener_port(listener), false);
	assert_int_equal(poll(&poll_peer, 1, 60000), 1); /* asks again after a second */
	assert_int_equal(poll_peer.revents, POLLOUT);
	turn(world);
	assert_int_equal(world->n_accepted, 1);
	close(peer);
	listener_free(next);
	listener_free(listener);
}

static void may_be_freed_while_it_drains(void **state)
{
	struct world *world = *state;
	struct listener *listener = listen_on(world, "127.0.0.1", 0, false);

	listener_drain(listener);
	listener_free(listener);
	drain_for(world, LISTENER_DRAIN_MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(finds_a_free_port_and_tells_it, setup, teardown),
		cmocka_unit_test_setup_teardown(hands_over_a_descriptor_that_never_blocks, setup, teardown),
		cmocka_unit_test_setup_teardown(what_it_handed_over_outlives_it, setup, teardown),
		cmocka_unit_test_setup_teardown(takes_all_that_wait, setup, teardown),
		cmocka_unit_test_setup_teardown(takes_a_crowd_in_pieces, setup, teardown),
		cmocka_unit_test_setup_teardown(says_in_one_sentence_that_a_port_is_taken, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_shared_port_is_not_for_one_that_wants_it_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(
			several_share_one_port_and_lose_no_connection, setup, teardown),
		cmocka_unit_test_setup_teardown(stops_listening_and_leaves_the_port, setup, teardown),
		cmocka_unit_test_setup_teardown(listens_on_every_address, setup, teardown),
		cmocka_unit_test_setup_teardown(listens_on_a_name, setup, teardown),
		cmocka_unit_test_setup_teardown(listens_on_ipv6, setup, teardown),
		cmocka_unit_test_setup_teardown(
			refuses_an_address_that_is_not_of_this_machine, setup, teardown),
		cmocka_unit_test_setup_teardown(rests_when_it_has_no_descriptors_left, setup, teardown),
		cmocka_unit_test_setup_teardown(may_be_freed_while_it_rests, setup, teardown),
		cmocka_unit_test_setup_teardown(drains_with_an_empty_queue, setup, teardown),
		cmocka_unit_test_setup_teardown(leaves_beginners_to_who_comes_next, setup, teardown),
		cmocka_unit_test_setup_teardown(may_be_freed_while_it_drains, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Notify: what src/app/notify.h promises, to a real socket. Time is handed in through clock_gettime(2). */

#include "app/notify.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>

#include "core/buf.h"
#include "support/fake_clock.h"

enum {
	HALF_MS = 200, /* of WATCHDOG below */
};

#define WATCHDOG "400000"

struct world {
	struct event_base *base;
	struct notify *notify;
	int manager;
	char folder[32];
	char path[48];
	bool live;
	const char *status;
};

static bool is_live(void *arg)
{
	return ((struct world *)arg)->live;
}

static void describe(void *arg, struct buf *out)
{
	buf_append_str(out, ((struct world *)arg)->status);
}

static int setup(void **state)
{
	struct world *world = calloc(1, sizeof(*world));
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	assert_non_null(world);
	strcpy(world->folder, "/tmp/tidegate-notify-XXXXXX");
	assert_non_null(mkdtemp(world->folder));
	snprintf(world->path, sizeof(world->path), "%s/notify", world->folder);
	strcpy(address.sun_path, world->path);
	world->manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(world->manager, (struct sockaddr *)&address, sizeof(address)), 0);
	world->base = event_base_new();
	world->live = true;
	world->status = "Serving";
	*state = world;
	return 0;
}

static int teardown(void **state)
{
	struct world *world = *state;

	notify_free(world->notify);
	event_base_free(world->base);
	close(world->manager);
	unlink(world->path);
	rmdir(world->folder);
	free(world);
	return 0;
}

static int try_to_start(struct world *world, const struct notify_variables *variables)
{
	const struct notify_source source = {world, is_live, describe};

	return notify_new(world->base, variables, &source, &world->notify);
}

static void start(struct world *world, const char *watchdog)
{
	const struct notify_variables variables = {world->path, watchdog, NULL};

	assert_int_equal(try_to_start(world, &variables), 0);
	assert_non_null(world->notify);
}

/* The next datagram is this; "" is none. */
static void is_told(struct world *world, const char *expected)
{
	char text[512];
	ssize_t n = recv(world->manager, text, sizeof(text) - 1, MSG_DONTWAIT);

	text[n > 0 ? n : 0] = '\0';
	assert_string_equal(text, expected);
}

static void pass(struct world *world, unsigned int ms)
{
	fake_clock_ms += ms;
	event_base_loop(world->base, EVLOOP_NONBLOCK);
}

static void says_ready_with_a_status(void **state)
{
	struct world *world = *state;

	start(world, NULL);
	pass(world, 5000);
	is_told(world, ""); /* nothing before */
	notify_ready(world->notify);
	is_told(world, "READY=1\nSTATUS=Serving\n");
}

static void says_a_status_only_when_it_changes(void **state)
{
	struct world *world = *state;

	start(world, NULL);
	notify_ready(world->notify);
	is_told(world, "READY=1\nSTATUS=Serving\n");
	pass(world, 5000);
	is_told(world, "");
	world->status = "Serving; Redis is away";
	pass(world, 1000);
	is_told(world, "STATUS=Serving; Redis is away\n");
	pass(world, 1000);
	is_told(world, "");
}

static void brackets_a_reload(void **state)
{
	struct world *world = *state;

	start(world, NULL);
	notify_ready(world->notify);
	is_told(world, "READY=1\nSTATUS=Serving\n");
	notify_reloading(world->notify, 123456);
	is_told(world, "RELOADING=1\nMONOTONIC_USEC=123456\n");
	notify_ready(world->notify);
	is_told(world, "READY=1\n");
}

static void says_for_how_long_it_stops(void **state)
{
	struct world *world = *state;

	start(world, NULL);
	notify_ready(world->notify);
	is_told(world, "READY=1\nSTATUS=Serving\n");
	world->status = "Draining";
	notify_stopping(world->notify, 45000000);
	is_told(world, "STOPPING=1\nEXTEND_TIMEOUT_USEC=45000000\nSTATUS=Draining\n");
	notify_ready(world->notify);
	notify_reloading(world->notify, 1);
	is_told(world, ""); /* it is not ready again */
}

static void feeds_the_watchdog_in_half_its_time(void **state)
{
	struct world *world = *state;

	start(world, WATCHDOG);
	pass(world, HALF_MS - 1);
	is_told(world, "");
	pass(world, 1);
	is_told(world, "WATCHDOG=1\n");
	pass(world, HALF_MS);
	is_told(world, "WATCHDOG=1\n");
}

static void starves_it_while_a_thread_is_stuck(void **state)
{
	struct world *world = *state;

	start(world, WATCHDOG);
	world->live = false;
	pass(world, HALF_MS);
	pass(world, HALF_MS);
	is_told(world, "");
	world->live = true;
	pass(world, HALF_MS);
	is_told(world, "WATCHDOG=1\n");
}

static void leaves_a_watchdog_of_another_process_alone(void **state)
{
	struct world *world = *state;
	const struct notify_variables other = {world->path, WATCHDOG, "1"};
	char pid[16];
	const struct notify_variables ours = {world->path, WATCHDOG, pid};

	assert_int_equal(try_to_start(world, &other), 0);
	pass(world, 5000);
	is_told(world, "");
	notify_free(world->notify);
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	assert_int_equal(try_to_start(world, &ours), 0);
	pass(world, HALF_MS);
	is_told(world, "WATCHDOG=1\n");
}

static void speaks_to_an_abstract_socket(void **state)
{
	struct world *world = *state;
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char name[64];
	const struct notify_variables variables = {name, NULL, NULL};
	int len = snprintf(name, sizeof(name), "@%s", world->path);

	memcpy(address.sun_path + 1, name + 1, (size_t)len - 1);
	close(world->manager);
	world->manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(world->manager, (struct sockaddr *)&address,
				 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)len)),
		0);
	assert_int_equal(try_to_start(world, &variables), 0);
	notify_ready(world->notify);
	is_told(world, "READY=1\nSTATUS=Serving\n");
}

static void nobody_to_tell_is_good(void **state)
{
	struct world *world = *state;
	const struct notify_variables none = {0}, empty = {"", NULL, NULL};

	assert_int_equal(try_to_start(world, &none), 0);
	assert_null(world->notify);
	assert_int_equal(try_to_start(world, &empty), 0);
	assert_null(world->notify);
	notify_ready(NULL);
	notify_reloading(NULL, 1);
	notify_stopping(NULL, 1);
	notify_free(NULL);
}

static void refuses_what_is_no_socket(void **state)
{
	struct world *world = *state;
	char longer[200];
	const struct notify_variables relative = {"notify", NULL, NULL}, nameless = {"@", NULL, NULL},
				      too_long = {longer, NULL, NULL};

	memset(longer, '/', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	assert_int_equal(try_to_start(world, &relative), -EINVAL);
	assert_int_equal(try_to_start(world, &nameless), -EINVAL);
	assert_int_equal(try_to_start(world, &too_long), -EINVAL);
	assert_null(world->notify);
}

static void a_manager_that_went_is_no_trouble(void **state)
{
	struct world *world = *state;

	start(world, WATCHDOG);
	close(world->manager);
	notify_ready(world->notify);
	pass(world, HALF_MS);
	world->manager = dup(STDERR_FILENO);
}

#define with_world(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_world(says_ready_with_a_status),
		with_world(says_a_status_only_when_it_changes),
		with_world(brackets_a_reload),
		with_world(says_for_how_long_it_stops),
		with_world(feeds_the_watchdog_in_half_its_time),
		with_world(starves_it_while_a_thread_is_stuck),
		with_world(leaves_a_watchdog_of_another_process_alone),
		with_world(speaks_to_an_abstract_socket),
		with_world(nobody_to_tell_is_good),
		with_world(refuses_what_is_no_socket),
		with_world(a_manager_that_went_is_no_trouble),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

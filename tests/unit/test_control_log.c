/* Control log: what bus/control_log.h promises: what was missed is carried out once, though a read fails. */

#include "bus/control_log.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "broker/broker.h"
#include "bus/bus_private.h"
#include "bus/control.h"
#include "core/buf.h"

struct world {
	struct broker broker; /* first: it is cast back */
	struct bus bus;
	broker_log_read_fn done;
	void *arg;
	struct buf said; /* "!N": carried out; "N": read for a revocation; ".": all was read */
};

static struct buf *said;

/* Stand in the place of src/bus: the linker finds these first. */
void control_take(struct control *control, struct slice payload)
{
	(void)control;
	buf_printf(said, "!%.*s ", (int)payload.len, payload.data);
}

void revoking_read_command(struct revoking *revoking, struct slice payload)
{
	(void)revoking;
	buf_printf(said, "%.*s ", (int)payload.len, payload.data);
}

void revoking_read_log(struct revoking *revoking)
{
	(void)revoking;
	buf_append_str(said, ". ");
}

static int fake_log_read(struct broker *broker, struct slice channel, uint64_t from, uint32_t count,
	uint64_t ttl_ms, broker_log_read_fn done, void *arg)
{
	struct world *world = (struct world *)broker;

	(void)channel;
	(void)from;
	(void)count;
	(void)ttl_ms;
	world->done = done;
	world->arg = arg;
	return 0;
}

static const struct broker_ops fake_ops = {.log_read = fake_log_read};

static struct position at(const char *epoch, uint64_t offset)
{
	struct position position = {.offset = offset};

	memcpy(position.epoch.text, epoch, strlen(epoch));
	return position;
}

/* The answer to the read: the commands 1 to n of so many. */
static void answer(struct world *world, const char *epoch, uint64_t n, uint64_t of)
{
	static const char *const texts[] = {"1", "2", "3"};
	struct broker_log_entry entries[3] = {0};
	struct position top = at(epoch, of);

	for (uint64_t i = 0; i < n; i++) {
		entries[i].offset = i + 1;
		entries[i].payload = slice_of(texts[i]);
	}
	world->done(world->arg, 0, &top, entries, n);
}

static void lose(struct world *world)
{
	world->done(world->arg, -ETIMEDOUT, NULL, NULL, 0);
}

static void says(struct world *world, const char *expected)
{
	assert_string_equal(buf_text(&world->said), expected);
	buf_reset(&world->said);
}

static int setup(void **state)
{
	struct world *world = calloc(1, sizeof(*world));

	assert_non_null(world);
	world->broker.ops = &fake_ops;
	world->bus.broker = &world->broker;
	world->bus.control.bus = &world->bus;
	world->bus.control.log.control = &world->bus.control;
	said = &world->said;
	*state = world;
	return 0;
}

static int teardown(void **state)
{
	struct world *world = *state;

	buf_deinit(&world->said);
	free(world);
	return 0;
}

static void what_was_missed_is_carried_out_and_nothing_else(void **state)
{
	struct world *world = *state;
	struct control_log *log = &world->bus.control.log;
	struct position missed = at("A", 2);

	control_log_read(log, &missed);
	answer(world, "A", 3, 3);
	says(world, "!1 !2 3 . ");
	control_log_read(log, NULL);
	answer(world, "A", 3, 3);
	says(world, "1 2 3 . ");
}

static void what_a_failed_read_left_is_carried_out_by_the_next(void **state)
{
	struct world *world = *state;
	struct control_log *log = &world->bus.control.log;
	struct position missed = at("A", 3);

	control_log_read(log, &missed);
	answer(world, "A", 1, 3);
	says(world, "!1 ");
	lose(world);
	says(world, ". ");
	control_log_read(log, NULL); /* after the reconnect */
	answer(world, "A", 3, 3);
	says(world, "1 !2 !3 . ");
}

static void what_was_left_of_a_log_that_is_gone_is_forgotten(void **state)
{
	struct world *world = *state;
	struct control_log *log = &world->bus.control.log;
	struct position missed = at("A", 3), in_the_new = at("B", 1);

	control_log_read(log, &missed);
	answer(world, "A", 2, 3);
	lose(world);
	says(world, "!1 !2 . ");
	control_log_read(log, NULL);
	control_log_read(log, &in_the_new); /* meanwhile */
	answer(world, "B", 2, 2);
	says(world, "1 2 ");
	answer(world, "B", 2, 2);
	says(world, "!1 2 . ");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_was_missed_is_carried_out_and_nothing_else),
		TEST(what_a_failed_read_left_is_carried_out_by_the_next),
		TEST(what_was_left_of_a_log_that_is_gone_is_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Loop: see the header. */

#include "support/loop.h"

#include <event2/event.h>

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
}

void loop_init(struct loop *loop)
{
	const struct timeval tick = {.tv_usec = 5000};

	loop->base = event_base_new();
	assert_non_null(loop->base);
	loop->tick = event_new(loop->base, -1, EV_PERSIST, on_tick, NULL);
	assert_non_null(loop->tick);
	event_add(loop->tick, &tick);
}

void loop_deinit(struct loop *loop)
{
	event_free(loop->tick);
	event_base_free(loop->base);
}

void loop_once(struct loop *loop)
{
	event_base_loop(loop->base, EVLOOP_ONCE);
}

void loop_turn(struct loop *loop)
{
	event_base_loop(loop->base, EVLOOP_NONBLOCK);
}

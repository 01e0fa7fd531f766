/* Leave: carries out what shutdown decides; see the header. */

#include "leave.h"

#include <errno.h>

#include <event2/event.h>

#include "core/clock.h"
#include "core/log.h"
#include "metrics/metrics.h"
#include "worker/worker.h"

enum {
	POLL_MS = 20, /* how often the workers are asked whether their clients are gone */
};

static void close_clients(struct leave *leave)
{
	const struct leave_party *party = &leave->party;
	uint64_t spread_ms = leave->shutdown.times.spread_ms;

	log_info(party->log, "closing clients", log_uint("spread_ms", spread_ms));
	for (unsigned int i = 0; i < party->n_workers; i++)
		worker_post_drain(party->workers[i], spread_ms, party->seed + i);
}

static void take_step(struct leave *leave, enum shutdown_step step, unsigned int n_left)
{
	switch (step) {
	case SHUTDOWN_WAIT:
	case SHUTDOWN_SAME: /* leave_ask() alone hears these two */
	case SHUTDOWN_ABORT:
		break;
	case SHUTDOWN_CLOSE:
		close_clients(leave);
		break;
	case SHUTDOWN_LATE:
		log_warn(leave->party.log, "shutdown deadline reached", log_uint("workers_left", n_left));
		leave->over = true;
		break;
	case SHUTDOWN_END:
		leave->over = true;
		break;
	}
}

static void on_poll(evutil_socket_t fd, short events, void *arg)
{
	struct leave *leave = arg;
	unsigned int n_left = leave->party.n_workers;

	(void)fd;
	(void)events;
	for (unsigned int i = 0; i < leave->party.n_workers; i++)
		n_left -= worker_drained(leave->party.workers[i]);
	take_step(leave, shutdown_poll(&leave->shutdown, n_left == 0, clock_monotonic_ms()), n_left);
}

int leave_init(struct leave *leave, struct event_base *base)
{
	leave->poll = event_new(base, -1, EV_PERSIST, on_poll, leave);
	return leave->poll ? 0 : -ENOMEM;
}

void leave_deinit(struct leave *leave)
{
	if (leave->poll)
		event_free(leave->poll);
	leave->poll = NULL;
}

void leave_set_party(struct leave *leave, const struct leave_party *party)
{
	leave->party = *party;
}

bool leave_ask(struct leave *leave, const struct shutdown_times *times, const char *signal)
{
	const struct leave_party *party = &leave->party;
	struct timeval interval = {0, POLL_MS * 1000};
	enum shutdown_step step = shutdown_ask(&leave->shutdown, times, clock_monotonic_ms());

	if (step == SHUTDOWN_SAME)
		return true;
	if (step == SHUTDOWN_ABORT) {
		log_warn(party->log, "ending at once", log_str("signal", signal));
		return false;
	}
	log_info(party->log, "shutting down", log_str("signal", signal),
		log_uint("delay_ms", times->delay_ms), log_uint("spread_ms", times->spread_ms),
		log_uint("timeout_ms", times->timeout_ms));
	metrics_set(party->metrics, METRIC_DRAINING, 1);
	event_add(leave->poll, &interval);
	take_step(leave, step, party->n_workers);
	return true;
}

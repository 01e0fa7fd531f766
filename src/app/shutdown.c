/* Shutdown: carries out what its plan decides; see the header. */

#include "app/shutdown.h"

#include <errno.h>

#include <event2/event.h>

#include "core/clock.h"
#include "core/log.h"
#include "metrics/metrics.h"
#include "worker/worker.h"

enum {
	POLL_MS = 20, /* how often the workers are asked whether their clients are gone */
};

static void close_clients(struct shutdown *shutdown)
{
	const struct shutdown_party *party = &shutdown->party;
	uint64_t spread_ms = shutdown->plan.times.spread_ms;

	log_info(party->log, "closing clients", log_uint("spread_ms", spread_ms));
	for (unsigned int i = 0; i < party->n_workers; i++)
		worker_post_drain(party->workers[i], spread_ms, party->seed + i);
}

static void take_step(struct shutdown *shutdown, enum shutdown_step step, unsigned int n_left)
{
	switch (step) {
	case SHUTDOWN_WAIT:
	case SHUTDOWN_SAME: /* shutdown_ask() alone hears these two */
	case SHUTDOWN_ABORT:
		break;
	case SHUTDOWN_CLOSE:
		close_clients(shutdown);
		break;
	case SHUTDOWN_LATE:
		log_warn(shutdown->party.log, "shutdown deadline reached", log_uint("workers_left", n_left));
		shutdown->over = true;
		break;
	case SHUTDOWN_END:
		shutdown->over = true;
		break;
	}
}

static void on_poll(evutil_socket_t fd, short events, void *arg)
{
	struct shutdown *shutdown = arg;
	unsigned int n_left = shutdown->party.n_workers;

	(void)fd;
	(void)events;
	for (unsigned int i = 0; i < shutdown->party.n_workers; i++)
		n_left -= worker_drained(shutdown->party.workers[i]);
	take_step(shutdown, shutdown_plan_poll(&shutdown->plan, n_left == 0, clock_monotonic_ms()), n_left);
}

int shutdown_init(struct shutdown *shutdown, struct event_base *base)
{
	shutdown->poll = event_new(base, -1, EV_PERSIST, on_poll, shutdown);
	return shutdown->poll ? 0 : -ENOMEM;
}

void shutdown_deinit(struct shutdown *shutdown)
{
	if (shutdown->poll)
		event_free(shutdown->poll);
	shutdown->poll = NULL;
}

void shutdown_set_party(struct shutdown *shutdown, const struct shutdown_party *party)
{
	shutdown->party = *party;
}

bool shutdown_ask(struct shutdown *shutdown, const struct shutdown_times *times, const char *signal)
{
	const struct shutdown_party *party = &shutdown->party;
	struct timeval interval = {0, POLL_MS * 1000};
	enum shutdown_step step = shutdown_plan_ask(&shutdown->plan, times, clock_monotonic_ms());

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
	event_add(shutdown->poll, &interval);
	take_step(shutdown, step, party->n_workers);
	return true;
}

/*
 * Run, the storm: while events go on all clients are cut off at once, and come back as fast as they are let
 * in.
 *
 * It is over when each of them was told what it has missed. What they were owed is counted at the end of the
 * run, as in any other: event by event, for each client.
 */

#include <errno.h>

#include "bench/run_private.h"
#include "core/clock.h"

bool run_is_storm(const struct run *run)
{
	return atomic_load(&run->shared.storm_from_us) && !atomic_load(&run->shared.storm_to_us);
}

/* As long as the warm-up: before the storm, so that the measured events have arrived, and behind it. */
static int rest(struct run *run)
{
	run->phase = "calm";
	return run_load_until(run, clock_monotonic_us() + (uint64_t)(run->plan->warmup_s * 1e6));
}

static uint64_t n_answered(const struct run *run)
{
	struct crowd_totals totals = run_totals(run);

	return totals.recovered + totals.unrecovered;
}

/* Until all are back, or nothing has happened for a long time. */
static int await_all(struct run *run)
{
	uint64_t moved_us = clock_monotonic_us(), before = 0, now = 0;
	int r = 0;

	while (r == 0 && now < run->plan->n_connections && !run->interrupted) {
		r = run_load_until(run, clock_monotonic_us() + RUN_POLL_MS * 1000);
		now = n_answered(run);
		if (now != before)
			moved_us = clock_monotonic_us();
		before = now;
		if (r == 0 && clock_monotonic_us() - moved_us > RUN_PATIENCE_US) {
			buf_printf(&run->error, "%lu of %u clients are back, and no more came: %s",
				(unsigned long)now, run->plan->n_connections, run_trouble(run));
			r = -ETIMEDOUT;
		}
	}
	return r;
}

int run_storm(struct run *run)
{
	struct report *report = &run->report;
	uint64_t from_us, delivered;
	int r;

	r = rest(run);
	if (r == 0)
		r = run_cost(run, &report->storm_from);
	if (r < 0)
		return r;
	run->phase = "storm";
	delivered = run_totals(run).delivered;
	from_us = clock_monotonic_us();
	atomic_store(&run->shared.storm_from_us, from_us);
	r = await_all(run);
	atomic_store(&run->shared.storm_to_us, clock_monotonic_us());
	report->storm_s = (double)(clock_monotonic_us() - from_us) / 1e6;
	report->storm_delivered = run_totals(run).delivered - delivered;
	if (r == 0)
		r = run_cost(run, &report->storm_to);
	return r == 0 ? rest(run) : r;
}

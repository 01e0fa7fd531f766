/* Holdings: what nodes hold on several servers side by side; see the header. */

#include "broker/redis/holdings.h"

#include <errno.h>
#include <stdlib.h>

#include "broker/redis/lease.h"

/* One question to several servers, and one answer of all. */
struct gathering {
	unsigned int n; /* calls that are not answered yet */
	int r;
	bool told; /* held() has heard names */
	broker_done_fn done;
	broker_held_fn held;
	void *arg;
};

static struct gathering *gathering_new(broker_done_fn done, broker_held_fn held, void *arg)
{
	struct gathering *gathering = malloc(sizeof(*gathering));

	if (gathering)
		*gathering = (struct gathering){.done = done, .held = held, .arg = arg};
	return gathering;
}

static void answered(struct gathering *gathering, int r)
{
	if (r < 0 && gathering->r == 0)
		gathering->r = r;
	if (--gathering->n)
		return;
	if (gathering->done)
		gathering->done(gathering->arg, gathering->r);
	else if (gathering->held && !gathering->told)
		gathering->held(gathering->arg, gathering->r, NULL, 0);
	free(gathering);
}

static void on_first(void *arg, int r)
{
	answered(arg, r);
}

/* The first server has all names. One that is away is told everything when it is back; one that refuses to
 * write (its library's complaint says so) must not hold up those that do. */
static void on_other(void *arg, int r)
{
	answered(arg, r == -ECANCELED ? r : 0);
}

static size_t pick(struct slice *picked, const struct slice *names, const unsigned char *places, size_t n,
	unsigned int place)
{
	size_t n_picked = 0;

	for (size_t i = 0; i < n; i++)
		if (places[i] == place)
			picked[n_picked++] = names[i];
	return n_picked;
}

int redis_holdings_hold(const struct redis_holdings *holdings, struct slice node, bool hold,
	const struct slice *names, const unsigned char *places, size_t n, broker_done_fn done, void *arg)
{
	struct gathering *gathering;
	struct slice picked[BROKER_HELD_MAX];
	int r = -ENOTCONN;

	if (!holdings->servers[0] || n > BROKER_HELD_MAX)
		return n > BROKER_HELD_MAX ? -EINVAL : -ENOTCONN;
	gathering = gathering_new(done, NULL, arg);
	if (!gathering)
		return -ENOMEM;
	r = redis_lease_hold(holdings->servers[0], node, hold, names, n, on_first, gathering);
	if (r < 0) {
		free(gathering);
		return r;
	}
	gathering->n = 1;
	for (unsigned int i = 1; i < holdings->n; i++) {
		struct redis_leases *server = holdings->servers[i];
		size_t n_picked = hold ? pick(picked, names, places, n, i) : n;

		if (!server || !n_picked)
			continue;
		/* What is let go may stand anywhere: the list may have been another when it was put there. */
		r = hold ? redis_lease_hold_there(server, node, picked, n_picked, on_other, gathering)
			 : redis_lease_hold(server, node, false, names, n, on_other, gathering);
		gathering->n += r == 0;
	}
	return 0;
}

/* Those of the first server that has any. */
static void on_some(void *arg, int r, const struct slice *names, size_t n)
{
	struct gathering *gathering = arg;

	if (r == 0 && n && !gathering->told) {
		gathering->told = true;
		gathering->held(gathering->arg, 0, names, n);
	}
	answered(gathering, r);
}

int redis_holdings_some(
	const struct redis_holdings *holdings, struct slice node, broker_held_fn done, void *arg)
{
	struct gathering *gathering = gathering_new(NULL, done, arg);

	if (!gathering)
		return -ENOMEM;
	for (unsigned int i = 0; i < holdings->n; i++) {
		struct redis_leases *server = holdings->servers[i];
		int r = server ? redis_lease_hold_some(server, node, on_some, gathering) : -ENOTCONN;

		if (r == 0)
			gathering->n++;
		else if (gathering->r == 0)
			gathering->r = r;
	}
	if (gathering->n == 0) {
		int r = gathering->r;

		free(gathering);
		return r;
	}
	return 0;
}

int redis_holdings_cleared(
	const struct redis_holdings *holdings, struct slice node, broker_done_fn done, void *arg)
{
	if (!holdings->servers[0])
		return -ENOTCONN;
	/* Where that fails it is sought, found to hold nothing, and forgotten, once more. */
	for (unsigned int i = 1; i < holdings->n; i++)
		if (holdings->servers[i])
			(void)redis_lease_forget(holdings->servers[i], node);
	return redis_lease_cleared(holdings->servers[0], node, done, arg);
}

void redis_holdings_seek(const struct redis_holdings *holdings, broker_held_fn each, void *arg)
{
	/* Where that fails the next time will do. */
	for (unsigned int i = 1; i < holdings->n; i++)
		if (holdings->servers[i])
			(void)redis_lease_holders(holdings->servers[i], each, arg);
}

/* Node lease: this node's word that it is there; see the header. */

#include "bus/node_lease.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "broker/broker.h"

static void take_name(struct node_lease *lease)
{
	snprintf(lease->node, sizeof(lease->node), "%s.%" PRIu64, lease->id, ++lease->generation);
	lease->held = false;
}

void node_lease_init(
	struct node_lease *lease, const struct node_lease_listener *listener, const char *id, uint64_t ttl_ms)
{
	*lease = (struct node_lease){.listener = *listener, .ttl_ms = ttl_ms};
	snprintf(lease->id, sizeof(lease->id), "%s", id);
	take_name(lease);
}

/* A word counts from when it was given, and a while less than Redis counts it: what is under way meanwhile
 * must arrive before others clear up. */
static uint64_t held_until(const struct node_lease *lease)
{
	return lease->asked_ms + lease->ttl_ms * 2 / 3;
}

static void on_renewed(void *arg, int r, bool held, struct slice dead)
{
	struct node_lease *lease = arg;

	lease->asked = false;
	if (r == -ENOTCONN)
		lease->since_ms = 0; /* the server of the leases is away, others may be there */
	if (r < 0 || lease->asked_generation != lease->generation)
		return; /* the next word follows */
	if (!held) {
		take_name(lease);
		lease->listener.lost(lease->listener.arg);
		return;
	}
	lease->held = true;
	lease->listener.held(lease->listener.arg, lease->node, held_until(lease));
	if (dead.len)
		lease->listener.dead(lease->listener.arg, dead);
}

static bool may_judge(const struct node_lease *lease, uint64_t now_ms)
{
	return lease->since_ms && now_ms - lease->since_ms >= lease->ttl_ms;
}

static void ask(struct node_lease *lease, uint64_t now_ms)
{
	const struct broker_lease word = {
		.node = slice_of(lease->node),
		.ttl_ms = lease->ttl_ms,
		.is_first = !lease->held,
		.judges = may_judge(lease, now_ms),
		.claim_ms = lease->ttl_ms,
		.claimed = lease->listener.busy(lease->listener.arg),
	};
	int r;

	lease->asked = true;
	lease->asked_ms = now_ms;
	lease->asked_generation = lease->generation;
	r = broker_lease(lease->broker, &word, on_renewed, lease);
	if (r == 0)
		return;
	lease->asked = false;
	if (r == -ENOTCONN)
		lease->since_ms = 0;
	if (r == -EOPNOTSUPP) /* the node is alone */
		lease->listener.held(lease->listener.arg, lease->node, UINT64_MAX);
}

void node_lease_tick(struct node_lease *lease, bool connected, uint64_t now_ms)
{
	if (!connected)
		lease->since_ms = 0;
	else if (!lease->since_ms)
		lease->since_ms = now_ms;
	if (connected && !lease->asked)
		ask(lease, now_ms);
	if (may_judge(lease, now_ms) && now_ms - lease->sought_ms >= lease->ttl_ms) {
		lease->sought_ms = now_ms;
		broker_seek_missed(lease->broker);
	}
}

void node_lease_renew(struct node_lease *lease)
{
	lease->since_ms = 0;
	if (!lease->held)
		return;
	node_lease_end(lease);
	take_name(lease);
	lease->listener.renewed(lease->listener.arg);
}

void node_lease_end(struct node_lease *lease)
{
	if (lease->held)
		(void)broker_end_lease(lease->broker, slice_of(lease->node), NODE_LEASE_END_MS, NULL, NULL);
	lease->held = false;
}

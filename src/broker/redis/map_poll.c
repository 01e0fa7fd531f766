/*
 * Redis map poll: asks who in a cluster has which slots. See map_poll.h.
 */

#include "broker/redis/map_poll.h"

#include <errno.h>

#include <event2/event.h>

#include "broker/redis/error.h"
#include "broker/redis/members.h"
#include "broker/redis/reply.h"
#include "broker/redis/server.h"
#include "broker/redis/settings.h"
#include "broker/redis/timer.h"
#include "core/clock.h"

enum {
	POLL_MS = 2000,     /* while all is well */
	POLL_SOON_MS = 250, /* while it is not */
	POLL_GAP_MS = 20,   /* between two, whatever happens: 256 of them saw 295 slots move, one by one */
};

void redis_map_poll_doubt(struct redis_map_poll *poll)
{
	uint64_t now_ms = clock_monotonic_ms();
	uint64_t since_ms = now_ms - poll->asked_ms;

	if (poll->stopped || poll->asked || event_pending(poll->timer, EV_TIMEOUT, NULL))
		return;
	redis_timer_set(poll->timer, since_ms >= poll->gap_ms ? 0 : (uint32_t)(poll->gap_ms - since_ms));
}

static void note(struct redis_map_poll *poll, struct slice where, const char *what)
{
	uint64_t suppressed;

	if (log_limit_allow(poll->log, &poll->complaint_limit, clock_monotonic_ms(), &suppressed))
		log_warn(poll->log, "redis: a server does not tell who is in the cluster",
			log_slice("redis", where), log_str("reason", what),
			log_uint("suppressed", suppressed));
}

/* What is wrong with an answer to CLUSTER SLOTS. */
static const char *fault_of(const struct redis_reply *reply, int r)
{
	struct slice text = redis_reply_text(reply, 0);

	if (reply->values[0].kind != REDIS_ERROR)
		return r == REDIS_SLOT_MAP_EMPTY ? "knows of no slots: is it in the cluster?"
						 : "answers CLUSTER SLOTS with what makes no sense";
	if (slice_starts(text, "NOPERM"))
		return "does not let us ask who is in the cluster: the user needs +cluster|slots";
	return redis_error_errno(text) == -EIO ? "is no cluster: write a list for several servers"
					       : "cannot say yet who is in the cluster";
}

/* True: it was a map. *goodp: and one by which every channel has its place. */
static bool take_answer(struct redis_map_poll *poll, const struct redis_reply *reply, struct slice host,
	struct slice where, const char **faultp, bool *goodp)
{
	struct redis_slot_map map = {0};
	int r = redis_slot_map_read(&map, reply, host);

	if (r == 0) {
		poll->mapped_ms = clock_monotonic_ms();
		*goodp = poll->listener.mapped(poll->listener.arg, &map);
		return true;
	}
	*faultp = fault_of(reply, r);
	note(poll, where, *faultp);
	return false;
}

static void on_slots(void *arg, const struct redis_reply *reply)
{
	struct redis_member *member = arg;
	struct redis_map_poll *poll = member->poll;
	const char *fault;
	bool good = false;

	if (poll->asked != member || poll->stopped)
		return; /* it was given up */
	poll->asked = NULL;
	if (!reply ||
		!take_answer(poll, reply, slice_of(member->at.host), redis_server_address(member->server),
			&fault, &good) ||
		!good)
		redis_map_poll_doubt(poll);
}

static void on_scouted(void *arg, const struct redis_reply *reply, struct slice asked)
{
	struct redis_map_poll *poll = arg;
	char where[REDIS_SCOUT_WHERE_SIZE];
	const char *fault;
	bool good;

	if (poll->stopped)
		return;
	redis_scout_where(&poll->scout, where);
	if (take_answer(poll, reply, asked, slice_of(where), &fault, &good))
		redis_scout_want(&poll->scout, false);
	else
		redis_scout_complain(&poll->scout, fault);
}

static bool ask(struct redis_map_poll *poll, struct redis_member *member)
{
	const struct slice argv[] = {slice_of("CLUSTER"), slice_of("SLOTS")};

	if (member->late || redis_server_ask(member->server, argv, 2, on_slots, member) < 0)
		return false;
	poll->asked = member;
	return true;
}

static struct redis_member *nth_member(const struct redis_map_poll *poll, size_t n)
{
	struct list *at = poll->members->all.next;

	while (n--)
		at = at->next;
	return list_entry(at, struct redis_member, link);
}

static void poll_map(struct redis_map_poll *poll)
{
	struct redis_member *next = poll->next;
	size_t n = redis_members_n(poll->members);

	poll->next = NULL;
	poll->asked_ms = clock_monotonic_ms();
	if (next && ask(poll, next))
		return;
	for (size_t i = 0; i < n; i++) {
		next = nth_member(poll, poll->n_polls++ % n);
		if (!next->left_ms && ask(poll, next))
			return;
	}
	redis_scout_want(&poll->scout, true);
}

static void on_time(evutil_socket_t fd, short what, void *arg)
{
	struct redis_map_poll *poll = arg;

	(void)fd;
	(void)what;
	if (poll->asked)
		return;
	poll->gap_ms = poll->gap_ms * 2 < POLL_SOON_MS ? poll->gap_ms * 2 : POLL_SOON_MS;
	poll_map(poll);
}

void redis_map_poll_changed(struct redis_map_poll *poll)
{
	poll->gap_ms = POLL_GAP_MS;
}

void redis_map_poll_forget(struct redis_map_poll *poll, const struct redis_member *member)
{
	if (poll->asked == member)
		poll->asked = NULL;
	if (poll->next == member)
		poll->next = NULL;
}

void redis_map_poll_tick(struct redis_map_poll *poll, uint64_t now_ms, bool is_settled)
{
	if (poll->asked && now_ms - poll->asked_ms >= REDIS_MEMBER_LATE_MS) {
		poll->asked = NULL;
		redis_map_poll_doubt(poll);
	}
	if (now_ms - poll->asked_ms >= (is_settled ? POLL_MS : POLL_SOON_MS))
		redis_map_poll_doubt(poll);
}

int redis_map_poll_init(struct redis_map_poll *poll, struct redis_settings *settings)
{
	poll->gap_ms = POLL_GAP_MS;
	poll->complaint_limit = (struct log_limit){.burst = 2, .interval_ms = 60 * 1000};
	poll->scout = (struct redis_scout){
		.listener = {poll, on_scouted},
		.base = poll->base,
		.tls = settings->options.tls,
		.element = &settings->element,
		.client_name = buf_text(&settings->client_name),
	};
	poll->timer = evtimer_new(poll->base, on_time, poll);
	if (!poll->timer || redis_scout_init(&poll->scout, settings->options.seed) < 0)
		return -ENOMEM;
	redis_scout_want(&poll->scout, true);
	return 0;
}

void redis_map_poll_deinit(struct redis_map_poll *poll)
{
	redis_scout_deinit(&poll->scout);
	if (poll->timer)
		event_free(poll->timer);
	poll->timer = NULL;
}

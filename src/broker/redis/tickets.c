/* Redis tickets: what a backend puts down for one client, who may take it once. See tickets.h. */

#include "broker/redis/tickets.h"

#include <errno.h>
#include <stdlib.h>

#include "broker/redis/errand.h"
#include "broker/redis/error.h"
#include "broker/redis/link.h"
#include "core/clock.h"

struct taking {
	struct redis_tickets *tickets;
	broker_ticket_fn done;
	void *arg;
};

void redis_tickets_start(const char *prefix, struct buf *out)
{
	buf_printf(out, "tg:t:%s", prefix);
}

int redis_tickets_init(struct redis_tickets *tickets, struct log *log, const char *prefix)
{
	*tickets =
		(struct redis_tickets){.log = log, .refused_limit = {.burst = 2, .interval_ms = 60 * 1000}};
	redis_tickets_start(prefix, &tickets->start);
	return tickets->start.failed ? -ENOMEM : 0;
}

void redis_tickets_deinit(struct redis_tickets *tickets)
{
	buf_deinit(&tickets->start);
}

/* What Redis says may quote the ticket, so only our own words go to the log. */
static void complain(struct redis_tickets *tickets, const char *reason, const char *remedy)
{
	uint64_t suppressed;

	if (log_limit_allow(tickets->log, &tickets->refused_limit, clock_monotonic_ms(), &suppressed))
		log_warn(tickets->log, "redis refused to look up a ticket", log_str("command", "GETDEL"),
			log_str("reason", reason), log_str("remedy", remedy),
			log_uint("suppressed", suppressed));
}

static int refusal(struct redis_tickets *tickets, struct slice text)
{
	int r;

	if (redis_error_names(text, "WRONGTYPE"))
		return BROKER_TICKET_UNKNOWN; /* the key is no string, so no backend meant it as a ticket */
	r = redis_error_errno(text);
	if (r == -EACCES)
		complain(tickets, "the gateway's user in Redis has no right to it", "+getdel on ~tg:t:*");
	else if (redis_error_is_unknown(text))
		complain(tickets, "this Redis does not know the command", "Redis 6.2 or newer");
	else if (r == -EIO)
		complain(tickets, "Redis answered with an error", "look into the log of Redis");
	return r;
}

static void on_answer(void *arg, const struct redis_reply *reply)
{
	struct taking *taking = arg;
	struct slice text = {0};
	int r = 0;

	if (!reply)
		r = taking->tickets->cancelled ? -ECANCELED : -ETIMEDOUT;
	else if (reply->values[0].kind == REDIS_STRING)
		text = redis_reply_text(reply, 0);
	else if (reply->values[0].kind == REDIS_NIL || reply->values[0].kind == REDIS_TOO_LARGE)
		r = BROKER_TICKET_UNKNOWN;
	else if (reply->values[0].kind == REDIS_ERROR)
		r = refusal(taking->tickets, redis_reply_text(reply, 0));
	else
		r = -EIO;
	taking->done(taking->arg, r, text);
	free(taking);
}

int redis_tickets_take(struct redis_tickets *tickets, struct redis_link *link, struct slice ticket,
	broker_ticket_fn done, void *arg)
{
	struct taking *taking = malloc(sizeof(*taking));
	struct buf key = {0};
	int r = -ENOMEM;

	buf_append(&key, tickets->start.data, tickets->start.len);
	buf_append(&key, ticket.data, ticket.len);
	if (taking && !key.failed) {
		*taking = (struct taking){tickets, done, arg};
		r = redis_ask(tickets->errands, link, (struct slice[]){slice_of("GETDEL"), buf_slice(&key)},
			2, on_answer, taking);
	}
	if (r < 0)
		free(taking);
	buf_deinit(&key);
	return r;
}

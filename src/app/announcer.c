/* Announcer: tells the other nodes about this one; see the header. */

#include "app/announcer.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include <event2/event.h>

#include "broker/broker.h"
#include "core/buf.h"
#include "core/clock.h"

struct announcer {
	struct broker *broker;
	struct announcer_source source;
	struct event *timer;
	uint64_t next_ms;   /* not before */
	uint64_t n_returns; /* of Redis, at the last try */
};

static bool is_due(const struct announcer *announcer, uint64_t now_ms)
{
	if (broker_state(announcer->broker) == BROKER_CONNECTING)
		return false;
	/* A Redis that was away may have lost what was said before. */
	return announcer->n_returns != broker_n_returns(announcer->broker) || now_ms >= announcer->next_ms;
}

static void announce(struct announcer *announcer, uint64_t now_ms)
{
	struct buf text = {0};
	int r = -ENOMEM;

	announcer->source.status(announcer->source.arg, &text);
	if (!text.failed)
		r = broker_announce(announcer->broker, buf_slice(&text), ANNOUNCER_TTL_MS);
	/* What cannot be sent now is tried again soon; where there are no other nodes, in its turn. */
	announcer->next_ms = now_ms + (r == 0 || r == -EOPNOTSUPP ? ANNOUNCER_MS : ANNOUNCER_AGAIN_MS);
	announcer->n_returns = broker_n_returns(announcer->broker);
	buf_deinit(&text);
}

static void on_timer(evutil_socket_t fd, short events, void *arg)
{
	struct announcer *announcer = arg;
	uint64_t now_ms = clock_monotonic_ms();

	(void)fd;
	(void)events;
	announcer->source.beat(announcer->source.arg);
	if (is_due(announcer, now_ms))
		announce(announcer, now_ms);
}

struct announcer *announcer_new(
	struct event_base *base, struct broker *broker, const struct announcer_source *source)
{
	const struct timeval interval = {0, ANNOUNCER_LOOK_MS * 1000};
	struct announcer *announcer = calloc(1, sizeof(*announcer));

	if (!announcer)
		return NULL;
	announcer->broker = broker;
	announcer->source = *source;
	announcer->timer = event_new(base, -1, EV_PERSIST, on_timer, announcer);
	if (!announcer->timer || event_add(announcer->timer, &interval) < 0)
		goto fail;
	return announcer;

fail:
	announcer_free(announcer);
	return NULL;
}

void announcer_free(struct announcer *announcer)
{
	if (!announcer)
		return;
	if (announcer->timer)
		event_free(announcer->timer);
	free(announcer);
}

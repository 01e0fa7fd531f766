/* Announcer: tells the other nodes about this one; see the header. */

#include "app/announcer.h"

#include <stdlib.h>

#include <event2/event.h>

#include "broker/broker.h"
#include "core/buf.h"
#include "core/clock.h"

struct announcer {
	struct broker *broker;
	struct announcer_source source;
	struct event *timer;
	uint64_t sent_ms; /* 0: not yet */
};

static void announce(struct announcer *announcer, uint64_t now_ms)
{
	struct buf text = {0};

	announcer->source.status(announcer->source.arg, &text);
	/* An announcement that cannot be sent now is tried again in a second. */
	if (!text.failed && broker_announce(announcer->broker, buf_slice(&text), ANNOUNCER_TTL_MS) == 0)
		announcer->sent_ms = now_ms;
	buf_deinit(&text);
}

static void on_timer(evutil_socket_t fd, short events, void *arg)
{
	struct announcer *announcer = arg;
	uint64_t now_ms = clock_monotonic_ms();

	(void)fd;
	(void)events;
	announcer->source.beat(announcer->source.arg);
	if (now_ms - announcer->sent_ms >= ANNOUNCER_MS)
		announce(announcer, now_ms);
}

struct announcer *announcer_new(
	struct event_base *base, struct broker *broker, const struct announcer_source *source)
{
	const struct timeval interval = {ANNOUNCER_LOOK_MS / 1000, 0};
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

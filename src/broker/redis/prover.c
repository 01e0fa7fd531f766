/*
 * Redis prover: sends the probe down one link of a server, and waits for it on the other. See prover.h.
 */

#include "broker/redis/prover.h"

#include <errno.h>
#include <string.h>

#include <event2/event.h>

#include "broker/redis/error.h"
#include "broker/redis/link.h"
#include "broker/redis/timer.h"
#include "core/clock.h"

enum {
	REASON_MAX = 120, /* bytes of Redis' words in a sentence of ours */
};

/* The reason why the probe does not come back. */
static const char *reason_of(struct redis_prover *prover)
{
	const char *said = prover->refusal.len ? buf_text(&prover->refusal) : NULL;

	return said ? said
		    : "a published probe did not come back: Redis is frozen or unreachable, or our "
		      "connections lead to different servers";
}

static void say_refusal(struct redis_prover *prover, struct slice text)
{
	buf_append_str(&prover->refusal, "Redis refuses PUBLISH "); /* first: the log cuts long sentences */
	buf_append(&prover->refusal, prover->channel.data, prover->channel.len);
	buf_append_str(&prover->refusal, ": ");
	buf_append(&prover->refusal, text.data, text.len < REASON_MAX ? text.len : REASON_MAX);
}

/*
 * The echo of the probe counts, and not the answer to it. But a refusal says why the echo will not come, and
 * on a fresh link that ends the link. On a link that was proven a refusal may pass (BUSY): the probe is
 * missed like any other, and sent once more.
 */
static void on_answer(void *arg, const struct redis_reply *reply)
{
	struct redis_prover *prover = arg;
	const char *hint;
	bool forbidden;
	struct slice text;

	if (!reply || reply->values[0].kind != REDIS_ERROR || !prover->commander)
		return;
	text = redis_reply_text(reply, 0);
	hint = redis_error_hint(text);
	forbidden = hint || slice_starts(text, "NOPERM");
	buf_reset(&prover->refusal);
	if (hint)
		buf_append_str(&prover->refusal, hint);
	else
		say_refusal(prover, text);
	if (forbidden || !prover->proven)
		redis_link_fail(prover->commander, forbidden ? REDIS_LINK_REFUSED : REDIS_LINK_LOST,
			reason_of(prover));
}

static void send_probe(struct redis_prover *prover)
{
	char token[REDIS_PROBE_TOKEN_MAX];
	const struct slice argv[] = {
		slice_of("PUBLISH"),
		prover->channel,
		{token, (size_t)redis_probe_token(&prover->probe, token)},
	};

	prover->sent_us = clock_monotonic_us();
	/* A probe that cannot be sent does not come back, and that is noticed like any other loss. */
	(void)redis_link_ask(prover->commander, argv, 3, on_answer, prover);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct redis_prover *prover = arg;
	uint32_t wait_ms = 0;

	(void)fd;
	(void)what;
	if (FAULT_OFF(prover, probe) && prover->proven)
		return;
	switch (redis_probe_step(&prover->probe, clock_monotonic_ms(),
		redis_link_heard_ms(prover->subscriber), redis_link_heard_ms(prover->commander), &wait_ms)) {
	case REDIS_PROBE_LOST:
		redis_prover_stop(prover);
		prover->listener.missed(prover->listener.arg, reason_of(prover));
		return;
	case REDIS_PROBE_SEND:
		send_probe(prover);
		break;
	case REDIS_PROBE_WAIT:
		break;
	}
	redis_timer_set(prover->timer, wait_ms);
}

int redis_prover_init(struct redis_prover *prover, struct event_base *base)
{
	prover->timer = evtimer_new(base, on_timer, prover);
	return prover->timer ? 0 : -ENOMEM;
}

void redis_prover_deinit(struct redis_prover *prover)
{
	if (prover->timer)
		event_free(prover->timer);
	buf_deinit(&prover->refusal);
}

void redis_prover_start(
	struct redis_prover *prover, struct redis_link *subscriber, struct redis_link *commander)
{
	prover->subscriber = subscriber;
	prover->commander = commander;
	prover->proven = false;
	buf_reset(&prover->refusal);
	redis_probe_start(&prover->probe);
	redis_timer_set(prover->timer, 0);
}

void redis_prover_stop(struct redis_prover *prover)
{
	prover->subscriber = prover->commander = NULL;
	event_del(prover->timer);
}

void redis_prover_echo(struct redis_prover *prover, struct slice token)
{
	if (!prover->commander || !redis_probe_echo(&prover->probe, token, clock_monotonic_ms()))
		return; /* the echo of an old probe, or somebody else's joke */
	buf_reset(&prover->refusal);
	if (redis_probe_is_newest(&prover->probe))
		prover->listener.measured(prover->listener.arg, clock_monotonic_us() - prover->sent_us);
	prover->proven = true;
	prover->listener.proven(prover->listener.arg);
	redis_timer_set(prover->timer, 0); /* finds out how long to wait now */
}

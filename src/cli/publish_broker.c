/* Publish broker: one event through a Redis broker; see the header. */

#include "cli/publish_broker.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <event2/event.h>

#include "broker/broker.h"
#include "cli/cli.h"
#include "cli/redis_session.h"
#include "config/config.h"
#include "core/buf.h"
#include "route/route.h"

enum {
	TIMEOUT_SECONDS = 5,
};

struct publication {
	struct redis_session session;
	const struct route_history *history;
	const struct cli_publication *wanted;
	bool is_sent;
	int status; /* of the process */
};

static void finish(struct publication *publication, const char *problem)
{
	publication->status = problem != NULL;
	if (problem)
		fprintf(stderr, "tidegate: publish: %s\n", problem);
	event_base_loopbreak(publication->session.base);
}

static void on_published(void *arg, int r, uint64_t n_receivers)
{
	struct publication *publication = arg;

	if (r == -ECANCELED)
		return;
	if (r == 0)
		printf("published, nodes subscribed in Redis: %" PRIu64 "\n", n_receivers);
	finish(publication, r == 0         ? NULL
			    : r == -EACCES ? "Redis refused it for want of rights"
					   : "Redis could not carry it out");
}

static void on_logged(void *arg, int r, const struct position *id, bool is_duplicate)
{
	struct publication *publication = arg;
	char pos[POSITION_TEXT_MAX];

	if (r == -ECANCELED)
		return;
	if (r < 0) {
		finish(publication, r == -EACCES ? "Redis refused it for want of rights"
						 : "Redis could not carry it out; is the library loaded? "
						   "(tidegate functions)");
		return;
	}
	position_format(id, pos);
	printf(is_duplicate ? "was in the channel's log already, under this key: %s\n"
			    : "published to the channel's log: %s\n",
		pos);
	finish(publication, NULL);
}

static int publish(struct publication *publication)
{
	const struct cli_publication *wanted = publication->wanted;

	return broker_publish(publication->session.broker, slice_of(wanted->channel), slice_of(wanted->json),
		on_published, publication);
}

static int publish_logged(struct publication *publication)
{
	const struct cli_publication *wanted = publication->wanted;
	struct broker_log_options options = {
		.size = publication->history->size,
		.ttl_ms = publication->history->ttl_ms,
		.key = {wanted->key, wanted->key ? strlen(wanted->key) : 0},
		.key_ttl_ms = BROKER_LOG_KEY_TTL_MS,
	};

	return broker_log_publish(publication->session.broker, slice_of(wanted->channel),
		slice_of(wanted->json), &options, on_logged, publication);
}

static void on_state(void *arg, enum broker_state state, const char *reason)
{
	struct publication *publication = arg;

	(void)reason; /* the broker's own lines say it */
	(void)state;  /* the server of another channel may be away */
	if (publication->is_sent || broker_channel_state(publication->session.broker,
					    slice_of(publication->wanted->channel)) != BROKER_READY)
		return;
	publication->is_sent = true;
	if ((publication->history ? publish_logged(publication) : publish(publication)) < 0)
		finish(publication, "Redis went away before anything was published");
}

static void on_event(void *arg, struct slice channel, struct slice payload)
{
	(void)arg; /* nothing was subscribed */
	(void)channel;
	(void)payload;
}

static void on_nothing(void *arg)
{
	(void)arg;
}

static void on_channel(void *arg, struct slice channel)
{
	(void)arg;
	(void)channel;
}

static void on_timeout(evutil_socket_t fd, short events, void *arg)
{
	(void)fd;
	(void)events;
	finish(arg, "Redis did not answer in time");
}

int publish_through_broker(const struct config *config, const struct route_history *history,
	const struct cli_publication *wanted)
{
	struct publication publication = {.history = history, .wanted = wanted, .status = 1};
	struct broker_listener listener = {
		&publication, on_event, on_nothing, on_channel, on_channel, on_state};
	struct timeval timeout = {TIMEOUT_SECONDS, 0};
	struct buf error = {0};

	if (redis_session_open(&publication.session, config, "publish", &listener, &error) < 0 ||
		event_base_once(
			publication.session.base, -1, EV_TIMEOUT, on_timeout, &publication, &timeout) < 0)
		fprintf(stderr, "tidegate: publish: %s\n", error.len ? buf_text(&error) : "out of memory");
	else
		event_base_dispatch(publication.session.base);
	redis_session_close(&publication.session);
	buf_deinit(&error);
	return publication.status;
}

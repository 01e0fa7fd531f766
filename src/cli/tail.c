/* `tidegate tail`: what a subscriber would see, one event a line. */

#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

#include <event2/event.h>

#include "broker/broker.h"
#include "channel_log/envelope.h"
#include "cli/admin_client.h"
#include "cli/redis_session.h"
#include "config/config.h"
#include "core/buf.h"
#include "core/clock.h"
#include "protocol/message.h"
#include "route/route.h"

static int fail(const char *sentence)
{
	fprintf(stderr, "tidegate: tail: %s\n", sentence);
	return 1;
}

static void print(void *arg, const char *data, size_t len)
{
	(void)arg;
	fwrite(data, 1, len, stdout);
	fflush(stdout);
}

/* Of what may be in a name only the percent sign means something in a query. */
static void write_query(struct buf *path, const char *key, const char *channel)
{
	buf_append_str(path, key);
	for (; *channel; channel++)
		buf_append_str(path, *channel == '%' ? "%25" : (char[]){*channel, '\0'});
}

static int through_admin(const struct config *config, char *const *channels, int n)
{
	struct buf path = {0}, error = {0};
	int status;

	buf_append_str(&path, "/tail?");
	for (int i = 0; i < n; i++)
		write_query(&path, i ? "&channel=" : "channel=", channels[i]);
	status = admin_request_send(config, buf_text(&path), NULL, 0, print, NULL, &error);
	if (status == 200)
		buf_append_str(&error, "the gateway ended the connection");
	fail(buf_text(&error) ? buf_text(&error) : "out of memory");
	buf_deinit(&path);
	buf_deinit(&error);
	return 1;
}

static void on_event(void *arg, struct slice channel, struct slice payload)
{
	struct envelope envelope;
	struct slice at = {0};
	struct message *event;
	char pos[POSITION_TEXT_MAX];
	int r = envelope_parse(payload, &envelope);

	if (r == 0) {
		struct position position = {envelope.epoch, envelope.offset, envelope.tag};

		at = (struct slice){pos, position_format(&position, pos)};
		payload = envelope.payload;
	}
	r = message_from_event(
		message_channel(channel), payload, at, clock_wall_ms(), clock_monotonic_us(), &event);

	if (r) {
		fprintf(stderr, "tidegate: tail: an event of %.*s is not JSON; subscribers do not get it\n",
			(int)channel.len, channel.data);
		return;
	}
	print(arg, message_text(event).data, message_text(event).len);
	print(arg, "\n", 1);
	message_unref(event);
}

static void on_drained(void *arg)
{
	(void)arg;
}

static void on_subscribed(void *arg, struct slice channel)
{
	(void)arg;
	fprintf(stderr, "tidegate: listening to %.*s\n", (int)channel.len, channel.data);
}

static void on_lost(void *arg, struct slice channel)
{
	(void)arg; /* the broker's own log lines say it */
	(void)channel;
}

static void on_state(void *arg, enum broker_state state, const char *reason)
{
	(void)arg; /* likewise */
	(void)state;
	(void)reason;
}

static int listen_forever(struct event_base *base, struct broker *broker, char *const *channels, int n)
{
	for (int i = 0; i < n; i++)
		if (broker_subscribe(broker, slice_of(channels[i])) < 0)
			return fail("out of memory");
	event_base_dispatch(base); /* until a signal ends the process */
	return 0;
}

static int through_redis(const struct config *config, char *const *channels, int n)
{
	struct broker_listener listener = {NULL, on_event, on_drained, on_subscribed, on_lost, on_state};
	struct redis_session session;
	struct buf error = {0};
	int r = 1;

	if (redis_session_open(&session, config, "tail", &listener, &error) < 0)
		fail(buf_text(&error));
	else
		r = listen_forever(session.base, session.broker, channels, n);
	redis_session_close(&session);
	buf_deinit(&error);
	return r;
}

int cli_tail(const struct config *config, char *const *channels, int n)
{
	for (int i = 0; i < n; i++) {
		if (!route_channel_valid(channels[i], strlen(channels[i]))) {
			fprintf(stderr,
				"tidegate: tail: word %d is no channel name: ids of A-Z a-z 0-9 . _ ~ - "
				"and %%XX, joined by ':'\n",
				i + 1);
			return EXIT_USAGE;
		}
	}
	return *config->redis ? through_redis(config, channels, n) : through_admin(config, channels, n);
}

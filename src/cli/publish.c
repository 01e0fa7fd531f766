/* `tidegate publish`: one event, through Redis or through the admin port. */

#include "cli/cli.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <hiredis.h>

#include "broker/broker.h"
#include "broker/redis/url.h"
#include "cli/admin_client.h"
#include "cli/publish_broker.h"
#include "cli/redis_once.h"
#include "config/config.h"
#include "core/buf.h"
#include "protocol/json.h"
#include "protocol/message.h"
#include "route/route.h"

enum {
	SHOWN_BYTES = 24, /* of what is wrong: enough to find it in one's own command */
};

static int fail(const char *sentence)
{
	fprintf(stderr, "tidegate: publish: %s\n", sentence);
	return 1;
}

static int through_redis(const struct config *config, const char *channel, const char *json)
{
	struct buf error = {0}, name = {0};
	redisContext *redis = redis_once_connect(config->redis, &error);
	redisReply *reply = NULL;
	int r = 1;

	buf_printf(&name, "%s%s", config->channel_prefix, channel);
	if (redis)
		reply = redisCommand(redis, "PUBLISH %b %b", name.data, name.len, json, strlen(json));
	if (!redis)
		fail(buf_text(&error));
	else if (!reply)
		fail(redis->errstr);
	else if (reply->type != REDIS_REPLY_INTEGER)
		fail(reply->str ? reply->str : "Redis answered something else than a number");
	else
		r = printf("published, nodes subscribed in Redis: %lld\n", reply->integer) < 0;
	freeReplyObject(reply);
	if (redis)
		redisFree(redis);
	buf_deinit(&name);
	buf_deinit(&error);
	return r;
}

static int through_admin(const struct config *config, const struct cli_publication *wanted)
{
	struct buf body = {0}, answer = {0}, error = {0};
	int status;

	buf_printf(&body, "{\"channel\":\"%s\",\"payload\":%s", wanted->channel, wanted->json);
	if (wanted->history)
		buf_append_str(&body, ",\"history\":true");
	if (wanted->key) {
		buf_append_str(&body, ",\"idempotency_key\":");
		buf_append_json_string(&body, wanted->key, strlen(wanted->key));
	}
	buf_append_char(&body, '}');
	status = admin_request_whole(config, "/publish", body.data, body.len, &answer, &error);
	if (status == 200)
		puts("published through the gateway's admin port");
	else
		fail(buf_text(&error) ? buf_text(&error) : "out of memory");
	buf_deinit(&body);
	buf_deinit(&answer);
	buf_deinit(&error);
	return status != 200;
}

/* Then a connection is all that it takes, and no more rights than to publish. */
static bool is_one_server_without_tls(const char *text)
{
	struct redis_url url;
	struct buf ignored = {0};
	bool is_one = redis_url_parse(text, &url, &ignored) == 0 && !url.tls;

	redis_url_deinit(&url);
	buf_deinit(&ignored);
	return is_one;
}

/* To the channel's log as well, if its route keeps one, or if that was asked for. */
static int to_redis(const struct config *config, const struct cli_publication *wanted)
{
	static const struct route_history unless_said = {ROUTE_HISTORY_SIZE, ROUTE_HISTORY_TTL_MS, false};
	const struct route_history *history = route_table_history(config->routes, slice_of(wanted->channel));

	if (!history && (wanted->history || wanted->key))
		history = &unless_said;
	/* A broker wants to hear its probe. */
	return history || !is_one_server_without_tls(config->redis)
		       ? publish_through_broker(config, history, wanted)
		       : through_redis(config, wanted->channel, wanted->json);
}

static bool is_key(const char *key)
{
	return !key || (*key && strlen(key) <= BROKER_LOG_KEY_MAX);
}

/* The shell takes quotes away, and then the place says more than the fact. */
static int refuse_json(const char *json, int r)
{
	size_t len = strlen(json);
	size_t at = json_fault(json, len, MESSAGE_DEPTH_MAX);
	struct buf error = {0};

	if (r == JSON_TOO_DEEP)
		buf_printf(&error, "nested deeper than %d at byte %zu", MESSAGE_DEPTH_MAX, at + 1);
	else if (at >= len)
		buf_append_str(
			&error, len ? "not valid JSON: it ends too early" : "not valid JSON: it is empty");
	else
		buf_printf(&error, "not valid JSON at byte %zu: ", at + 1);
	if (r != JSON_TOO_DEEP && at < len)
		buf_append_json_string(&error, json + at, strnlen(json + at, SHOWN_BYTES));
	fprintf(stderr, "tidegate: publish: the event is %s\n",
		buf_text(&error) ? buf_text(&error) : "not valid JSON");
	buf_deinit(&error);
	return EXIT_USAGE;
}

int cli_publish(const struct config *config, const struct cli_publication *wanted)
{
	const char *channel = wanted->channel, *json = wanted->json;
	bool is_object;
	int r;

	if (!route_channel_valid(channel, strlen(channel))) {
		fputs("tidegate: publish: that is no channel name: ids of A-Z a-z 0-9 . _ ~ - and "
		      "%XX, joined by ':'\n",
			stderr);
		return EXIT_USAGE;
	}
	r = json_check(json, strlen(json), MESSAGE_DEPTH_MAX, NULL, 0, &is_object);
	if (r)
		return refuse_json(json, r);
	if (!is_key(wanted->key)) {
		fprintf(stderr, "tidegate: publish: --key takes 1 to %d bytes\n", BROKER_LOG_KEY_MAX);
		return EXIT_USAGE;
	}
	return *config->redis ? to_redis(config, wanted) : through_admin(config, wanted);
}

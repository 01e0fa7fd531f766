/* Redis once: a blocking connection for the command line; see the header. */

#include "cli/redis_once.h"

#include <sys/time.h>

#include <hiredis.h>

#include "broker/redis/url.h"
#include "core/buf.h"

enum {
	TIMEOUT_SECONDS = 5,
};

/* 0, or -1 with the sentence. Frees the reply. */
static int expect_ok(redisContext *redis, redisReply *reply, struct buf *error)
{
	int r = reply && reply->type != REDIS_REPLY_ERROR ? 0 : -1;

	if (r < 0)
		buf_printf(error, "Redis refused: %s", reply ? reply->str : redis->errstr);
	freeReplyObject(reply);
	return r;
}

static int greet(redisContext *redis, const struct redis_url *url, struct buf *error)
{
	int r = 0;

	if (url->password && url->user)
		r = expect_ok(redis, redisCommand(redis, "AUTH %s %s", url->user, url->password), error);
	else if (url->password)
		r = expect_ok(redis, redisCommand(redis, "AUTH %s", url->password), error);
	if (r == 0 && url->db)
		r = expect_ok(redis, redisCommand(redis, "SELECT %d", url->db), error);
	return r;
}

struct redisContext *redis_once_connect(const char *text, struct buf *error)
{
	struct timeval timeout = {TIMEOUT_SECONDS, 0};
	struct redis_url url;
	redisContext *redis;

	if (redis_url_parse(text, &url, error) < 0)
		return NULL;
	if (url.tls) {
		buf_append_str(error, "this command speaks no TLS: write redis://");
		redis_url_deinit(&url);
		return NULL;
	}
	redis = url.unix_path ? redisConnectUnixWithTimeout(url.unix_path, timeout)
			      : redisConnectWithTimeout(url.host, url.port, timeout);
	if (!redis || redis->err || redisSetTimeout(redis, timeout) < 0 || greet(redis, &url, error) < 0) {
		if (!error->len) {
			buf_append_str(error, "cannot reach Redis at ");
			redis_url_describe(&url, error);
			buf_printf(error, ": %s", redis ? redis->errstr : "out of memory");
		}
		if (redis)
			redisFree(redis);
		redis = NULL;
	}
	redis_url_deinit(&url);
	return redis;
}

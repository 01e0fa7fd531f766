/*
 * Redis script: tidegate.lua in the forms that servers take. See script.h.
 */

#include "broker/redis/script.h"

#include <stdlib.h>
#include <string.h>

#include "broker/redis_broker.h"
#include "core/buf.h"

/* Line by line, because one literal of this length is more than C promises to take. */
static const char *const lines[] = {
#include "broker/redis/tidegate_lua.h"
};

static const struct {
	const char *name;
	const char *call;
	const char *needs;
} functions[N_REDIS_FUNCTIONS] = {
	[REDIS_FUNCTION_PUBLISH] = {"tidegate_publish", "return publish(KEYS, ARGV)\n",
		"+hmget +hset +get +set +xadd +pexpire +del +time +publish and the channel"},
	[REDIS_FUNCTION_READ] = {"tidegate_read", "return read(KEYS, ARGV)\n",
		"+hmget +hset +xrange +pexpire +del +time"},
	[REDIS_FUNCTION_ACTION] = {"tidegate_action", "return action(KEYS, ARGV)\n",
		"+xlen +xadd +time and the stream"},
	[REDIS_FUNCTION_PRESENCE] = {"tidegate_presence", "return presence(KEYS, ARGV)\n",
		"+hget +hset +hdel +hlen, and what tidegate_publish needs"},
	[REDIS_FUNCTION_LEAVE] = {"tidegate_leave", "return leave(KEYS, ARGV)\n",
		"+hscan +hget +hset +hdel +hlen, and what tidegate_publish needs"},
	[REDIS_FUNCTION_PRESENT] = {"tidegate_present", "return present(KEYS, ARGV)\n", "+hscan +hget +hlen"},
	[REDIS_FUNCTION_LEASE] = {"tidegate_lease", "return lease(KEYS, ARGV)\n",
		"+zadd +zrem +zscore +zrangebyscore +time"},
	[REDIS_FUNCTION_HOLDS] = {"tidegate_holds", "return holds(KEYS, ARGV)\n", "+sadd +srem +srandmember"},
	[REDIS_FUNCTION_SESSION] = {"tidegate_session", "return session(KEYS, ARGV)\n",
		"+xlen +xadd +hget +hset +hdel +hincrby +persist +time and the stream"},
	[REDIS_FUNCTION_LOST] = {"tidegate_lost", "return lost(KEYS, ARGV)\n",
		"+xlen +xadd +hget +hdel +hlen +hincrby +hscan +pexpire +time and the stream"},
};

static void append_from(size_t first, struct buf *out)
{
	for (size_t i = first; i < sizeof(lines) / sizeof(*lines); i++)
		buf_append_str(out, lines[i]);
}

void redis_script_library(struct buf *out)
{
	append_from(0, out);
}

void redis_script_of(enum redis_function function, struct buf *out)
{
	append_from(1, out);
	buf_append_str(out, functions[function].call);
}

const char *redis_function_name(enum redis_function function)
{
	return functions[function].name;
}

const char *redis_function_needs(enum redis_function function)
{
	return functions[function].needs;
}

uint32_t redis_script_version(void)
{
	static const char start[] = "local VERSION = ";

	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++)
		if (strncmp(lines[i], start, strlen(start)) == 0)
			return (uint32_t)strtoul(lines[i] + strlen(start), NULL, 10);
	return 0;
}

void redis_broker_library(struct buf *out)
{
	redis_script_library(out);
}

/*
 * Redis complaint: what a server refuses of our library. See complaint.h.
 */

#include "broker/redis/complaint.h"

#include <errno.h>
#include <string.h>

#include "broker/redis/error.h"
#include "core/clock.h"

enum {
	REASON_MAX = 200, /* bytes of Redis' words in ours */
};

static const char remedy[] = "tidegate functions | redis-cli -x FUNCTION LOAD REPLACE";

void redis_complaint_deinit(struct redis_complaint *complaint)
{
	buf_deinit(&complaint->text);
}

static void keep(
	struct redis_complaint *complaint, enum redis_function about, const char *command, struct slice error)
{
	complaint->about = about;
	buf_reset(&complaint->text);
	buf_append_str(&complaint->text, command);
	buf_append_str(&complaint->text, ": ");
	buf_append(&complaint->text, error.data, error.len < REASON_MAX ? error.len : REASON_MAX);
}

/* The rights that the user lacks: to call functions at all, or to do what this one does. */
static const char *needs(enum redis_function function, struct slice error)
{
	static const char call[] = "'fcall";

	return memmem(error.data, error.len, call, sizeof(call) - 1) ? "+fcall, see docs/redis.md"
								     : redis_function_needs(function);
}

void redis_complaint_call(struct redis_complaint *complaint, enum redis_function function,
	const char *command, struct slice key, struct slice error)
{
	const char *name = redis_function_name(function);
	bool forbidden = redis_error_errno(error) == -EACCES;
	uint64_t suppressed;

	if (forbidden)
		keep(complaint, function, name, error);
	if (log_limit_allow(complaint->log, &complaint->limit, clock_monotonic_ms(), &suppressed))
		log_warn(complaint->log, "redis refused a call of our library",
			log_slice("redis", complaint->where), log_str("command", command),
			log_str("function", name), log_slice("key", key), log_slice("reason", error),
			log_str("needs", forbidden ? needs(function, error) : NULL),
			log_uint("suppressed", suppressed));
}

void redis_complaint_library(struct redis_complaint *complaint, const char *command, struct slice error)
{
	bool may_not_load = strcmp(command, "FUNCTION LOAD") == 0;

	keep(complaint, REDIS_FUNCTION_READ, command, error);
	if (complaint->said_failed)
		return;
	complaint->said_failed = true;
	if (may_not_load)
		log_warn(complaint->log,
			"redis does not let us load our library, history needs it loaded by hand",
			log_slice("redis", complaint->where), log_str("command", command),
			log_slice("reason", error), log_str("remedy", remedy));
	else
		log_warn(complaint->log, "redis does not let us call functions, history does not work",
			log_slice("redis", complaint->where), log_str("command", command),
			log_slice("reason", error), log_str("needs", "+fcall, see docs/redis.md"));
}

void redis_complaint_note(struct redis_complaint *complaint, const char *message, struct slice reason)
{
	uint64_t suppressed;

	if (log_limit_allow(complaint->log, &complaint->limit, clock_monotonic_ms(), &suppressed))
		log_line(complaint->log, LOG_WARN, message,
			LOG_FIELDS(log_slice("redis", complaint->where), log_slice("reason", reason),
				log_uint("suppressed", suppressed)));
}

void redis_complaint_answered(struct redis_complaint *complaint, enum redis_function function)
{
	if (complaint->about == function)
		buf_reset(&complaint->text);
}

/* After a connect everybody expects the library to be found: that is no news. */
void redis_complaint_over(struct redis_complaint *complaint, bool was_missed)
{
	bool is_news = was_missed || complaint->said_failed;

	log_line(complaint->log, is_news ? LOG_INFO : LOG_DEBUG, "redis has our library again",
		LOG_FIELDS(
			log_slice("redis", complaint->where), log_uint("version", redis_script_version())));
	if (complaint->said_failed)
		buf_reset(&complaint->text);
	complaint->said_failed = false;
}

void redis_complaint_forget(struct redis_complaint *complaint)
{
	buf_reset(&complaint->text);
}

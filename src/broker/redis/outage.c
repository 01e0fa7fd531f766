/*
 * Redis outage: since when Redis is away, why, and what is said about it. See outage.h.
 */

#include "broker/redis/outage.h"

#include <errno.h>

#include "core/log.h"

enum {
	REMIND_MS = 60 * 1000,
};

static struct log_field log_where(const struct redis_outage *outage)
{
	return log_slice("redis", outage->where);
}

static void restart(struct redis_outage *outage, uint64_t now_ms)
{
	outage->since_ms = now_ms;
	outage->reminded_ms = now_ms;
	outage->n_attempts = 0;
}

int redis_outage_init(struct redis_outage *outage, struct log *log, struct slice where, uint64_t now_ms)
{
	*outage = (struct redis_outage){.log = log, .where = where};
	restart(outage, now_ms);
	redis_outage_because(outage, "not connected yet");
	return outage->reason.failed ? -ENOMEM : 0;
}

void redis_outage_deinit(struct redis_outage *outage)
{
	buf_deinit(&outage->reason);
}

void redis_outage_because(struct redis_outage *outage, const char *reason)
{
	buf_reset(&outage->reason);
	buf_append_str(&outage->reason, reason);
}

const char *redis_outage_reason(struct redis_outage *outage)
{
	const char *text = buf_text(&outage->reason);

	return text ? text : "out of memory";
}

void redis_outage_begin(struct redis_outage *outage, uint64_t now_ms)
{
	log_warn(outage->log, "redis is lost, dialling again", log_where(outage),
		log_str("reason", redis_outage_reason(outage)));
	restart(outage, now_ms);
}

void redis_outage_goes_on(struct redis_outage *outage, uint64_t now_ms)
{
	enum log_level level = LOG_DEBUG;
	const char *message = "redis: attempt failed";

	if (!outage->was_ready && outage->n_attempts == 1) {
		level = LOG_WARN;
		message = "redis cannot be reached, trying on";
	} else if (now_ms - outage->reminded_ms >= REMIND_MS) {
		level = LOG_WARN;
		message = "redis is still away";
		outage->reminded_ms = now_ms;
	}
	log_line(outage->log, level, message,
		LOG_FIELDS(log_where(outage), log_str("reason", redis_outage_reason(outage)),
			log_uint("away_ms", now_ms - outage->since_ms),
			log_uint("attempts", outage->n_attempts)));
}

void redis_outage_end(struct redis_outage *outage, uint64_t now_ms, size_t n_channels)
{
	const char *message = outage->was_ready ? "redis is back" : "redis is ready";

	log_info(outage->log, message, log_where(outage), log_uint("away_ms", now_ms - outage->since_ms),
		log_uint("attempts", outage->n_attempts), log_uint("channels", n_channels));
	outage->was_ready = true;
	restart(outage, now_ms);
}

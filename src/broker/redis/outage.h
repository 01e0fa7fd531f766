#ifndef TIDEGATE_BROKER_REDIS_OUTAGE_H
#define TIDEGATE_BROKER_REDIS_OUTAGE_H

/*
 * Redis outage: since when Redis is away, why, and what is said about it.
 *
 * An outage is two lines in the log, however long it lasts and however often it was dialled in vain, and a
 * reminder a minute. The time before Redis was ready for the first time is one too. Time is handed in.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/slice.h"

struct log;

struct redis_outage {
	struct log *log;
	struct slice where;   /* which Redis; borrowed for its life */
	struct buf reason;    /* of the last attempt, or of the loss */
	uint64_t since_ms;    /* when this outage began, or when the last one ended */
	uint64_t reminded_ms; /* when the log heard of it last */
	uint64_t n_attempts;  /* dials in this outage */
	bool was_ready;       /* ever */
};

/* Begins with an outage that was not logged yet: Redis is not connected. 0 or -ENOMEM. */
int redis_outage_init(struct redis_outage *outage, struct log *log, struct slice where, uint64_t now_ms);
void redis_outage_deinit(struct redis_outage *outage);

/* Sets the reason that the next line about the outage will give: one sentence, copied. */
void redis_outage_because(struct redis_outage *outage, const char *reason);
const char *redis_outage_reason(struct redis_outage *outage);

/* It was ready, and is lost. */
void redis_outage_begin(struct redis_outage *outage, uint64_t now_ms);

/* Dialled in vain. */
void redis_outage_goes_on(struct redis_outage *outage, uint64_t now_ms);

/* It is ready. */
void redis_outage_end(struct redis_outage *outage, uint64_t now_ms, size_t n_channels);

#endif

#ifndef TIDEGATE_BENCH_LOG_CALL_H
#define TIDEGATE_BENCH_LOG_CALL_H

/*
 * Log call: events of one channel that go into its log together, as a call of our library in Redis: by
 * tidegate_publish(), or by tidegate_publish_all() if there are several.
 *
 * Zeroed memory is an empty call.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"

struct log_call {
	struct buf payloads; /* as words of the call; the first is payloads.data[0, first_len) */
	size_t first_len;
	uint32_t n_payloads;
	uint32_t n; /* the number of their channel */
};

void log_call_deinit(struct log_call *call);

/* May an event of channel number n be added? Otherwise the call has to go first. */
bool log_call_takes(const struct log_call *call, uint32_t n);
void log_call_add(struct log_call *call, uint32_t n, const char *text, size_t len);

/* Appends the call for this channel to the queue, and is empty again. */
void log_call_write(struct log_call *call, const char *channel, struct buf *queue);

#endif

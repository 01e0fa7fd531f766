/*
 * Redis probe: the token that must come back. See probe.h.
 */

#include "broker/redis/probe.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
	MISSES_MAX = 2, /* docs/recovery-protocol.md R10: two tries */
	TRIES_MAX = 10, /* with traffic all the while: 20 s behind with the default timeout is too far */
	TOKEN_DIGITS_MAX = 19, /* any 19 digits fit into the sequence */
};

void redis_probe_start(struct redis_probe *probe)
{
	probe->waiting = false;
	probe->oldest = probe->sequence + 1;
	probe->proven_ms = 0;
	probe->n_missed = 0;
	probe->n_tries = 0;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* The time for a try is over. True if that was one miss too many. */
static bool probe_missed(struct redis_probe *probe, uint64_t heard_ms)
{
	probe->waiting = false;
	if (heard_ms > probe->tried_ms)
		probe->n_missed = 0;
	else
		probe->n_missed++;
	return probe->n_missed >= MISSES_MAX || probe->n_tries >= TRIES_MAX;
}

enum redis_probe_step redis_probe_step(struct redis_probe *probe, uint64_t now_ms,
	uint64_t subscriber_heard_ms, uint64_t commander_heard_ms, uint32_t *wait_msp)
{
	uint64_t heard_ms = earlier(subscriber_heard_ms, commander_heard_ms);
	uint64_t due_ms = 0; /* at once, until the first echo */

	if (probe->waiting && now_ms < probe->tried_ms + probe->timeout_ms) {
		*wait_msp = (uint32_t)(probe->tried_ms + probe->timeout_ms - now_ms);
		return REDIS_PROBE_WAIT;
	}
	if (probe->waiting && probe_missed(probe, heard_ms))
		return REDIS_PROBE_LOST;
	if (probe->proven_ms && !probe->n_tries)
		due_ms = heard_ms + probe->idle_ms;
	if (now_ms < due_ms) {
		*wait_msp = (uint32_t)(due_ms - now_ms);
		return REDIS_PROBE_WAIT;
	}
	probe->waiting = true;
	probe->sequence++;
	probe->n_tries++;
	probe->tried_ms = now_ms;
	*wait_msp = probe->timeout_ms;
	return REDIS_PROBE_SEND;
}

int redis_probe_token(const struct redis_probe *probe, char token[REDIS_PROBE_TOKEN_MAX])
{
	return snprintf(token, REDIS_PROBE_TOKEN_MAX, "%" PRIu64, probe->sequence);
}

bool redis_probe_echo(struct redis_probe *probe, struct slice token, uint64_t now_ms)
{
	uint64_t sequence = 0;

	if (token.len == 0 || token.len > TOKEN_DIGITS_MAX)
		return false;
	for (size_t i = 0; i < token.len; i++) {
		if (token.data[i] < '0' || token.data[i] > '9')
			return false;
		sequence = sequence * 10 + (uint64_t)(token.data[i] - '0');
	}
	if (sequence < probe->oldest || sequence > probe->sequence)
		return false;
	probe->oldest = sequence + 1;
	probe->waiting = false;
	probe->n_missed = 0;
	probe->n_tries = 0;
	probe->proven_ms = now_ms;
	return true;
}

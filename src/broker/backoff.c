/*
 * Backoff: the waits between attempts, longer and longer, never in step with other nodes. See backoff.h.
 */

#include "broker/backoff.h"

/* splitmix64: one multiplication chain, any seed is good. https://prng.di.unimi.it/splitmix64.c */
static uint64_t backoff_random(struct backoff *backoff)
{
	uint64_t z = backoff->random += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* Evenly in the upper half. */
static uint32_t backoff_below(struct backoff *backoff, uint32_t ceiling_ms)
{
	uint32_t low = ceiling_ms / 2 ? ceiling_ms / 2 : 1;

	return ceiling_ms <= low ? low : low + (uint32_t)(backoff_random(backoff) % (ceiling_ms - low + 1u));
}

void backoff_init(struct backoff *backoff, uint32_t base_ms, uint32_t cap_ms, uint64_t seed)
{
	*backoff = (struct backoff){.base_ms = base_ms, .cap_ms = cap_ms, .random = seed};
}

uint32_t backoff_next(struct backoff *backoff)
{
	uint64_t ceiling = backoff->cap_ms;

	if (backoff->n_failures < 32 && ((uint64_t)backoff->base_ms << backoff->n_failures) < ceiling)
		ceiling = (uint64_t)backoff->base_ms << backoff->n_failures;
	if (backoff->n_failures < 32)
		backoff->n_failures++;
	return backoff_below(backoff, (uint32_t)ceiling);
}

uint32_t backoff_slow(struct backoff *backoff, uint32_t slow_ms)
{
	return backoff_below(backoff, slow_ms);
}

void backoff_reset(struct backoff *backoff)
{
	backoff->n_failures = 0;
}

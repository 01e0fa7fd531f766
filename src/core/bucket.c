/* Bucket: what is spent, counted as the time that pays for it; see the header. */

#include "core/bucket.h"

enum {
	US_PER_MS = 1000,
	BEHIND_MS = 60000, /* threads that share a bucket bring times of their own, some of them older */
};

/* The time that pays for one: at least 1 us. */
static uint32_t cost_us(unsigned int n, unsigned int period_ms)
{
	uint64_t cost = (uint64_t)period_ms * US_PER_MS / n;

	return cost < 1 ? 1 : cost > UINT32_MAX ? UINT32_MAX : (uint32_t)cost;
}

unsigned int bucket_burst_max(unsigned int n, unsigned int period_ms)
{
	return n ? UINT32_MAX / cost_us(n, period_ms) : UINT32_MAX;
}

struct bucket_rate bucket_rate(unsigned int n, unsigned int period_ms, unsigned int burst)
{
	struct bucket_rate rate = {0};
	uint64_t depth;

	if (!n)
		return rate;
	rate.cost_us = cost_us(n, period_ms);
	depth = (uint64_t)rate.cost_us * (burst ? burst : 1);
	rate.depth_us = depth > UINT32_MAX ? UINT32_MAX : (uint32_t)depth;
	return rate;
}

/* The milliseconds since the last look; none for a time that is older. */
static uint32_t passed(const struct bucket *bucket, uint64_t now_ms)
{
	/* After 49 days without a look it wraps: then less is made good than could be, once. */
	uint32_t ms = (uint32_t)now_ms - bucket->at_ms;

	return ms > UINT32_MAX - BEHIND_MS ? 0 : ms;
}

/* What is still spent by now. */
static uint64_t spent(const struct bucket *bucket, uint64_t now_ms)
{
	uint64_t made_good_us = (uint64_t)passed(bucket, now_ms) * US_PER_MS;

	return bucket->spent_us > made_good_us ? bucket->spent_us - made_good_us : 0;
}

bool bucket_take(struct bucket *bucket, const struct bucket_rate *rate, uint64_t now_ms)
{
	uint64_t spent_us = spent(bucket, now_ms);
	bool room = spent_us + rate->cost_us <= rate->depth_us;

	if (!rate->cost_us)
		return true;
	bucket->at_ms = bucket->spent_us ? bucket->at_ms + passed(bucket, now_ms) : (uint32_t)now_ms;
	bucket->spent_us = (uint32_t)spent_us + (room ? rate->cost_us : 0);
	return room;
}

bool bucket_is_full(const struct bucket *bucket, uint64_t now_ms)
{
	return spent(bucket, now_ms) == 0;
}

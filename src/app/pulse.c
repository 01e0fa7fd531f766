/* Pulse: how much happened lately; see the header. */

#include "app/pulse.h"

#define US_PER_S 1e6

double pulse_quantile(const uint64_t buckets[METRICS_N_BUCKETS + 1], double q)
{
	uint64_t total = 0, below = 0;
	double wanted;

	for (unsigned int i = 0; i <= METRICS_N_BUCKETS; i++)
		total += buckets[i];
	if (!total)
		return -1;
	wanted = q * (double)total;
	for (unsigned int i = 0; i < METRICS_N_BUCKETS; i++) {
		double low = i ? (double)metrics_bucket_us(i - 1) : 0;
		double high = (double)metrics_bucket_us(i);

		if (buckets[i] && (double)(below + buckets[i]) >= wanted)
			return (low + (high - low) * (wanted - (double)below) / (double)buckets[i]) /
			       US_PER_S;
		below += buckets[i];
	}
	return (double)metrics_bucket_us(METRICS_N_BUCKETS - 1) / US_PER_S; /* that long at least */
}

void pulse_beat(struct pulse *pulse, const struct pulse_counts *counts, uint64_t now_ms)
{
	uint64_t grown[METRICS_N_BUCKETS + 1];
	double seconds = (double)(now_ms - pulse->at_ms) / 1000;

	if (pulse->at_ms && now_ms > pulse->at_ms) {
		pulse->events = (double)(counts->events - pulse->counts.events) / seconds;
		pulse->messages = (double)(counts->messages - pulse->counts.messages) / seconds;
		pulse->bytes = (double)(counts->bytes - pulse->counts.bytes) / seconds;
	}
	for (unsigned int i = 0; i <= METRICS_N_BUCKETS; i++)
		grown[i] = counts->deliveries[i] - pulse->counts.deliveries[i];
	pulse->p50_seconds = pulse_quantile(grown, 0.5);
	pulse->p99_seconds = pulse_quantile(grown, 0.99);
	pulse->counts = *counts;
	pulse->at_ms = now_ms;
}

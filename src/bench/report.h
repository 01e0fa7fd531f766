#ifndef TIDEGATE_BENCH_REPORT_H
#define TIDEGATE_BENCH_REPORT_H

/*
 * Report: the figures of a run, and how they are written: a line a second, a table, one line of JSON.
 *
 * Rates are of the measured time only; what was lost, doubled or reordered is of the whole run.
 */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "bench/histogram.h"
#include "bench/server_cost.h"

struct plan;

struct report {
	double opening_s; /* from the first handshake to the last */
	double measured_s;
	uint64_t opened;
	uint64_t deflated;
	uint64_t closed;
	uint64_t slow_closed;
	uint64_t published; /* in the measured time */
	uint64_t delivered; /* in the measured time */
	uint64_t bytes;     /* in the measured time */
	uint64_t reads;     /* in the measured time */
	uint64_t published_all;
	uint64_t delivered_all;
	uint64_t lost;
	uint64_t doubled;
	uint64_t reordered;
	uint64_t misdelivered;
	uint64_t foreign;
	uint64_t late;            /* events that were given up because the window did not move */
	uint64_t behind;          /* events that were due at the rate and could not be published */
	struct server_cost start; /* before the connections were opened */
	struct server_cost opened_cost;
	struct server_cost idle; /* a while after the last was opened */
	struct server_cost from; /* the measured time */
	struct server_cost to;
	uint64_t client_ns;       /* CPU of the bench in the measured time */
	struct histogram latency; /* microseconds */

	/* With a storm, of the time from the cut until all were answered. */
	double storm_s;
	struct server_cost storm_from;
	struct server_cost storm_to;
	uint64_t storm_delivered;
	uint64_t cut;
	uint64_t put_off;
	uint64_t recovered;
	uint64_t unrecovered;
	uint64_t replayed;
	struct histogram storm_latency; /* of those that were back, until an event was at the socket */
	struct histogram storm_read;    /* likewise, until it was read */
	struct histogram storm_publish; /* until it was on its way to Redis */
};

/* Whether every event reached everybody once and in order, and nobody was cut off. */
bool report_is_clean(const struct report *report);

/* What a progress line tells of the last second. */
struct report_second {
	double at_s;
	const char *phase;
	uint64_t open;
	double deliveries;
	double events;
};

void report_progress(const struct report_second *second, FILE *out);
void report_table(const struct report *report, const struct plan *plan, FILE *out);
void report_json(const struct report *report, const struct plan *plan, FILE *out);

#endif

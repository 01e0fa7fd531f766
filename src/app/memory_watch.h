#ifndef TIDEGATE_APP_MEMORY_WATCH_H
#define TIDEGATE_APP_MEMORY_WATCH_H

/*
 * Memory watch: looks four times a second how much memory is in use, on the bus thread, and has everybody do
 * what the stage asks for. app/memory_stage decides, app/memory_gauge reads.
 */

#include <stdint.h>

#include "app/memory_gauge.h"
#include "app/memory_stage.h"

struct bus;
struct event;
struct event_base;
struct log;
struct metrics;
struct places;
struct worker;

enum {
	MEMORY_WATCH_MS = 250,   /* between two looks */
	MEMORY_RENEW_MS = 10000, /* between two looks at the limit: a pod may be resized while it runs */
};

struct memory_watch {
	struct event *tick;
	struct memory_gauge gauge;
	struct memory_stages stages;
	struct memory_crowd crowd;
	uint64_t bytes;        /* at the last look */
	uint64_t wanted_bytes; /* the option memory_max */
	uint64_t renew_ms;     /* when the limit is looked at */
	struct bus *bus;
	struct places *places;
	struct worker *const *workers;
	unsigned int n_workers;
	struct log *log;
	struct metrics *metrics;
};

/* Who is told. All of it is borrowed and outlives the watch. */
struct memory_party {
	struct bus *bus;
	struct places *places;
	struct worker *const *workers;
	unsigned int n_workers;
	struct log *log;
	struct metrics *metrics;
};

/* Begins. bytes_max: the option memory_max. 0 or -ENOMEM. */
int memory_watch_init(struct memory_watch *watch, struct event_base *base, const struct memory_party *party,
	uint64_t bytes_max);
void memory_watch_deinit(struct memory_watch *watch); /* harmless on zeroed memory */

/* Another bound, by a reload. */
void memory_watch_configure(struct memory_watch *watch, uint64_t bytes_max);

#endif

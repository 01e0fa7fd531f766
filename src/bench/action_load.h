#ifndef TIDEGATE_BENCH_ACTION_LOAD_H
#define TIDEGATE_BENCH_ACTION_LOAD_H

/*
 * Action load: what the bench's clients have asked of its workers and is not answered yet.
 *
 * Actions are numbered, and the numbers are their ids. One that is answered twice is doubled, one that is
 * carried out twice was handed to two workers, and one that is open in the end is lost. What the gateway
 * refuses is none of these.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bench/histogram.h"

struct crowd;

enum {
	ACTION_RUN_LEN = 8,
	ACTIONS_MAX = 1 << 24, /* of one run; each has a byte */
	ACTION_SLOTS = 1 << 16,
	ACTIONS_OF_CLIENT_MAX = 16, /* under way: what a route allows by default */
	ACTION_CODE_MAX = 32,
};

struct action_slot {
	uint64_t number;
	uint64_t due_us;
	uint32_t client;
	bool open;
};

struct action_load {
	char run[ACTION_RUN_LEN + 1]; /* in what is asked: actions of another run are nobody's */
	uint32_t n_clients;
	uint32_t next_client;
	uint64_t from_us, to_us; /* the latency of those due from here to here is recorded */
	uint64_t n_sent, n_answered, n_refused, n_doubled, n_open, n_lost;
	char code[ACTION_CODE_MAX]; /* of the first refusal */
	struct histogram latency;
	uint8_t *in_flight;       /* of each client */
	_Atomic uint8_t *carried; /* how often each was carried out, by any worker */
	struct action_slot slots[ACTION_SLOTS];
};

/* NULL when out of memory. */
struct action_load *action_load_new(uint32_t n_clients);
void action_load_free(struct action_load *load); /* accepts NULL */

/* Sends the next one. False: no client may have another under way, or there are no numbers left. */
bool action_load_send(struct action_load *load, struct crowd *crowd, uint64_t due_us);

/* A client has heard this. False: it is no answer. */
bool action_load_hear(struct action_load *load, const char *text, size_t len, uint64_t now_us);

/* A worker was given this data. 0: carried out, and counted; -1: it is not of this run. */
int action_load_carry(struct action_load *load, const char *data);

/* Of all numbers, those that were carried out more than once. */
uint64_t action_load_twice(const struct action_load *load);

#endif

#ifndef TIDEGATE_SIM_SCRIPT_H
#define TIDEGATE_SIM_SCRIPT_H

/*
 * Script: what happens in one run, drawn from a seed before anything runs. So a run can be repeated with
 * steps left out, which is how a failure is shrunk. A step that makes no sense when its turn comes does
 * nothing.
 */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum {
	STEPS_MAX = 300,
};

enum step_kind {
#define STEP(name, weight, fault, text) STEP_##name,
#include "steps.def"
#undef STEP
	N_STEP_KINDS
};

/* Faults are switched on and off by the seed, in groups. */
enum fault {
	FAULT_NONE,
	FAULT_LOSS,  /* pub/sub loses a message */
	FAULT_LATE,  /* doubles or delays one */
	FAULT_LINK,  /* links are cut, reads fail */
	FAULT_CRASH, /* gateways die */
	FAULT_TRIM,  /* from here on: what excuses a resync or a refusal */
	FAULT_HOLE,  /* somebody deletes single entries */
	FAULT_FLUSH,
	FAULT_FAILOVER,
	FAULT_MOVE,  /* the slot moves: what is pushed meanwhile is lost. It excuses nothing */
	FAULT_SPLIT, /* two servers of a cluster are primaries of the slot, or one of them is frozen */
	N_FAULTS
};

struct step {
	uint8_t kind;
	uint8_t who; /* gateway or client, modulo how many there are */
	uint8_t what;
};

/* What the run is like besides its steps. */
struct setting {
	uint8_t n_gateways;
	uint8_t n_clients;
	uint8_t ring_entries;
	uint8_t ring_bytes;
	uint8_t live_entries;
	uint8_t recover_entries;
	uint8_t recover_bytes;
	uint8_t answer_bytes; /* a read stops after so many, the last one whole */
	uint8_t ttl_s;        /* of the log, as publishers and gateways say it */
	bool checks_tails; /* else one more entry is published in the end, and must bring all that is missing
			    */
};

struct script {
	uint64_t seed;
	struct setting setting;
	uint32_t n_steps;
	struct step steps[STEPS_MAX];
};

void script_draw(struct script *script, uint64_t seed);
void script_print(const struct script *script, FILE *out);
void step_print(const struct step *step, const struct setting *setting, FILE *out);

#endif

/* Script: drawn and printed; see the header. */

#include "script.h"

#include <string.h>

enum {
	SHORTEST = 30,
	WEIGHTS_MAX = 256,
};

static const struct {
	uint8_t weight;
	uint8_t fault;
	const char *text;
} kinds[] = {
#define STEP(name, weight, fault, text) {weight, FAULT_##fault, text},
#include "steps.def"
#undef STEP
};

/* splitmix64: any seed is as good as any other, 0 and 1 too. */
static uint64_t draw(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

static uint8_t between(uint64_t *state, unsigned int low, unsigned int high)
{
	return (uint8_t)(low + draw(state) % (high - low + 1));
}

/* Each kind as often as it weighs, if its fault is on. */
static unsigned int lay_out(uint8_t lots[WEIGHTS_MAX], unsigned int faults)
{
	unsigned int n = 0;

	for (unsigned int kind = 0; kind < N_STEP_KINDS; kind++)
		for (unsigned int i = 0; i < kinds[kind].weight && faults & 1U << kinds[kind].fault; i++)
			lots[n++] = (uint8_t)kind;
	return n;
}

static unsigned int draw_faults(uint64_t *state)
{
	unsigned int faults = (unsigned int)draw(state) | 1U << FAULT_NONE;

	if (draw(state) % 4 == 0) /* nothing that would excuse a resync */
		faults &= ~(1U << FAULT_TRIM | 1U << FAULT_HOLE | 1U << FAULT_FLUSH | 1U << FAULT_FAILOVER |
			    1U << FAULT_SPLIT);
	return faults;
}

void script_draw(struct script *script, uint64_t seed)
{
	uint64_t state = seed;
	uint8_t lots[WEIGHTS_MAX];
	unsigned int n_lots = lay_out(lots, draw_faults(&state));

	script->seed = seed;
	script->setting = (struct setting){
		.n_gateways = between(&state, 2, 3),
		.n_clients = between(&state, 3, 6),
		.ring_entries = between(&state, 2, 6),
		.ring_bytes = between(&state, 1, 20),
		.live_entries = between(&state, 1, 12),
		.recover_entries = between(&state, 4, 12),
		.recover_bytes = between(&state, 8, 40),
	};
	script->setting.answer_bytes = between(&state, script->setting.recover_bytes + 3U, 60);
	script->setting.ttl_s = between(&state, 30, 60);
	script->setting.checks_tails = draw(&state) % 2;
	script->n_steps = SHORTEST + (uint32_t)(draw(&state) % (STEPS_MAX - SHORTEST + 1));
	for (uint32_t i = 0; i < script->n_steps; i++) {
		uint64_t bits = draw(&state);

		script->steps[i] =
			(struct step){lots[(bits >> 32) % n_lots], (uint8_t)bits, (uint8_t)(bits >> 8)};
	}
}

void step_print(const struct step *step, const struct setting *setting, FILE *out)
{
	const char *text = kinds[step->kind].text, *mark = strchr(text, '%');

	if (!mark)
		fprintf(out, "%s (%u)\n", text, step->what);
	else
		fprintf(out, "%.*s%c%u (%u)\n", (int)(mark - text), text, mark[1],
			step->who % (mark[1] == 'g' ? setting->n_gateways : setting->n_clients), step->what);
}

void script_print(const struct script *script, FILE *out)
{
	const struct setting *s = &script->setting;

	fprintf(out, "seed %llu: %u gateways, %u clients, ring %u/%uB, live %u, recover %u/%uB of %uB%s\n",
		(unsigned long long)script->seed, s->n_gateways, s->n_clients, s->ring_entries, s->ring_bytes,
		s->live_entries, s->recover_entries, s->recover_bytes, s->answer_bytes,
		s->checks_tails ? "" : ", no tail checks");
	for (uint32_t i = 0; i < script->n_steps; i++) {
		fprintf(out, "%4u  ", i);
		step_print(&script->steps[i], s, out);
	}
}

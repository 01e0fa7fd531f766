/* Memory stage: a pure state machine; see the header. */

#include "app/memory_stage.h"

#include <stddef.h>

static const struct {
	const char *name, *sentence;
	unsigned int begins, ends; /* percent */
} rows[N_MEMORY_STAGES] = {
#define MEMORY_STAGE(id, name, begins, ends, sentence) [MEMORY_##id] = {name, sentence, begins, ends},
#include "app/memory_stage.def"
#undef MEMORY_STAGE
};

const char *memory_stage_name(enum memory_stage stage)
{
	return rows[stage].name;
}

const char *memory_stage_sentence(enum memory_stage stage)
{
	return rows[stage].sentence;
}

/* Without a product that could overflow. */
static uint64_t part(uint64_t bytes_max, unsigned int percent)
{
	return bytes_max / 100 * percent + bytes_max % 100 * percent / 100;
}

enum memory_stage memory_stage_next(enum memory_stage stage, uint64_t bytes, uint64_t bytes_max)
{
	while (stage + 1 < N_MEMORY_STAGES && bytes >= part(bytes_max, rows[stage + 1].begins))
		stage++;
	while (stage > MEMORY_PLENTY && bytes < part(bytes_max, rows[stage].ends))
		stage--;
	return stage;
}

bool memory_stages_trim(struct memory_stages *stages, uint64_t bytes, uint64_t now_ms)
{
	bool rises = memory_stage_next(stages->stage, bytes, stages->bytes_max) > stages->stage;

	if (!rises && stages->stage < MEMORY_SHORT)
		return false;
	if (stages->trimmed_ms && now_ms < stages->trimmed_ms + MEMORY_TRIM_MS)
		return false;
	stages->trimmed_ms = now_ms;
	return true;
}

bool memory_stages_look(struct memory_stages *stages, uint64_t bytes)
{
	enum memory_stage before = stages->stage;

	stages->stage = memory_stage_next(before, bytes, stages->bytes_max);
	return stages->stage != before;
}

uint64_t memory_stages_shed(struct memory_stages *stages, uint64_t bytes, uint64_t now_ms)
{
	uint64_t kept = part(stages->bytes_max, MEMORY_SHED_PERCENT);
	uint64_t rest_ms = stages->stage == MEMORY_OUT ? MEMORY_SHED_OUT_MS : MEMORY_SHED_MS;

	if (stages->stage < MEMORY_SHORT || bytes <= kept ||
		(stages->shed_ms && now_ms < stages->shed_ms + rest_ms))
		return 0;
	stages->shed_ms = now_ms;
	return bytes - kept;
}

/* Is it so much below its most, and has it not fallen for a while? */
static bool has_left(struct memory_tide *tide, uint64_t now, uint64_t crowd, uint64_t now_ms)
{
	if (now < tide->before)
		tide->fell_ms = now_ms;
	tide->before = now;
	if (now > tide->most)
		tide->most = now;
	return tide->most - now >= crowd && now_ms >= tide->fell_ms + MEMORY_CROWD_MS;
}

bool memory_crowd_left(
	struct memory_crowd *crowd, uint64_t connections, uint64_t queued_bytes, uint64_t now_ms)
{
	bool clients = has_left(&crowd->connections, connections, MEMORY_CROWD, now_ms);
	bool queued = has_left(&crowd->queued_bytes, queued_bytes, MEMORY_CROWD_BYTES, now_ms);

	if (!clients && !queued)
		return false;
	crowd->connections.most = connections;
	crowd->queued_bytes.most = queued_bytes;
	return true;
}

/* Shrink: chunks of half the script, then of a quarter, down to single steps; see the header. */

#include "shrink.h"

#include <string.h>

static enum verdict judge(const struct script *script, const struct control *control)
{
	struct statistics ignored = {0};
	struct world world;

	return world_run(&world, script, control, &ignored, false);
}

static struct script without(const struct script *script, uint32_t from, uint32_t n)
{
	struct script shorter = *script;

	shorter.n_steps -= n;
	memmove(&shorter.steps[from], &script->steps[from + n],
		(script->n_steps - from - n) * sizeof(script->steps[0]));
	return shorter;
}

/* One pass with one chunk size; true if anything could go. */
static bool pass(struct script *script, const struct control *control, enum verdict wanted, uint32_t chunk)
{
	bool found = false;

	for (uint32_t from = 0; from + chunk <= script->n_steps;) {
		struct script shorter = without(script, from, chunk);

		if (judge(&shorter, control) == wanted) {
			*script = shorter;
			found = true;
		} else {
			from += chunk;
		}
	}
	return found;
}

void shrink(struct script *script, const struct control *control)
{
	enum verdict wanted = judge(script, control);
	uint32_t chunk = script->n_steps / 2 ? script->n_steps / 2 : 1;

	for (;;) {
		bool found = pass(script, control, wanted, chunk);

		if (chunk > 1)
			chunk /= 2;
		else if (!found)
			return;
	}
}

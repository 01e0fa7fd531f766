#ifndef TIDEGATE_APP_MEMORY_STAGE_H
#define TIDEGATE_APP_MEMORY_STAGE_H

/*
 * Memory stage: decides what the gateway gives up, and when, as its memory runs out. A pure state
 * machine: how much is in use and what time it is are handed in.
 *
 * Stages rise as far as they must at once, and fall with a distance between (memory_stage.def), so that
 * what was given up is not asked back at once. Before a stage rises malloc gives back what it keeps: that
 * may be enough.
 *
 * It also notices that a crowd has left, whose memory malloc(3) keeps: it lies in small pieces between
 * others.
 */

#include <stdbool.h>
#include <stdint.h>

enum memory_stage {
#define MEMORY_STAGE(id, name, begins, ends, sentence) MEMORY_##id,
#include "app/memory_stage.def"
#undef MEMORY_STAGE
	N_MEMORY_STAGES,
};

enum {
	MEMORY_TRIM_MS = 1000, /* between two times that malloc gives back while memory is wanted */
	MEMORY_SHED_MS = 1000, /* between two times that clients are closed: these take a moment to be gone */
	MEMORY_SHED_OUT_MS = 500, /* the same when memory is out: a tick of a worker, and a look */
	MEMORY_SHED_PERCENT = 85, /* clients are closed until no more is in use */
	MEMORY_CROWD =
		1000, /* connections that left: worth some milliseconds of all threads that want memory */
	MEMORY_CROWD_BYTES = 16 << 20, /* the same of frames that waited for clients */
	MEMORY_CROWD_MS = 5000, /* until what they had is free: channels linger, maps shrink bit by bit */
};

const char *memory_stage_name(enum memory_stage stage);
const char *memory_stage_sentence(enum memory_stage stage);

/* The stage after `stage` when of so many bytes so many are in use. */
enum memory_stage memory_stage_next(enum memory_stage stage, uint64_t bytes, uint64_t bytes_max);

/* Zeroed: nothing happened yet. */
struct memory_stages {
	uint64_t bytes_max; /* set by the caller, at any time; not 0 */
	enum memory_stage stage;
	uint64_t trimmed_ms;
	uint64_t shed_ms;
};

/* Should malloc give back what it keeps, before the stage is decided? */
bool memory_stages_trim(struct memory_stages *stages, uint64_t bytes, uint64_t now_ms);

/* Decides the stage. True: it has changed. */
bool memory_stages_look(struct memory_stages *stages, uint64_t bytes);

/* So many bytes of waiting frames should go now. */
uint64_t memory_stages_shed(struct memory_stages *stages, uint64_t bytes, uint64_t now_ms);

/* Something that comes and goes. */
struct memory_tide {
	uint64_t most;   /* since malloc gave back */
	uint64_t before; /* at the last look */
	uint64_t fell_ms;
};

/* What crowds bring and leave. Zeroed: there was none. */
struct memory_crowd {
	struct memory_tide connections;
	struct memory_tide queued_bytes;
};

/* Has a crowd left, and is what it had free by now, so that malloc should give back what it keeps? */
bool memory_crowd_left(
	struct memory_crowd *crowd, uint64_t connections, uint64_t queued_bytes, uint64_t now_ms);

#endif

#ifndef TIDEGATE_BROKER_REDIS_COMPLAINT_H
#define TIDEGATE_BROKER_REDIS_COMPLAINT_H

/*
 * Redis complaint: what a server refuses of our library, for the log and for whoever asks.
 *
 * A refusal that people have to mend (rights) is kept, as one sentence, until the same is answered. A refusal
 * that passes by itself is a line in the log, now and then.
 */

#include <stdbool.h>

#include "broker/redis/script.h"
#include "core/buf.h"
#include "core/log.h"
#include "core/slice.h"

struct redis_complaint {
	struct log *log;
	struct slice where;        /* which server; borrowed for its life */
	struct buf text;           /* what was asked, and the refusal; empty: nothing is known to be wrong */
	enum redis_function about; /* when this one is answered, the complaint is over */
	bool said_failed;          /* that the library cannot be had */
	struct log_limit limit;
};

/* Zeroed memory, log, where and a limit make one. */
void redis_complaint_deinit(struct redis_complaint *complaint);

/* A call was refused; command is the word that it was sent with, key the first one that it named. */
void redis_complaint_call(struct redis_complaint *complaint, enum redis_function function,
	const char *command, struct slice key, struct slice error);

/* The library cannot be had before people have mended it: said once, with what to do about it. */
void redis_complaint_library(struct redis_complaint *complaint, const char *command, struct slice error);

/* Something else about the library, which may pass by itself. */
void redis_complaint_note(struct redis_complaint *complaint, const char *message, struct slice reason);

/* A function was answered. */
void redis_complaint_answered(struct redis_complaint *complaint, enum redis_function function);

/* The library is there. was_missed: it had been there before, and was not a moment ago. */
void redis_complaint_over(struct redis_complaint *complaint, bool was_missed);

/* Another server may answer from now on. */
void redis_complaint_forget(struct redis_complaint *complaint);

#endif

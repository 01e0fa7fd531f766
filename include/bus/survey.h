#ifndef TIDEGATE_BUS_SURVEY_H
#define TIDEGATE_BUS_SURVEY_H

/*
 * Survey: one question of the bus thread to the workers, and what they answer.
 *
 *     bus_survey() ── a part each ──► worker's inbox ── census_take() ──► bus' inbox ── the last ──► done()
 *
 * A part belongs to the thread that it is on its way to. The survey is the bus thread's: it lives until all
 * parts are home, whether or not anybody still wants to know. A worker that does not answer in time is left
 * out; one that ends gives its part back.
 */

#include <stdbool.h>
#include <stdint.h>

#include "bus/bus_mail.h"
#include "client/census.h"
#include "core/list.h"

struct survey;

enum {
	SURVEY_MS = 3000, /* for all workers to answer; one that turns takes milliseconds */
};

/* Called once, with what there is; some parts may not be home. */
typedef void (*survey_done_fn)(void *arg, const struct survey *survey);

struct survey_part {
	struct bus_mail mail; /* in the bus' inbox, on the way home */
	struct survey *survey;
	void *carrier;        /* the worker's mail for the way there; freed with the survey */
	bool home;            /* the census below may be looked at */
	struct census census; /* what the worker found */
};

struct survey {
	struct census_question question; /* does not change while it is under way */
	survey_done_fn done;             /* NULL: nobody wants to know any more */
	void *arg;
	struct list due; /* among the bus' surveys, in order of deadline_ms */
	uint64_t deadline_ms;
	unsigned int n_parts;
	unsigned int n_away;
	struct survey_part parts[];
};

/* With all parts at home; NULL when out of memory. */
struct survey *survey_new(
	const struct census_question *question, unsigned int n_parts, survey_done_fn done, void *arg);

/* It sets out: one more is away. */
void survey_send(struct survey_part *part);

/* It is back, answered; or, lost, with nothing in it. With the last one done() is called and the survey
 * freed. */
void survey_return(struct survey_part *part);
void survey_lost(struct survey_part *part);

/* Those whose time is over are done with what there is. */
void surveys_tick(struct list *surveys, uint64_t now_ms);

/* done() is not called any more. */
void survey_cancel(struct survey *survey);

/* Did all answer? */
static inline bool survey_complete(const struct survey *survey)
{
	return survey->n_away == 0;
}

#endif

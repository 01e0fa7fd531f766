#ifndef TIDEGATE_MAIL_SURVEY_H
#define TIDEGATE_MAIL_SURVEY_H

/*
 * Survey: one question of the bus thread to the workers, and their answers.
 *
 *     bus_survey() ── a part each ──► worker's inbox ── census_take() ──► bus' inbox ── the last ──► done()
 *
 * A part belongs to the thread that it is on its way to. The survey belongs to the bus thread and lives until
 * all parts are home, even if its caller has left. A worker that does not answer in time is left out; a
 * worker that ends gives its part back.
 */

#include <stdbool.h>
#include <stdint.h>

#include "core/list.h"
#include "mail/bus_mail.h"
#include "mail/census.h"

struct survey;

enum {
	SURVEY_MS = 3000, /* for all workers to answer; a worker whose loop turns takes milliseconds */
};

/* Called once, with the answers so far; some parts may not be home. */
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
	survey_done_fn done;             /* NULL once the survey was cancelled */
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

/* The part leaves: one more is away. */
void survey_send(struct survey_part *part);

/* The part is back with its answer, or is lost. With the last part done() is called and the
 * survey is freed. */
void survey_return(struct survey_part *part);
void survey_lost(struct survey_part *part);

/* Ends the surveys whose time is over, with the answers so far. */
void surveys_tick(struct list *surveys, uint64_t now_ms);

/* done() is not called any more. */
void survey_cancel(struct survey *survey);

/* Did all answer? */
static inline bool survey_complete(const struct survey *survey)
{
	return survey->n_away == 0;
}

#endif

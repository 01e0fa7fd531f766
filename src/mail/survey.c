/* Survey: one question to all workers; see the header. */

#include "mail/survey.h"

#include <stdlib.h>

#include "core/clock.h"

struct survey *survey_new(
	const struct census_question *question, unsigned int n_parts, survey_done_fn done, void *arg)
{
	struct survey *survey = calloc(1, sizeof(*survey) + n_parts * sizeof(struct survey_part));

	if (!survey)
		return NULL;
	survey->question = *question;
	survey->done = done;
	survey->arg = arg;
	survey->n_parts = n_parts;
	survey->deadline_ms = clock_monotonic_ms() + SURVEY_MS;
	for (unsigned int i = 0; i < n_parts; i++) {
		survey->parts[i].mail.kind = BUS_SURVEY;
		survey->parts[i].survey = survey;
		survey->parts[i].home = true;
	}
	return survey;
}

static void survey_free(struct survey *survey)
{
	list_remove(&survey->due);
	for (unsigned int i = 0; i < survey->n_parts; i++) {
		census_deinit(&survey->parts[i].census);
		free(survey->parts[i].carrier);
	}
	free(survey);
}

/* Tells the caller, once. */
static void finish(struct survey *survey)
{
	survey_done_fn done = survey->done;

	survey->done = NULL;
	list_remove(&survey->due);
	if (done)
		done(survey->arg, survey);
}

void survey_send(struct survey_part *part)
{
	part->home = false;
	part->survey->n_away++;
}

void survey_return(struct survey_part *part)
{
	struct survey *survey = part->survey;

	part->home = true;
	if (--survey->n_away)
		return;
	finish(survey);
	survey_free(survey);
}

void survey_lost(struct survey_part *part)
{
	census_deinit(&part->census);
	survey_return(part);
}

void surveys_tick(struct list *surveys, uint64_t now_ms)
{
	while (!list_empty(surveys)) {
		struct survey *survey = list_entry(surveys->next, struct survey, due);

		if (survey->deadline_ms > now_ms)
			return;
		finish(survey);
		if (survey_complete(survey))
			survey_free(survey); /* no part could be sent */
	}
}

void survey_cancel(struct survey *survey)
{
	survey->done = NULL;
}

#ifndef TIDEGATE_BENCH_FIGURE_H
#define TIDEGATE_BENCH_FIGURE_H

/*
 * Figure: one number of a report, and how it is called: in the table for people, and in the line of JSON,
 * whose names stay as they are, because scripts read them.
 */

#include <stddef.h>
#include <stdio.h>

struct figure {
	const char *name;  /* in JSON */
	const char *label; /* in the table; NULL: not there */
	int digits;
	double value; /* NAN: not measured, which is null in JSON and "-" in the table */
};

void figures_table(const struct figure *list, size_t n, FILE *out);

/* As members, each behind a comma. */
void figures_json(const struct figure *list, size_t n, FILE *out);

/* a / b; NAN where there was nothing to share among. */
double figure_ratio(double a, double b);

#endif

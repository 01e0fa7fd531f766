/* Figure: numbers into text; see the header. */

#include "bench/figure.h"

#include <math.h>

double figure_ratio(double a, double b)
{
	return b > 0 ? a / b : NAN;
}

void figures_table(const struct figure *list, size_t n, FILE *out)
{
	for (size_t i = 0; i < n; i++) {
		if (!list[i].label)
			continue;
		if (isnan(list[i].value))
			fprintf(out, "%-42s %14s\n", list[i].label, "-");
		else
			fprintf(out, "%-42s %14.*f\n", list[i].label, list[i].digits, list[i].value);
	}
}

void figures_json(const struct figure *list, size_t n, FILE *out)
{
	for (size_t i = 0; i < n; i++) {
		if (isnan(list[i].value))
			fprintf(out, ",\"%s\":null", list[i].name);
		else
			fprintf(out, ",\"%s\":%.*f", list[i].name, list[i].digits, list[i].value);
	}
}

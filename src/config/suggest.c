/* Suggest: finds the known word that was probably meant, by the number of edits between two words. */
#include "config/suggest.h"

#include <string.h>

enum {
	WORD_MAX = 40, /* longer than every known word and its typing errors; keeps the work small */
};

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Levenshtein's distance, one row at a time. */
static size_t distance(const char *a, const char *b)
{
	size_t row[WORD_MAX + 1];
	size_t n = strlen(b);

	for (size_t j = 0; j <= n; j++)
		row[j] = j;
	for (size_t i = 1; a[i - 1]; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= n; j++) {
			size_t replaced = diagonal + (a[i - 1] != b[j - 1]);

			diagonal = row[j];
			row[j] = smaller(replaced, smaller(row[j], row[j - 1]) + 1);
		}
	}
	return row[n];
}

const char *suggest(const char *word, const char *const *known, size_t n)
{
	const char *best = NULL;
	size_t best_distance = 1 + strlen(word) / 3; /* one slip in a short word, more in a long one */

	if (strlen(word) > WORD_MAX)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		size_t d;

		if (strlen(known[i]) > WORD_MAX)
			continue;
		d = distance(word, known[i]);
		if (d <= best_distance && (!best || d < best_distance)) {
			best = known[i];
			best_distance = d;
		}
	}
	return best;
}

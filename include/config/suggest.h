#ifndef TIDEGATE_CONFIG_SUGGEST_H
#define TIDEGATE_CONFIG_SUGGEST_H

/* Suggest: finds the known word that was probably meant. */

#include <stddef.h>

/* The nearest of the known words, if it is near enough to be worth saying; NULL otherwise. */
const char *suggest(const char *word, const char *const *known, size_t n);

#endif

#ifndef TIDEGATE_SRC_CONFIG_OPTIONS_H
#define TIDEGATE_SRC_CONFIG_OPTIONS_H

/* Options: the table of options.def, found by name, set from text, printed as text. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"

enum {
#define OPTION(name, ...) OPTION_##name,
#include "config/options.def"
#undef OPTION
	N_OPTIONS,
};

enum option_effect {
	OPTION_RELOAD,  /* a reload changes it */
	OPTION_RESTART, /* the next start does */
};

struct value_type;

struct option {
	const char *name;
	const struct value_type *type;
	size_t offset; /* of its member in struct config */
	const char *fallback;
	uint64_t least;
	uint64_t most;
	enum option_effect effect;
	const char *help;
};

extern const struct option options[N_OPTIONS];

/* Finds an option by its key in the file, its flag ("--listen"), or its variable without TIDEGATE_
 * ("LISTEN"). NULL if there is no such option. */
const struct option *option_by_key(const char *key);
const struct option *option_by_flag(const char *flag);
const struct option *option_by_variable(const char *name, size_t len);

/* "PING_INTERVAL" and "--ping-interval" of ping_interval. */
void option_variable(const struct option *option, struct buf *out);
void option_flag(const struct option *option, struct buf *out);

size_t option_index(const struct option *option);
bool option_is_list(const struct option *option);
bool option_may_be_listed(const struct option *option); /* in YAML; elsewhere it separates its items itself */

/* ADDRESS, DURATION, … for the help text. */
const char *option_placeholder(const struct option *option);

/*
 * Sets the member from text, or a list from n texts, in place of its old value. 0, CONFIG_BAD with one
 * sentence appended to error (which never contains a secret), or -ENOMEM.
 */
int option_set(const struct option *option, struct config *config, const char *const *texts, size_t n,
	struct buf *error);

/* The same from one text; lists are comma-separated. */
int option_set_text(const struct option *option, struct config *config, const char *text, struct buf *error);

/* Prints the value as an operator would write it; secrets are masked. */
void option_print(const struct option *option, const struct config *config, struct buf *out);

bool option_equal(const struct option *option, const struct config *a, const struct config *b);

void option_deinit(const struct option *option, struct config *config);

#endif

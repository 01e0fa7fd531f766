#ifndef TIDEGATE_SRC_CONFIG_LOADER_H
#define TIDEGATE_SRC_CONFIG_LOADER_H

/* Loader: a configuration that is being put together, with the source of each value. */

#include <stdbool.h>
#include <stddef.h>

#include "config/config.h"
#include "config/options.h"

struct buf;

enum source_kind {
	SOURCE_DEFAULT,
	SOURCE_FILE,
	SOURCE_VARIABLE,      /* TIDEGATE_X */
	SOURCE_VARIABLE_FILE, /* TIDEGATE_X_FILE */
	SOURCE_FLAG,
};

struct config_source {
	enum source_kind kind;
	unsigned int line; /* of SOURCE_FILE */
};

struct config_sources {
	char *file; /* the file's name as it was given; NULL without a file */
	struct config_source options[N_OPTIONS];
	unsigned int *route_lines; /* of the first n routes of the table; the rest are defaults */
	size_t n_route_lines;
	bool workers_counted; /* 0 was asked for */
	bool thread_chosen;   /* and auto for single_thread */
};

struct loader {
	struct config *config;
	struct buf *error;
};

/* "default", "tidegate.yaml:3", "TIDEGATE_LISTEN", "--listen". */
void source_describe(const struct config *config, const struct option *option, struct config_source source,
	struct buf *out);

/*
 * Sets an option and notes its source. A refusal is one line that opens with the source. A list is several
 * texts; loader_set_text() splits one text at commas.
 */
int loader_set(struct loader *loader, const struct option *option, struct config_source source,
	const char *const *texts, size_t n);
int loader_set_text(
	struct loader *loader, const struct option *option, struct config_source source, const char *text);

/* Reads a YAML file from its bytes. name: opens each sentence about it. 0, CONFIG_BAD or -ENOMEM. */
int config_file_load(struct loader *loader, const char *name, const char *data, size_t len);

/* All TIDEGATE_… variables but TIDEGATE_CONFIG. */
int config_environment_load(struct loader *loader, char *const *environment);

#endif

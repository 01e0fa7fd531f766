#ifndef TIDEGATE_CONFIG_READER_H
#define TIDEGATE_CONFIG_READER_H

/*
 * Reader: takes the nodes of a YAML document apart.
 *
 * Each function reads a node, or returns CONFIG_BAD and says in one line of the loader's error what is wrong
 * with it, with the file's name and the line number. The texts that it hands out belong to the document.
 */

#include <stdbool.h>
#include <stddef.h>

#include <yaml.h>

#include "config/loader.h"
#include "config/value.h"

enum {
	READER_KEYS_MAX = 96, /* known keys of one mapping */
};

struct reader {
	struct loader *loader;
	const char *name; /* of the file, for sentences about it */
	yaml_document_t *document;
	size_t n_pairs; /* read so far: keeps merges from growing without end */
};

/* A mapping whose keys are known. */
struct reader_keys {
	const char *where; /* "" or " in a route" */
	const char *names[READER_KEYS_MAX];
	size_t n;
	int (*read)(struct reader *reader, size_t key, const yaml_node_t *value, void *arg);
	void *arg;
};

/* A known key, and what reads its value. arg: that of reader_rows(). */
struct reader_row {
	const char *name;
	int (*read)(struct reader *reader, const yaml_node_t *value, void *arg);
};

unsigned int reader_line(const yaml_node_t *node);

/* Begins a line of the error, which the caller completes. */
void reader_open_line(struct reader *reader, unsigned int line);

/* Writes one whole line about this file, cut at 512 bytes because it may quote the file.
 * Always CONFIG_BAD. */
int reader_refuse(struct reader *reader, unsigned int line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Is it empty, `~` or `null`, such as a key whose value is commented out? */
bool reader_is_null(const yaml_node_t *node);

/* Is it this word? False for a NULL word. */
bool reader_is(const yaml_node_t *node, const char *word);

size_t reader_length(const yaml_node_t *node); /* of a sequence */

int reader_text(struct reader *reader, const yaml_node_t *node, const char *what, const char **textp);

/* The texts of a list, with their lines if wanted. */
int reader_texts(struct reader *reader, const yaml_node_t *node, const char *what, size_t max,
	const char **texts, unsigned int *lines, size_t *np);

/* Calls keys->read() for each member; unknown and repeated keys are refused.
 * x-… keys are skipped; `<<` brings in the keys of another mapping that are not written here. */
int reader_mapping(struct reader *reader, const yaml_node_t *node, const struct reader_keys *keys);

/* The same of a mapping whose keys are these rows. where: " in a route" */
int reader_rows(struct reader *reader, const yaml_node_t *node, const char *where,
	const struct reader_row *rows, size_t n, void *arg);

/* A value that is written as an option's is. */
int reader_value(struct reader *reader, const yaml_node_t *value, const char *what,
	const struct value_type *type, void *member, const struct value_bounds *bounds);

#endif

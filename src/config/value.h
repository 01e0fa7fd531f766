#ifndef TIDEGATE_SRC_CONFIG_VALUE_H
#define TIDEGATE_SRC_CONFIG_VALUE_H

/*
 * Value: the types of options, from text and back to text.
 *
 * Each type is a row. Parsing replaces the member only if the text is valid; a refusal says in one sentence
 * what the text is not.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;

enum {
	VALUE_LIST_MAX = 256,  /* items of one list: far above any fleet of proxies or topics */
	VALUE_QUOTED_MAX = 64, /* bytes of a foreign text in a sentence */
};

enum value_kind {
	VALUE_ADDRESS,
	VALUE_REDIS_URL,
	VALUE_PREFIX,
	VALUE_WORKERS,
	VALUE_COUNT,
	VALUE_COUNT_OR_AUTO,
	VALUE_LOG_LEVEL,
	VALUE_LOG_FORMAT,
	VALUE_DURATION,
	VALUE_SIZE,
	VALUE_NETWORKS,
	VALUE_ORIGINS,
	VALUE_TOPICS,
	VALUE_BOOL,
	VALUE_SECRET,
	VALUE_PATH,
	VALUE_NAME,
	VALUE_TLS_VERIFY,
	VALUE_AUTH,
	VALUE_PATHS,
	VALUE_ALGORITHMS,
	VALUE_TEXT,
	VALUE_CLAIM,
	VALUE_PARAMETER,
	VALUE_TLS_VERSION,
	N_VALUE_TYPES,
};

struct value_bounds {
	uint64_t least;
	uint64_t most;
};

struct value_type {
	const char *placeholder; /* for the help text */
	bool is_list;
	const char *words;   /* all words that it can be, for completion; NULL if it can be any text */
	const char *nothing; /* the word for the empty value; NULL if there is no such word */
	/* Parses n texts (one, unless it is a list). 0, CONFIG_BAD with a sentence, or -ENOMEM. */
	int (*parse)(void *member, const char *const *texts, size_t n, const struct value_bounds *bounds,
		struct buf *error);
	void (*print)(const void *member, struct buf *out);
	bool (*equal)(const void *a, const void *b);
	void (*deinit)(void *member); /* NULL: nothing to free */
};

extern const struct value_type value_types[N_VALUE_TYPES];

/* Reads true, on, yes, false, off and no, as YAML 1.1 has them. False if `text` is another word. */
bool value_truth(const char *text, bool *valuep);

/* Appends 'text', cut at VALUE_QUOTED_MAX and with '?' for bytes that are not printable ASCII:
 * safe within a line. */
void value_quote(struct buf *out, const char *text);

#endif

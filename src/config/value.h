#ifndef TIDEGATE_SRC_CONFIG_VALUE_H
#define TIDEGATE_SRC_CONFIG_VALUE_H

/*
 * Value: the types of options, from text and back to text.
 *
 * Parsing replaces the member only if the text is valid; a refusal says in one sentence
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

extern const struct value_type value_address;
extern const struct value_type value_redis_url;
extern const struct value_type value_prefix;
extern const struct value_type value_workers;
extern const struct value_type value_count;
extern const struct value_type value_count_or_auto;
extern const struct value_type value_log_level;
extern const struct value_type value_log_format;
extern const struct value_type value_duration;
extern const struct value_type value_size;
extern const struct value_type value_networks;
extern const struct value_type value_origins;
extern const struct value_type value_topics;
extern const struct value_type value_bool;
extern const struct value_type value_switch;
extern const struct value_type value_secret;
extern const struct value_type value_path;
extern const struct value_type value_name;
extern const struct value_type value_pubsub;
extern const struct value_type value_tls_verify;
extern const struct value_type value_auth;
extern const struct value_type value_paths;
extern const struct value_type value_algorithms;
extern const struct value_type value_text;
extern const struct value_type value_claim;
extern const struct value_type value_parameter;
extern const struct value_type value_tls_version;

/* Reads true, on, yes, false, off and no, as YAML 1.1 has them. False if `text` is another word. */
bool value_truth(const char *text, bool *valuep);

/* Appends 'text', cut at VALUE_QUOTED_MAX and with '?' for bytes that are not printable ASCII:
 * safe within a line. */
void value_quote(struct buf *out, const char *text);

#endif

#ifndef TIDEGATE_PROTOCOL_KEY_PATH_H
#define TIDEGATE_PROTOCOL_KEY_PATH_H

/*
 * Key path: where an event says what it is about, "data.id": member names, joined by '.', from the outermost
 * object inwards. Only objects are entered, never arrays. What stands there is the key if it is a string, a
 * number or a literal, and it is compared as it stands: "a" and "\u0061" are two keys, 1 and 1.0 too.
 */

#include <stddef.h>

#include "core/slice.h"

enum {
	KEY_PATH_BAD = 1, /* not a path; the sentence says why */

	KEY_PATH_LEN_MAX = 128,
	KEY_PATH_NAMES_MAX = 8,
};

/* Points into itself: to be parsed where it stays, not to be copied. */
struct key_path {
	char text[KEY_PATH_LEN_MAX + 1]; /* as written */
	char split[KEY_PATH_LEN_MAX + 1];
	const char *names[KEY_PATH_NAMES_MAX];
	size_t n_names;
};

/* 0, or KEY_PATH_BAD with a sentence that opens with a verb. Names are printable ASCII without '"' and '\'.
 */
int key_path_parse(struct key_path *path, const char *text, const char **whyp);

/* The key of this checked JSON text, as it stands there, quotes included; absent if it has none. */
struct slice key_path_find(const struct key_path *path, struct slice text);

#endif

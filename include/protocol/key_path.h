#ifndef TIDEGATE_PROTOCOL_KEY_PATH_H
#define TIDEGATE_PROTOCOL_KEY_PATH_H

/*
 * Key path: the place where an event says what it is about, such as "data.id": names of members, joined by
 * '.', from the outermost object inwards. Only objects are entered, never arrays. The value at that place is
 * the event's key if it is a string, a number or a literal. Keys are compared as they stand: "a" and "\u0061"
 * are two keys, and so are 1 and 1.0.
 */

#include <stddef.h>

#include "core/slice.h"

enum {
	KEY_PATH_BAD = 1, /* not a path; a sentence says why */

	KEY_PATH_LEN_MAX = 128,
	KEY_PATH_NAMES_MAX = 8,
};

/* Points into itself: parse it where it will stay, and do not copy it. */
struct key_path {
	char text[KEY_PATH_LEN_MAX + 1]; /* as written */
	char split[KEY_PATH_LEN_MAX + 1];
	const char *names[KEY_PATH_NAMES_MAX];
	size_t n_names;
};

/* 0, or KEY_PATH_BAD with a sentence that opens with a verb. Names are printable ASCII
 * without '"' and '\'. */
int key_path_parse(struct key_path *path, const char *text, const char **whyp);

/* The key in this checked JSON text, as it stands there, quotes included; absent if there is no key. */
struct slice key_path_find(const struct key_path *path, struct slice text);

#endif

/* Fuzz the place of a key in an event: the first line is the path, the rest the event. What is found is a
 * scalar that stands in it. */

#include "fuzz.h"

#include <stdbool.h>
#include <string.h>

#include "protocol/json.h"
#include "protocol/key_path.h"

static void check_found(const struct key_path *path, struct slice text)
{
	struct slice key = key_path_find(path, text);
	bool is_object;

	if (!key.data)
		return;
	PROMISE(key.data > text.data && key.data + key.len < text.data + text.len);
	PROMISE(key.data[0] != '{' && key.data[0] != '[');
	PROMISE(json_check(key.data, key.len, 1, NULL, 0, &is_object) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data, *newline = size ? memchr(text, '\n', size) : NULL;
	size_t len = newline ? (size_t)(newline - text) : size;
	char *words = strndup(text, len);
	struct slice event = {newline ? newline + 1 : "", newline ? size - len - 1 : 0};
	struct key_path path;
	const char *why = NULL;
	bool is_object;
	int r;

	PROMISE(words);
	r = key_path_parse(&path, words, &why);
	PROMISE(r == 0 || (r == KEY_PATH_BAD && why && why[0]));
	PROMISE(r || (path.n_names && path.n_names <= KEY_PATH_NAMES_MAX && !strcmp(path.text, words)));
	if (r == 0 && json_check(event.data, event.len, 128, NULL, 0, &is_object) == 0)
		check_found(&path, event);
	free(words);
	return 0;
}

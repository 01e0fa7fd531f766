/* Key path: the place where an event says what it is about; see the header. */

#include "protocol/key_path.h"

#include <string.h>

#include "protocol/json.h"
#include "protocol/message.h"

static bool is_name_byte(char c)
{
	return c > ' ' && c <= '~' && c != '"' && c != '\\';
}

int key_path_parse(struct key_path *path, const char *text, const char **whyp)
{
	char *rest = path->split;
	size_t len = strlen(text);

	*whyp = "is longer than 128 bytes";
	if (len > KEY_PATH_LEN_MAX)
		return KEY_PATH_BAD;
	*whyp = "has a character in it that is not printable ASCII, a space, '\"' or '\\'";
	for (size_t i = 0; i < len; i++)
		if (!is_name_byte(text[i]))
			return KEY_PATH_BAD;
	memcpy(path->text, text, len + 1);
	memcpy(path->split, text, len + 1);
	for (path->n_names = 0; rest; path->n_names++) {
		*whyp = "has more than 8 names";
		if (path->n_names == KEY_PATH_NAMES_MAX)
			return KEY_PATH_BAD;
		path->names[path->n_names] = strsep(&rest, ".");
		*whyp = "has an empty name in it";
		if (!path->names[path->n_names][0])
			return KEY_PATH_BAD;
	}
	return 0;
}

struct slice key_path_find(const struct key_path *path, struct slice text)
{
	struct slice value = text;
	bool is_object;

	for (size_t i = 0; i < path->n_names; i++) {
		struct json_member member = {.name = path->names[i]};

		if (json_check(value.data, value.len, MESSAGE_DEPTH_MAX, &member, 1, &is_object) ||
			!is_object || !member.value.data)
			return (struct slice){0};
		value = member.value;
	}
	return *value.data == '{' || *value.data == '[' ? (struct slice){0} : value;
}

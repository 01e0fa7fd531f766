/* JSON at: one value out of an answer of the admin API; see the header. */

#include "cli/json_at.h"

#include <stdlib.h>
#include <string.h>

#include "core/text.h"
#include "protocol/json.h"
#include "protocol/message.h"

enum {
	NAME_MAX_BYTES = 64,
	NUMBER_MAX_BYTES = 32,
};

struct slice json_at(struct slice text, const char *path)
{
	while (text.data && *path) {
		struct json_member member = {0};
		char name[NAME_MAX_BYTES];
		size_t len = strcspn(path, ".");
		bool is_object;

		if (len >= sizeof(name))
			return (struct slice){0};
		memcpy(name, path, len);
		name[len] = '\0';
		member.name = name;
		if (json_check(text.data, text.len, MESSAGE_DEPTH_MAX, &member, 1, &is_object) || !is_object)
			return (struct slice){0};
		text = member.value;
		path += len + (path[len] == '.');
	}
	return text;
}

double json_number_at(struct slice text, const char *path)
{
	struct slice value = json_at(text, path);
	char digits[NUMBER_MAX_BYTES];

	if (!value.data || value.len >= sizeof(digits))
		return 0;
	memcpy(digits, value.data, value.len);
	digits[value.len] = '\0';
	return strtod(digits, NULL);
}

const char *json_text_at(struct slice text, const char *path, char *out, size_t size)
{
	struct slice value = json_at(text, path);
	long len = json_is_string(value) ? json_unescape(value, out, size - 1) : 0;

	/* A text that is too long was written as far as it fits. */
	out[len < 0 ? text_cut(out, size - 1, size - 2) : (size_t)len] = '\0';
	for (char *c = out; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	return out;
}

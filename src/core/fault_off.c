/* Fault off: the list of words; see the header. */

#include "core/fault_off.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

static const struct {
	const char *name;
	size_t offset;
} rows[] = {
#define FAULT_OFF_ROW(name, sentence) {#name, offsetof(struct fault_off, name)},
#include "core/fault_off.def"
#undef FAULT_OFF_ROW
};

static int switch_off(const char *word, size_t len, struct fault_off *off)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		if (strlen(rows[i].name) != len || memcmp(rows[i].name, word, len) != 0)
			continue;
		*(bool *)((char *)off + rows[i].offset) = true;
		return 0;
	}
	return -EINVAL;
}

int fault_off_parse(const char *text, struct fault_off *off)
{
	*off = (struct fault_off){0};
	while (text && *text) {
		size_t len = strcspn(text, ",");
		int r = switch_off(text, len, off);

		if (r < 0)
			return r;
		text += len + (text[len] == ',');
	}
	return 0;
}

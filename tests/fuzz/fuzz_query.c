/*
 * Fuzz a URL's query and the names in it: each member of a name is found once, in order, and decoded as it
 * would be by itself. The first line is the name.
 */

#include "fuzz.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "admin/percent.h"
#include "http/query.h"

enum {
	NAME_MAX_BYTES = 16,
	VALUE_MAX = 4096,
	SMALL = 8,
};

/* The same, in the plainest way: cut at each '&'. */
static size_t count_members(struct slice query, const char *name)
{
	size_t n = 0, len = strlen(name);

	for (size_t i = 0; i <= query.len; i++) {
		size_t end = i;

		while (end < query.len && query.data[end] != '&')
			end++;
		n += end - i > len && !memcmp(query.data + i, name, len) && query.data[i + len] == '=';
		i = end;
	}
	return n;
}

static void check_members(struct slice query, const char *name)
{
	static char value[VALUE_MAX], first[VALUE_MAX];
	char small[SMALL];
	size_t at = 0, n = 0;
	int r, whole;

	r = query_text(query, name, NULL, first, sizeof(first));
	while ((whole = query_text(query, name, &at, value, sizeof(value))) != -ENOENT) {
		PROMISE(whole == -ENOSPC || (whole >= 0 && whole < VALUE_MAX && value[whole] == '\0'));
		PROMISE(n || (r == whole && !strcmp(first, value)));
		n++;
	}
	PROMISE(!value[0] && n == count_members(query, name) && (n || r == -ENOENT));
	if (r < 0)
		return;
	PROMISE(query_text(query, name, NULL, small, sizeof(small)) == (r < SMALL ? r : -ENOSPC));
	PROMISE(r < SMALL ? !memcmp(small, first, (size_t)r) : !small[0]);
}

/* The other decoder refuses what this one takes as it stands. */
static void check_percent(struct slice query)
{
	char *text = strndup(query.data, query.len);
	size_t before;

	PROMISE(text);
	before = strlen(text);
	if (percent_decode(text))
		PROMISE(strlen(text) <= before);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data, *newline = size ? memchr(text, '\n', size) : NULL;
	size_t len = newline ? (size_t)(newline - text) : 0;
	char name[NAME_MAX_BYTES];
	struct slice query = newline ? (struct slice){newline + 1, size - len - 1} : (struct slice){"", 0};

	if (!newline || len == 0 || len >= sizeof(name) || memchr(text, '\0', len) ||
		memchr(text, '&', len) || memchr(text, '=', len) || query.len >= VALUE_MAX)
		return 0;
	memcpy(name, text, len);
	name[len] = '\0';
	check_members(query, name);
	check_percent(query);
	return 0;
}

/*
 * Fuzz origins_allow(): the input is an entry, an origin and a Host, each on a line of its own. Whatever they
 * are, `*` lets in what any other entry does, nobody is let in with what cannot stand in an origin, and an
 * origin that is an entry by itself fits it.
 */

#include "fuzz.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/slice.h"
#include "http/origin.h"

/* The next line, NUL-terminated, in memory of its own length. */
static char *line(const char **data, size_t *size)
{
	const char *end = *size ? memchr(*data, '\n', *size) : NULL;
	size_t len = end ? (size_t)(end - *data) : *size;
	char *text = malloc(len + 1);

	PROMISE(text);
	if (len)
		memcpy(text, *data, len);
	text[len] = '\0';
	*data += end ? len + 1 : len;
	*size -= end ? len + 1 : len;
	return text;
}

static bool allows(const char *entry, const char *origin, const char *host, const char *remote)
{
	char *entries[] = {(char *)entry, NULL};
	struct origins *origins = origins_new(entries);
	bool allowed;

	PROMISE(origins);
	allowed = origins_allow(origins, slice_of(origin), slice_of(host), remote);
	origins_free(origins);
	return allowed;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *left = (const char *)data;
	char *entry = line(&left, &size), *origin = line(&left, &size), *host = line(&left, &size);
	bool near = allows("same", origin, host, "127.0.0.1"),
	     far = allows("same", origin, host, "192.0.2.1");
	bool any = allows("*", origin, host, "192.0.2.1");

	PROMISE(!far || near);
	PROMISE(!near || any);
	PROMISE(!any || !strpbrk(origin, "@?#,* \t\\") || strcmp(origin, "null") == 0);
	PROMISE(!any || !strstr(origin, "://") || !strchr(strstr(origin, "://") + 3, '/'));
	if (origin_entry_is_valid(entry)) {
		PROMISE(!allows(entry, origin, host, "192.0.2.1") || any);
		if (strcmp(entry, "same") != 0 && !strchr(entry, '*'))
			PROMISE(allows(entry, entry, host, "192.0.2.1"));
	}
	free(entry);
	free(origin);
	free(host);
	return 0;
}

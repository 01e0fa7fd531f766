/* Query: members of a URL's query; see the header. */

#include "http/query.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "core/text.h"

/* The next member, taken from the front; false: that was the last. */
static bool take_member(struct slice query, size_t *atp, struct slice *member)
{
	const char *end;

	if (*atp >= query.len)
		return false;
	*member = (struct slice){query.data + *atp, query.len - *atp};
	end = memchr(member->data, '&', member->len);
	if (end)
		member->len = (size_t)(end - member->data);
	*atp += member->len + 1;
	return true;
}

static int decode(struct slice text, char *out, size_t size)
{
	size_t n = 0;

	for (size_t i = 0; i < text.len; i++) {
		int byte = text_percent_byte(text.data + i, text.len - i);

		if (n + 1 >= size)
			return -ENOSPC;
		out[n++] = byte >= 0 ? (char)byte : text.data[i];
		i += byte >= 0 ? 2 : 0;
	}
	out[n] = '\0';
	return (int)n;
}

int query_text(struct slice query, const char *name, size_t *atp, char *out, size_t size)
{
	size_t first = 0, len = strlen(name);
	size_t *at = atp ? atp : &first;
	struct slice member;
	int r = -ENOENT;

	while (r == -ENOENT && take_member(query, at, &member))
		if (member.len > len && !memcmp(member.data, name, len) && member.data[len] == '=')
			r = decode((struct slice){member.data + len + 1, member.len - len - 1}, out, size);
	if (r < 0)
		out[0] = '\0';
	return r;
}

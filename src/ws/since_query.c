/* Since query: where a client was; see the header. */

#include "ws/since_query.h"

#include "http/query.h"
#include "http/request_head.h"

enum {
	SINCE_MAX = REQUEST_HEAD_MAX, /* of a query member: as long as it can be */
};

bool since_query_read(struct slice query, const char *name, bool lists,
	struct position others[ROUTE_CHANNELS_MAX - 1], struct since *since)
{
	char text[SINCE_MAX];
	size_t at = 0;
	int len = query_text(query, name, &at, text, sizeof(text));
	struct slice first = {text, (size_t)len};

	if (len < 0)
		return false;
	*since = lists ? since_parse_list(first, others, ROUTE_CHANNELS_MAX - 1) : since_parse(first);
	while (since->n_others < ROUTE_CHANNELS_MAX - 1 &&
		(len = query_text(query, name, &at, text, sizeof(text))) >= 0) {
		struct since other = since_parse((struct slice){text, (size_t)len});

		if (other.kind == SINCE_POSITION)
			others[since->n_others++] = other.position;
	}
	since->others = others;
	return true;
}

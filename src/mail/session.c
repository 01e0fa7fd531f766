/* Session: what travels from a worker to the bus about one connection; see the header. */

#include "mail/session.h"

#include <stdio.h>
#include <stdlib.h>

enum {
	HEAD_MAX = 2 * 21 + 1, /* two lengths, and a blank behind each */
};

struct session_change *session_begun(
	struct slice stream, struct slice user, struct slice route, struct slice vars)
{
	char head[HEAD_MAX];
	size_t head_len = (size_t)snprintf(head, sizeof(head), "%zu %zu ", user.len, route.len);
	size_t text_len = head_len + user.len + route.len + vars.len;
	struct session_change *change = malloc(sizeof(*change) + stream.len + text_len);
	char *at;

	if (!change)
		return NULL;
	*change = (struct session_change){
		.mail.kind = BUS_SESSION, .is_here = true, .stream_len = stream.len, .text_len = text_len};
	at = change->bytes;
	slice_keep(stream, &at);
	slice_keep((struct slice){head, head_len}, &at);
	slice_keep(user, &at);
	slice_keep(route, &at);
	slice_keep(vars, &at);
	return change;
}

struct session_change *session_over(void)
{
	struct session_change *change = malloc(sizeof(*change));

	if (change)
		*change = (struct session_change){.mail.kind = BUS_SESSION};
	return change;
}

/* Action: what a client asks of a backend, on its way to the bus; see the header. */

#include "mail/action.h"

#include <stdlib.h>
#include <string.h>

/* Copies the slice behind *atp and moves *atp on. */
static struct slice keep(struct slice from, char **atp)
{
	struct slice copy = {*atp, from.len};

	if (from.len)
		memcpy(*atp, from.data, from.len);
	*atp += from.len;
	return copy;
}

struct action *action_new(const struct action_text *text)
{
	size_t len = text->stream.len + text->user.len + text->route.len + text->vars.len + text->key.len +
		     text->data.len;
	struct action *action = calloc(1, sizeof(*action) + len);
	char *at;

	if (!action)
		return NULL;
	at = action->bytes;
	action->mail.kind = BUS_ACTION;
	action->text = (struct action_text){
		.stream = keep(text->stream, &at),
		.user = keep(text->user, &at),
		.route = keep(text->route, &at),
		.vars = keep(text->vars, &at),
		.key = keep(text->key, &at),
		.data = keep(text->data, &at),
	};
	return action;
}

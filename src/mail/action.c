/* Action: what a client asks of a backend, on its way to the bus; see the header. */

#include "mail/action.h"

#include <stdlib.h>

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
		.stream = slice_keep(text->stream, &at),
		.user = slice_keep(text->user, &at),
		.route = slice_keep(text->route, &at),
		.vars = slice_keep(text->vars, &at),
		.key = slice_keep(text->key, &at),
		.data = slice_keep(text->data, &at),
	};
	return action;
}

/* Claim names: the claims that the routes of some configuration used since the start; see the header. */

#include "app/claim_names.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

void claim_names_deinit(struct claim_names *names)
{
	for (char **name = names->names; name && *name; name++)
		free(*name);
	free(names->names);
	*names = (struct claim_names){0};
}

static int add(struct claim_names *names, const char *name)
{
	size_t n = 0;
	char **grown;

	for (; names->names && names->names[n]; n++)
		if (!strcmp(names->names[n], name))
			return 0;
	grown = realloc(names->names, (n + 2) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	names->names = grown;
	grown[n] = strdup(name);
	grown[n + 1] = NULL;
	return grown[n] ? 0 : -ENOMEM;
}

int claim_names_add(struct claim_names *names, const char *const *more)
{
	int r = 0;

	while (r == 0 && *more)
		r = add(names, *more++);
	return r;
}

const char *const *claim_names_list(const struct claim_names *names)
{
	static const char *const none[] = {NULL};

	return names->names ? (const char *const *)names->names : none;
}

#ifndef TIDEGATE_APP_CLAIM_NAMES_H
#define TIDEGATE_APP_CLAIM_NAMES_H

/*
 * Claim names: the claims that the routes of some configuration used since the start.
 *
 * A connection keeps the route that let it in, even if a reload has changed that route. So when its client
 * shows a newer token, the claims of the old route are asked for still, beside those of the newest one.
 */

/* Zeroed memory: none yet. */
struct claim_names {
	char **names; /* NULL-terminated; NULL: none */
};

void claim_names_deinit(struct claim_names *names);

/* more: NULL-terminated; copied. 0 or -ENOMEM, with some of them added. */
int claim_names_add(struct claim_names *names, const char *const *more);

/* NULL-terminated. Borrowed until the next claim_names_add(). */
const char *const *claim_names_list(const struct claim_names *names);

#endif

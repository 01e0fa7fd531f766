#ifndef TIDEGATE_WS_TRUSTED_H
#define TIDEGATE_WS_TRUSTED_H

/*
 * Trusted: whose X-Forwarded-For, or Forwarded, is believed.
 *
 * A list of addresses and CIDR blocks. The hops are walked from the right: each hop that is trusted vouches
 * for the one before it; the first that is not is the client. With an empty list the header is never looked
 * at.
 */

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

#include "core/slice.h"
#include "ws/forwarded.h"

struct buf;
struct trusted;

/*
 * blocks ends with NULL: "10.0.0.0/8", "::1", "192.168.1.7". 0, -EINVAL with one sentence appended to error,
 * or -ENOMEM. Immutable, may be shared between threads.
 */
int trusted_new(char *const *blocks, struct trusted **trustedp, struct buf *error);
void trusted_free(struct trusted *trusted); /* accepts NULL */

bool trusted_contains(const struct trusted *trusted, const char *address);

/* The client behind `peer`, given the hops that it names (absent: none). Writes a plain address, at most the
 * peer's. */
void trusted_client(const struct trusted *trusted, const char *peer, enum forwarded_form form,
	struct slice hops, char out[INET6_ADDRSTRLEN]);

#endif

#ifndef TIDEGATE_WS_TRUSTED_H
#define TIDEGATE_WS_TRUSTED_H

/*
 * Trusted: the proxies whose X-Forwarded-For or Forwarded is believed.
 *
 * It is a list of addresses and CIDR blocks. The hops of a header are walked from the right: each trusted hop
 * vouches for the one before it, and the first hop that is not trusted is the client. With an empty list the
 * header is never looked at.
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

/* Is the address one of them? The first takes the form that ip_parse() makes. */
bool trusted_covers(const struct trusted *trusted, const struct in6_addr *address);
bool trusted_contains(const struct trusted *trusted, const char *address);

/* Finds the client behind `peer`. hops: the header's value; may be absent. Writes a plain address; if no hop
 * can be believed, the peer's. */
void trusted_client(const struct trusted *trusted, const char *peer, enum forwarded_form form,
	struct slice hops, char out[INET6_ADDRSTRLEN]);

#endif

#ifndef TIDEGATE_HTTP_ORIGIN_H
#define TIDEGATE_HTTP_ORIGIN_H

/*
 * Origin: which sites' pages may connect.
 *
 * A browser says with every WebSocket which page opened it, and no page can change that. Without a look at
 * it, any page that somebody opens could read what this browser may reach, such as a gateway inside an
 * intranet. A client that is no browser says nothing, and is not kept out by this.
 *
 * An entry of the list is one of:
 *
 *   same                        Origin's host and port are those of the Host header; or the client, the Host
 *                               and the Origin are all loopback, on whatever ports
 *   https://app.example.com     exactly this one; without a port the scheme's
 *   https://<star>.example.com  whatever is below that name, but not the name itself
 *   http://localhost:<star>     on any port
 *   null, file://               what pages without an origin of their own say, by browser
 *   <star>                      every page
 *
 * where <star> is an asterisk. Schemes and hosts are compared whatever their case.
 */

#include <stdbool.h>

#include "core/slice.h"

struct origins;

bool origin_entry_is_valid(const char *entry);

/* Entries end with NULL, and are valid. NULL when out of memory. Immutable, may be shared between threads. */
struct origins *origins_new(char *const *entries);
void origins_free(struct origins *origins); /* accepts NULL */

/*
 * May a page of this origin connect? origin: the header's value. host: the request's, with its port.
 * remote: the client's address. False for what is no origin: two of them, a user, a path, a dot at the end.
 */
bool origins_allow(const struct origins *origins, struct slice origin, struct slice host, const char *remote);

#endif

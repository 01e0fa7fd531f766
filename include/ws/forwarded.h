#ifndef TIDEGATE_WS_FORWARDED_H
#define TIDEGATE_WS_FORWARDED_H

/*
 * Forwarded: what proxies write about whom they speak for: X-Forwarded-For, as each of them understands it,
 * and Forwarded, RFC 7239. A list; each proxy adds to its end.
 */

#include <netinet/in.h>
#include <stdbool.h>

#include "core/slice.h"

enum forwarded_form {
	FORWARDED_FOR_ADDRESSES, /* X-Forwarded-For: 203.0.113.7, [2001:db8::7]:443 */
	FORWARDED_ELEMENTS,      /* Forwarded: for=203.0.113.7;proto=https, for="[2001:db8::7]:443" */
};

/*
 * Cuts the last hop off the list and writes its address, without port, brackets and quotes. Empty elements
 * are passed over. False: none is left, or it is no address ("unknown", a name, a name made up).
 */
bool forwarded_last(struct slice *list, enum forwarded_form form, char out[INET6_ADDRSTRLEN]);

#endif

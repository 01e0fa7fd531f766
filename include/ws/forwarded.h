#ifndef TIDEGATE_WS_FORWARDED_H
#define TIDEGATE_WS_FORWARDED_H

/*
 * Forwarded: the addresses that proxies write into X-Forwarded-For, each in its own way, and into Forwarded
 * (RFC 7239). Both are lists, to whose end each proxy adds.
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
 * are skipped. False if no hop is left, or if the hop is not an address ("unknown", a name).
 */
bool forwarded_last(struct slice *list, enum forwarded_form form, char out[INET6_ADDRSTRLEN]);

#endif

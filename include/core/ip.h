#ifndef TIDEGATE_CORE_IP_H
#define TIDEGATE_CORE_IP_H

/* IP: an IP address in its text form. No names, no ports, no sockets. */

#include <stdbool.h>

#include <netinet/in.h>

#include "core/slice.h"

/* False if the text is no address. An IPv4 address becomes ::ffff:a.b.c.d, so that one comparison serves both
 * families; *ipv4p says which it was. */
bool ip_parse(struct slice text, struct in6_addr *address, bool *ipv4p);

/* The text of an address in the form that ip_parse() makes: an IPv4 address stands alone, without ::ffff:. */
void ip_print(const struct in6_addr *address, char out[INET6_ADDRSTRLEN]);

/* Is it an address that only this machine can reach? */
bool ip_is_loopback(struct slice text);

#endif

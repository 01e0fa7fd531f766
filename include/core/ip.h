#ifndef TIDEGATE_CORE_IP_H
#define TIDEGATE_CORE_IP_H

/* IP: an IP address in its text form. No names, no ports, no sockets. */

#include <stdbool.h>

#include <netinet/in.h>

#include "core/slice.h"

/* False if the text is no address. An IPv4 address becomes ::ffff:a.b.c.d, so that one comparison serves both
 * families; *ipv4p says which it was. */
bool ip_parse(struct slice text, struct in6_addr *address, bool *ipv4p);

/* An IPv4 address in that form. */
struct in6_addr ip_mapped(const struct in_addr *ipv4);

/* The address of a socket: unspecified if it is of another family. */
struct in6_addr ip_of(const struct sockaddr_storage *address);

/* The text of an address in the form that ip_parse() makes: an IPv4 address stands alone, without ::ffff:. */
void ip_print(const struct in6_addr *address, char out[INET6_ADDRSTRLEN]);

/* Is it one that nobody has on the internet: of this machine, of a private network, of a provider's own
 * (RFC 1918, 4193, 6598, 3927), or none? */
bool ip_is_private(const struct in6_addr *address);

/* The IPv4 address, in its mapped form, that a translator (RFC 6052, 64:ff9b::/96) has put into an IPv6 one;
 * any other address as it is. */
struct in6_addr ip_embedded(const struct in6_addr *address);

/* Is it an address that only this machine can reach? */
bool ip_is_loopback(struct slice text);

#endif

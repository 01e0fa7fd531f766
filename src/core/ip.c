/* IP: an IP address in its text form; see the header. */

#include "core/ip.h"

#include <arpa/inet.h>
#include <string.h>

enum {
	IPV4_AT = 12, /* of an IPv4 address in its mapped form */
};

struct in6_addr ip_of(const struct sockaddr_storage *address)
{
	if (address->ss_family == AF_INET6)
		return ((const struct sockaddr_in6 *)address)->sin6_addr;
	if (address->ss_family == AF_INET)
		return ip_mapped(&((const struct sockaddr_in *)address)->sin_addr);
	return in6addr_any;
}

struct in6_addr ip_mapped(const struct in_addr *ipv4)
{
	struct in6_addr mapped = {{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}}};

	memcpy(&mapped.s6_addr[IPV4_AT], ipv4, sizeof(*ipv4));
	return mapped;
}

bool ip_parse(struct slice text, struct in6_addr *address, bool *ipv4p)
{
	char copy[INET6_ADDRSTRLEN];
	struct in_addr ipv4;

	if (text.len >= sizeof(copy) || memchr(text.data ? text.data : "", '\0', text.len))
		return false;
	memcpy(copy, text.data ? text.data : "", text.len);
	copy[text.len] = '\0';
	*ipv4p = inet_pton(AF_INET, copy, &ipv4) == 1;
	if (!*ipv4p)
		return inet_pton(AF_INET6, copy, address) == 1;
	*address = ip_mapped(&ipv4);
	return true;
}

/* By hand: inet_ntop() prints it with sprintf(), 2,300 instructions, and a handshake needs it three times. */
static void print_ipv4(const uint8_t *bytes, char *out)
{
	for (int i = 0; i < 4; i++) {
		if (bytes[i] >= 100)
			*out++ = (char)('0' + bytes[i] / 100);
		if (bytes[i] >= 10)
			*out++ = (char)('0' + bytes[i] / 10 % 10);
		*out++ = (char)('0' + bytes[i] % 10);
		*out++ = i < 3 ? '.' : '\0';
	}
}

void ip_print(const struct in6_addr *address, char out[INET6_ADDRSTRLEN])
{
	out[0] = '\0';
	if (IN6_IS_ADDR_V4MAPPED(address))
		print_ipv4(&address->s6_addr[IPV4_AT], out);
	else
		(void)inet_ntop(AF_INET6, address->s6_addr, out, INET6_ADDRSTRLEN); /* there is room */
}

static bool ipv4_is_private(const uint8_t *bytes)
{
	/* 100.64.0.0/10 is what providers and clouds number their own insides with */
	return bytes[0] == 0 || bytes[0] == 10 || bytes[0] == IN_LOOPBACKNET ||
	       (bytes[0] == 100 && (bytes[1] & 0xc0) == 64) || (bytes[0] == 169 && bytes[1] == 254) ||
	       (bytes[0] == 172 && (bytes[1] & 0xf0) == 16) || (bytes[0] == 192 && bytes[1] == 168);
}

bool ip_is_private(const struct in6_addr *address)
{
	if (IN6_IS_ADDR_V4MAPPED(address))
		return ipv4_is_private(&address->s6_addr[IPV4_AT]);
	return IN6_IS_ADDR_LOOPBACK(address) || IN6_IS_ADDR_UNSPECIFIED(address) ||
	       IN6_IS_ADDR_LINKLOCAL(address) || (address->s6_addr[0] & 0xfe) == 0xfc;
}

struct in6_addr ip_embedded(const struct in6_addr *address)
{
	static const uint8_t translated[IPV4_AT] = {0x00, 0x64, 0xff, 0x9b};
	struct in_addr ipv4;

	if (memcmp(address, translated, sizeof(translated)) != 0)
		return *address;
	memcpy(&ipv4, &address->s6_addr[IPV4_AT], sizeof(ipv4));
	return ip_mapped(&ipv4);
}

bool ip_is_loopback(struct slice text)
{
	struct in6_addr address;
	bool ipv4;

	return ip_parse(text, &address, &ipv4) &&
	       (IN6_IS_ADDR_LOOPBACK(&address) ||
		       (IN6_IS_ADDR_V4MAPPED(&address) && address.s6_addr[IPV4_AT] == IN_LOOPBACKNET));
}

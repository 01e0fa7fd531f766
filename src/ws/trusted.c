/* Trusted: the proxies whose X-Forwarded-For or Forwarded is believed; see the header. */

#include "ws/trusted.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/ip.h"

struct block {
	struct in6_addr address;
	unsigned int bits;
};

struct trusted {
	size_t n;
	struct block blocks[];
};

enum {
	IPV4_BITS = 96, /* before an IPv4 address in its mapped form */
};

static bool parse_block(const char *text, struct block *block)
{
	const char *slash = strchr(text, '/');
	size_t len = slash ? (size_t)(slash - text) : strlen(text);
	unsigned long bits;
	bool is_ipv4;
	char *end;

	if (!ip_parse((struct slice){text, len}, &block->address, &is_ipv4))
		return false;
	block->bits = 128;
	if (!slash)
		return true;
	if (slash[1] < '0' || slash[1] > '9') /* strtoul would take a sign or white space */
		return false;
	bits = strtoul(slash + 1, &end, 10);
	if (*end || bits > (is_ipv4 ? 32 : 128))
		return false;
	block->bits = (unsigned int)bits + (is_ipv4 ? IPV4_BITS : 0);
	return true;
}

int trusted_new(char *const *blocks, struct trusted **trustedp, struct buf *error)
{
	struct trusted *trusted;
	size_t n = 0;

	while (blocks && blocks[n])
		n++;
	trusted = calloc(1, sizeof(*trusted) + n * sizeof(struct block));
	if (!trusted)
		return -ENOMEM;
	for (; trusted->n < n; trusted->n++) {
		if (!parse_block(blocks[trusted->n], &trusted->blocks[trusted->n])) {
			buf_printf(error, "trusted_proxies: '%s' is neither an address nor a CIDR block",
				blocks[trusted->n]);
			trusted_free(trusted);
			return -EINVAL;
		}
	}
	*trustedp = trusted;
	return 0;
}

void trusted_free(struct trusted *trusted)
{
	free(trusted);
}

static bool block_contains(const struct block *block, const struct in6_addr *address)
{
	unsigned int bytes = block->bits / 8, rest = block->bits % 8;
	uint8_t mask = (uint8_t)(0xff << (8 - rest));

	if (memcmp(&block->address, address, bytes))
		return false;
	return !rest || ((block->address.s6_addr[bytes] ^ address->s6_addr[bytes]) & mask) == 0;
}

bool trusted_covers(const struct trusted *trusted, const struct in6_addr *address)
{
	for (size_t i = 0; i < trusted->n; i++)
		if (block_contains(&trusted->blocks[i], address))
			return true;
	return false;
}

bool trusted_contains(const struct trusted *trusted, const char *text)
{
	struct in6_addr address;
	bool is_ipv4;

	return ip_parse(slice_of(text), &address, &is_ipv4) && trusted_covers(trusted, &address);
}

void trusted_client(const struct trusted *trusted, const char *peer, enum forwarded_form form,
	struct slice hops, char out[INET6_ADDRSTRLEN])
{
	char hop[INET6_ADDRSTRLEN];

	out[0] = '\0';
	strncat(out, peer, INET6_ADDRSTRLEN - 1);
	while (trusted_contains(trusted, out) && forwarded_last(&hops, form, hop))
		memcpy(out, hop, sizeof(hop));
}

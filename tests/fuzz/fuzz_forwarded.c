/*
 * Fuzz what proxies write: whoever they name, what comes out is an address, and one that was written there
 * or the peer's. The first line is a block of addresses that are trusted, if it is one; the rest is the
 * header.
 */

#include "fuzz.h"

#include <string.h>

#include "core/buf.h"
#include "core/ip.h"
#include "ws/forwarded.h"
#include "ws/trusted.h"

static const char peer[] = "10.0.0.1";

/* It is the same when a socket has it. */
static void check_socket(const struct in6_addr *address)
{
	struct sockaddr_storage storage = {.ss_family = AF_INET6};
	struct in6_addr again;

	((struct sockaddr_in6 *)&storage)->sin6_addr = *address;
	again = ip_of(&storage);
	PROMISE(!memcmp(&again, address, sizeof(again)));
	if (!IN6_IS_ADDR_V4MAPPED(address))
		return;
	storage = (struct sockaddr_storage){.ss_family = AF_INET};
	memcpy(&((struct sockaddr_in *)&storage)->sin_addr, &address->s6_addr[12], sizeof(struct in_addr));
	again = ip_of(&storage);
	PROMISE(!memcmp(&again, address, sizeof(again)));
	storage.ss_family = AF_UNIX;
	again = ip_of(&storage);
	PROMISE(IN6_IS_ADDR_UNSPECIFIED(&again));
}

/* An address says the same when it is written by us. */
static void check_ip(struct slice text)
{
	struct in6_addr address, again;
	char out[INET6_ADDRSTRLEN];
	bool ipv4, ipv4_again;

	if (!ip_parse(text, &address, &ipv4)) {
		PROMISE(!ip_is_loopback(text));
		return;
	}
	PROMISE(!ipv4 || IN6_IS_ADDR_V4MAPPED(&address));
	check_socket(&address);
	ip_print(&address, out);
	PROMISE(ip_parse(slice_of(out), &again, &ipv4_again) && !memcmp(&address, &again, sizeof(again)));
	PROMISE(ipv4_again == IN6_IS_ADDR_V4MAPPED(&address));
	PROMISE(!ip_is_loopback(text) || ip_is_private(&address));
	again = ip_embedded(&address);
	PROMISE(!memcmp(&again, &address, sizeof(again)) || IN6_IS_ADDR_V4MAPPED(&again));
}

static void check_hops(struct slice list, enum forwarded_form form)
{
	char out[INET6_ADDRSTRLEN];
	size_t before;

	do {
		struct in6_addr address;
		bool ipv4;

		before = list.len;
		if (!forwarded_last(&list, form, out))
			continue;
		PROMISE(memmem(list.data, before, out, strlen(out)) && strlen(out) >= 2);
		PROMISE(ip_parse(slice_of(out), &address, &ipv4));
	} while (list.len < before && list.len);
	PROMISE(list.len <= before);
}

static struct trusted *trust(struct slice block)
{
	struct trusted *trusted = NULL;
	struct buf error = {0};
	char *text = strndup(block.data, block.len);
	char *blocks[] = {(char *)"10.0.0.0/8", text, NULL};

	PROMISE(text);
	if (trusted_new(blocks, &trusted, &error) != 0) {
		PROMISE(error.len);
		buf_reset(&error);
		blocks[1] = NULL;
		PROMISE(trusted_new(blocks, &trusted, &error) == 0);
	}
	PROMISE(error.len == 0);
	buf_deinit(&error);
	free(text);
	return trusted;
}

static void check_client(const struct trusted *trusted, struct slice hops, enum forwarded_form form)
{
	char client[INET6_ADDRSTRLEN];
	struct in6_addr address;
	bool ipv4;

	trusted_client(trusted, peer, form, hops, client);
	PROMISE(ip_parse(slice_of(client), &address, &ipv4));
	PROMISE(trusted_covers(trusted, &address) == trusted_contains(trusted, client));
	/* A stranger's word counts for nothing. */
	trusted_client(trusted, "192.0.2.1", form, hops, client);
	PROMISE(trusted_contains(trusted, "192.0.2.1") || strcmp(client, "192.0.2.1") == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data, *newline = size ? memchr(text, '\n', size) : NULL;
	struct slice block = {text, newline ? (size_t)(newline - text) : 0};
	struct slice hops =
		newline ? (struct slice){newline + 1, size - block.len - 1} : (struct slice){text, size};
	struct trusted *trusted;

	if (!size)
		return 0;
	trusted = trust(block);
	check_ip(hops);
	check_ip(block);
	check_hops(hops, FORWARDED_FOR_ADDRESSES);
	check_hops(hops, FORWARDED_ELEMENTS);
	check_client(trusted, hops, FORWARDED_FOR_ADDRESSES);
	check_client(trusted, hops, FORWARDED_ELEMENTS);
	trusted_free(trusted);
	return 0;
}

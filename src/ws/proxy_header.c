/* Proxy header: the text form and the binary form; see the header. */

#include "ws/proxy_header.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <string.h>

#include "core/ip.h"
#include "core/slice.h"

enum {
	SIGNATURE_LEN = 12,
	V2_HEAD = 16,    /* signature, version and command, family and transport, length */
	V2_INET = 12,    /* two IPv4 addresses and two ports */
	V2_INET6 = 36,   /* two of IPv6 */
	V2_UNIX = 216,   /* two paths */
	PORT_DIGITS = 5, /* of 65535 */
};

static const char signature[SIGNATURE_LEN] = {
	'\r', '\n', '\r', '\n', '\0', '\r', '\n', 'Q', 'U', 'I', 'T', '\n'};

/* Takes the text before the next space from the front, or all of it. */
static struct slice take_word(struct slice *text)
{
	const char *space = text->len ? memchr(text->data, ' ', text->len) : NULL;
	struct slice word = {text->data, space ? (size_t)(space - text->data) : text->len};
	size_t taken = word.len + (space ? 1 : 0);

	text->data += taken;
	text->len -= taken;
	return word;
}

static bool is(struct slice text, const char *word)
{
	return text.len == strlen(word) && memcmp(text.data, word, text.len) == 0;
}

static bool is_port(struct slice text)
{
	unsigned int port = 0;

	if (text.len == 0 || text.len > PORT_DIGITS || (text.len > 1 && text.data[0] == '0'))
		return false;
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] < '0' || text.data[i] > '9')
			return false;
		port = port * 10 + (unsigned int)(text.data[i] - '0');
	}
	return port <= UINT16_MAX;
}

/* "TCP4 203.0.113.7 192.0.2.1 51008 443", behind "PROXY ". */
static bool read_line(struct proxy_header *header, struct slice line)
{
	struct slice family = take_word(&line), from, to, from_port, to_port;
	bool wants_ipv4 = is(family, "TCP4"), from_ipv4, to_ipv4;
	struct in6_addr ignored;

	if (is(family, "UNKNOWN")) /* whatever follows */
		return true;
	if (!wants_ipv4 && !is(family, "TCP6"))
		return false;
	from = take_word(&line);
	to = take_word(&line);
	from_port = take_word(&line);
	to_port = line; /* and nothing behind it */
	header->named = true;
	return ip_parse(from, &header->client, &from_ipv4) && ip_parse(to, &ignored, &to_ipv4) &&
	       from_ipv4 == wants_ipv4 && to_ipv4 == wants_ipv4 && is_port(from_port) && is_port(to_port);
}

static int parse_v1(struct proxy_header *header, const char *data, size_t len, size_t *usedp)
{
	static const char begin[] = "PROXY ";
	size_t begin_len = sizeof(begin) - 1;
	const char *end;

	if (memcmp(data, begin, len < begin_len ? len : begin_len) != 0)
		return PROXY_HEADER_BAD;
	if (len > PROXY_HEADER_V1_MAX)
		len = PROXY_HEADER_V1_MAX;
	end = memchr(data, '\n', len);
	if (!end)
		return len < PROXY_HEADER_V1_MAX ? PROXY_HEADER_MORE : PROXY_HEADER_BAD;
	*usedp = (size_t)(end - data) + 1;
	if (*usedp < begin_len + 2 || end[-1] != '\r')
		return PROXY_HEADER_BAD;
	return read_line(header, (struct slice){data + begin_len, *usedp - begin_len - 2}) ? 0
											   : PROXY_HEADER_BAD;
}

/* The bytes of the addresses, by family and transport; -1: nobody knows these. */
static int addresses_len(uint8_t kind)
{
	static const int lens[] = {0, V2_INET, V2_INET6, V2_UNIX};
	unsigned int family = kind >> 4, transport = kind & 0x0f;

	return family < sizeof(lens) / sizeof(*lens) && transport <= 2 ? lens[family] : -1;
}

/* The addresses come first; what stands behind them (TLVs) is not looked at. */
static void read_client(struct proxy_header *header, int addresses, const char *data)
{
	struct in_addr ipv4;

	if (addresses == V2_INET) {
		memcpy(&ipv4, data, sizeof(ipv4));
		header->client = ip_mapped(&ipv4);
		header->named = true;
	} else if (addresses == V2_INET6) {
		memcpy(&header->client, data, sizeof(header->client));
		header->named = true;
	}
}

static int parse_v2(struct proxy_header *header, const char *data, size_t len, size_t *usedp)
{
	const uint8_t *bytes = (const uint8_t *)data;
	int addresses;
	size_t rest;

	if (len < V2_HEAD)
		return PROXY_HEADER_MORE;
	rest = (size_t)bytes[14] << 8 | bytes[15];
	addresses = addresses_len(bytes[13]);
	/* Version 2; command 0 is LOCAL, 1 is PROXY. */
	if ((bytes[12] & 0xfe) != 0x20 || addresses < 0 || V2_HEAD + rest > PROXY_HEADER_MAX)
		return PROXY_HEADER_BAD;
	if ((bytes[12] & 1) && rest < (size_t)addresses)
		return PROXY_HEADER_BAD;
	if (len < V2_HEAD + rest)
		return PROXY_HEADER_MORE;
	*usedp = V2_HEAD + rest;
	if (bytes[12] & 1)
		read_client(header, addresses, data + V2_HEAD);
	return 0;
}

int proxy_header_parse(struct proxy_header *header, const char *data, size_t len, size_t *usedp)
{
	*header = (struct proxy_header){0};
	if (len == 0)
		return PROXY_HEADER_MORE;
	if (memcmp(data, signature, len < SIGNATURE_LEN ? len : SIGNATURE_LEN) == 0)
		return parse_v2(header, data, len, usedp);
	return parse_v1(header, data, len, usedp);
}

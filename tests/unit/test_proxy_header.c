/* Proxy header: what ws/proxy_header.h promises. */

#include "ws/proxy_header.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/ip.h"

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define INET      "\xcb\x00\x71\x07\xc0\x00\x02\x01\xc7\x40\x01\xbb" /* 203.0.113.7 to 192.0.2.1 */
#define IPV6      "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0"
#define INET6     IPV6 "\x07" IPV6 "\x01\xc7\x40\x01\xbb"
#define TLV       "\x04\x00\x03xyz"
#define COUNT(a)  (sizeof(a) / sizeof((a)[0]))
#define BYTES(a)  a, sizeof(a) - 1

struct row {
	const char *bytes;
	size_t len;
	const char *client; /* NULL: it names nobody */
};

static const struct row good[] = {
	{BYTES("PROXY TCP4 203.0.113.7 192.0.2.1 51008 443\r\n"), "203.0.113.7"},
	{BYTES("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"), "255.255.255.255"},
	{BYTES("PROXY TCP4 203.0.113.7 192.0.2.1 0 0\r\n"), "203.0.113.7"},
	{BYTES("PROXY TCP6 2001:db8::7 2001:db8::1 51008 443\r\n"), "2001:db8::7"},
	{BYTES("PROXY TCP6 ::ffff:203.0.113.7 ::1 51008 443\r\n"),
		"203.0.113.7"}, /* HAProxy, of a mixed pair */
	{BYTES("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
	       "65535 65535\r\n"),
		"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
	{BYTES("PROXY UNKNOWN\r\n"), NULL},
	{BYTES("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
	       "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
	       "65535 65535\r\n"), /* 107 bytes: the longest */
		NULL},
	{BYTES(SIGNATURE "\x21\x11\x00\x0c" INET), "203.0.113.7"},
	{BYTES(SIGNATURE "\x21\x12\x00\x0c" INET),
		"203.0.113.7"}, /* a datagram's; its address is one all the same */
	{BYTES(SIGNATURE "\x21\x11\x00\x12" INET TLV), "203.0.113.7"},
	{BYTES(SIGNATURE "\x21\x21\x00\x24" INET6), "2001:db8::7"},
	{BYTES(SIGNATURE "\x21\x21\x00\x2a" INET6 TLV), "2001:db8::7"},
	{BYTES(SIGNATURE "\x20\x00\x00\x00"), NULL},
	{BYTES(SIGNATURE "\x20\x11\x00\x0c" INET), NULL}, /* LOCAL: the addresses mean nothing */
	{BYTES(SIGNATURE "\x20\x11\x00\x06" TLV), NULL},
	{BYTES(SIGNATURE "\x21\x00\x00\x00"), NULL}, /* UNSPEC */
	{BYTES(SIGNATURE "\x21\x00\x00\x06" TLV), NULL},
};

static const struct row bad[] = {
	{BYTES("GET / HTTP/1.1\r\n"), NULL}, {BYTES("proxy TCP4 203.0.113.7 192.0.2.1 51008 443\r\n"), NULL},
	{BYTES("PROXY\r\n"), NULL}, {BYTES("PROXY \r\n"), NULL},
	{BYTES("PROXY TCP5 203.0.113.7 192.0.2.1 51008 443\r\n"), NULL},
	{BYTES("PROXY TCP4 2001:db8::7 2001:db8::1 51008 443\r\n"), NULL},
	{BYTES("PROXY TCP4 ::ffff:203.0.113.7 192.0.2.1 51008 443\r\n"), NULL},
	{BYTES("PROXY TCP6 203.0.113.7 192.0.2.1 51008 443\r\n"), NULL},
	{BYTES("PROXY TCP4 203.0.113.7 192.0.2.1 51008\r\n"), NULL},
	{BYTES("PROXY TCP4 203.0.113.7 192.0.2.1 51008 443 \r\n"), NULL},
	{BYTES("PROXY TCP4 203.0.113.7 192.0.2.1 51008 443 1\r\n"), NULL},
	{BYTES("PROXY TCP4  203.0.113.7 192.0.2.1 51008 443\r\n"), NULL},
	{BYTES("PROXY TCP4 203.0.113.7 192.0.2.1 051008 443\r\n"), NULL},
	{BYTES("PROXY TCP4 203.0.113.7 192.0.2.1 65536 443\r\n"), NULL},
	{BYTES("PROXY TCP4 203.0.113.7 192.0.2.1 -1 443\r\n"), NULL},
	{BYTES("PROXY TCP4 203.0.113.7 192.0.2.1 5100x 443\r\n"), NULL},
	{BYTES("PROXY TCP4 203.0.113.7 192.0.2.1 51008 443\n"), NULL},
	{BYTES("PROXY TCP4 203.0.113.07 192.0.2.1 51008 443\r\n"), NULL},
	{BYTES("PROXY TCP4 203.0.113.7\0 192.0.2.1 51008 443\r\n"), NULL},
	{BYTES("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
	       "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
	       "65535 655350\r\n"), /* 108 */
		NULL},
	{BYTES(SIGNATURE "\x11\x11\x00\x0c" INET), NULL}, /* version 1, in the binary form */
	{BYTES(SIGNATURE "\x31\x11\x00\x0c" INET), NULL},
	{BYTES(SIGNATURE "\x22\x11\x00\x0c" INET), NULL}, /* commands and families that nobody knows */
	{BYTES(SIGNATURE "\x21\x41\x00\x0c" INET), NULL}, {BYTES(SIGNATURE "\x21\x13\x00\x0c" INET), NULL},
	{BYTES(SIGNATURE "\x21\x21\x00\x0c" INET), NULL}, /* shorter than its addresses */
	{BYTES(SIGNATURE "\x21\x11\x00\x0b" INET), NULL},
	{BYTES(SIGNATURE "\x21\x11\x0f\xf1" INET), NULL}, /* one byte more than anybody has to say */
};

static void expect_client(const struct proxy_header *header, const char *client)
{
	char text[INET6_ADDRSTRLEN];

	assert_int_equal(header->named, client != NULL);
	if (!client)
		return;
	ip_print(&header->client, text);
	assert_string_equal(text, client);
}

/* In memory of exactly that size, so that a sanitizer sees a read behind it. */
static int parse(const char *bytes, size_t len, struct proxy_header *header, size_t *usedp)
{
	char *exact = malloc(len ? len : 1);
	int r;

	assert_non_null(exact);
	memcpy(exact, bytes, len);
	r = proxy_header_parse(header, exact, len, usedp);
	free(exact);
	return r;
}

static void names_the_client(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		struct proxy_header header;
		size_t used = 0;

		if (parse(good[i].bytes, good[i].len, &header, &used) != 0 || used != good[i].len)
			fail_msg("good row %zu", i);
		expect_client(&header, good[i].client);
	}
}

static void takes_nothing_of_what_follows(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		static const char *const rest[] = {
			"GET / HTTP/1.1\r\n", "\r\n", "PROXY UNKNOWN\r\n", "\x16\x03\x01"};

		for (size_t j = 0; j < COUNT(rest); j++) {
			char bytes[600];
			struct proxy_header header;
			size_t used = 0;

			memcpy(bytes, good[i].bytes, good[i].len);
			memcpy(bytes + good[i].len, rest[j], strlen(rest[j]));
			assert_int_equal(parse(bytes, good[i].len + strlen(rest[j]), &header, &used), 0);
			assert_int_equal(used, good[i].len);
			expect_client(&header, good[i].client);
		}
	}
}

static void waits_for_the_whole_of_it(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		for (size_t len = 0; len < good[i].len; len++) {
			struct proxy_header header;
			size_t used = 0;

			if (parse(good[i].bytes, len, &header, &used) != PROXY_HEADER_MORE)
				fail_msg("good row %zu, %zu bytes", i, len);
		}
	}
}

static void refuses_what_is_none(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct proxy_header header;
		size_t used = 0;

		if (parse(bad[i].bytes, bad[i].len, &header, &used) != PROXY_HEADER_BAD)
			fail_msg("bad row %zu", i);
	}
}

static void passes_over_as_much_as_a_proxy_may_add(void **state)
{
	char *bytes = calloc(1, PROXY_HEADER_MAX + 1);
	struct proxy_header header;
	size_t used = 0;

	(void)state;
	assert_non_null(bytes);
	memcpy(bytes, SIGNATURE "\x21\x11\x0f\xf0" INET, 28);
	assert_int_equal(parse(bytes, PROXY_HEADER_MAX - 1, &header, &used), PROXY_HEADER_MORE);
	assert_int_equal(parse(bytes, PROXY_HEADER_MAX + 1, &header, &used), 0);
	assert_int_equal(used, PROXY_HEADER_MAX);
	expect_client(&header, "203.0.113.7");
	free(bytes);
}

static void a_path_of_unix_names_nobody(void **state)
{
	char bytes[16 + 216] = SIGNATURE "\x21\x31\x00\xd8/run/a.sock";
	struct proxy_header header;
	size_t used = 0;

	(void)state;
	assert_int_equal(parse(bytes, sizeof(bytes), &header, &used), 0);
	assert_int_equal(used, sizeof(bytes));
	expect_client(&header, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_the_client),
		cmocka_unit_test(takes_nothing_of_what_follows),
		cmocka_unit_test(waits_for_the_whole_of_it),
		cmocka_unit_test(refuses_what_is_none),
		cmocka_unit_test(passes_over_as_much_as_a_proxy_may_add),
		cmocka_unit_test(a_path_of_unix_names_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

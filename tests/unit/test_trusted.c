/* Trusted: what ws/trusted.h promises, as tables. */

#include "ws/trusted.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/buf.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* The proxies of most tests here: two networks and one machine. */
static char *const proxies[] = {"10.0.0.0/8", "192.168.1.7", "2001:db8::/32", "::1", NULL};

static struct trusted *trust(char *const *blocks)
{
	struct trusted *trusted = NULL;
	struct buf error = {0};

	assert_int_equal(trusted_new(blocks, &trusted, &error), 0);
	assert_non_null(trusted);
	assert_int_equal(error.len, 0);
	buf_deinit(&error);
	return trusted;
}

static bool contains(char *block, const char *address)
{
	char *const blocks[] = {block, NULL};
	struct trusted *trusted = trust(blocks);
	bool result = trusted_contains(trusted, address);

	trusted_free(trusted);
	return result;
}

static void knows_what_a_block_contains(void **state)
{
	static const struct {
		char *block;
		const char *address;
		bool expected;
	} table[] = {
		{"192.168.1.7", "192.168.1.7", true},
		{"192.168.1.7", "192.168.1.6", false},
		{"192.168.1.7/32", "192.168.1.7", true},
		{"192.168.1.7/32", "192.168.1.8", false},
		{"10.0.0.0/8", "10.0.0.0", true},
		{"10.0.0.0/8", "10.255.255.255", true},
		{"10.0.0.0/8", "9.255.255.255", false},
		{"10.0.0.0/8", "11.0.0.0", false},
		{"10.1.2.3/8", "10.200.0.1", true}, /* the bits behind the prefix say nothing */
		{"172.16.0.0/12", "172.16.0.1", true},
		{"172.16.0.0/12", "172.31.255.255", true},
		{"172.16.0.0/12", "172.32.0.0", false},
		{"172.16.0.0/12", "172.15.255.255", false},
		{"192.0.2.128/25", "192.0.2.128", true},
		{"192.0.2.128/25", "192.0.2.127", false},
		{"192.0.2.6/31", "192.0.2.7", true},
		{"192.0.2.6/31", "192.0.2.8", false},
		{"0.0.0.0/0", "203.0.113.9", true},
		{"0.0.0.0/0", "2001:db8::1", false},
		{"::1", "::1", true},
		{"::1", "::2", false},
		{"::1", "127.0.0.1", false},
		{"2001:db8::/32", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", true},
		{"2001:db8::/32", "2001:db9::", false},
		{"2001:db8::/33", "2001:db8:7fff::1", true},
		{"2001:db8::/33", "2001:db8:8000::1", false},
		{"2001:db8::1/128", "2001:0DB8:0:0:0:0:0:1", true}, /* however it is written */
		{"fc00::/7", "fdff::1", true},
		{"fc00::/7", "fe00::1", false},
		{"::/0", "2001:db8::1", true},
		/* A dual-stack socket shows its IPv4 peers so. */
		{"10.0.0.0/8", "::ffff:10.1.2.3", true},
		{"10.0.0.0/8", "::ffff:11.1.2.3", false},
		{"::ffff:10.0.0.0/104", "10.1.2.3", true},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++)
		if (contains(table[i].block, table[i].address) != table[i].expected)
			fail_msg("%s in %s: not %d", table[i].address, table[i].block, table[i].expected);
}

static void contains_nothing_that_is_no_address(void **state)
{
	static const char *const junk[] = {"", " ", "10.0.0", "10.0.0.1 ", " 10.0.0.1", "10.0.0.1:80",
		"[::1]", "::1%lo", "localhost", "unknown", "256.0.0.1", "10.0.0.1/8", "0x0a000001",
		"::ffff:10.0.0.1.2", ":::"};
	char *const all[] = {"0.0.0.0/0", "::/0", NULL};
	struct trusted *trusted = trust(all);

	(void)state;
	for (size_t i = 0; i < COUNT(junk); i++)
		if (trusted_contains(trusted, junk[i]))
			fail_msg("'%s' passed", junk[i]);
	trusted_free(trusted);
}

static void refuses_junk_with_one_sentence(void **state)
{
	static char *const junk[] = {"", "/", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8x",
		"10.0.0.0/8/8", "10.0.0/8", "10.0.0.0 /8", " 10.0.0.0/8", "::/129", "::1/", "[::1]",
		"fe80::1%eth0", "localhost", "*", "10.0.0.0/99999999999999999999", "10.0.0.0/255.0.0.0",
		"10.0.0.0/4294967304",
		"1234567890123456789012345678901234567890123456789012345678901234567890/8"};

	(void)state;
	for (size_t i = 0; i < COUNT(junk); i++) {
		char *const blocks[] = {"10.0.0.0/8", junk[i], NULL};
		struct trusted *trusted = NULL;
		struct buf error = {0};

		if (trusted_new(blocks, &trusted, &error) != -EINVAL)
			fail_msg("'%s' was taken", junk[i]);
		assert_true(error.len > 0);
		assert_null(strchr(buf_text(&error), '\n'));
		buf_deinit(&error);
	}
}

/* strtoul(3) takes a sign and blanks; a configuration must not. */
static void refuses_a_prefix_length_that_is_not_all_digits(void **state)
{
	static char *const junk[] = {
		"10.0.0.0/ 8", "10.0.0.0/+8", "10.0.0.0/\t8", "10.0.0.0/-18446744073709551608"};

	(void)state;
	for (size_t i = 0; i < COUNT(junk); i++) {
		char *const blocks[] = {junk[i], NULL};
		struct trusted *trusted = NULL;
		struct buf error = {0};
		int r = trusted_new(blocks, &trusted, &error);

		buf_deinit(&error);
		if (r == 0)
			trusted_free(trusted);
		if (r != -EINVAL)
			fail_msg("'%s' was taken", junk[i]);
	}
}

static void assert_client(
	const struct trusted *trusted, const char *peer, const char *forwarded_for, const char *expected)
{
	char out[INET6_ADDRSTRLEN];
	struct slice header = {forwarded_for, forwarded_for ? strlen(forwarded_for) : 0};

	memset(out, '#', sizeof(out));
	trusted_client(trusted, peer, FORWARDED_FOR_ADDRESSES, header, out);
	if (!memchr(out, '\0', sizeof(out)) || strcmp(out, expected) != 0)
		fail_msg("peer %s, '%s': %.*s instead of %s", peer, forwarded_for ? forwarded_for : "(none)",
			(int)sizeof(out), out, expected);
}

static void walks_the_header_from_the_right(void **state)
{
	static const struct {
		const char *peer, *forwarded_for, *client;
	} table[] = {
		/* No header, or none that says anything. */
		{"10.0.0.1", NULL, "10.0.0.1"},
		{"10.0.0.1", "", "10.0.0.1"},
		{"10.0.0.1", " \t ", "10.0.0.1"},
		{"203.0.113.9", NULL, "203.0.113.9"},
		/* A peer that nobody trusts may say what it likes. */
		{"203.0.113.9", "198.51.100.1", "203.0.113.9"},
		{"203.0.113.9", "10.0.0.1", "203.0.113.9"},
		{"2001:db9::9", "::1", "2001:db9::9"},
		/* One proxy. */
		{"10.0.0.1", "198.51.100.1", "198.51.100.1"},
		{"192.168.1.7", "198.51.100.1", "198.51.100.1"},
		{"::1", "2001:db9::5", "2001:db9::5"},
		{"::ffff:10.0.0.1", "198.51.100.1", "198.51.100.1"},
		/* What the client wrote itself stands to the left and is not believed. */
		{"10.0.0.1", "127.0.0.1, 198.51.100.1", "198.51.100.1"},
		{"10.0.0.1", "10.0.0.3, 198.51.100.1", "198.51.100.1"},
		/* Proxies behind proxies. */
		{"10.0.0.1", "198.51.100.1, 10.0.0.2", "198.51.100.1"},
		{"10.0.0.1", "6.6.6.6, 198.51.100.1, 2001:db8::2, 10.0.0.2", "198.51.100.1"},
		{"10.0.0.1", "198.51.100.1,10.0.0.2", "198.51.100.1"},
		{"10.0.0.1", "  198.51.100.1 \t,\t 10.0.0.2  ", "198.51.100.1"},
		/* Trusted from end to end: the first of them is who asked. */
		{"10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"},
		/* Who vouches for junk is the last that is known. */
		{"10.0.0.1", "unknown", "10.0.0.1"},
		{"10.0.0.1", "198.51.100.1, unknown", "10.0.0.1"},
		{"10.0.0.1", "198.51.100.1, unknown, 10.0.0.2", "10.0.0.2"},
		/* An element without anything in it is none: RFC 9110 section 5.6.1. */
		{"10.0.0.1", "198.51.100.1,", "198.51.100.1"},
		{"10.0.0.1", "198.51.100.1 , ,", "198.51.100.1"},
		{"10.0.0.1", "198.51.100.1,,10.0.0.2", "198.51.100.1"},
		/* As Azure's gateway and IIS write it. */
		{"10.0.0.1", "203.0.113.7:51008", "203.0.113.7"},
		{"10.0.0.1", "[2001:db9::7]:443", "2001:db9::7"},
		{"10.0.0.1", "[2001:db9::7]", "2001:db9::7"},
		{"10.0.0.1", "\"[2001:db9::7]:443\"", "2001:db9::7"},
		{"10.0.0.1", "198.51.100.1:80, 10.0.0.2:1234", "198.51.100.1"},
		{"10.0.0.1", "[2001:db9::7", "10.0.0.1"},
		{"10.0.0.1", "]", "10.0.0.1"},
		{"10.0.0.1", "[]:80", "10.0.0.1"},
		{"10.0.0.1", ":80", "10.0.0.1"},
		{"10.0.0.1", "\"", "10.0.0.1"},
		{"10.0.0.1", ",", "10.0.0.1"},
		/* A quote that the client leaves open does not swallow what the proxy adds. */
		{"10.0.0.1", "6.6.6.6:\", 198.51.100.1", "198.51.100.1"},
		{"10.0.0.1", "[6::6]\", 198.51.100.1", "198.51.100.1"},
		{"10.0.0.1", "\"6.6.6.6, 198.51.100.1", "198.51.100.1"},
		{"10.0.0.1", "6.6.6.6:\"\\, 198.51.100.1:80", "198.51.100.1"},
		{"10.0.0.1", "198.51.100.1 198.51.100.2", "10.0.0.1"},
		{"10.0.0.1", "198.51.100.1/32", "10.0.0.1"},
		{"10.0.0.1", "fe80::1%eth0", "10.0.0.1"},
		{"10.0.0.1", "256.1.1.1", "10.0.0.1"},
		{"10.0.0.1", "<script>", "10.0.0.1"},
	};
	struct trusted *trusted = trust(proxies);

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++)
		assert_client(trusted, table[i].peer, table[i].forwarded_for, table[i].client);
	trusted_free(trusted);
}

static void reads_the_elements_of_rfc_7239(void **state)
{
	static const struct {
		const char *forwarded, *client;
	} table[] = {
		{"for=192.0.2.60;proto=http;by=203.0.113.43", "192.0.2.60"},
		{"For=\"[2001:db9:cafe::17]:4711\"", "2001:db9:cafe::17"},
		{"proto=https;by=10.0.0.1;for=198.51.100.1:80", "198.51.100.1"},
		{"for=192.0.2.43, for=198.51.100.17;by=10.0.0.2", "198.51.100.17"},
		{"for=198.51.100.17, for=\"10.0.0.2:99\"", "198.51.100.17"},
		{"for=198.51.100.17,", "198.51.100.17"},
		/* A separator in quotes separates nothing. */
		{"for=198.51.100.17;host=\"a,for=6.6.6.6;b\"", "198.51.100.17"},
		{"for=198.51.100.17;host=\"a\\\",for=6.6.6.6\"", "198.51.100.17"},
		{"for=6.6.6.6;x=\", for=198.51.100.17", "198.51.100.17"},
		{"for=6.6.6.6;x=\"\\, for=\"[2001:db9::7]:80\"", "2001:db9::7"},
		{"for=6.6.6.6;x=\", for=198.51.100.17;host=\"a,b\\\\\"", "198.51.100.17"},
		{"for=unknown", "10.0.0.1"},
		{"for=_hidden", "10.0.0.1"},
		{"for=198.51.100.17, for=_hidden", "10.0.0.1"},
		{"for=198.51.100.17, proto=https", "10.0.0.1"},
		{"198.51.100.17", "10.0.0.1"},
		{"for=", "10.0.0.1"},
		{"for", "10.0.0.1"},
		{";;,", "10.0.0.1"},
	};
	struct trusted *trusted = trust(proxies);

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		struct slice hops = slice_of(table[i].forwarded);
		char out[INET6_ADDRSTRLEN];

		trusted_client(trusted, "10.0.0.1", FORWARDED_ELEMENTS, hops, out);
		if (strcmp(out, table[i].client) != 0)
			fail_msg("'%s': %s instead of %s", table[i].forwarded, out, table[i].client);
	}
	trusted_free(trusted);
}

static void never_looks_at_the_header_when_it_trusts_nobody(void **state)
{
	static char *const nobody[] = {NULL};
	struct trusted *trusted = trust(nobody);

	(void)state;
	assert_client(trusted, "10.0.0.1", "198.51.100.1", "10.0.0.1");
	assert_client(trusted, "::1", "198.51.100.1", "::1");
	assert_false(trusted_contains(trusted, "127.0.0.1"));
	trusted_free(trusted);
}

/* Every header that a stranger can send leaves a NUL-terminated address, whatever its length. */
static void stays_within_its_memory_whatever_it_is_sent(void **state)
{
	struct trusted *trusted = trust(proxies);
	char hop[200];

	(void)state;
	for (size_t len = 1; len < sizeof(hop); len++) {
		memset(hop, '1', len);
		hop[len] = '\0';
		assert_client(trusted, "10.0.0.1", hop, "10.0.0.1");
	}
	/* The longest address there is has its place. */
	assert_client(trusted, "10.0.0.1", "2001:db9:aaaa:bbbb:cccc:dddd:255.255.255.255",
		"2001:db9:aaaa:bbbb:cccc:dddd:255.255.255.255");
	trusted_free(trusted);
	trusted_free(NULL);
}

/* The header is a stretch of the request, not a string of its own. */
static void reads_not_past_the_end_of_the_header(void **state)
{
	struct trusted *trusted = trust(proxies);
	const char *request = "198.51.100.12, 10.0.0.2";
	char out[INET6_ADDRSTRLEN];

	(void)state;
	trusted_client(trusted, "10.0.0.1", FORWARDED_FOR_ADDRESSES,
		(struct slice){request, strlen("198.51.100.1")}, out);
	assert_string_equal(out, "198.51.100.1");
	trusted_free(trusted);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(knows_what_a_block_contains),
		cmocka_unit_test(contains_nothing_that_is_no_address),
		cmocka_unit_test(refuses_junk_with_one_sentence),
		cmocka_unit_test(refuses_a_prefix_length_that_is_not_all_digits),
		cmocka_unit_test(walks_the_header_from_the_right),
		cmocka_unit_test(reads_the_elements_of_rfc_7239),
		cmocka_unit_test(never_looks_at_the_header_when_it_trusts_nobody),
		cmocka_unit_test(stays_within_its_memory_whatever_it_is_sent),
		cmocka_unit_test(reads_not_past_the_end_of_the_header),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* IP: which texts are addresses, and which of them lead to this machine alone. */

#include "core/ip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void both_families_are_told_apart_and_compared_alike(void **state)
{
	struct in6_addr mapped, written;
	bool ipv4;

	(void)state;
	assert_true(ip_parse(slice_of("192.0.2.7"), &mapped, &ipv4));
	assert_true(ipv4);
	assert_true(ip_parse(slice_of("::ffff:192.0.2.7"), &written, &ipv4));
	assert_false(ipv4);
	assert_memory_equal(&mapped, &written, sizeof(mapped));
	assert_true(ip_parse((struct slice){"::1]:80", 3}, &written, &ipv4));
}

static void what_only_looks_like_an_address_is_none(void **state)
{
	static const char *const texts[] = {"", "localhost", "127.1", "192.0.2.256", "192.0.2.7 ", "[::1]",
		"1:2", "192.0.2.7/8", "fe80::1%eth0",
		"1111:2222:3333:4444:5555:6666:7777:8888:9999:1111:2222"};
	struct in6_addr address;
	bool ipv4;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		assert_false(ip_parse(slice_of(texts[i]), &address, &ipv4));
	assert_false(ip_parse((struct slice){"::1\0", 4}, &address, &ipv4));
	assert_false(ip_parse((struct slice){0}, &address, &ipv4));
}

static void prints_one_text_for_one_address(void **state)
{
	static const char *const rows[][2] = {
		{"192.0.2.7", "192.0.2.7"},
		{"::ffff:192.0.2.7", "192.0.2.7"},
		{"2001:DB8:0:0::1", "2001:db8::1"},
		{"::", "::"},
		{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		char text[INET6_ADDRSTRLEN];
		struct in6_addr address;
		bool ipv4;

		assert_true(ip_parse(slice_of(rows[i][0]), &address, &ipv4));
		ip_print(&address, text);
		assert_string_equal(text, rows[i][1]);
	}
}

static void loopback_is_the_whole_block_and_its_mapped_form(void **state)
{
	static const char *const ours[] = {"127.0.0.1", "127.255.255.254", "::1", "::ffff:127.0.0.2"};
	static const char *const others[] = {
		"128.0.0.1", "0.0.0.0", "::", "::2", "::ffff:128.0.0.1", "::127.0.0.1", "localhost", ""};

	(void)state;
	for (size_t i = 0; i < sizeof(ours) / sizeof(*ours); i++)
		assert_true(ip_is_loopback(slice_of(ours[i])));
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		assert_false(ip_is_loopback(slice_of(others[i])));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_families_are_told_apart_and_compared_alike),
		cmocka_unit_test(what_only_looks_like_an_address_is_none),
		cmocka_unit_test(prints_one_text_for_one_address),
		cmocka_unit_test(loopback_is_the_whole_block_and_its_mapped_form),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

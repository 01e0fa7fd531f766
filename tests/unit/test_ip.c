/* IP: which texts are addresses, and which of them lead to this machine alone. */

#include "core/ip.h"

#include <arpa/inet.h>
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

static void prints_ipv4_as_the_system_does(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 256; i++) {
		const uint8_t bytes[] = {(uint8_t)i, (uint8_t)(255 - i), (uint8_t)(i * 7), (uint8_t)(i / 2)};
		char text[INET6_ADDRSTRLEN], expected[INET_ADDRSTRLEN];
		struct in6_addr mapped;
		struct in_addr ipv4;

		memcpy(&ipv4, bytes, sizeof(ipv4));
		mapped = ip_mapped(&ipv4);
		ip_print(&mapped, text);
		assert_string_equal(text, inet_ntop(AF_INET, &ipv4, expected, sizeof(expected)));
	}
}

static struct in6_addr address_of(const char *text)
{
	struct in6_addr address;
	bool ipv4;

	if (!ip_parse(slice_of(text), &address, &ipv4))
		fail_msg("%s", text);
	return address;
}

static void private_is_what_nobody_has_on_the_internet(void **state)
{
	static const char *const ours[] = {"10.0.0.1", "127.0.0.1", "172.16.0.1", "172.31.255.255",
		"192.168.3.4", "100.64.0.1", "100.127.255.255", "169.254.1.1", "0.0.0.0", "::", "::1",
		"fc00::1", "fdff::1", "fe80::1", "::ffff:10.0.0.1"};
	static const char *const others[] = {"11.0.0.1", "172.15.0.1", "172.32.0.1", "192.167.1.1",
		"100.63.0.1", "100.128.0.1", "169.253.1.1", "203.0.113.7", "2001:db8::1", "fec0::1",
		"::ffff:203.0.113.7", "::2"};

	(void)state;
	for (size_t i = 0; i < sizeof(ours) / sizeof(*ours); i++) {
		struct in6_addr address = address_of(ours[i]);

		assert_true(ip_is_private(&address));
	}
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
		struct in6_addr address = address_of(others[i]);

		assert_false(ip_is_private(&address));
	}
}

static void finds_the_address_that_a_translator_hides(void **state)
{
	static const char *const rows[][2] = {
		{"64:ff9b::192.0.2.33", "192.0.2.33"},
		{"64:ff9b:1::192.0.2.33", "64:ff9b:1::c000:221"},
		{"2001:db8::1", "2001:db8::1"},
		{"192.0.2.33", "192.0.2.33"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct in6_addr address = address_of(rows[i][0]);
		char text[INET6_ADDRSTRLEN];

		address = ip_embedded(&address);
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
		cmocka_unit_test(prints_ipv4_as_the_system_does),
		cmocka_unit_test(both_families_are_told_apart_and_compared_alike),
		cmocka_unit_test(what_only_looks_like_an_address_is_none),
		cmocka_unit_test(prints_one_text_for_one_address),
		cmocka_unit_test(private_is_what_nobody_has_on_the_internet),
		cmocka_unit_test(finds_the_address_that_a_translator_hides),
		cmocka_unit_test(loopback_is_the_whole_block_and_its_mapped_form),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

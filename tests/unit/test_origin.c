/* Origin: which pages http/origin.h lets in, row by row. */

#include "http/origin.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FAR  "192.0.2.7"
#define NEAR "127.0.0.1"

struct row {
	const char *entry, *origin, *host, *remote;
	bool allowed;
};

/* In memory of its own length, so that a byte too far is seen. */
static bool allows(const char *const *entries, const char *origin, const char *host, const char *remote)
{
	struct origins *origins = origins_new((char *const *)entries);
	size_t len = strlen(origin), host_len = strlen(host);
	char *exact = malloc(len + 1), *exact_host = malloc(host_len + 1);
	bool allowed;

	assert_non_null(origins);
	assert_non_null(exact);
	assert_non_null(exact_host);
	exact = realloc(memcpy(exact, origin, len), len ? len : 1);
	exact_host = realloc(memcpy(exact_host, host, host_len), host_len ? host_len : 1);
	allowed = origins_allow(
		origins, (struct slice){exact, len}, (struct slice){exact_host, host_len}, remote);
	free(exact);
	free(exact_host);
	origins_free(origins);
	return allowed;
}

static void look_at(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const char *const entries[] = {rows[i].entry, NULL};

		if (allows(entries, rows[i].origin, rows[i].host, rows[i].remote) != rows[i].allowed)
			fail_msg("%s: %s at %s from %s is %s", rows[i].entry, rows[i].origin, rows[i].host,
				rows[i].remote, rows[i].allowed ? "refused" : "allowed");
	}
}

static void same_is_the_hosts_own_page(void **state)
{
	static const struct row rows[] = {
		{"same", "https://app.example.com", "app.example.com", FAR, true},
		{"same", "http://app.example.com", "app.example.com", FAR, true},
		{"same", "https://app.example.com", "app.example.com:443", FAR, true},
		{"same", "https://app.example.com", "APP.Example.com:443", FAR, true},
		{"same", "https://app.example.com:443", "app.example.com", FAR, true},
		{"same", "HTTPS://App.Example.com", "app.example.COM", FAR, true},
		{"same", "http://app.example.com:8080", "app.example.com:8080", FAR, true},
		{"same", "http://[2001:db8::1]:8080", "[2001:DB8::1]:8080", FAR, true},
		{"same", "https://app.example.com", "app.example.com:80", FAR, false},
		{"same", "http://app.example.com", "app.example.com:443", FAR, false},
		{"same", "http://app.example.com:8080", "app.example.com", FAR, false},
		{"same", "http://app.example.com:8080", "app.example.com:8081", FAR, false},
		{"same", "https://evil.test", "app.example.com", FAR, false},
		{"same", "https://app.example.com.evil.test", "app.example.com", FAR, false},
		{"same", "https://example.com", "app.example.com", FAR, false},
		{"same", "capacitor://app.example.com", "app.example.com", FAR, false},
		{"same", "https://app.example.com", "", FAR, false},
		{"same", "https://app.example.com", "app.example.com:", FAR, false},
		{"same", "null", "null", FAR, false},
		{"same", "file://", "", FAR, false},
		{"same", "https://a", "a", FAR, true},
	};

	(void)state;
	look_at(rows, sizeof(rows) / sizeof(*rows));
}

static void same_is_everything_on_this_machine_too(void **state)
{
	static const struct row rows[] = {
		{"same", "http://localhost:5173", "127.0.0.1:8080", NEAR, true},
		{"same", "http://127.0.0.1:9080", "localhost:8080", "::1", true},
		{"same", "http://[::1]:3000", "127.8.9.1:8080", "127.0.0.2", true},
		{"same", "https://localhost", "LocalHost:8080", "::ffff:127.0.0.1", true},
		{"same", "http://localhost:5173", "127.0.0.1:8080", FAR, false},
		{"same", "http://localhost:5173", "127.0.0.1:8080", "", false},
		{"same", "http://localhost:5173", "app.example.com", NEAR, false},
		{"same", "http://evil.test", "127.0.0.1:8080", NEAR, false},
		{"same", "http://localhost.evil.test", "127.0.0.1:8080", NEAR, false},
		{"same", "http://127.0.0.1.evil.test", "127.0.0.1:8080", NEAR, false},
		{"same", "http://128.0.0.1", "127.0.0.1:8080", NEAR, false},
		{"same", "http://[::2]", "127.0.0.1:8080", NEAR, false},
		{"same", "null", "127.0.0.1:8080", NEAR, false},
		/* A name that leads to this machine: its Host says so. */
		{"same", "http://evil.test:8080", "evil.test:8081", NEAR, false},
	};

	(void)state;
	look_at(rows, sizeof(rows) / sizeof(*rows));
}

static void an_entry_is_one_origin_or_those_below_a_name(void **state)
{
	static const struct row rows[] = {
		{"https://app.example.com", "https://app.example.com", "x", FAR, true},
		{"https://app.example.com", "https://app.example.com:443", "x", FAR, true},
		{"https://app.example.com:443", "https://app.example.com", "x", FAR, true},
		{"HTTPS://APP.example.com", "https://app.example.com", "x", FAR, true},
		{"https://app.example.com", "http://app.example.com", "x", FAR, false},
		{"https://app.example.com", "https://app.example.com:8443", "x", FAR, false},
		{"https://app.example.com", "https://b.app.example.com", "x", FAR, false},
		{"https://app.example.com", "https://app.example.com.evil.test", "x", FAR, false},
		{"https://*.example.com", "https://app.example.com", "x", FAR, true},
		{"https://*.example.com", "https://a.b.example.com", "x", FAR, true},
		{"https://*.example.com", "https://example.com", "x", FAR, false},
		{"https://*.example.com", "https://evilexample.com", "x", FAR, false},
		{"https://*.example.com", "https://app.example.com:8443", "x", FAR, false},
		{"https://*.example.com", "http://app.example.com", "x", FAR, false},
		{"https://*.example.com:*", "https://app.example.com:8443", "x", FAR, true},
		{"http://localhost:*", "http://localhost:5173", "x", FAR, true},
		{"http://localhost:*", "http://localhost", "x", FAR, true},
		{"http://localhost:*", "https://localhost:5173", "x", FAR, false},
		{"http://[::1]:3000", "http://[::1]:3000", "x", FAR, true},
		{"capacitor://localhost", "capacitor://localhost", "x", FAR, true},
		{"capacitor://localhost", "http://localhost", "x", FAR, false},
		{"null", "null", "x", FAR, true},
		{"null", "file://", "x", FAR, false},
		{"file://", "file://", "x", FAR, true},
		{"*", "https://evil.test", "x", FAR, true},
		{"*", "null", "x", FAR, true},
	};
	static const char *const several[] = {"same", "https://a.test", "null", NULL}, *const none[] = {NULL};

	(void)state;
	look_at(rows, sizeof(rows) / sizeof(*rows));
	assert_true(allows(several, "https://a.test", "b.test", FAR));
	assert_true(allows(several, "https://b.test", "b.test", FAR));
	assert_true(allows(several, "null", "b.test", FAR));
	assert_false(allows(several, "https://c.test", "b.test", FAR));
	assert_false(allows(none, "https://b.test", "b.test", FAR));
}

/* Even where every page may connect. */
static void what_is_no_origin_is_never_let_in(void **state)
{
	static const char *const bad[] = {"", " ", "NULL", "null ", "file:///", "file:///etc", "//a.test",
		"a.test", "https:/a.test", "https://", "https:// a.test", "https://a.test/",
		"https://a.test/x", "https://a.test?x", "https://a.test#x", "https://user@a.test",
		"https://user:secret@a.test", "https://a.test.", "https://a.test.:443", "https://.a.test",
		"https://a..test", "https://a.test:", "https://a.test:0", "https://a.test:080",
		"https://a.test:65536", "https://a.test:4294967739", "https://a.test:+1", "https://a.test:*",
		"https://*.a.test", "https://*", "https://a.test https://b.test",
		"https://a.test, https://b.test", "https://a.test,https://a.test", "https://[::1",
		"https://::1", "https://[::1]x", "https://[]", "https://[a.test]",
		"https://[::1]:", "https://a\xc3\xa9.test", "https://a%2etest", "1https://a.test",
		"ht tp://a.test", "://a.test"};
	static const char *const all[] = {"*", "same", NULL};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		if (allows(all, bad[i], "a.test", NEAR))
			fail_msg("'%s' is let in", bad[i]);
}

static void an_entry_that_can_match_nothing_is_not_valid(void **state)
{
	static const char *const good[] = {"same", "*", "null", "file://", "https://app.example.com",
		"https://app.example.com:8443", "http://localhost:*", "https://*.example.com",
		"https://*.example.com:*", "capacitor://localhost", "http://[::1]:8080", "http://10.0.0.7"};
	static const char *const bad[] = {"", "none ", "Same", "example.com", "*.example.com", "https://",
		"https://*", "https://*.", "https://*.*", "https://a.*.com", "https://*example.com",
		"https://*.[::1]", "https://app.example.com/", "https://app.example.com.",
		"https://u@example.com", "https://app.example.com:0", "https://app.example.com:99999",
		"https://app.example.com:", "http://a b", "file:///", "://x"};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		if (!origin_entry_is_valid(good[i]))
			fail_msg("'%s' is refused", good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		if (origin_entry_is_valid(bad[i]))
			fail_msg("'%s' is taken", bad[i]);
	origins_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_is_the_hosts_own_page),
		cmocka_unit_test(same_is_everything_on_this_machine_too),
		cmocka_unit_test(an_entry_is_one_origin_or_those_below_a_name),
		cmocka_unit_test(what_is_no_origin_is_never_let_in),
		cmocka_unit_test(an_entry_that_can_match_nothing_is_not_valid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

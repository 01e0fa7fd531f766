/* The promises of auth/jwks_url. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "auth/jwks_url.h"
#include "core/buf.h"

static bool good(const char *url)
{
	struct buf error = {0};
	int r = jwks_url_check(url, &error);

	assert_int_equal(r == 0, error.len == 0);
	buf_deinit(&error);
	return r == 0;
}

static void takes_http_and_https_urls_with_a_host(void **state)
{
	(void)state;
	assert_true(good("https://id.example.com/realms/app/jwks"));
	assert_true(good("HTTPS://id.example.com"));
	assert_true(good("https://id.example.com:8443/keys?p=b2c_1"));
	assert_true(good("http://[::1]:8080/keys"));
	assert_false(good("https:///keys"));
	assert_false(good("https://:443/keys"));
	assert_false(good("https://[/keys"));
	assert_false(good("ftp://id.example.com/keys"));
	assert_false(good("file:///etc/passwd"));
	assert_false(good("https//id.example.com"));
	assert_false(good(""));
}

static void takes_no_password_no_fragment_and_no_spaces(void **state)
{
	char longest[2 * JWKS_URL_MAX];

	(void)state;
	assert_false(good("https://user:secret@id.example.com/keys"));
	assert_false(good("https://user@id.example.com/keys"));
	assert_true(good("https://id.example.com/@keys"));
	assert_false(good("https://id.example.com/keys#first"));
	assert_false(good("https://id.example.com/my keys"));
	assert_false(good("https://id.example.com/keys\n"));
	assert_false(good("https://b\xc3\xbc"
			  "cher.example/keys"));
	memset(longest, 'a', sizeof(longest));
	memcpy(longest, "https://", 8);
	longest[sizeof(longest) - 1] = '\0';
	assert_false(good(longest));
}

static void knows_a_url_from_a_file(void **state)
{
	(void)state;
	assert_true(jwks_url_is_url("https://id.example.com"));
	assert_true(jwks_url_is_url("ftp://id.example.com"));
	assert_false(jwks_url_is_url("/etc/tidegate/keys.pem"));
	assert_false(jwks_url_is_url("keys.json"));
}

static void knows_what_stays_on_this_machine(void **state)
{
	(void)state;
	assert_true(jwks_url_is_local("http://127.0.0.1:8080/keys"));
	assert_true(jwks_url_is_local("http://127.1.2.3"));
	assert_true(jwks_url_is_local("http://[::1]:8080/keys"));
	assert_true(jwks_url_is_local("http://LOCALHOST:8080/keys"));
	assert_false(jwks_url_is_local("http://localhost.example.com/"));
	assert_false(jwks_url_is_local("http://10.0.0.1/"));
	assert_false(jwks_url_is_local("http://127.0.0.1.example.com/"));
	assert_true(jwks_url_is_plain("http://10.0.0.1/"));
	assert_false(jwks_url_is_plain("https://10.0.0.1/"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_http_and_https_urls_with_a_host),
		cmocka_unit_test(takes_no_password_no_fragment_and_no_spaces),
		cmocka_unit_test(knows_a_url_from_a_file),
		cmocka_unit_test(knows_what_stays_on_this_machine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Admin auth: which token, which Host and which Origin are good enough. */

#include "admin/auth.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static bool accepts(const struct admin_auth *auth, const char *authorization)
{
	return admin_auth_token(auth, authorization, strlen(authorization));
}

static void wants_the_token_and_nothing_else(void **state)
{
	static const char *const wrong[] = {"", "Bearer", "Bearer ", "Bearer sesam", "Bearer sesamee",
		"Bearer Sesame", "Bearer sesame ", "sesame", "Basic sesame", "Bearer\tsesame", "Bearersesame",
		"Bearer sesame sesame"};
	struct admin_auth auth;

	(void)state;
	assert_int_equal(admin_auth_init(&auth, "sesame", false, "127.0.0.1"), 0);
	assert_true(auth.wants_token);
	assert_true(accepts(&auth, "Bearer sesame"));
	assert_true(accepts(&auth, "bearer  sesame"));
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		if (accepts(&auth, wrong[i]))
			fail_msg("'%s' was accepted", wrong[i]);
}

static void reads_no_further_than_the_header_goes(void **state)
{
	struct admin_auth auth;

	(void)state;
	assert_int_equal(admin_auth_init(&auth, "sesame", false, ""), 0);
	assert_true(admin_auth_token(&auth, "Bearer sesameXXX", strlen("Bearer sesame")));
	assert_false(admin_auth_token(&auth, "Bearer sesame", strlen("Bearer sesam")));
}

static void wants_none_where_none_is_set(void **state)
{
	struct admin_auth auth;

	(void)state;
	assert_int_equal(admin_auth_init(&auth, "", true, ""), 0);
	assert_false(auth.wants_token);
	assert_true(auth.metrics_public);
}

static void knows_addresses_and_local_names(void **state)
{
	static const char *const sane[] = {"127.0.0.1:9080", "127.0.0.1", "[::1]:9080", "[::1]",
		"10.1.2.3:9080", "localhost", "localhost:9080", "LOCALHOST:1", "gateway-1:9080",
		"a.localhost:1", "box.local", "gate.internal:9080", "admin.example.org:9080",
		"ADMIN.example.org", ""};
	static const char *const foreign[] = {"evil.test:9080", "evil.test", "127.0.0.1.evil.test:9080",
		"rebind.example.org:9080", "localhost.evil.test", "notlocalhost.com", "example.org."};
	struct admin_auth auth;

	(void)state;
	assert_int_equal(admin_auth_init(&auth, "", false, "admin.example.org"), 0);
	for (size_t i = 0; i < sizeof(sane) / sizeof(sane[0]); i++)
		if (!admin_auth_host(&auth, sane[i]))
			fail_msg("'%s' was refused", sane[i]);
	for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++)
		if (admin_auth_host(&auth, foreign[i]))
			fail_msg("'%s' was accepted", foreign[i]);
}

static void knows_its_own_origin(void **state)
{
	(void)state;
	assert_true(admin_auth_origin("http://127.0.0.1:9080", "127.0.0.1:9080"));
	assert_true(admin_auth_origin("https://Gate.example.org", "gate.example.org"));
	assert_false(admin_auth_origin("http://127.0.0.1:9081", "127.0.0.1:9080"));
	assert_false(admin_auth_origin("http://evil.test", "127.0.0.1:9080"));
	assert_false(admin_auth_origin("null", "null"));
	assert_false(admin_auth_origin("", ""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wants_the_token_and_nothing_else),
		cmocka_unit_test(reads_no_further_than_the_header_goes),
		cmocka_unit_test(wants_none_where_none_is_set),
		cmocka_unit_test(knows_addresses_and_local_names),
		cmocka_unit_test(knows_its_own_origin),
	};

	return cmocka_run_group_tests_name("admin_auth", tests, NULL, NULL);
}

/* Verifier: which tokens auth/verifier.h lets in, and with which keys. */

#include "auth/verifier.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "auth/identity.h"
#include "core/buf.h"

/* The examples of RFC 7515, appendices A.1 to A.3: these keys are public. The tokens have no `sub`. */
#define RFC_PAYLOAD                                                                                          \
	"eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
#define RFC_SECRET                                                                                           \
	"base64:AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"
#define RFC_HS256                                                                                            \
	"eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." RFC_PAYLOAD ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_"           \
	"wW1gFWFOEjXk"
#define RFC_JWKS                                                                                             \
	"{\"keys\":[{\"kty\":\"RSA\",\"n\":\"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_"                             \
	"wWJcyQoTbji9k0l8W26mPddxHmfHQp-"                                                                    \
	"Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_"         \
	"7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5Z"   \
	"wKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ\","     \
	"\"e\":\"AQAB\"},{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":"                                           \
	"\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","                                                   \
	"\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}]}"
#define RFC_RS256                                                                                            \
	"eyJhbGciOiJSUzI1NiJ9." RFC_PAYLOAD ".cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZ" \
	"mh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75v"  \
	"RK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPq"  \
	"vhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"
#define RFC_ES256                                                                                            \
	"eyJhbGciOiJFUzI1NiJ9." RFC_PAYLOAD ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8I"  \
	"SlSApmWQxfKTUJqPP3-Kg6NU1Q"
#define RFC_NOW_MS INT64_C(1300819000000)

static struct verifier *built(const struct verifier_rules *rules)
{
	struct verifier *verifier = NULL;
	struct buf error = {0};

	if (verifier_new(rules, &verifier, &error))
		fail_msg("%s", buf_text(&error));
	assert_int_equal(error.len, 0);
	buf_deinit(&error);
	return verifier;
}

static int outcome(const struct verifier *verifier, const char *token, int64_t now_ms)
{
	struct verifier_thread *thread = verifier_thread_new();
	struct verifier_result result;
	int r;

	assert_non_null(thread);
	r = verifier_check(verifier, thread, slice_of(token), now_ms, &result);
	assert_true(r == 0 ? result.identity != NULL : result.identity == NULL);
	identity_free(result.identity);
	verifier_thread_free(thread);
	return r;
}

static void the_examples_of_the_standard_are_let_in(void **state)
{
	const struct verifier_keys keys = {.name = "rfc7515.json", .text = slice_of(RFC_JWKS)};
	struct verifier_rules rules = {
		.secret = RFC_SECRET, .keys = &keys, .n_keys = 1, .claims = {.identity = {.user = "iss"}}};
	struct verifier *verifier = built(&rules);

	(void)state;
	assert_int_equal(outcome(verifier, RFC_HS256, RFC_NOW_MS), 0);
	assert_int_equal(outcome(verifier, RFC_RS256, RFC_NOW_MS), 0);
	assert_int_equal(outcome(verifier, RFC_ES256, RFC_NOW_MS), 0);
	assert_int_equal(outcome(verifier, RFC_ES256, RFC_NOW_MS + 380000), TOKEN_EXPIRED);
	verifier_unref(verifier);
}

static void keys_tell_what_they_are_and_not_their_secret(void **state)
{
	const struct verifier_keys keys = {.name = "rfc7515.json", .text = slice_of(RFC_JWKS)};
	struct verifier_rules rules = {.secret = RFC_SECRET, .keys = &keys, .n_keys = 1};
	struct verifier *verifier = built(&rules);
	static const struct verifier_key rows[] = {
		{"token_secret", "secret", 512, NULL, "HS256", NULL},
		{"rfc7515.json", "RSA", 2048, NULL, "RS256", NULL},
		{"rfc7515.json", "EC P-256", 256, NULL, "ES256", NULL},
	};

	(void)state;
	assert_int_equal(verifier_n_keys(verifier), 3);
	for (size_t i = 0; i < 3; i++) {
		struct verifier_key key = verifier_key(verifier, i);

		assert_string_equal(key.source, rows[i].source);
		assert_string_equal(key.kind, rows[i].kind);
		assert_int_equal(key.bits, rows[i].bits);
		assert_string_equal(key.algorithms, rows[i].algorithms);
		assert_null(key.kid);
		assert_null(key.skipped);
	}
	verifier_unref(verifier);
}

static void a_ticket_wants_no_key_and_no_end(void **state)
{
	struct verifier_rules rules = {.claims = {.issuer = "https://id", .audience = "live"}};
	struct verifier *verifier = built(&rules), *same = verifier_ref(verifier);
	struct identity *identity = NULL;

	(void)state;
	verifier_unref(verifier);
	assert_int_equal(verifier_ticket(same, slice_of("{\"sub\":\"42\",\"channels\":[\"execution:7\"]}"),
				 RFC_NOW_MS, &identity),
		0);
	assert_string_equal(identity_user(identity), "42");
	assert_true(identity_lists(identity, slice_of("execution:7")));
	identity_free(identity);
	assert_int_equal(verifier_ticket(same, slice_of("{}"), RFC_NOW_MS, &identity), TOKEN_USER);
	assert_string_equal(token_fault_sentence(TOKEN_EXPIRED), "its exp has passed");
	verifier_unref(same);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_examples_of_the_standard_are_let_in),
		cmocka_unit_test(keys_tell_what_they_are_and_not_their_secret),
		cmocka_unit_test(a_ticket_wants_no_key_and_no_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

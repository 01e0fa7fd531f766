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

/* The examples of RFC 7515, appendices A.1 to A.3, keys and tokens: made by nobody here. They have no `sub`. */
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_examples_of_the_standard_are_let_in),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

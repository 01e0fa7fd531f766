/* What ws/accept_key.h promises. */

#include "ws/accept_key.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void answers_what_the_rfc_says_with_openssl_and_without(void **state)
{
	struct accept_key *accept = accept_key_new();
	char out[ACCEPT_KEY_SIZE];

	(void)state;
	assert_non_null(accept);
	for (int i = 0; i < 3; i++) { /* what it keeps is as good the next time */
		accept_key_write(accept, slice_of("dGhlIHNhbXBsZSBub25jZQ=="), out);
		assert_string_equal(out, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
		accept_key_write(accept, slice_of("x3JJHMbDL1EzLkh9GBhXDw=="), out);
		assert_string_equal(out, "HSmrc0sMlYUkAGmm5OPpG2HaGWk=");
	}
	accept_key_free(accept);
	accept_key_write(NULL, slice_of("dGhlIHNhbXBsZSBub25jZQ=="), out);
	assert_string_equal(out, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
	accept_key_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_what_the_rfc_says_with_openssl_and_without),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What ws/accept_key.h promises. */

#include "ws/accept_key.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void answers_what_the_rfc_says(void **state)
{
	char out[ACCEPT_KEY_SIZE];

	(void)state;
	accept_key_write(slice_of("dGhlIHNhbXBsZSBub25jZQ=="), out);
	assert_string_equal(out, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
	accept_key_write(slice_of("x3JJHMbDL1EzLkh9GBhXDw=="), out);
	assert_string_equal(out, "HSmrc0sMlYUkAGmm5OPpG2HaGWk=");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_what_the_rfc_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

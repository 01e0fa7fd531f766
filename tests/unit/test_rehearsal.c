/* The promise of auth/rehearsal: what failed once for want of memory does not fail for good. */

#include "auth/rehearsal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/crypto.h>
#include <openssl/err.h>

enum {
	/* of the allocations of one rehearsal: one of twenty ended a kind of token for good */
	K_LAST = 1500,
	K_STEP = 37,
};

static unsigned long n_allocations, failing; /* the number that fails; 0: none */

static void *allocate(size_t size, const char *file, int line)
{
	(void)file;
	(void)line;
	return ++n_allocations == failing ? NULL : malloc(size);
}

static void *reallocate(void *old, size_t size, const char *file, int line)
{
	(void)file;
	(void)line;
	return ++n_allocations == failing ? NULL : realloc(old, size);
}

static void release(void *old, const char *file, int line)
{
	(void)file;
	(void)line;
	free(old);
}

static void each_kind_of_signature_can_be_checked(void **state)
{
	(void)state;
	assert_int_equal(auth_rehearse(), 0);
	assert_int_equal(ERR_peek_error(), 0);
}

/* In a process of its own: are all kinds checked after a rehearsal in which that allocation failed? */
static bool recovers_from(unsigned long k)
{
	int status = 0;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		n_allocations = 0;
		failing = k;
		(void)auth_rehearse();
		failing = 0;
		_exit(auth_rehearse() == 0 ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void one_failed_allocation_is_not_the_end_of_tokens(void **state)
{
	(void)state;
	assert_int_equal(auth_rehearse(), 0);
	for (unsigned long k = 1; k < K_LAST; k += K_STEP)
		assert_true(recovers_from(k));
}

/* Before the first rehearsal: OpenSSL may not get over it, so the process has to hear of it. */
static void a_rehearsal_that_lacked_memory_says_so(void **state)
{
	(void)state;
	for (unsigned long k = 1; k < K_LAST; k += K_STEP) {
		int status = 0;
		pid_t child = fork();

		assert_true(child >= 0);
		if (child == 0) {
			n_allocations = 0;
			failing = k;
			/* Done without it, or -ENOMEM; and never "cannot be checked here". */
			_exit(auth_rehearse() <= 0 ? 0 : 1);
		}
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_rehearsal_that_lacked_memory_says_so),
		cmocka_unit_test(each_kind_of_signature_can_be_checked),
		cmocka_unit_test(one_failed_allocation_is_not_the_end_of_tokens),
	};

	if (!CRYPTO_set_mem_functions(allocate, reallocate, release))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

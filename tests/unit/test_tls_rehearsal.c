/* The promise of tls/tls_rehearsal: what failed once for want of memory does not fail for good. */

#include "tls/tls_rehearsal.h"

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
#include <openssl/pem.h>

#include "core/buf.h"
#include "support/token_maker.h"

enum {
	/* of the allocations of three handshakes: some of these OpenSSL 3.0 would not get over */
	K_FIRST = 600,
	K_LAST = 1000,
	K_STEP = 3,
	/* of the allocations of a client's, with the certificate that is made for them */
	CLIENT_K_FIRST = 1,
	CLIENT_K_LAST = 3000,
	CLIENT_K_STEP = 97,
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

static SSL_CTX *context_of(const char *kind)
{
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());
	EVP_PKEY *key = token_maker_key(kind);
	struct buf pem = {0};
	BIO *bio;
	X509 *certificate;

	token_maker_certificate(key, &pem);
	bio = BIO_new_mem_buf(pem.data, (int)pem.len);
	certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	assert_true(context && certificate && SSL_CTX_use_certificate(context, certificate) &&
		    SSL_CTX_use_PrivateKey(context, key));
	X509_free(certificate);
	BIO_free(bio);
	token_maker_free(key);
	buf_deinit(&pem);
	return context;
}

/* In a process of its own: does a handshake succeed after one in which that allocation failed? */
static bool recovers_from(SSL_CTX *context, unsigned long k)
{
	int status = 0;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		n_allocations = 0;
		failing = k;
		(void)tls_rehearse(context);
		failing = 0;
		_exit(tls_rehearse(context) == 0 ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void one_failed_allocation_is_not_the_end_of_tls(void **state)
{
	SSL_CTX *context = context_of("P-256");

	(void)state;
	assert_int_equal(tls_rehearse(context), 0);
	for (unsigned long k = K_FIRST; k < K_LAST; k += K_STEP)
		assert_true(recovers_from(context, k));
	SSL_CTX_free(context);
}

static void is_content_where_only_a_certificate_of_the_client_lacks(void **state)
{
	SSL_CTX *context = context_of("RSA");

	(void)state;
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	assert_int_equal(tls_rehearse(context), 0);
	SSL_CTX_free(context);
}

static void shakes_hands_with_a_key_of_any_curve(void **state)
{
	static const char *const kinds[] = {"P-384", "P-521"};

	(void)state;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		SSL_CTX *context = context_of(kinds[i]);

		assert_int_equal(tls_rehearse(context), 0);
		SSL_CTX_free(context);
	}
}

static void that_nothing_is_shared_is_no_lack_of_memory(void **state)
{
	SSL_CTX *without_key = SSL_CTX_new(TLS_server_method()), *picky = context_of("P-256");

	(void)state;
	assert_true(tls_rehearse(without_key) > 0);
	assert_true(SSL_CTX_set1_groups_list(picky, "P-521"));
	assert_true(tls_rehearse(picky) > 0);
	assert_int_equal(ERR_peek_error(), 0);
	SSL_CTX_free(picky);
	SSL_CTX_free(without_key);
}

/* As recovers_from(), of a client. */
static bool a_client_recovers_from(unsigned long k)
{
	int status = 0;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		n_allocations = 0;
		failing = k;
		(void)tls_rehearse_client();
		failing = 0;
		_exit(tls_rehearse_client() == 0 ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void one_failed_allocation_is_not_the_end_of_tls_of_a_client(void **state)
{
	(void)state;
	assert_int_equal(tls_rehearse_client(), 0);
	assert_int_equal(ERR_peek_error(), 0);
	for (unsigned long k = CLIENT_K_FIRST; k < CLIENT_K_LAST; k += CLIENT_K_STEP)
		assert_true(a_client_recovers_from(k));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_failed_allocation_is_not_the_end_of_tls),
		cmocka_unit_test(one_failed_allocation_is_not_the_end_of_tls_of_a_client),
		cmocka_unit_test(is_content_where_only_a_certificate_of_the_client_lacks),
		cmocka_unit_test(shakes_hands_with_a_key_of_any_curve),
		cmocka_unit_test(that_nothing_is_shared_is_no_lack_of_memory),
	};

	if (!CRYPTO_set_mem_functions(allocate, reallocate, release))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

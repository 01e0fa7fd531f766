/* PEM: files with keys and certificates; see the header. */

#include "tls/pem.h"

#include <errno.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include "core/buf.h"

int pem_refuse(struct buf *error, const char *option, const char *path, const char *otherwise)
{
	unsigned long oldest = ERR_peek_error();
	const char *why = NULL;

	if (ERR_SYSTEM_ERROR(oldest))
		why = strerror(ERR_GET_REASON(oldest));
	else if (oldest &&
		 !(ERR_GET_LIB(oldest) == ERR_LIB_PEM && ERR_GET_REASON(oldest) == PEM_R_NO_START_LINE))
		why = ERR_reason_error_string(oldest);
	buf_printf(error, "%s: %s: %s", option, path, why ? why : otherwise);
	ERR_clear_error();
	return -EINVAL;
}

int pem_no_passphrase(char *room, int size, int writing, void *arg)
{
	(void)room;
	(void)size;
	(void)writing;
	if (arg)
		*(bool *)arg = true;
	return -1;
}

int pem_read_key(const char *option, const char *path, struct evp_pkey_st **keyp, struct buf *error)
{
	bool has_passphrase = false;
	BIO *file;

	ERR_clear_error();
	file = BIO_new_file(path, "r");
	if (!file)
		return pem_refuse(error, option, path, "it cannot be read");
	*keyp = PEM_read_bio_PrivateKey(file, NULL, pem_no_passphrase, &has_passphrase);
	BIO_free(file);
	if (*keyp)
		return 0;
	if (!has_passphrase)
		return pem_refuse(error, option, path, "no private key in PEM form is in it");
	buf_printf(error,
		"%s: %s: the key has a passphrase, and nobody is there to type it: store it without one",
		option, path);
	ERR_clear_error();
	return -EINVAL;
}

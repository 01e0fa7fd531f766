#ifndef TIDEGATE_TLS_PEM_H
#define TIDEGATE_TLS_PEM_H

/*
 * PEM: files with keys and certificates, and the sentence about one that cannot be used.
 */

#include <stdbool.h>

struct buf;
struct evp_pkey_st;

/*
 * Appends "option: path: why" to error, with the oldest reason that OpenSSL has noted in this thread since
 * its notes were cleared; `otherwise` stands where it has none. Returns -EINVAL.
 */
int pem_refuse(struct buf *error, const char *option, const char *path, const char *otherwise);

/* A pem_password_cb: a process that starts has nobody to ask, and OpenSSL would wait at the terminal. Sets
 * the bool that arg points to, if any: the key has a passphrase. */
int pem_no_passphrase(char *room, int size, int writing, void *arg);

/* Reads the private key of a file, which the caller frees with EVP_PKEY_free(). 0, or -EINVAL with a
 * sentence. */
int pem_read_key(const char *option, const char *path, struct evp_pkey_st **keyp, struct buf *error);

#endif

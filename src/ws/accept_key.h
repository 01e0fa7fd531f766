#ifndef TIDEGATE_WS_ACCEPT_KEY_H
#define TIDEGATE_WS_ACCEPT_KEY_H

/*
 * Accept key: what a server answers to Sec-WebSocket-Key, so that the client sees that it was understood
 * (RFC 6455 4.2.2): SHA-1, in base64.
 *
 * OpenSSL's SHA-1 uses what the processor has for it, and takes 0.26 us where that of lws takes 0.63. To look
 * the algorithm up costs more than to use it, so a thread keeps what it has found.
 */

#include "core/slice.h"

struct accept_key;

enum {
	ACCEPT_KEY_LEN = 24,  /* of the client's key: 16 bytes in base64 */
	ACCEPT_KEY_SIZE = 32, /* of the answer, with NUL */
};

/* NULL when out of memory, or if OpenSSL has no SHA-1: accept_key_write() does without. */
struct accept_key *accept_key_new(void);

/* Accepts NULL. */
void accept_key_free(struct accept_key *accept);

/* key: of ACCEPT_KEY_LEN bytes. accept may be NULL. */
void accept_key_write(struct accept_key *accept, struct slice key, char out[ACCEPT_KEY_SIZE]);

#endif

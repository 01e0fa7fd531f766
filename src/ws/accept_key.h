#ifndef TIDEGATE_WS_ACCEPT_KEY_H
#define TIDEGATE_WS_ACCEPT_KEY_H

/*
 * Accept key: what a server answers to Sec-WebSocket-Key, so that the client sees that it was understood
 * (RFC 6455 4.2.2): SHA-1, in base64.
 *
 * OpenSSL's SHA-1 uses what the processor has for it. It is called as it was before OpenSSL 3: by way of
 * EVP_Digest() it would cost three times as much, most of that to look the algorithm up and to clean up.
 */

#include "core/slice.h"

enum {
	ACCEPT_KEY_LEN = 24,  /* of the client's key: 16 bytes in base64 */
	ACCEPT_KEY_SIZE = 32, /* of the answer, with NUL */
};

/* key: of ACCEPT_KEY_LEN bytes. */
void accept_key_write(struct slice key, char out[ACCEPT_KEY_SIZE]);

#endif

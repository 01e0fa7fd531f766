#ifndef TIDEGATE_WS_CLIENT_WS_OPENING_H
#define TIDEGATE_WS_CLIENT_WS_OPENING_H

/*
 * WS opening: the handshake of a client (RFC 6455 section 4), as bytes.
 *
 * All send the same key, the example of the RFC: at the other end is a server of one's own, and the answer
 * that is right for this key needs no SHA-1 here.
 */

#include <stdbool.h>
#include <stddef.h>

enum {
	WS_OPENING_MAX = 1024 + 8001, /* of the request, with a token as long as a gateway takes them */
};

struct ws_opening {
	const char *path;
	const char *host;  /* for the Host header */
	const char *token; /* for Authorization: Bearer; "" for none */
	bool deflate;      /* offers permessage-deflate, without context takeover */
};

/* How the server has answered. */
struct ws_opened {
	bool deflated;
	char refusal[64]; /* the status line, if it refused; else empty */
};

/* How long the request is; more than WS_OPENING_MAX - 1 if it did not fit. */
size_t ws_opening_write(const struct ws_opening *opening, char out[WS_OPENING_MAX]);

/* Takes the answer from the front of these bytes. How many it was; 0 if it is not all there; -ECONNREFUSED if
 * the server refused; -EPROTO if this is no answer. */
long ws_opening_take(const unsigned char *data, size_t len, struct ws_opened *opened);

#endif

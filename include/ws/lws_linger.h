#ifndef TIDEGATE_WS_LWS_LINGER_H
#define TIDEGATE_WS_LWS_LINGER_H

/*
 * Lws linger: the orderly end of a connection that was answered with HTTP.
 *
 * Who closes a socket that has something to read resets it, and the kernel of the other side throws away the
 * answer that it has not read yet; a proxy takes that for a failed server. So we say that there is no more to
 * come, and read on and forget it until the other side has said so too, for so long and so much.
 */

#include <stdbool.h>
#include <stddef.h>

struct lws;

enum {
	LINGER_SECONDS = 5,
	LINGER_HURRY_SECONDS = 1, /* while the gateway ends, and waits for it */
	LINGER_BYTES_MAX = 16 * 1024 * 1024,
};

/* Zeroed memory is one that has not begun. */
struct lws_linger {
	bool begun;
	size_t forgotten_bytes;
};

/* After all was written. When the time is over lws closes the connection. */
void lws_linger_begin(struct lws_linger *linger, struct lws *wsi, int seconds);

/* So many bytes came, or 0: the other side has said that no more will. 0: go on; -1: close. */
int lws_linger_forget(struct lws_linger *linger, size_t len);

#endif

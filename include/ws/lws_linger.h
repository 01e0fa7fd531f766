#ifndef TIDEGATE_WS_LWS_LINGER_H
#define TIDEGATE_WS_LWS_LINGER_H

/*
 * Lws linger: the orderly end of a connection that was answered with HTTP.
 *
 * A socket that is closed with unread bytes is reset, and the kernel of the other side throws away the answer
 * that was not read yet; a proxy takes that for a failed server. So we end our direction, and read and drop
 * what the other side still sends until it has ended too, within a bound in time and one in bytes.
 */

#include <stdbool.h>
#include <stddef.h>

struct lws;

enum {
	LINGER_SECONDS = 5,
	LINGER_HURRY_SECONDS = 1, /* while the gateway ends and waits for it */
	LINGER_BYTES_MAX = 16 * 1024 * 1024,
};

/* Zeroed memory: it has not begun. */
struct lws_linger {
	bool begun;
	size_t forgotten_bytes;
};

/* To be called when everything is written. After `seconds` lws closes the connection. */
void lws_linger_begin(struct lws_linger *linger, struct lws *wsi, int seconds);

/* len bytes came; 0 means that the other side has ended. Returns 0 to go on, -1 to close. */
int lws_linger_forget(struct lws_linger *linger, size_t len);

#endif

/* Lws linger: the orderly end of an answered connection; see the header. */

#include "ws/lws_linger.h"

#include <sys/socket.h>

#include <libwebsockets.h>

#include "ws/tls.h"

void lws_linger_begin(struct lws_linger *linger, struct lws *wsi, int seconds)
{
	linger->begun = true;
	lws_set_timeout(wsi, PENDING_TIMEOUT_USER_OK, seconds);
	/* Without room for the word of TLS that nothing follows: the answer tells its length. */
	if (!ws_tls_finish(wsi))
		(void)shutdown(lws_get_socket_fd(wsi), SHUT_WR);
}

int lws_linger_forget(struct lws_linger *linger, size_t len)
{
	linger->forgotten_bytes += len;
	return linger->forgotten_bytes > LINGER_BYTES_MAX || (linger->begun && len == 0) ? -1 : 0;
}

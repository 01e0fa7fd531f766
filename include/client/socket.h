#ifndef TIDEGATE_CLIENT_SOCKET_H
#define TIDEGATE_CLIENT_SOCKET_H

/*
 * Socket: the operations that a client needs of the connection beneath it. It knows nothing else about it.
 *
 * It is a seam: in the gateway libwebsockets stands behind it, in tests a few lines. The socket never calls
 * back from inside one of these functions. The client hands it messages in a form that the peer takes
 * (protocol/form.h); pings and closes are no messages: the socket sends them in the way of its transport.
 */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

enum {
	CLOSE_CODE_NONE = 1005, /* stands for a close without a code; never sent */
};

struct socket_ops {
	/*
	 * Sends as many bytes as the socket takes now, in order. Returns how many; 0 when it would have to
	 * wait; negative errno when the connection is broken. The other bytes stay the caller's. If they
	 * begin inside a frame, the rest of the frame must be handed to keep() before anything else is sent.
	 */
	ssize_t (*send)(void *socket, const struct iovec *parts, int n_parts);

	/*
	 * Sends one stretch of whole frames, together with those of other sockets. client_sent() or
	 * clients_sent() tells the result, at the latest inside clients_listener.submit(). Until then the
	 * bytes must not change, and nothing else may be sent on this socket. NULL: send() is used instead.
	 */
	void (*send_later)(void *socket, const void *data, size_t len, const void *cookie);

	/* Takes the rest of a frame that was begun, and sends it before anything else. 0 or
	 * negative errno. */
	int (*keep)(void *socket, const void *data, size_t len);

	/* Calls client_writable() once, when the socket takes bytes again. */
	void (*want_writable)(void *socket);

	/*
	 * Asks the peer for a sign of life, ahead of all waiting messages; client_heard() tells that it came.
	 * Returns the length of the question, sent or not yet, or negative errno.
	 */
	ssize_t (*ping)(void *socket);

	/*
	 * How many bytes were sent that the peer has not acknowledged? n_ackedp: how many it has
	 * acknowledged, modulo 2^32. Where the system does not know, 0, and n_ackedp is untouched.
	 */
	uint32_t (*n_unacked)(void *socket, uint32_t *n_ackedp);

	/* Only a close will follow: from now on the socket sends nothing by itself and answers no ping. */
	void (*fall_silent)(void *socket);

	/*
	 * Tells the peer, behind all that was sent, that the connection ends: with a code of RFC 6455 section
	 * 7.4 and a sentence, or with CLOSE_CODE_NONE and no sentence. Returns the same as ping().
	 */
	ssize_t (*close)(void *socket, uint16_t code, const char *sentence);

	/* Ends our direction (FIN) behind all that was sent. Bytes that still come are read and dropped. */
	void (*finish)(void *socket);

	/* Ends the connection without a close frame. client_deinit() follows, on a later turn. */
	void (*abort)(void *socket);
};

#endif

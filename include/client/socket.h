#ifndef TIDEGATE_CLIENT_SOCKET_H
#define TIDEGATE_CLIENT_SOCKET_H

/*
 * Socket: what a client needs of the connection beneath it, and all it knows of it.
 *
 * A seam: libwebsockets stands behind it in the gateway, a few lines stand behind it in tests. The socket
 * never calls back from inside one of these. The client hands it messages in a form that the peer takes
 * (protocol/form.h); what is no message, a ping or a close, the socket says as its transport does.
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
	 * Sends what can go now, in order: the bytes taken, 0 when it would have to wait, negative errno when
	 * the connection is broken. What was not taken stays the caller's; if that begins inside a frame, the
	 * rest of the frame must be handed to keep() before anything else is sent.
	 */
	ssize_t (*send)(void *socket, const struct iovec *parts, int n_parts);

	/*
	 * Sends one stretch of whole frames, together with those of other sockets: client_sent() says what
	 * became of it, at the latest when clients_listener.submit() is called. The bytes stay as they are
	 * until then, and nothing else is sent on this socket before. NULL: send() is used instead.
	 */
	void (*send_later)(void *socket, const void *data, size_t len, const void *cookie);

	/* Takes the rest of a frame that was begun and sends it first of all. 0 or negative errno. */
	int (*keep)(void *socket, const void *data, size_t len);

	/* Calls client_writable() once, when the socket takes bytes again. */
	void (*want_writable)(void *socket);

	/*
	 * Asks the peer for a sign of life, before anything that waits: client_heard() says that it came. How
	 * many bytes that took, whether or not they have gone yet, or negative errno.
	 */
	ssize_t (*ping)(void *socket);

	/* A close is next and last: the socket says nothing of its own any more, and answers no ping. */
	void (*fall_silent)(void *socket);

	/*
	 * Says that the connection ends, with a code of RFC 6455 section 7.4 and a sentence, or
	 * CLOSE_CODE_NONE and none. All that was sent goes before. As ping().
	 */
	ssize_t (*close)(void *socket, uint16_t code, const char *sentence);

	/* Ends our direction (FIN) behind all that was sent. What still comes is read, and dropped. */
	void (*finish)(void *socket);

	/* Ends the connection without a word. client_deinit() follows, on a later turn. */
	void (*abort)(void *socket);
};

#endif

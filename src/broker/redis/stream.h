#ifndef TIDEGATE_BROKER_REDIS_STREAM_H
#define TIDEGATE_BROKER_REDIS_STREAM_H

/*
 * Redis stream: the bytes of one connected socket, plain or over TLS. It never waits.
 *
 * With TLS one direction may need the other: bytes cannot be written before some were read (the handshake),
 * or read before some were written. The stream says so, and its user tries again when the socket is ready
 * for that.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct evbuffer;
struct redis_tls;
struct ssl_st;

struct redis_stream {
	int fd;                 /* -1: none */
	struct ssl_st *session; /* NULL: plain */
	bool write_needs_read;  /* no use in writing before bytes have come */
	bool read_needs_write;  /* no use in reading before the socket takes bytes */
	bool ended;             /* bytes were read, and then the end: the next read tells of it */
	char fault[160];        /* of TLS, one sentence; "": there was none */
};

/* No socket yet. */
void redis_stream_init(struct redis_stream *stream);

/* Takes over the socket, in any case. tls NULL: plain. host: the name that was dialled. 0 or -ENOMEM. */
int redis_stream_open(struct redis_stream *stream, int fd, const struct redis_tls *tls, const char *host);

/* What the peer has not been sent yet never will be: close() alone goes on sending behind our back. */
void redis_stream_discard(struct redis_stream *stream);

/* Harmless without a socket. */
void redis_stream_close(struct redis_stream *stream);

/*
 * How many bytes came. When they fill the room there may be more at once, otherwise the socket was emptied.
 * 0: the peer has closed. -EAGAIN: nothing now. -EPROTO: see fault. Otherwise another negative errno.
 */
ssize_t redis_stream_read(struct redis_stream *stream, char *room, size_t n);

/* Takes bytes off the front of out and sends them. 0, also when some are left; -EPROTO or another negative
 * errno when the stream is of no further use. */
int redis_stream_write(struct redis_stream *stream, struct evbuffer *out);

/* After a read that filled its room: there are bytes that came already, of which the socket does not tell. */
bool redis_stream_holds_more(const struct redis_stream *stream);

/* TLS is not agreed upon yet. */
bool redis_stream_is_shaking_hands(const struct redis_stream *stream);

#endif

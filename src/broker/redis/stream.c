/*
 * Redis stream: the bytes of one connected socket, plain or over TLS. See stream.h.
 */

#include "broker/redis/stream.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "broker/redis/tls.h"

enum {
	WRITE_PARTS = 64, /* pieces of the buffer in one sendmsg(2) */
};

void redis_stream_init(struct redis_stream *stream)
{
	*stream = (struct redis_stream){.fd = -1};
}

int redis_stream_open(struct redis_stream *stream, int fd, const struct redis_tls *tls, const char *host)
{
	*stream = (struct redis_stream){.fd = fd};
	if (!tls)
		return 0;
	stream->session = redis_tls_session(tls, fd, host);
	return stream->session ? 0 : -ENOMEM;
}

void redis_stream_discard(struct redis_stream *stream)
{
	static const struct linger at_once = {.l_onoff = 1, .l_linger = 0};

	if (stream->fd >= 0)
		(void)setsockopt(stream->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
}

void redis_stream_close(struct redis_stream *stream)
{
	SSL_free(stream->session);
	stream->session = NULL;
	if (stream->fd >= 0)
		close(stream->fd);
	stream->fd = -1;
}

/* --- plain --- */

static ssize_t read_plain(struct redis_stream *stream, char *room, size_t n)
{
	ssize_t n_read = read(stream->fd, room, n);

	if (n_read < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	return n_read;
}

/* evbuffer_write() would do, but raises SIGPIPE. */
static int write_plain(struct redis_stream *stream, struct evbuffer *out)
{
	struct evbuffer_iovec parts[WRITE_PARTS];
	struct msghdr message = {.msg_iov = parts};
	ssize_t n_written;
	int n = evbuffer_peek(out, -1, NULL, parts, WRITE_PARTS);

	message.msg_iovlen = n < WRITE_PARTS ? (size_t)n : WRITE_PARTS;
	n_written = sendmsg(stream->fd, &message, MSG_NOSIGNAL);
	if (n_written < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	evbuffer_drain(out, (size_t)n_written);
	return 0;
}

/* --- TLS --- */

static int note_fault(struct redis_stream *stream)
{
	long verdict = SSL_get_verify_result(stream->session);
	const char *why = ERR_reason_error_string(ERR_peek_last_error());

	if (verdict != X509_V_OK && SSL_get_verify_mode(stream->session) != SSL_VERIFY_NONE)
		snprintf(stream->fault, sizeof(stream->fault), "the certificate of Redis is refused: %s",
			X509_verify_cert_error_string(verdict));
	else
		snprintf(stream->fault, sizeof(stream->fault), "TLS with Redis failed: %s",
			why ? why : "it was ended");
	return -EPROTO;
}

/* Why OpenSSL did nothing. -EAGAIN, 0 for the end, -EPROTO or another negative errno. */
static int outcome(struct redis_stream *stream, int r, int error)
{
	switch (SSL_get_error(stream->session, r)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		return -EAGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	case SSL_ERROR_SYSCALL:
		return error ? -error : 0;
	default:
		return note_fault(stream);
	}
}

/*
 * A record brings 16 KiB at most, so the room is filled by many of them. What one read(2) brought is in
 * OpenSSL's hands (tls.c has it read ahead): when that is used up, the socket is not asked whether there is
 * more. epoll tells, as it does without TLS.
 */
static ssize_t read_tls(struct redis_stream *stream, char *room, size_t n)
{
	size_t n_read, total = 0;
	int r = 1;

	stream->read_needs_write = false;
	while (total < n) {
		ERR_clear_error();
		errno = 0;
		r = SSL_read_ex(stream->session, room + total, n - total, &n_read);
		if (r != 1)
			break;
		total += n_read;
		if (!SSL_has_pending(stream->session))
			break;
	}
	if (r == 1)
		return (ssize_t)total;
	r = outcome(stream, r, errno);
	stream->read_needs_write = r == -EAGAIN && SSL_want_write(stream->session);
	stream->ended = total && r != -EAGAIN;
	return total ? (ssize_t)total : r;
}

static int write_tls(struct redis_stream *stream, struct evbuffer *out)
{
	struct evbuffer_iovec part;
	size_t n_written;
	int r;

	stream->write_needs_read = false;
	while (evbuffer_peek(out, -1, NULL, &part, 1) > 0) {
		ERR_clear_error();
		errno = 0;
		r = SSL_write_ex(stream->session, part.iov_base, part.iov_len, &n_written);
		if (r != 1) {
			r = outcome(stream, r, errno);
			stream->write_needs_read = r == -EAGAIN && SSL_want_read(stream->session);
			return r == -EAGAIN ? 0 : r == 0 ? -EPIPE : r;
		}
		evbuffer_drain(out, n_written);
	}
	return 0;
}

/* --- either --- */

ssize_t redis_stream_read(struct redis_stream *stream, char *room, size_t n)
{
	return stream->session ? read_tls(stream, room, n) : read_plain(stream, room, n);
}

int redis_stream_write(struct redis_stream *stream, struct evbuffer *out)
{
	return stream->session ? write_tls(stream, out) : write_plain(stream, out);
}

bool redis_stream_holds_more(const struct redis_stream *stream)
{
	return stream->session && SSL_has_pending(stream->session);
}

bool redis_stream_is_shaking_hands(const struct redis_stream *stream)
{
	return stream->session && !SSL_is_init_finished(stream->session);
}

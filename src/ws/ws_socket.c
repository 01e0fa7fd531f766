/*
 * Ws socket: writes the bytes of finished frames into a connection of lws.
 *
 * Frames are built once and shared, so lws must neither frame nor copy them. While lws holds no bytes back
 * for a plain socket, our bytes go straight to the kernel. lws writes frames of its own (pongs) only between
 * calls and before a close frame, and we only stop between frames, or hand lws the rest of a frame that was
 * begun. That rest goes through lws_write() as LWS_WRITE_HTTP, which on an established WebSocket passes bytes
 * through untouched to lws' own buffering. tests/integration proves this with every build: if a new lws
 * breaks it, frames are broken.
 */

#include <errno.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <libwebsockets.h>

#include "client/socket.h"
#include "core/list.h"
#include "core/slice.h"
#include "protocol/frame.h"
#include "ws/sse_stream.h"
#include "ws/tls.h"
#include "ws/ws_connection.h"
#include "ws/ws_sender.h"
#include "ws/ws_server.h"
#include "ws/ws_server_private.h"

static ssize_t socket_send(void *socket, const struct iovec *parts, int n_parts)
{
	struct ws_connection *connection = socket;
	struct msghdr message = {.msg_iov = (struct iovec *)parts, .msg_iovlen = (size_t)n_parts};
	ssize_t n;

	if (lws_partial_buffered(connection->wsi))
		return 0;
	if (n_parts == 1)
		n = send(lws_get_socket_fd(connection->wsi), parts->iov_base, parts->iov_len,
			MSG_DONTWAIT | MSG_NOSIGNAL);
	else
		n = sendmsg(lws_get_socket_fd(connection->wsi), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n >= 0)
		return n;
	return errno == EAGAIN || errno == EINTR || errno == ENOBUFS ? 0 : -errno;
}

static void socket_send_later(void *socket, const void *data, size_t len, const void *cookie)
{
	struct ws_connection *connection = socket;

	ws_sender_add(connection->server->sender, connection, data, len, cookie);
}

static int socket_keep(void *socket, const void *data, size_t len)
{
	struct ws_connection *connection = socket;

	/* lws copies the bytes that it cannot send; its signature is not const, but it only reads. */
	return lws_write(connection->wsi, (unsigned char *)data, len, LWS_WRITE_HTTP) < 0 ? -EPIPE : 0;
}

static void socket_want_writable(void *socket)
{
	struct ws_connection *connection = socket;

	lws_callback_on_writable(connection->wsi);
}

/* Sends a frame of our own. lws keeps the bytes that the socket does not take now, and sends
 * them before anything else. */
static ssize_t say(struct ws_connection *connection, unsigned char *frame, size_t len)
{
	return lws_write(connection->wsi, frame, len, LWS_WRITE_HTTP) < 0 ? -EPIPE : (ssize_t)len;
}

int ws_socket_open(struct ws_connection *connection, struct slice early)
{
	unsigned char *head = (unsigned char *)connection->head;
	bool broken;

	if (lws_ws_upgraded(connection->wsi, early.data, early.len))
		return -ENOMEM;
	if (connection->client.subscriber.form == FORM_DEFLATED)
		lws_ws_take_rsv1(connection->wsi);
	lws_set_opaque_user_data(connection->wsi, connection);
	broken = say(connection, head, strlen(connection->head)) < 0;
	free(connection->head);
	connection->head = NULL;
	client_open(&connection->client);
	if (broken)
		client_close(&connection->client, CLOSE_GONE);
	return 0;
}

static ssize_t socket_ping(void *socket)
{
	struct ws_connection *connection = socket;
	unsigned char frame[FRAME_CONTROL_SIZE];

	if (connection->streams)
		return sse_stream_ping(connection);
	/* Not empty: lws does not report an empty pong. */
	return say(connection, frame, frame_control_write(frame, FRAME_PING, "tidegate", 8));
}

static uint32_t socket_n_unacked(void *socket, uint32_t *n_ackedp)
{
	struct ws_connection *connection = socket;
	int fd = lws_get_socket_fd(connection->wsi), n_unacked;
	struct tcp_info info = {0};
	socklen_t len = sizeof(info);

	/* TCP_INFO counts only segments. */
	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0 || ioctl(fd, SIOCOUTQ, &n_unacked) < 0)
		return 0; /* it is about to end */
	*n_ackedp = (uint32_t)info.tcpi_bytes_acked;
	return (uint32_t)n_unacked;
}

static void socket_fall_silent(void *socket)
{
	struct ws_connection *connection = socket;

	if (!connection->streams)
		lws_ws_user_closes(connection->wsi);
}

static void socket_abort(void *socket)
{
	struct ws_connection *connection = socket;

	list_remove(&connection->due);
	list_push_back(&connection->server->aborted, &connection->due);
}

static void socket_finish(void *socket)
{
	struct ws_connection *connection = socket;

	connection->finishes = lws_partial_buffered(connection->wsi) || !ws_tls_finish(connection->wsi);
	if (connection->finishes)
		lws_callback_on_writable(connection->wsi);
	else if (connection->peer_ended)
		socket_abort(connection); /* its end, which ours would wait for, has come */
}

static ssize_t socket_close(void *socket, uint16_t code, const char *sentence)
{
	struct ws_connection *connection = socket;
	unsigned char frame[FRAME_CONTROL_SIZE];
	ssize_t n;

	if (connection->streams) {
		n = sse_stream_close(connection, code, sentence);
		socket_finish(connection); /* the peer has nothing to answer */
		return n;
	}
	return say(connection, frame,
		code == CLOSE_CODE_NONE ? frame_control_write(frame, FRAME_CLOSE, NULL, 0)
					: frame_close_write(frame, code, sentence));
}

void ws_socket_writable(struct ws_connection *connection)
{
	if (connection->finishes)
		socket_finish(connection);
	client_writable(&connection->client);
}

/*
 * --- with TLS ---
 *
 * All bytes go through lws. What it cannot send it keeps, a record at most and the rest of a frame that was
 * begun, for OpenSSL wants the bytes of a record that it could not write once more.
 */

/* Bytes that are to be sent, from here on. */
struct cursor {
	const struct iovec *part;
	int n_parts;
	size_t offset;
};

/* The bytes of this part that fit into `room`. Moves behind them. */
static struct slice take(struct cursor *at, size_t room)
{
	size_t left = at->part->iov_len - at->offset;
	struct slice bytes = {(const char *)at->part->iov_base + at->offset, left < room ? left : room};

	at->offset += bytes.len;
	if (bytes.len == left) {
		at->part++;
		at->n_parts--;
		at->offset = 0;
	}
	return bytes;
}

/* The bytes of the next record: where they lie if they are of one part, else put together. */
static struct slice next_record(struct cursor *at, unsigned char *record)
{
	struct slice bytes = take(at, WS_RECORD_BYTES);
	size_t len = 0;

	if (bytes.len == WS_RECORD_BYTES || at->n_parts == 0)
		return bytes;
	for (;;) {
		memcpy(record + len, bytes.data, bytes.len);
		len += bytes.len;
		if (len == WS_RECORD_BYTES || at->n_parts == 0)
			return (struct slice){(const char *)record, len};
		bytes = take(at, WS_RECORD_BYTES - len);
	}
}

static ssize_t tls_send(void *socket, const struct iovec *parts, int n_parts)
{
	struct ws_connection *connection = socket;
	struct cursor at = {parts, n_parts, 0};
	ssize_t n_sent = 0;

	while (at.n_parts && !lws_partial_buffered(connection->wsi)) {
		struct slice bytes = next_record(&at, connection->server->record);

		if (lws_write(connection->wsi, (unsigned char *)bytes.data, bytes.len, LWS_WRITE_HTTP) < 0)
			return -EPIPE;
		n_sent += (ssize_t)bytes.len;
	}
	return n_sent;
}

const struct socket_ops ws_tls_socket_ops = {
	.send = tls_send,
	.keep = socket_keep,
	.want_writable = socket_want_writable,
	.ping = socket_ping,
	.n_unacked = socket_n_unacked,
	.fall_silent = socket_fall_silent,
	.close = socket_close,
	.finish = socket_finish,
	.abort = socket_abort,
};

const struct socket_ops ws_socket_ops = {
	.send = socket_send,
	.send_later = socket_send_later,
	.keep = socket_keep,
	.want_writable = socket_want_writable,
	.ping = socket_ping,
	.n_unacked = socket_n_unacked,
	.fall_silent = socket_fall_silent,
	.close = socket_close,
	.finish = socket_finish,
	.abort = socket_abort,
};

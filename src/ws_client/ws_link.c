/* WS link: a socket that is waited for; see the header. */

#include "ws_client/ws_link.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "core/buf.h"
#include "core/clock.h"
#include "core/ip.h"
#include "ws_client/client_frame.h"
#include "ws_client/server_frame.h"
#include "ws_client/wire.h"
#include "ws_client/ws_opening.h"
#include "ws_client/ws_url.h"

enum {
	READ_BYTES = 16 * 1024,
	REFUSAL_MAX = READ_BYTES,
	FRAME_MAX = 256 << 20, /* more than a gateway may be told to send */
	LOOK_MS = 20,          /* a handshake of TLS says only that it goes on, not what it waits for */
};

#define HEAD_END     "\r\n\r\n"
#define LENGTH_FIELD "\r\nContent-Length:"

struct ws_link {
	struct wire_tls *tls; /* NULL: plain */
	struct wire wire;
	struct buf in;
	bool is_open;
	size_t taken; /* of `in`, with the frame that was handed out last */
};

/* 0, or -ETIMEDOUT. */
static int await(struct ws_link *link, short events, uint64_t deadline_ms)
{
	struct pollfd fd = {.fd = link->wire.fd, .events = events};
	uint64_t now_ms = clock_monotonic_ms();
	uint64_t left_ms = deadline_ms > now_ms ? deadline_ms - now_ms : 0;

	if (!left_ms)
		return -ETIMEDOUT;
	if (link->wire.session && left_ms > LOOK_MS)
		left_ms = LOOK_MS;
	poll(&fd, 1, (int)(left_ms < INT32_MAX ? left_ms : INT32_MAX));
	return 0;
}

static int send_all(struct ws_link *link, const void *data, size_t len, uint64_t deadline_ms)
{
	const char *rest = data;

	while (len) {
		ssize_t n = wire_send(&link->wire, rest, len);
		int r = 0;

		if (n < 0 && errno == EAGAIN)
			r = await(link, link->wire.session ? POLLIN : POLLOUT, deadline_ms);
		else if (n <= 0 && errno != EINTR)
			r = n < 0 ? -errno : -ECONNRESET;
		if (r < 0)
			return r;
		if (n > 0) {
			rest += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

/* Reads some more into `in`. */
static int receive_some(struct ws_link *link, uint64_t deadline_ms)
{
	for (;;) {
		char *room = buf_reserve(&link->in, READ_BYTES);
		ssize_t n = room ? wire_receive(&link->wire, room, READ_BYTES) : -1;
		int r = 0;

		if (!room)
			return -ENOMEM;
		if (n > 0) {
			link->in.len += (size_t)n;
			return 0;
		}
		if (n == 0)
			return -ECONNRESET;
		if (errno == EAGAIN)
			r = await(link, POLLIN, deadline_ms);
		else if (errno != EINTR)
			r = -errno;
		if (r < 0)
			return r;
	}
}

/* --- opening --- */

static int dial(struct ws_link *link, const struct ws_url *url, uint64_t deadline_ms)
{
	int on = 1, r = 0;
	socklen_t len = sizeof(r);

	link->wire.fd = socket(url->server.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (link->wire.fd < 0)
		return -errno;
	setsockopt(link->wire.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (connect(link->wire.fd, (const struct sockaddr *)&url->server, url->server_len) == 0)
		return 0;
	if (errno != EINPROGRESS)
		return -errno;
	r = await(link, POLLOUT, deadline_ms);
	if (r == 0 && getsockopt(link->wire.fd, SOL_SOCKET, SO_ERROR, &r, &len) < 0)
		r = errno;
	return r > 0 ? -r : r;
}

static bool is_here(const char *name)
{
	return ip_is_loopback(slice_of(name)) || !strcmp(name, "localhost");
}

static int speak_tls(struct ws_link *link, const struct ws_link_options *options, struct buf *error)
{
	bool here = is_here(options->url->name);
	const char *ca = options->ca ? options->ca : here ? NULL : "";

	link->tls = wire_tls_new(ca);
	if (!link->tls && options->ca) {
		buf_printf(error, "no certificate in PEM form is in %s", options->ca);
		return -EINVAL;
	}
	if (!link->tls)
		return -ENOMEM;
	return wire_speak_tls(&link->wire, link->tls, here ? NULL : options->url->name);
}

/* The body of a refusal, whose head is there. A proxy's may be of any form, and length. */
static void hear_why(struct ws_link *link, uint64_t deadline_ms, struct buf *said)
{
	const char *text = buf_text(&link->in);
	const char *end = text ? strstr(text, HEAD_END) : NULL;
	const char *field = end ? strcasestr(text, LENGTH_FIELD) : NULL;
	unsigned long body_len = field && field < end ? strtoul(field + strlen(LENGTH_FIELD), NULL, 10) : 0;
	size_t head_len = end ? (size_t)(end - text) + strlen(HEAD_END) : 0;

	if (body_len > REFUSAL_MAX)
		return;
	while (link->in.len < head_len + body_len)
		if (receive_some(link, deadline_ms) < 0)
			return;
	buf_append(said, link->in.data + head_len, body_len);
}

static int shake_hands(struct ws_link *link, const struct ws_link_options *options, uint64_t deadline_ms,
	struct buf *said, struct buf *error)
{
	const struct ws_opening opening = {options->path, options->url->host, options->token, false};
	char request[WS_OPENING_MAX];
	size_t len = ws_opening_write(&opening, request);
	struct ws_opened opened;
	long n = 0;
	int r;

	if (len >= sizeof(request))
		return -EMSGSIZE;
	r = send_all(link, request, len, deadline_ms);
	while (r == 0 && n == 0) {
		r = receive_some(link, deadline_ms);
		if (r == 0)
			n = ws_opening_take((const unsigned char *)link->in.data, link->in.len, &opened);
	}
	if (r == 0 && n == -ECONNREFUSED) {
		buf_printf(error, "the gateway refused %s: %s", options->path, opened.refusal);
		hear_why(link, deadline_ms, said);
	}
	link->is_open = n > 0;
	link->taken = n > 0 ? (size_t)n : 0;
	return r == 0 && n < 0 ? (int)n : r;
}

int ws_link_open(
	const struct ws_link_options *options, struct ws_link **linkp, struct buf *said, struct buf *error)
{
	uint64_t deadline_ms = clock_monotonic_ms() + options->timeout_ms;
	struct ws_link *link = calloc(1, sizeof(*link));
	int r = -ENOMEM;

	if (link) {
		link->wire.fd = -1;
		r = dial(link, options->url, deadline_ms);
	}
	if (r == 0 && options->url->tls)
		r = speak_tls(link, options, error);
	if (r == 0)
		r = shake_hands(link, options, deadline_ms, said, error);
	if (r == 0) {
		*linkp = link;
		return 0;
	}
	if (!error->len && link && wire_distrust(&link->wire))
		buf_printf(error, "the certificate of %s is refused: %s (--ca says who is believed)",
			options->url->host, wire_distrust(&link->wire));
	else if (!error->len)
		buf_printf(error, "no gateway answers at %s: %s", options->url->host, strerror(-r));
	ws_link_close(link);
	return r;
}

void ws_link_close(struct ws_link *link)
{
	static const unsigned char goodbye[] = {
		0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8}; /* 1000, masked with zeros */

	if (!link)
		return;
	if (link->is_open)
		(void)wire_send(&link->wire, goodbye, sizeof(goodbye)); /* a courtesy */
	wire_close(&link->wire);
	wire_tls_free(link->tls);
	buf_deinit(&link->in);
	free(link);
}

/* --- texts --- */

static int send_frame(struct ws_link *link, unsigned char opcode, struct slice payload, uint64_t deadline_ms)
{
	unsigned char head[CLIENT_FRAME_HEAD_MAX];
	int r = send_all(link, head, client_frame_head(opcode, payload.len, head), deadline_ms);

	return r == 0 ? send_all(link, payload.data, payload.len, deadline_ms) : r;
}

int ws_link_send(struct ws_link *link, struct slice text, struct buf *error)
{
	int r = send_frame(link, OPCODE_TEXT, text, clock_monotonic_ms() + 5000);

	if (r < 0)
		buf_printf(error, "the connection broke: %s", strerror(-r));
	return r;
}

/* What is no text is answered here. 1: it was a text. */
static int take_frame(
	struct ws_link *link, const struct server_frame *frame, uint64_t deadline_ms, struct buf *error)
{
	const struct slice payload = {(const char *)frame->payload, frame->len};

	switch (frame->opcode) {
	case OPCODE_TEXT:
		return 1;
	case OPCODE_PING:
		return frame->len <= CONTROL_MAX ? send_frame(link, OPCODE_PONG, payload, deadline_ms)
						 : -EPROTO;
	case OPCODE_CLOSE:
		if (frame->len >= 2)
			buf_printf(error, "the gateway closed the connection: code %d %.*s",
				frame->payload[0] << 8 | frame->payload[1], (int)frame->len - 2,
				payload.data + 2);
		return -ECONNRESET;
	default:
		return 0;
	}
}

int ws_link_receive(struct ws_link *link, uint64_t timeout_ms, struct slice *textp, struct buf *error)
{
	uint64_t deadline_ms = clock_monotonic_ms() + timeout_ms;
	int r = 0;

	buf_consume(&link->in, link->taken);
	link->taken = 0;
	while (r == 0) {
		struct server_frame frame = {0};
		long n = link->in.len ? server_frame_parse((const unsigned char *)link->in.data, link->in.len,
						FRAME_MAX, &frame)
				      : 0;

		if (n < 0)
			r = (int)n;
		else if (n == 0)
			r = receive_some(link, deadline_ms);
		else
			r = take_frame(link, &frame, deadline_ms, error);
		if (n > 0 && r == 0)
			buf_consume(&link->in, (size_t)n);
		if (r == 1) {
			link->taken = (size_t)n;
			*textp = (struct slice){(const char *)frame.payload, frame.len};
			return 0;
		}
	}
	if (r != -ETIMEDOUT && !error->len)
		buf_printf(error, "the connection broke: %s", strerror(-r));
	return r;
}

/*
 * What our patches of libwebsockets promise (deploy/patches/libwebsockets), seen from a raw socket.
 *
 * One thread, one context on lws' own poll loop, clients that are plain sockets of the same thread:
 * a step is a turn of the loop that does not wait, so nothing sleeps and nothing races. A library
 * without one of the patches fails here before it surprises somebody in production.
 */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <libwebsockets.h>

enum {
	RX_MAX = 1 << 17,
	STEPS_MAX = 2000, /* turns until something that should happen is said not to */
};

/* What the one callback is to do, and what it saw. */
struct rig {
	struct lws_context *context;
	uint16_t port;
	bool refuses;
	struct lws *waiting; /* for its answer */
	unsigned n_asked;
	unsigned n_http;
	unsigned n_established;
	unsigned n_closed;
	unsigned n_destroyed;
	unsigned n_writable;
	unsigned n_rsv1; /* pieces of messages that began with it */
	bool takes_rsv1;
	bool closes; /* it is the user who says Close */
	uint16_t violation;
	unsigned n_ends; /* of input, while it reads a head */
	unsigned n_late;
	bool times_out; /* at the next byte */
	char early[64];
	size_t early_bytes;
	char head[512]; /* what has come of one */
	size_t head_bytes;
	size_t blob_bytes; /* sent at once when a connection is established */
	char upgrade[64];
	char received[256];
	size_t received_bytes;
};

struct peer {
	int fd;
	size_t n;
	uint8_t rx[RX_MAX];
};

static int refuse(struct lws *wsi)
{
	return lws_return_http_status(wsi, HTTP_STATUS_SERVICE_UNAVAILABLE, "not now") < 0 ? -1 : 1;
}

static int confirm_upgrade(struct rig *rig, struct lws *wsi, const char *upgrade)
{
	rig->n_asked++;
	snprintf(rig->upgrade, sizeof(rig->upgrade), "%s", upgrade);
	return rig->refuses ? refuse(wsi) : 0;
}

static void send_blob(struct rig *rig, struct lws *wsi)
{
	uint8_t *blob = calloc(1, rig->blob_bytes + 10);

	assert_non_null(blob);
	blob[0] = 0x82;
	blob[1] = 127;
	for (int i = 0; i < 8; i++)
		blob[2 + i] = (uint8_t)((uint64_t)rig->blob_bytes >> (56 - 8 * i));
	assert_true(lws_write(wsi, blob, rig->blob_bytes + 10, LWS_WRITE_HTTP) > 0);
	free(blob);
}

/* Says that it is let in, and is a WebSocket from here on. */
static void let_in(struct lws *wsi, const char *early, size_t len)
{
	char answer[LWS_PRE + 3] = "";

	memcpy(answer + LWS_PRE, "in.", 3);
	assert_true(lws_http_head_wanted(wsi));
	assert_int_equal(lws_write(wsi, (uint8_t *)answer + LWS_PRE, 3, LWS_WRITE_HTTP), 3);
	assert_int_equal(lws_ws_upgraded(wsi, early, len), 0);
	assert_false(lws_http_head_wanted(wsi));
	assert_int_not_equal(lws_ws_upgraded(wsi, NULL, 0), 0);
}

/* A head of our own language, "open!": what comes behind it is for lws. "no!" is answered by us. "wait!" is
 * answered when the test says so. */
static int read_head(struct rig *rig, struct lws *wsi, const char *in, size_t len)
{
	char answer[LWS_PRE + 3] = "";
	size_t i;

	assert_true(lws_http_head_wanted(wsi));
	rig->n_ends += len == 0;
	if (rig->times_out)
		lws_set_timeout(wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_ASYNC);
	for (i = 0; i < len && in[i] != '!'; i++)
		rig->head[rig->head_bytes++] = in[i];
	if (i == len)
		return 0;
	if (!memcmp(rig->head, "open", 4)) {
		let_in(wsi, in + i + 1, len - i - 1);
		return 0;
	}
	if (!memcmp(rig->head, "wait", 4)) {
		rig->waiting = wsi;
		rig->early_bytes = len - i - 1;
		memcpy(rig->early, in + i + 1, rig->early_bytes);
		return 0;
	}
	memcpy(answer + LWS_PRE, "no.", 3);
	assert_int_equal(lws_write(wsi, (uint8_t *)answer + LWS_PRE, 3, LWS_WRITE_HTTP), 3);
	lws_callback_on_writable(wsi);
	return 0;
}

static void let_waiting_in(struct rig *rig)
{
	if (!rig->waiting)
		return;
	let_in(rig->waiting, rig->early, rig->early_bytes);
	rig->waiting = NULL;
}

static int callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
	struct lws_context *context = lws_get_context(wsi);
	struct rig *rig = context ? lws_context_user(context) : NULL;

	(void)user;
	switch (reason) {
	case LWS_CALLBACK_HTTP_HEAD_RX:
		return read_head(rig, wsi, in, len);
	case LWS_CALLBACK_HTTP_HEAD_TIMEOUT:
		rig->n_late++;
		break;
	case LWS_CALLBACK_HTTP_WRITEABLE:
		rig->n_writable++;
		let_waiting_in(rig);
		break;
	case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE:
		return confirm_upgrade(rig, wsi, in);
	case LWS_CALLBACK_HTTP:
		rig->n_http++;
		return refuse(wsi) < 0 ? -1 : lws_http_transaction_completed(wsi);
	case LWS_CALLBACK_ESTABLISHED:
		rig->n_established++;
		if (rig->blob_bytes)
			send_blob(rig, wsi);
		break;
	case LWS_CALLBACK_SERVER_WRITEABLE:
		rig->n_writable++;
		break;
	case LWS_CALLBACK_ADD_HEADERS:
		if (rig->takes_rsv1)
			lws_ws_take_rsv1(wsi);
		break;
	case LWS_CALLBACK_RECEIVE:
		rig->n_rsv1 += (unsigned)lws_ws_message_has_rsv1(wsi);
		assert_true(rig->received_bytes + len < sizeof(rig->received));
		memcpy(rig->received + rig->received_bytes, in, len);
		rig->received_bytes += len;
		break;
	case LWS_CALLBACK_WS_PEER_VIOLATION:
		assert_int_equal(len, 2);
		rig->violation = (uint16_t)(((uint8_t *)in)[0] << 8 | ((uint8_t *)in)[1]);
		if (rig->closes)
			lws_ws_user_closes(wsi);
		break;
	case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
		if (rig->closes)
			lws_ws_user_closes(wsi);
		break;
	case LWS_CALLBACK_CLOSED:
		rig->n_closed++;
		break;
	case LWS_CALLBACK_WSI_DESTROY:
		rig->n_destroyed++;
		break;
	default:
		break;
	}
	return 0;
}

static const struct lws_protocols protocols[] = {
	{"plain", callback, 0, 256, 0, NULL, 16384},
	{"tidegate.v1", callback, 0, 256, 0, NULL, 16384},
	LWS_PROTOCOL_LIST_TERM,
};

static const lws_retry_bo_t no_keepalive;

static int setup_rig(void **state, bool reads_heads)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct lws_context_creation_info info = {0};
	struct lws_vhost *vhost;

	assert_non_null(rig);
	lws_set_log_level(0, NULL);
	info.options = LWS_SERVER_OPTION_EXPLICIT_VHOSTS | LWS_SERVER_OPTION_VALIDATE_UTF8;
	info.user = rig;
	info.gid = (gid_t)-1;
	info.uid = (uid_t)-1;
	rig->context = lws_create_context(&info);
	assert_non_null(rig->context);
	info.port = 0;
	info.options |= reads_heads ? LWS_SERVER_OPTION_HEAD_BY_USER : 0;
	info.iface = "127.0.0.1";
	info.protocols = protocols;
	info.retry_and_idle_policy = &no_keepalive;
	vhost = lws_create_vhost(rig->context, &info);
	assert_non_null(vhost);
	rig->port = (uint16_t)lws_get_vhost_listen_port(vhost);
	*state = rig;
	return 0;
}

static int setup(void **state)
{
	return setup_rig(state, false);
}

static int setup_with_heads(void **state)
{
	return setup_rig(state, true);
}

static int teardown(void **state)
{
	struct rig *rig = *state;

	lws_context_destroy(rig->context);
	free(rig);
	return 0;
}

/* --- a peer ------------------------------------------------------------------------------- */

static struct peer *peer_new(const struct rig *rig, int rcvbuf)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(rig->port)};
	struct peer *peer = calloc(1, sizeof(*peer));

	assert_non_null(peer);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	peer->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(peer->fd >= 0);
	if (rcvbuf)
		setsockopt(peer->fd, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof(rcvbuf));
	assert_int_equal(connect(peer->fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return peer;
}

static void peer_free(struct peer *peer)
{
	if (peer->fd >= 0)
		close(peer->fd);
	free(peer);
}

static void peer_send(struct peer *peer, const void *bytes, size_t n)
{
	assert_int_equal(send(peer->fd, bytes, n, MSG_NOSIGNAL), n);
}

/* Takes what has come. 0 when the other side has closed, -1 when it has reset. */
static ssize_t peer_read(struct peer *peer)
{
	ssize_t n = recv(peer->fd, peer->rx + peer->n, RX_MAX - 1 - peer->n, MSG_DONTWAIT);

	if (n > 0)
		peer->n += (size_t)n;
	else if (n < 0 && errno == EAGAIN)
		return 1;
	return n;
}

static void turn(struct rig *rig)
{
	lws_service(rig->context, -1);
}

/* Turns the loop until the peer has so many bytes. */
static void peer_expect_bytes(struct rig *rig, struct peer *peer, size_t n)
{
	for (int i = 0; i < STEPS_MAX && peer->n < n; i++) {
		turn(rig);
		if (peer_read(peer) <= 0)
			break;
	}
	assert_true(peer->n >= n);
}

static void peer_expect_end(struct rig *rig, struct peer *peer)
{
	ssize_t r = 1;

	for (int i = 0; i < STEPS_MAX && r > 0; i++) {
		turn(rig);
		r = peer_read(peer);
	}
	assert_true(r <= 0);
}

/* Turns the loop often enough for anything that would come to have come. */
static void settle(struct rig *rig)
{
	for (int i = 0; i < 20; i++)
		turn(rig);
}

static void peer_ask(struct peer *peer, const char *upgrade, const char *connection, const char *more,
	const void *pipelined, size_t n)
{
	char request[8192];
	int r = snprintf(request, sizeof(request),
		"GET /ws/cards HTTP/1.1\r\nHost: localhost\r\nUpgrade: %s\r\nConnection: %s\r\n"
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s\r\n",
		upgrade, connection, more);

	assert_true(r > 0 && (size_t)r + n < sizeof(request));
	if (n)
		memcpy(request + r, pipelined, n);
	peer_send(peer, request, (size_t)r + n);
}

/* Takes the answer's head off what was received; it stays readable in `head`. */
static void peer_expect_head(struct rig *rig, struct peer *peer, char *head, size_t head_size)
{
	char *end = NULL;
	size_t n;

	for (int i = 0; i < STEPS_MAX && !end; i++) {
		turn(rig);
		if (peer_read(peer) <= 0)
			break;
		peer->rx[peer->n] = '\0';
		end = strstr((char *)peer->rx, "\r\n\r\n");
	}
	assert_non_null(end);
	n = (size_t)(end + 4 - (char *)peer->rx);
	assert_true(n < head_size);
	memcpy(head, peer->rx, n);
	head[n] = '\0';
	memmove(peer->rx, peer->rx + n, peer->n - n);
	peer->n -= n;
}

static struct peer *peer_open_with(struct rig *rig, const char *more, const void *pipelined, size_t n)
{
	struct peer *peer = peer_new(rig, 0);
	char head[1024];

	peer_ask(peer, "websocket", "Upgrade", more, pipelined, n);
	peer_expect_head(rig, peer, head, sizeof(head));
	assert_non_null(strstr(head, "HTTP/1.1 101 "));
	assert_non_null(strstr(head, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
	return peer;
}

static struct peer *peer_open(struct rig *rig)
{
	return peer_open_with(rig, "", NULL, 0);
}

/* A masked frame; the mask is zero but for one byte, to see that it is applied. */
static size_t frame(uint8_t *p, uint8_t first, const void *payload, uint8_t n)
{
	const uint8_t mask[4] = {0, 0x20, 0, 0};

	p[0] = first;
	p[1] = (uint8_t)(0x80 | n);
	memcpy(p + 2, mask, 4);
	for (size_t i = 0; i < n; i++)
		p[6 + i] = ((const uint8_t *)payload)[i] ^ mask[i & 3];
	return 6u + n;
}

static void expect_close(const struct peer *peer, uint16_t code)
{
	assert_true(peer->n >= 4);
	assert_int_equal(peer->rx[0], 0x88);
	assert_int_equal(peer->rx[2] << 8 | peer->rx[3], code);
}

static void expect_violation(struct rig *rig, const void *bytes, size_t n, uint16_t code)
{
	struct peer *peer = peer_open(rig);

	peer_send(peer, bytes, n);
	peer_expect_bytes(rig, peer, 4);
	expect_close(peer, code);
	peer_free(peer);
	settle(rig);
}

/* --- protocol violations ------------------------------------------------------------------ */

static void refuses_an_unmasked_frame_with_1002(void **state)
{
	expect_violation(*state, "\x81\x02hi", 4, 1002);
	expect_violation(*state, "\x89\x00", 2, 1002);
	assert_int_equal(((struct rig *)*state)->received_bytes, 0);
}

static void says_why_it_refuses_a_frame(void **state)
{
	uint8_t bytes[16];

	expect_violation(*state, "\x89\xfe\x00\x7e\x00\x00\x00\x00", 8, 1002);
	expect_violation(*state, "\x82\xff\x80\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00", 14, 1002);
	expect_violation(*state, "\x82\xfe\x00\x7d\x00\x00\x00\x00", 8, 1002);
	expect_violation(*state, "\x82\xff\x00\x00\x00\x00\x00\x00\xff\xff\x00\x00\x00\x00", 14, 1002);
	expect_violation(*state, bytes, frame(bytes, 0x88, "\x03", 1), 1002);
	expect_violation(*state, bytes, frame(bytes, 0x88, "\x03\xe8\xff", 3), 1007);
	expect_violation(*state, bytes, frame(bytes, 0x88, "\x03\xe8\xe2\x82", 4), 1007);
	expect_violation(*state, bytes, frame(bytes, 0x88, "\x03\xe8ok", 4), 1000);
}

static void leaves_the_close_to_a_user_who_wants_it(void **state)
{
	struct rig *rig = *state;
	uint8_t bytes[64];
	size_t n;

	rig->closes = true;
	for (int i = 0; i < 2; i++) {
		struct peer *peer = peer_open(rig);
		unsigned n_closed = rig->n_closed;

		/* Not even the pong that is owed: nothing follows a Close frame. */
		n = frame(bytes, 0x89, "p", 1);
		n += i ? frame(bytes + n, 0x88, "\x03\xe8", 2) : frame(bytes + n, 0x83, "x", 1);
		n += frame(bytes + n, 0x89, "q", 1);
		n += frame(bytes + n, 0x81, "no", 2);
		peer_send(peer, bytes, n);
		settle(rig);
		assert_true(peer_read(peer) > 0); /* neither bytes nor the end */
		assert_int_equal(peer->n, 0);
		assert_int_equal(rig->received_bytes, 0);
		assert_int_equal(rig->violation, 1002);
		peer_free(peer);
		settle(rig);
		assert_int_equal(rig->n_closed, n_closed + 1);
	}
}

static void takes_no_pong_for_text(void **state)
{
	struct rig *rig = *state;
	struct peer *peer = peer_open(rig);
	uint8_t bytes[64];
	size_t n = 0;

	n += frame(bytes + n, 0x81, "a", 1);
	n += frame(bytes + n, 0x8a, "\xff", 1);
	n += frame(bytes + n, 0x01, "b\xc3", 2);
	n += frame(bytes + n, 0x8a, "\xc3", 1);
	n += frame(bytes + n, 0x80, "\xa9", 1);
	peer_send(peer, bytes, n);
	settle(rig);
	assert_int_equal(rig->violation, 0);
	assert_int_equal(rig->received_bytes, 4);
	assert_memory_equal(rig->received, "ab\xc3\xa9", 4);
	peer_free(peer);
	n = frame(bytes, 0x01, "\xe2\x82", 2);
	expect_violation(rig, bytes, n + frame(bytes + n, 0x80, "", 0), 1007);
}

/* What a pong has is handed on with a zero behind it: of the longest one, too, there is room for that. An
 * address sanitizer sees it. */
static void takes_the_longest_pong(void **state)
{
	struct rig *rig = *state;
	struct peer *peer = peer_open(rig);
	uint8_t bytes[256];
	char payload[125];
	size_t n;

	memset(payload, 'p', sizeof(payload));
	n = frame(bytes, 0x8a, payload, sizeof(payload));
	n += frame(bytes + n, 0x81, "a", 1);
	peer_send(peer, bytes, n);
	settle(rig);
	assert_int_equal(rig->violation, 0);
	assert_int_equal(rig->received_bytes, 1);
	peer_free(peer);
}

/* --- the first reserved bit --------------------------------------------------------------- */

static void refuses_rsv1_that_nobody_takes(void **state)
{
	uint8_t bytes[16];

	expect_violation(*state, bytes, frame(bytes, 0xc1, "hi", 2), 1002);
	expect_violation(*state, bytes, frame(bytes, 0xc9, "hi", 2), 1002);
	assert_int_equal(((struct rig *)*state)->received_bytes, 0);
}

static void passes_on_what_begins_with_rsv1_as_it_came(void **state)
{
	struct rig *rig = *state;
	struct peer *peer;
	uint8_t bytes[64];
	size_t n = 0;

	rig->takes_rsv1 = true;
	peer = peer_open(rig);
	n += frame(bytes + n, 0x41, "\xff\x80", 2); /* no UTF-8, and neither need it be */
	n += frame(bytes + n, 0x89, "p", 1);
	n += frame(bytes + n, 0x80, "\xc0", 1);
	peer_send(peer, bytes, n);
	peer_expect_bytes(rig, peer, 3);
	settle(rig);
	assert_memory_equal(peer->rx, "\x8a\x01p", 3);
	assert_int_equal(rig->received_bytes, 3);
	assert_memory_equal(rig->received, "\xff\x80\xc0", 3);
	assert_int_equal(rig->n_rsv1, 2);
	peer_send(peer, bytes, frame(bytes, 0x81, "hi", 2));
	settle(rig);
	assert_int_equal(rig->received_bytes, 5);
	assert_int_equal(rig->n_rsv1, 2);
	peer_free(peer);
	settle(rig);
}

static void refuses_rsv1_where_it_has_no_meaning(void **state)
{
	struct rig *rig = *state;
	uint8_t bytes[64];
	size_t n;

	rig->takes_rsv1 = true;
	expect_violation(rig, bytes, frame(bytes, 0xc9, "p", 1), 1002);
	expect_violation(rig, bytes, frame(bytes, 0xc8, "\x03\xe8", 2), 1002);
	n = frame(bytes, 0x41, "a", 1);
	expect_violation(rig, bytes, n + frame(bytes + n, 0xc0, "b", 1), 1002);
	n = frame(bytes, 0x01, "a", 1);
	expect_violation(rig, bytes, n + frame(bytes + n, 0xc0, "b", 1), 1002);
	expect_violation(rig, bytes, frame(bytes, 0xe1, "a", 1), 1002);
	expect_violation(rig, bytes, frame(bytes, 0xd1, "a", 1), 1002);
	expect_violation(rig, bytes, frame(bytes, 0x81, "\xff", 1), 1007); /* text is still looked at */
}

static void refuses_a_text_that_ends_inside_a_character(void **state)
{
	uint8_t bytes[16];

	for (uint8_t n = 2; n <= 5; n++)
		expect_violation(*state, bytes, frame(bytes, 0x81, &"abc\xe2\x82"[5 - n], n), 1007);
}

/* --- pings -------------------------------------------------------------------------------- */

static void answers_every_ping_of_a_burst_in_order(void **state)
{
	struct rig *rig = *state;
	struct peer *peer = peer_open(rig);
	uint8_t burst[512];
	size_t n = 0;
	char text[] = "ping 0";

	for (int i = 0; i < 10; i++) {
		text[5] = (char)('0' + i);
		n += frame(burst + n, 0x89, text, 6);
	}
	peer_send(peer, burst, n);
	peer_expect_bytes(rig, peer, 80);
	for (int i = 0; i < 10; i++) {
		text[5] = (char)('0' + i);
		assert_memory_equal(peer->rx + 8 * i, "\x8a\x06", 2);
		assert_memory_equal(peer->rx + 8 * i + 2, text, 6);
	}
	settle(rig);
	assert_true(peer_read(peer) > 0);
	assert_int_equal(peer->n, 80);
	peer_free(peer);
}

static void answers_pings_between_fragments(void **state)
{
	struct rig *rig = *state;
	struct peer *peer = peer_open(rig);
	uint8_t burst[128];
	size_t n = 0;

	n += frame(burst + n, 0x01, "one ", 4);
	n += frame(burst + n, 0x89, "a", 1);
	n += frame(burst + n, 0x89, "", 0);
	n += frame(burst + n, 0x00, "two ", 4);
	n += frame(burst + n, 0x89, "b", 1);
	n += frame(burst + n, 0x80, "three", 5);
	peer_send(peer, burst, n);
	peer_expect_bytes(rig, peer, 8);
	assert_memory_equal(peer->rx, "\x8a\x01\x61\x8a\x00\x8a\x01\x62", 8);
	assert_memory_equal(rig->received, "one two three", 13);
	peer_free(peer);
}

static void echoes_a_close_after_the_pongs(void **state)
{
	struct rig *rig = *state;
	struct peer *peer = peer_open(rig);
	uint8_t burst[128];
	size_t n = 0;

	n += frame(burst + n, 0x89, "a", 1);
	n += frame(burst + n, 0x89, "b", 1);
	n += frame(burst + n, 0x88, "\x03\xe8", 2);
	n += frame(burst + n, 0x89, "late", 4);
	peer_send(peer, burst, n);
	peer_expect_end(rig, peer);
	assert_int_equal(peer->n, 10);
	assert_memory_equal(peer->rx, "\x8a\x01\x61\x8a\x01\x62\x88\x02\x03\xe8", 10);
	assert_int_equal(rig->n_closed, 1);
	peer_free(peer);
}

/* Reads on, keeping no more than the last bytes, and returns how many came until they are `end`. */
static size_t peer_read_until(struct rig *rig, struct peer *peer, const char *end, size_t at_least)
{
	size_t total = peer->n, n = strlen(end);

	for (int i = 0; i < 100 * STEPS_MAX; i++) {
		peer->n = total ? n : 0;
		turn(rig);
		assert_true(peer_read(peer) > 0);
		total += peer->n - n;
		if (total >= at_least && !memcmp(peer->rx + peer->n - n, end, n))
			return total;
		memmove(peer->rx, peer->rx + peer->n - n, n);
	}
	fail_msg("the end did not come");
	return 0;
}

/* The newest pong wins, and what is kept of the others is bounded by 2 KiB. */
static void forgets_the_oldest_pings_of_a_peer_that_does_not_read(void **state)
{
	struct rig *rig = *state;
	struct peer *peer = peer_new(rig, 4096);
	uint8_t ping[128];
	char head[1024];
	size_t pongs;

	rig->blob_bytes = 3 << 20; /* more than the kernel takes for a peer with a small window */
	peer_ask(peer, "websocket", "Upgrade", "", NULL, 0);
	peer_expect_head(rig, peer, head, sizeof(head));
	for (int i = 0; i < 2000; i++) {
		peer_send(peer, ping, frame(ping, 0x89, "old", 3));
		turn(rig);
	}
	peer_send(peer, ping, frame(ping, 0x89, "end", 3));
	settle(rig);
	pongs = peer_read_until(rig, peer, "end", rig->blob_bytes + 10) - rig->blob_bytes - 10;
	assert_int_equal(pongs % 5, 0);
	assert_in_range(pongs, 2040, 2048);
	peer_free(peer);
}

/* --- the handshake ------------------------------------------------------------------------ */

static void leaves_an_unknown_upgrade_to_the_callback(void **state)
{
	struct rig *rig = *state;
	struct peer *peer = peer_new(rig, 0);
	char head[1024];

	peer_ask(peer, "quic/9", "Upgrade", "", NULL, 0);
	peer_expect_head(rig, peer, head, sizeof(head));
	assert_string_equal(rig->upgrade, "quic/9");
	assert_int_equal(rig->n_http, 1);
	assert_non_null(strstr(head, " 503 "));
	peer_free(peer);

	rig->refuses = true;
	peer = peer_new(rig, 0);
	peer_ask(peer, "h2c", "Upgrade", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n", NULL, 0);
	peer_expect_head(rig, peer, head, sizeof(head));
	assert_string_equal(rig->upgrade, "h2c");
	assert_non_null(strstr(head, " 503 "));
	assert_int_equal(rig->n_http, 1);
	peer_free(peer);
	settle(rig);
	assert_int_equal(rig->n_established, 0);
}

/* --- a head by the user ------------------------------------------------------------------- */

static void expect_let_in(struct rig *rig, struct peer *peer)
{
	peer_expect_bytes(rig, peer, 3);
	assert_memory_equal(peer->rx, "in.", 3);
	assert_int_equal(rig->n_asked + rig->n_established, 0); /* lws reads no head */
}

static void leaves_the_head_to_the_user(void **state)
{
	struct rig *rig = *state;
	struct peer *peer = peer_new(rig, 0);
	uint8_t bytes[64] = "en!";

	peer_send(peer, "op", 2);
	settle(rig);
	/* And what comes behind the head is a frame. */
	peer_send(peer, bytes, 3 + frame(bytes + 3, 0x81, "behind it", 9));
	expect_let_in(rig, peer);
	settle(rig);
	assert_memory_equal(rig->received, "behind it", 9);
	peer_free(peer);
	settle(rig);
	assert_int_equal(rig->n_closed, 1);
	assert_int_equal(rig->n_destroyed, 1);
	assert_int_equal(rig->n_ends, 0);
}

static void lets_a_websocket_speak_at_once(void **state)
{
	struct rig *rig = *state;
	struct peer *peer = peer_new(rig, 0);
	uint8_t bytes[64];

	peer_send(peer, "open!", 5);
	expect_let_in(rig, peer);
	peer_send(peer, bytes, frame(bytes, 0x89, "p", 1));
	peer_expect_bytes(rig, peer, 6);
	assert_memory_equal(peer->rx + 3, "\x8a\x01p", 3);
	peer_send(peer, bytes, frame(bytes, 0x88, "\x03\xe8", 2));
	peer_expect_end(rig, peer);
	assert_int_equal(peer->n, 10);
	expect_close(
		&(struct peer){.n = 4, .rx = {peer->rx[6], peer->rx[7], peer->rx[8], peer->rx[9]}}, 1000);
	assert_int_equal(rig->n_closed, 1);
	peer_free(peer);
}

static void lets_the_user_answer_and_read_on(void **state)
{
	struct rig *rig = *state;
	struct peer *peer = peer_new(rig, 0);

	peer_send(peer, "no!", 3);
	peer_expect_bytes(rig, peer, 3);
	assert_memory_equal(peer->rx, "no.", 3);
	peer_send(peer, "more", 4);
	settle(rig);
	assert_int_equal(rig->n_writable, 1);
	assert_int_equal(rig->head_bytes, 6);
	shutdown(peer->fd, SHUT_WR);
	settle(rig);
	assert_int_equal(rig->n_ends, 1);
	assert_int_equal(rig->n_destroyed, 0);
	peer_free(peer);
}

static void lets_a_websocket_in_later(void **state)
{
	struct rig *rig = *state;

	for (int in_callback = 0; in_callback < 2; in_callback++) {
		struct peer *peer = peer_new(rig, 0);
		uint8_t bytes[64] = "wait!";

		rig->head_bytes = rig->received_bytes = 0;
		peer_send(peer, bytes, 5 + frame(bytes + 5, 0x81, "early", 5));
		settle(rig);
		assert_non_null(rig->waiting);
		if (in_callback)
			lws_callback_on_writable(rig->waiting);
		else
			let_waiting_in(rig);
		expect_let_in(rig, peer);
		settle(rig);
		assert_memory_equal(rig->received, "early", 5);
		peer_send(peer, bytes, frame(bytes, 0x81, "later", 5));
		settle(rig);
		assert_memory_equal(rig->received, "earlylater", 10);
		peer_free(peer);
		settle(rig);
	}
}

static void lets_in_and_ends_a_websocket_that_says_no_more(void **state)
{
	struct rig *rig = *state;
	struct peer *peer = peer_new(rig, 0);

	peer_send(peer, "wait!", 5);
	shutdown(peer->fd, SHUT_WR);
	settle(rig);
	assert_int_equal(rig->n_ends, 1);
	assert_int_equal(rig->n_destroyed, 0);
	let_waiting_in(rig);
	expect_let_in(rig, peer);
	peer_expect_end(rig, peer);
	assert_int_equal(rig->n_destroyed, 1);
	peer_free(peer);
}

/* A control frame may come byte by byte, and between two others. */
static void puts_a_control_frame_together(void **state)
{
	struct rig *rig = *state;
	struct peer *peer = peer_open(rig);
	uint8_t bytes[64];
	size_t n = frame(bytes, 0x89, "slow", 4);
	int on = 1;

	setsockopt(peer->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	n += frame(bytes + n, 0x8a, "", 0);
	n += frame(bytes + n, 0x81, "", 0);
	n += frame(bytes + n, 0x88, "", 0);
	for (size_t i = 0; i < n; i++) {
		peer_send(peer, bytes + i, 1);
		turn(rig);
	}
	peer_expect_end(rig, peer);
	assert_int_equal(peer->n, 8);
	assert_memory_equal(peer->rx, "\x8a\x04slow\x88\x00", 8);
	peer_free(peer);
}

/* lws counts from when it accepted: what it would do then is done now. */
static void tells_the_user_who_is_late(void **state)
{
	struct rig *rig = *state;
	struct peer *peer = peer_new(rig, 0);

	peer_send(peer, "op", 2);
	settle(rig);
	rig->times_out = true;
	peer_send(peer, "e", 1);
	peer_expect_end(rig, peer);
	assert_int_equal(rig->n_late, 1);
	assert_int_equal(rig->n_destroyed, 1);
	peer_free(peer);
}

int main(void)
{
#define PROMISE(f)            cmocka_unit_test_setup_teardown(f, setup, teardown)
#define PROMISE_WITH_HEADS(f) cmocka_unit_test_setup_teardown(f, setup_with_heads, teardown)
	const struct CMUnitTest tests[] = {
		PROMISE(refuses_an_unmasked_frame_with_1002),
		PROMISE(says_why_it_refuses_a_frame),
		PROMISE(leaves_the_close_to_a_user_who_wants_it),
		PROMISE(takes_no_pong_for_text),
		PROMISE(takes_the_longest_pong),
		PROMISE(refuses_rsv1_that_nobody_takes),
		PROMISE(passes_on_what_begins_with_rsv1_as_it_came),
		PROMISE(refuses_rsv1_where_it_has_no_meaning),
		PROMISE(refuses_a_text_that_ends_inside_a_character),
		PROMISE(answers_every_ping_of_a_burst_in_order),
		PROMISE(answers_pings_between_fragments),
		PROMISE(echoes_a_close_after_the_pongs),
		PROMISE(forgets_the_oldest_pings_of_a_peer_that_does_not_read),
		PROMISE(leaves_an_unknown_upgrade_to_the_callback),
		PROMISE(puts_a_control_frame_together),
		PROMISE_WITH_HEADS(leaves_the_head_to_the_user),
		PROMISE_WITH_HEADS(lets_a_websocket_speak_at_once),
		PROMISE_WITH_HEADS(lets_a_websocket_in_later),
		PROMISE_WITH_HEADS(lets_in_and_ends_a_websocket_that_says_no_more),
		PROMISE_WITH_HEADS(lets_the_user_answer_and_read_on),
		PROMISE_WITH_HEADS(tells_the_user_who_is_late),
	};
#undef PROMISE_WITH_HEADS
#undef PROMISE

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Handshake: lets requests in or refuses them; see the header. */

#include "ws/handshake.h"

#include <stdio.h>

#include <libwebsockets.h>

#include "core/clock.h"
#include "http/date.h"
#include "http/origin.h"
#include "http/request_head.h"
#include "metrics/metrics.h"
#include "route/rights.h"
#include "route/route.h"
#include "ws/forwarded.h"
#include "ws/trusted.h"

enum {
	KEY_LEN = 24, /* 16 bytes in base64, RFC 6455 section 4.1 */
};

/* Offered by our own clients. The answer names no subprotocol to a client that offers none or others. */
#define SUBPROTOCOL "tidegate.v1"

static const struct handshake_refusal refusals[N_REFUSALS] = {
#define REFUSAL(id, status, reason, code, message, headers)                                                  \
	[REFUSAL_##id] = {REFUSAL_##id, status, reason, code, message, headers, METRIC_REFUSED_##id},
#include "ws/refusal.def"
#undef REFUSAL
};

static bool is_base64(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
	       c == '/';
}

/* 16 bytes are 22 characters and two of padding. */
static bool key_good(const struct request_head *head)
{
	struct slice key = head->value[HTTP_WEBSOCKET_KEY];

	if (head->n[HTTP_WEBSOCKET_KEY] != 1 || key.len != KEY_LEN)
		return false;
	for (int i = 0; i < KEY_LEN - 2; i++)
		if (!is_base64(key.data[i]))
			return false;
	return key.data[KEY_LEN - 2] == '=' && key.data[KEY_LEN - 1] == '=';
}

static const struct handshake_refusal *check_path(
	const struct request_head *head, const struct route_table *routes, struct route_match *match)
{
	switch (route_table_match(routes, head->path.data, head->path.len, match)) {
	case 0:
		return NULL;
	case ROUTE_BAD_ID:
		return &refusals[REFUSAL_BAD_ID];
	default:
		return &refusals[REFUSAL_NOT_FOUND];
	}
}

/* A request that may open a WebSocket, whatever the path. */
static const struct handshake_refusal *check_upgrade(const struct request_head *head)
{
	/* With a body, nobody could tell where it ends and the first frame begins. */
	if (head->version != 11 || request_head_has_body(head))
		return &refusals[REFUSAL_BAD_HTTP];
	if (!request_head_lists(head, HTTP_UPGRADE, "websocket") ||
		!request_head_lists(head, HTTP_CONNECTION, "upgrade"))
		return &refusals[REFUSAL_UPGRADE_REQUIRED];
	if (!request_head_is(head, HTTP_WEBSOCKET_VERSION, "13"))
		return &refusals[REFUSAL_BAD_VERSION];
	return key_good(head) ? NULL : &refusals[REFUSAL_BAD_KEY];
}

/* A browser always says which page asks. Nobody else has to. */
static const struct handshake_refusal *check_origin(
	const struct request_head *head, const struct origins *origins, const char *remote)
{
	if (head->n[HTTP_ORIGIN] == 0)
		return NULL;
	if (head->n[HTTP_ORIGIN] == 1 && origins_allow(origins, head->value[HTTP_ORIGIN], head->host, remote))
		return NULL;
	return &refusals[REFUSAL_BAD_ORIGIN];
}

static const struct handshake_refusal *check_rights(
	struct rights *rights, struct route_table *routes, const struct route_match *match)
{
	switch (rights_init(rights, routes, match, NULL)) {
	case 0:
		return NULL;
	case RIGHTS_FORBIDDEN:
		return &refusals[REFUSAL_FORBIDDEN];
	default:
		return &refusals[REFUSAL_OUT_OF_MEMORY];
	}
}

const struct handshake_refusal *handshake_check(const struct request_head *head, struct route_table *routes,
	const struct origins *origins, const char *remote, struct rights *rights)
{
	const struct handshake_refusal *refusal;
	struct route_match match;

	if (!request_head_method_is(head, "GET"))
		return &refusals[REFUSAL_BAD_METHOD];
	refusal = check_path(head, routes, &match);
	if (!refusal)
		refusal = check_upgrade(head);
	if (!refusal)
		refusal = check_origin(head, origins, remote);
	if (refusal)
		return refusal;
	return check_rights(rights, routes, &match);
}

const struct handshake_refusal *handshake_unreadable(int outcome)
{
	switch (outcome) {
	case REQUEST_HEAD_LONG_TARGET:
		return &refusals[REFUSAL_TARGET_TOO_LONG];
	case REQUEST_HEAD_LARGE:
		return &refusals[REFUSAL_HEAD_TOO_LARGE];
	default:
		return &refusals[REFUSAL_BAD_HTTP];
	}
}

const struct handshake_refusal *handshake_refusal(enum refusal refusal)
{
	return &refusals[refusal];
}

void handshake_refuse(
	struct lws *wsi, const struct request_head *head, const struct handshake_refusal *refusal)
{
	char date[HTTP_DATE_SIZE], body[256];
	char response[LWS_PRE + 768];
	int body_len = snprintf(body, sizeof(body),
		"{\"type\":\"error\",\"data\":{\"code\":\"%s\",\"message\":\"%s\"}}\n", refusal->code,
		refusal->message);
	int len;

	http_date((int64_t)clock_wall_ms(), date);
	len = snprintf(response + LWS_PRE, sizeof(response) - LWS_PRE,
		"HTTP/1.1 %u %s\r\nDate: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%s"
		"Cache-Control: no-store\r\nConnection: close\r\n\r\n%s",
		refusal->status, refusal->reason, date, body_len, refusal->headers,
		request_head_method_is(head, "HEAD") ? "" : body);
	/* The peer may be gone already; then the answer is not needed. */
	(void)lws_write(wsi, (unsigned char *)response + LWS_PRE, (size_t)len, LWS_WRITE_HTTP);
}

int handshake_request(const struct request_head *head, char out[HANDSHAKE_REQUEST_SIZE])
{
	/* lws wants to see a Host, and does not use it. */
	return snprintf(out, HANDSHAKE_REQUEST_SIZE,
		"GET / HTTP/1.1\r\nHost: tidegate\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %.*s\r\n%s\r\n",
		KEY_LEN, head->value[HTTP_WEBSOCKET_KEY].data,
		request_head_lists(head, HTTP_WEBSOCKET_PROTOCOL, SUBPROTOCOL)
			? "Sec-WebSocket-Protocol: " SUBPROTOCOL "\r\n"
			: "");
}

void handshake_remote(struct lws *wsi, const struct trusted *trusted, const struct request_head *head,
	char out[INET6_ADDRSTRLEN])
{
	enum forwarded_form form =
		head->n[HTTP_X_FORWARDED_FOR] ? FORWARDED_FOR_ADDRESSES : FORWARDED_ELEMENTS;
	char peer[INET6_ADDRSTRLEN] = "";
	char scratch[REQUEST_HEAD_MAX];

	lws_get_peer_simple(wsi, peer, sizeof(peer));
	trusted_client(trusted, peer, form,
		request_head_list(
			head, form == FORWARDED_ELEMENTS ? HTTP_FORWARDED : HTTP_X_FORWARDED_FOR, scratch),
		out);
}

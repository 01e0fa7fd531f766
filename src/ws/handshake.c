/* Handshake: who is let in; see the header. */

#include "handshake.h"

#include <stdio.h>
#include <string.h>

#include <libwebsockets.h>

#include "protocol/json.h"
#include "metrics/metrics.h"
#include "route/route.h"
#include "ws/trusted.h"

enum {
	KEY_LEN = 24, /* 16 bytes in base64, RFC 6455 section 4.1 */
	FORWARDED_MAX = 1024,
	LIST_MAX = 256, /* of a Connection header; browsers send "keep-alive, Upgrade" */
};

static const struct handshake_refusal refusals[] = {
#define REFUSAL(id, status, reason, code, message, headers)                                                  \
	[REFUSAL_##id] = {status, reason, code, message, headers, METRIC_REFUSED_##id},
#include "refusal.def"
#undef REFUSAL
};

/* How often the header was sent: lws keeps repetitions as fragments. */
static bool header_once(struct lws *wsi, enum lws_token_indexes token)
{
	return lws_hdr_total_length(wsi, token) > 0 && lws_hdr_fragment_length(wsi, token, 1) == 0;
}

static bool header_is(struct lws *wsi, enum lws_token_indexes token, const char *value)
{
	char text[32];

	return lws_hdr_copy(wsi, text, sizeof(text), token) > 0 && !strcasecmp(text, value);
}

/* Is the token one of the list's elements? */
static bool header_lists(struct lws *wsi, enum lws_token_indexes token, const char *element)
{
	char list[LIST_MAX], *next = list, *one;

	if (lws_hdr_copy(wsi, list, sizeof(list), token) <= 0)
		return false;
	while ((one = strsep(&next, ","))) {
		one += strspn(one, " \t");
		one[strcspn(one, " \t")] = '\0';
		if (!strcasecmp(one, element))
			return true;
	}
	return false;
}

static bool is_base64(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
	       c == '/';
}

/* 16 bytes are 22 characters and two of padding. */
static bool key_good(struct lws *wsi)
{
	char key[KEY_LEN + 1];

	if (!header_once(wsi, WSI_TOKEN_KEY) || lws_hdr_copy(wsi, key, sizeof(key), WSI_TOKEN_KEY) != KEY_LEN)
		return false;
	for (int i = 0; i < KEY_LEN - 2; i++)
		if (!is_base64(key[i]))
			return false;
	return key[KEY_LEN - 2] == '=' && key[KEY_LEN - 1] == '=';
}

static const struct handshake_refusal *check_path(
	struct lws *wsi, const struct route_table *routes, struct route_match *match)
{
	char path[ROUTE_PATH_MAX + 1];
	int len = lws_hdr_copy(wsi, path, sizeof(path), WSI_TOKEN_GET_URI);

	if (!len)
		return &refusals[REFUSAL_BAD_METHOD];
	if (len < 0)
		return &refusals[REFUSAL_NOT_FOUND]; /* longer than any route */
	switch (route_table_match(routes, path, (size_t)len, match)) {
	case 0:
		return NULL;
	case ROUTE_BAD_ID:
		return &refusals[REFUSAL_BAD_ID];
	default:
		return &refusals[REFUSAL_NOT_FOUND];
	}
}

const struct handshake_refusal *handshake_check(
	struct lws *wsi, const struct route_table *routes, struct route_match *match)
{
	const struct handshake_refusal *refusal = check_path(wsi, routes, match);

	if (refusal)
		return refusal;
	if (!header_is(wsi, WSI_TOKEN_HTTP, "HTTP/1.1") || !header_once(wsi, WSI_TOKEN_HOST))
		return &refusals[REFUSAL_BAD_HTTP];
	if (!header_is(wsi, WSI_TOKEN_UPGRADE, "websocket") ||
		!header_lists(wsi, WSI_TOKEN_CONNECTION, "upgrade"))
		return &refusals[REFUSAL_UPGRADE_REQUIRED];
	if (!header_once(wsi, WSI_TOKEN_VERSION) || !header_is(wsi, WSI_TOKEN_VERSION, "13"))
		return &refusals[REFUSAL_BAD_VERSION];
	if (!key_good(wsi))
		return &refusals[REFUSAL_BAD_KEY];
	return NULL;
}

const struct handshake_refusal *handshake_not_upgraded(struct lws *wsi, const struct route_table *routes)
{
	struct route_match match;
	const struct handshake_refusal *refusal = check_path(wsi, routes, &match);

	return refusal ? refusal : &refusals[REFUSAL_UPGRADE_REQUIRED];
}

const struct handshake_refusal *handshake_bad_method(void)
{
	return &refusals[REFUSAL_BAD_METHOD];
}

const struct handshake_refusal *handshake_draining(void)
{
	return &refusals[REFUSAL_DRAINING];
}

void handshake_refuse(struct lws *wsi, const struct handshake_refusal *refusal)
{
	char body[256];
	char response[LWS_PRE + 768];
	int body_len = snprintf(body, sizeof(body),
		"{\"type\":\"error\",\"data\":{\"code\":\"%s\",\"message\":\"%s\"}}\n", refusal->code,
		refusal->message);
	int len = snprintf(response + LWS_PRE, sizeof(response) - LWS_PRE,
		"HTTP/1.1 %u %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%s"
		"Cache-Control: no-store\r\nConnection: close\r\n\r\n%s",
		refusal->status, refusal->reason, body_len, refusal->headers, body);

	/* The peer may be gone already; then there is nobody to tell. */
	(void)lws_write(wsi, (unsigned char *)response + LWS_PRE, (size_t)len, LWS_WRITE_HTTP);
}

void handshake_remote(struct lws *wsi, const struct trusted *trusted, char out[INET6_ADDRSTRLEN])
{
	char peer[INET6_ADDRSTRLEN] = "";
	char forwarded[FORWARDED_MAX];
	struct slice hops = {0};
	int len = lws_hdr_copy(wsi, forwarded, sizeof(forwarded), WSI_TOKEN_X_FORWARDED_FOR);

	lws_get_peer_simple(wsi, peer, sizeof(peer));
	if (len > 0)
		hops = (struct slice){forwarded, (size_t)len};
	trusted_client(trusted, peer, hops, out);
}

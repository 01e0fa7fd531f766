/* Handshake: lets requests in or refuses them; see the header. */

#include "ws/handshake.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <libwebsockets.h>

#include "auth/identity.h"
#include "auth/revocations.h"
#include "auth/ticket_form.h"
#include "core/buf.h"
#include "core/clock.h"
#include "core/ip.h"
#include "http/date.h"
#include "http/origin.h"
#include "http/request_head.h"
#include "mail/ticket.h"
#include "metrics/metrics.h"
#include "protocol/frame.h"
#include "route/rights.h"
#include "route/route.h"
#include "ws/accept_key.h"
#include "ws/forwarded.h"
#include "ws/handshake_rules.h"
#include "ws/trusted.h"

enum {
	BODY_SIZE = 256,
	CONTENT_SIZE = 96,
	CORS_SIZE = 512,
	/* A longer origin is none of a host: names have 253 bytes. Its page does not read the answer. */
	ORIGIN_MAX = 300,
	ANSWER_BYTES = 256, /* about as long as it is */
};

/* Offered by our own clients. The answer names no subprotocol to a client that offers none or others. */
#define SUBPROTOCOL "tidegate.v1"

static const struct handshake_refusal refusals[N_REFUSALS] = {
#define REFUSAL(id, status, reason, close, code, message, headers)                                           \
	[REFUSAL_##id] = {REFUSAL_##id, status, reason, close, code, message, headers, METRIC_REFUSED_##id},
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

	if (head->n[HTTP_WEBSOCKET_KEY] != 1 || key.len != ACCEPT_KEY_LEN)
		return false;
	for (int i = 0; i < ACCEPT_KEY_LEN - 2; i++)
		if (!is_base64(key.data[i]))
			return false;
	return key.data[ACCEPT_KEY_LEN - 2] == '=' && key.data[ACCEPT_KEY_LEN - 1] == '=';
}

/* A path is that of a WebSocket for whoever asks for one, else that of an event stream if there is one. */
static enum transport match_path(const struct request_head *head, const struct route_table *routes,
	struct route_match *match, int *outcomep)
{
	if (!request_head_lists(head, HTTP_UPGRADE, "websocket")) {
		*outcomep = route_table_match_sse(routes, head->path.data, head->path.len, match);
		if (*outcomep != ROUTE_NOT_FOUND)
			return TRANSPORT_SSE;
	}
	*outcomep = route_table_match(routes, head->path.data, head->path.len, match);
	return TRANSPORT_WEBSOCKET;
}

static const struct handshake_refusal *refuse_path(int outcome)
{
	switch (outcome) {
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
	if (!key_good(head))
		return &refusals[REFUSAL_BAD_KEY];
	/* Of what it offers a browser must be answered something, and a token is never repeated. */
	if (credential_in_subprotocols(head) &&
		!request_head_lists(head, HTTP_WEBSOCKET_PROTOCOL, SUBPROTOCOL))
		return &refusals[REFUSAL_BAD_SUBPROTOCOL];
	return NULL;
}

/*
 * A request that may open an event stream, whatever the path. HTTP/1.0 will do, since the stream ends with
 * its connection. The subprotocols of a WebSocket are no place for a token here.
 */
static const struct handshake_refusal *check_stream(const struct request_head *head)
{
	if (request_head_has_body(head) || credential_in_subprotocols(head))
		return &refusals[REFUSAL_BAD_HTTP];
	return NULL;
}

static bool is_word(struct slice text, const char *word)
{
	return text.len == strlen(word) && !strncasecmp(text.data, word, text.len);
}

/* The kinds of body that pages of other sites may not send before they have asked for that (CORS). */
static bool is_json(struct slice type)
{
	const char *end = type.len ? memchr(type.data, ';', type.len) : NULL;
	struct slice name = http_trim((struct slice){type.data, end ? (size_t)(end - type.data) : type.len});

	return is_word(name, "application/json") || is_word(name, "application/x-ndjson");
}

/* A request that says something beside an event stream, whatever the path. */
static const struct handshake_refusal *check_post(const struct request_head *head, size_t bytes_max)
{
	if (credential_in_subprotocols(head))
		return &refusals[REFUSAL_BAD_HTTP];
	if (!head->has_content_length || !head->content_length || head->n[HTTP_CONTENT_TYPE] != 1 ||
		!is_json(head->value[HTTP_CONTENT_TYPE]))
		return &refusals[REFUSAL_BAD_BODY];
	return head->content_length > bytes_max ? &refusals[REFUSAL_BODY_TOO_LARGE] : NULL;
}

size_t handshake_body_bytes(
	const struct request_head *head, const struct route_table *routes, size_t bytes_max)
{
	struct route_match match;
	int outcome;

	if (!request_head_method_is(head, "POST") ||
		match_path(head, routes, &match, &outcome) != TRANSPORT_SSE || outcome != 0 ||
		check_post(head, bytes_max))
		return 0;
	return (size_t)head->content_length;
}

/* By the transport that the request asks for, whatever the path. */
static const struct handshake_refusal *check_form(
	const struct request_head *head, const struct handshake_door *door, enum transport transport)
{
	switch (transport) {
	case TRANSPORT_POST:
		return check_post(head, door->message_bytes_max);
	case TRANSPORT_SSE:
		return check_stream(head);
	default:
		return check_upgrade(head);
	}
}

static bool may_connect(
	const struct origins *origins, struct slice origin, struct slice host, const struct in6_addr *remote)
{
	char text[INET6_ADDRSTRLEN];

	ip_print(remote, text);
	return origins_allow(origins, origin, host, text);
}

/* A browser always says which page asks. Nobody else has to. */
static const struct handshake_refusal *check_origin(
	const struct request_head *head, const struct origins *origins, const struct in6_addr *remote)
{
	if (head->n[HTTP_ORIGIN] == 0)
		return NULL;
	if (head->n[HTTP_ORIGIN] == 1 && may_connect(origins, head->value[HTTP_ORIGIN], head->host, remote))
		return NULL;
	return &refusals[REFUSAL_BAD_ORIGIN];
}

/* page: the origin that the host has to have then; empty: it need not be looked at. */
static bool own_host_may_connect(const struct request_head *head, const struct handshake_door *door,
	const char *scheme, struct slice page)
{
	char text[ORIGIN_MAX];
	int len = snprintf(text, sizeof(text), "%s://%.*s", scheme, (int)head->host.len, head->host.data);
	struct slice origin = {text, (size_t)len};

	return len < ORIGIN_MAX && (!page.len || slice_equal(page, origin)) &&
	       may_connect(door->rules->origins, origin, head->host, door->remote);
}

/* The origin at the beginning of a URL, without the path; all of it where it has none. */
static struct slice origin_of(struct slice url)
{
	size_t slashes = 0, len = 0;

	while (len < url.len && (slashes += url.data[len] == '/') < 3)
		len++;
	return (struct slice){url.data, len};
}

/*
 * Does a page ask that may connect? With a GET to its own host a browser sends no Origin. There
 * Sec-Fetch-Site says that it is its own; where that is missing too, as without TLS, Referer has the page,
 * which has to be of that host. A page of another site can leave it out, and write neither.
 */
static bool page_is_known(
	const struct request_head *head, const struct handshake_door *door, enum transport transport)
{
	const struct slice any = {0};
	struct slice page;

	if (head->n[HTTP_ORIGIN])
		return true; /* it was looked at before */
	if (transport != TRANSPORT_SSE)
		return false;
	if (head->n[HTTP_SEC_FETCH_SITE])
		return request_head_is(head, HTTP_SEC_FETCH_SITE, "same-origin") &&
		       (own_host_may_connect(head, door, "https", any) ||
			       own_host_may_connect(head, door, "http", any));
	if (head->n[HTTP_REFERER] != 1)
		return false;
	page = origin_of(head->value[HTTP_REFERER]);
	return page.len && (own_host_may_connect(head, door, "https", page) ||
				   own_host_may_connect(head, door, "http", page));
}

/* Takes the identity of a token that is good. */
static const struct handshake_refusal *judge(const struct handshake_door *door,
	const struct credential *credential, struct handshake_token *token, struct identity **identityp)
{
	const struct handshake_rules *rules = door->rules;
	int r = TOKEN_UNKNOWN_KEY;

	if (door->judged && *door->judged) {
		*identityp = *door->judged;
		*door->judged = NULL;
		return NULL;
	}
	if (rules->verifier)
		r = verifier_check(
			rules->verifier, door->verifying, credential->token, door->now_ms, &token->header);
	if (r < 0)
		return &refusals[REFUSAL_OUT_OF_MEMORY];
	if (r == 0) {
		*identityp = token->header.identity;
		return NULL;
	}
	token->why = token_fault_name((enum token_fault)r);
	token->key_is_unknown = r == TOKEN_UNKNOWN_KEY;
	return &refusals[r == TOKEN_EXPIRED ? REFUSAL_TOKEN_EXPIRED : REFUSAL_TOKEN_INVALID];
}

static const struct handshake_refusal *refuse_ticket(
	struct handshake_token *token, enum refusal refusal, const char *why)
{
	token->why = why;
	return &refusals[refusal];
}

/* Nobody knows what is in a ticket before the broker has said it, which uses it up: HEAD may not. */
static const struct handshake_refusal *ask_for(
	const struct request_head *head, const struct credential *credential, struct handshake_token *token)
{
	struct slice name = credential->token;

	if (!ticket_form_good(name))
		return refuse_ticket(token, REFUSAL_TICKET_INVALID, "malformed");
	if (request_head_method_is(head, "HEAD"))
		return &refusals[REFUSAL_HEAD];
	memcpy(token->ticket, name.data, name.len);
	token->ticket[name.len] = '\0';
	return &refusals[REFUSAL_UNAVAILABLE];
}

static const struct handshake_refusal *judge_ticket(const struct request_head *head,
	const struct handshake_door *door, const struct credential *credential, struct handshake_token *token,
	struct identity **identityp)
{
	const struct ticket *ticket = door->ticket;
	int r;

	if (!ticket)
		return ask_for(head, credential, token);
	if (ticket->r > 0)
		return refuse_ticket(token, REFUSAL_TICKET_INVALID, "unknown");
	/* A reload may have taken the rules away meanwhile. */
	if (ticket->r < 0 || !door->rules->verifier)
		return &refusals[REFUSAL_UNAVAILABLE];
	r = verifier_ticket(door->rules->verifier, (struct slice){ticket->text, ticket->text_len},
		door->now_ms, identityp);
	if (r < 0)
		return &refusals[REFUSAL_OUT_OF_MEMORY];
	return r ? refuse_ticket(token, REFUSAL_TICKET_INVALID, token_fault_name((enum token_fault)r)) : NULL;
}

/* A token that is good may have been taken back all the same. */
static const struct handshake_refusal *check_revocations(
	const struct handshake_door *door, struct handshake_token *token, struct identity **identityp)
{
	if (!revocations_have(door->revocations, *identityp, door->now_ms))
		return NULL;
	identity_free(*identityp);
	*identityp = token->header.identity = NULL;
	token->why = "revoked";
	return &refusals[REFUSAL_TOKEN_REVOKED];
}

/* Who asks, as far as the route wants to know. */
static const struct handshake_refusal *check_token(const struct request_head *head,
	const struct handshake_door *door, enum transport transport, enum route_auth auth,
	struct handshake_token *token, struct identity **identityp)
{
	const struct handshake_refusal *refusal;
	struct credential credential;

	*identityp = NULL;
	if (auth == ROUTE_AUTH_NONE)
		return NULL;
	switch (credential_find(head, &door->rules->credentials, &credential)) {
	case 0:
		break;
	case CREDENTIAL_NONE:
		return auth == ROUTE_AUTH_REQUIRED ? &refusals[REFUSAL_TOKEN_MISSING] : NULL;
	default:
		return &refusals[REFUSAL_BAD_CREDENTIALS];
	}
	token->place = credential_place_name(credential.place);
	/* A browser sends cookies for any page. */
	if (credential.place == CREDENTIAL_COOKIE && !page_is_known(head, door, transport))
		return &refusals[REFUSAL_BAD_ORIGIN];
	refusal = credential.place == CREDENTIAL_TICKET
			  ? judge_ticket(head, door, &credential, token, identityp)
			  : judge(door, &credential, token, identityp);
	return refusal ? refusal : check_revocations(door, token, identityp);
}

static const struct handshake_refusal *check_rights(struct rights *rights, struct route_table *routes,
	const struct route_match *match, struct identity *identity)
{
	switch (rights_init(rights, routes, match, identity)) {
	case 0:
		return NULL;
	case RIGHTS_FORBIDDEN:
		return &refusals[REFUSAL_FORBIDDEN];
	default:
		return &refusals[REFUSAL_OUT_OF_MEMORY];
	}
}

/* A browser asks so before it lets a page send a token in a field to another site. */
static const struct handshake_refusal *check_preflight(
	const struct request_head *head, const struct handshake_door *door)
{
	const struct handshake_refusal *refusal = check_origin(head, door->rules->origins, door->remote);

	return refusal ? refusal : &refusals[REFUSAL_PREFLIGHT];
}

const struct handshake_refusal *handshake_check(const struct request_head *head,
	const struct handshake_door *door, struct rights *rights, enum transport *transportp,
	struct handshake_token *token)
{
	const struct handshake_refusal *refusal;
	struct identity *identity;
	struct route_match match;
	bool streams, posts, asks_head;
	int outcome;

	*token = (struct handshake_token){0};
	*transportp = match_path(head, door->routes, &match, &outcome);
	streams = *transportp == TRANSPORT_SSE;
	if (streams && request_head_method_is(head, "OPTIONS"))
		return check_preflight(head, door);
	posts = streams && request_head_method_is(head, "POST");
	asks_head = streams && request_head_method_is(head, "HEAD");
	if (posts)
		*transportp = TRANSPORT_POST;
	if (!posts && !asks_head && !request_head_method_is(head, "GET"))
		return &refusals[streams ? REFUSAL_BAD_SSE_METHOD : REFUSAL_BAD_METHOD];
	refusal = refuse_path(outcome);
	if (!refusal)
		refusal = check_form(head, door, *transportp);
	if (!refusal)
		refusal = check_origin(head, door->rules->origins, door->remote);
	if (!refusal)
		refusal = check_token(head, door, *transportp, route_auth(match.route), token, &identity);
	if (!refusal)
		refusal = check_rights(rights, door->routes, &match, identity);
	if (refusal || !asks_head)
		return refusal;
	rights_deinit(rights);
	return &refusals[REFUSAL_HEAD];
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

/* --- answers --- */

/* Can this client read a close frame? Our own can, and browsers show nothing else of a refusal to pages. */
static bool reads_close(const struct request_head *head)
{
	return request_head_method_is(head, "GET") && !check_upgrade(head) &&
	       request_head_lists(head, HTTP_WEBSOCKET_PROTOCOL, SUBPROTOCOL);
}

void handshake_answer(const struct request_head *head, const char *extensions, struct buf *out)
{
	char key[ACCEPT_KEY_SIZE];

	accept_key_write(head->value[HTTP_WEBSOCKET_KEY], key);
	(void)buf_reserve(out, ANSWER_BYTES); /* at once, and not in pieces */
	buf_append_str(out,
		"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
		"Sec-WebSocket-Accept: ");
	buf_append_str(out, key);
	if (handshake_speaks(head))
		buf_append_str(out, "\r\nSec-WebSocket-Protocol: " SUBPROTOCOL);
	if (extensions) {
		buf_append_str(out, "\r\nSec-WebSocket-Extensions: ");
		buf_append_str(out, extensions);
	}
	buf_append_str(out, "\r\n\r\n");
}

/* Lets it in only to tell it why not. */
static void write_closed(
	const struct request_head *head, const struct handshake_refusal *refusal, struct buf *out)
{
	unsigned char frame[FRAME_CONTROL_SIZE];
	size_t len = frame_close_write(frame, refusal->close, refusal->code);

	handshake_answer(head, NULL, out);
	buf_append(out, frame, len);
}

bool handshake_page_reads(
	const struct request_head *head, const struct handshake_rules *rules, const struct in6_addr *remote)
{
	return head->n[HTTP_ORIGIN] && !check_origin(head, rules->origins, remote);
}

/* The fields that let it. */
static void write_cors(const struct request_head *head, char out[CORS_SIZE])
{
	struct slice origin = head->value[HTTP_ORIGIN];

	out[0] = '\0';
	if (origin.len <= ORIGIN_MAX)
		(void)snprintf(out, CORS_SIZE,
			"Access-Control-Allow-Origin: %.*s\r\nAccess-Control-Allow-Credentials: true\r\n"
			"Access-Control-Expose-Headers: Retry-After\r\n",
			(int)origin.len, origin.data);
}

/* Nobody between us and the browser may keep what comes, or compress it: then it would wait for more. */
void handshake_answer_stream(const struct request_head *head, bool page_reads, struct buf *out)
{
	char date[HTTP_DATE_SIZE], cors[CORS_SIZE] = "";

	http_date((int64_t)clock_wall_ms(), date);
	if (page_reads)
		write_cors(head, cors);
	buf_printf(out,
		"HTTP/1.1 200 OK\r\nDate: %s\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
		"Cache-Control: no-store, no-transform\r\nX-Accel-Buffering: no\r\n%sVary: Origin\r\n"
		"Connection: close\r\n\r\n",
		date, cors);
}

/* The row of a success has no body, and says what its own fields are; none goes to HEAD. */
static void write_refused(const struct request_head *head, const struct handshake_refusal *refusal,
	bool page_reads, struct buf *out)
{
	char date[HTTP_DATE_SIZE], body[BODY_SIZE], cors[CORS_SIZE] = "", content[CONTENT_SIZE] = "";
	int body_len = snprintf(body, sizeof(body),
		"{\"type\":\"error\",\"data\":{\"code\":\"%s\",\"message\":\"%s\"}}\n", refusal->code,
		refusal->message);

	http_date((int64_t)clock_wall_ms(), date);
	if (page_reads)
		write_cors(head, cors);
	if (refusal->status >= 400)
		(void)snprintf(content, sizeof(content),
			"Content-Type: application/json\r\nContent-Length: %d\r\n", body_len);
	if (refusal->status < 400 || request_head_method_is(head, "HEAD"))
		body[0] = '\0';
	buf_printf(out,
		"HTTP/1.1 %u %s\r\nDate: %s\r\n%s%s%sVary: Origin\r\nCache-Control: no-store\r\n"
		"Connection: close\r\n\r\n%s",
		refusal->status, refusal->reason, date, content, refusal->headers, cors, body);
}

void handshake_refuse(struct lws *wsi, const struct request_head *head,
	const struct handshake_refusal *refusal, bool page_reads)
{
	struct buf out = {0};

	if (refusal->close && reads_close(head))
		write_closed(head, refusal, &out);
	else if (refusal->id == REFUSAL_HEAD)
		handshake_answer_stream(head, page_reads, &out);
	else
		write_refused(head, refusal, page_reads, &out);
	/* The peer may be gone already, or there is no memory: then there is no answer. */
	if (!out.failed)
		(void)lws_write(wsi, (unsigned char *)out.data, out.len, LWS_WRITE_HTTP);
	buf_deinit(&out);
}

bool handshake_speaks(const struct request_head *head)
{
	return request_head_lists(head, HTTP_WEBSOCKET_PROTOCOL, SUBPROTOCOL);
}

/* The client that a trusted proxy speaks for. */
static struct in6_addr client_behind(
	const struct in6_addr *peer, const struct trusted *trusted, const struct request_head *head)
{
	enum forwarded_form form =
		head->n[HTTP_X_FORWARDED_FOR] ? FORWARDED_FOR_ADDRESSES : FORWARDED_ELEMENTS;
	char text[INET6_ADDRSTRLEN], client[INET6_ADDRSTRLEN];
	char scratch[REQUEST_HEAD_MAX];
	struct in6_addr remote = *peer;
	bool ipv4;

	ip_print(peer, text);
	trusted_client(trusted, text, form,
		request_head_list(
			head, form == FORWARDED_ELEMENTS ? HTTP_FORWARDED : HTTP_X_FORWARDED_FOR, scratch),
		client);
	(void)ip_parse(slice_of(client), &remote, &ipv4); /* it is one */
	return remote;
}

struct in6_addr handshake_remote(
	const struct in6_addr *peer, const struct trusted *trusted, const struct request_head *head)
{
	return trusted_covers(trusted, peer) ? client_behind(peer, trusted, head) : *peer;
}

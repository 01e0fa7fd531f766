/* Credential: where in a request the token is, or the ticket; see the header. */

#include "auth/credential.h"

#include <errno.h>
#include <strings.h>

#include "http/query.h"

#define SUBPROTOCOL "tidegate.bearer."
#define SCHEME      "bearer"
#define TICKET      "ticket"

/* Takes what stands before the separator from the front; the last one ends with the text. */
static struct slice take_element(struct slice *text, char separator)
{
	const char *end = text->len ? memchr(text->data, separator, text->len) : NULL;
	struct slice element = {text->data, end ? (size_t)(end - text->data) : text->len};
	size_t used = element.len + (end ? 1 : 0);

	text->data += used;
	text->len -= used;
	return http_trim(element);
}

static struct slice from(struct slice text, size_t at)
{
	return (struct slice){text.data + at, text.len - at};
}

/* A second one in the same place makes it bad. */
static int note(struct slice *tokenp, struct slice token, int before)
{
	*tokenp = token;
	return before == CREDENTIAL_NONE ? 0 : CREDENTIAL_BAD;
}

/* Of other schemes, such as Basic, a proxy before us may be the reader. */
static int find_bearer(const struct request_head *head, struct slice *tokenp)
{
	struct slice value = head->value[HTTP_AUTHORIZATION];
	size_t len = sizeof(SCHEME) - 1;

	if (head->n[HTTP_AUTHORIZATION] > 1)
		return CREDENTIAL_BAD;
	if (value.len < len || strncasecmp(value.data, SCHEME, len) != 0 ||
		(value.len > len && value.data[len] != ' ' && value.data[len] != '\t'))
		return CREDENTIAL_NONE;
	return note(tokenp, http_trim(from(value, len)), CREDENTIAL_NONE);
}

static int find_subprotocol(const struct request_head *head, struct slice *tokenp)
{
	struct slice lines = head->lines, list;
	int r = CREDENTIAL_NONE;

	if (!head->n[HTTP_WEBSOCKET_PROTOCOL])
		return r;
	while (request_head_next(&lines, HTTP_WEBSOCKET_PROTOCOL, &list)) {
		while (list.len) {
			struct slice name = take_element(&list, ',');

			if (slice_starts(name, SUBPROTOCOL))
				r = note(tokenp, from(name, sizeof(SUBPROTOCOL) - 1), r);
		}
	}
	return r;
}

static int find_in_query(const struct request_head *head, const char *name, struct credential *out)
{
	size_t at = 0;
	int len = query_text(head->query, name, &at, out->text, sizeof(out->text));
	char more[1];

	if (len == -ENOENT)
		return CREDENTIAL_NONE;
	if (len < 0 || query_text(head->query, name, &at, more, sizeof(more)) != -ENOENT)
		return CREDENTIAL_BAD;
	return note(&out->token, (struct slice){out->text, (size_t)len}, CREDENTIAL_NONE);
}

/* RFC 6265 section 4.1.1 lets a value stand in quotes, which are no part of it. */
static struct slice unquoted(struct slice value)
{
	if (value.len < 2 || value.data[0] != '"' || value.data[value.len - 1] != '"')
		return value;
	return (struct slice){value.data + 1, value.len - 2};
}

static int find_cookie(const struct request_head *head, const char *cookie, struct slice *tokenp)
{
	struct slice lines = head->lines, cookies;
	size_t len = strlen(cookie);
	int r = CREDENTIAL_NONE;

	if (!head->n[HTTP_COOKIE])
		return r;
	while (request_head_next(&lines, HTTP_COOKIE, &cookies)) {
		while (cookies.len) {
			struct slice pair = take_element(&cookies, ';');

			if (slice_starts(pair, cookie) && pair.len > len && pair.data[len] == '=')
				r = note(tokenp, unquoted(http_trim(from(pair, len + 1))), r);
		}
	}
	return r;
}

static bool is_set(const char *name)
{
	return name && *name;
}

static int find_in(
	const struct request_head *head, const struct credential_rules *rules, struct credential *out)
{
	switch (out->place) {
	case CREDENTIAL_BEARER:
		return find_bearer(head, &out->token);
	case CREDENTIAL_SUBPROTOCOL:
		return find_subprotocol(head, &out->token);
	case CREDENTIAL_TICKET:
		return rules->tickets ? find_in_query(head, TICKET, out) : CREDENTIAL_NONE;
	case CREDENTIAL_COOKIE:
		return is_set(rules->cookie) ? find_cookie(head, rules->cookie, &out->token)
					     : CREDENTIAL_NONE;
	case CREDENTIAL_QUERY:
		return is_set(rules->query) ? find_in_query(head, rules->query, out) : CREDENTIAL_NONE;
	case N_CREDENTIAL_PLACES:
		break;
	}
	return CREDENTIAL_NONE;
}

int credential_find(
	const struct request_head *head, const struct credential_rules *rules, struct credential *out)
{
	int r = CREDENTIAL_NONE;

	for (int place = 0; r == CREDENTIAL_NONE && place < N_CREDENTIAL_PLACES; place++) {
		out->place = (enum credential_place)place;
		r = find_in(head, rules, out);
	}
	return r;
}

bool credential_in_subprotocols(const struct request_head *head)
{
	struct slice token;

	return find_subprotocol(head, &token) != CREDENTIAL_NONE;
}

const char *credential_place_name(enum credential_place place)
{
	static const char *const names[N_CREDENTIAL_PLACES] = {
		[CREDENTIAL_BEARER] = "bearer",
		[CREDENTIAL_SUBPROTOCOL] = "subprotocol",
		[CREDENTIAL_TICKET] = "ticket",
		[CREDENTIAL_COOKIE] = "cookie",
		[CREDENTIAL_QUERY] = "query",
	};

	return names[place];
}

/* Origin: which sites' pages may connect; see the header. */

#include "http/origin.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/ip.h"
#include "core/text.h"

enum {
	HOST_MAX = 255, /* bytes of a name in the DNS, with room to spare for an IPv6 address in brackets */
	PORT_ANY = -1,
	PORT_NONE = 0, /* of a scheme without one, such as an app's own */
};

struct place {
	struct slice host; /* an IPv6 address with its brackets */
	int port;          /* PORT_NONE: there was none */
};

struct origin {
	struct slice scheme;
	struct place place;
};

enum rule_kind {
	RULE_SAME,
	RULE_ANY,
	RULE_TEXT,  /* null, file:// */
	RULE_EXACT, /* of an origin, on any port if that is PORT_ANY */
	RULE_BELOW, /* the host is what comes behind the asterisk, dot included */
};

struct rule {
	enum rule_kind kind;
	const char *text; /* the entry, which the origin borrows */
	struct origin origin;
};

struct origins {
	size_t n;
	struct rule rules[];
};

static bool equal(struct slice a, struct slice b)
{
	return a.len == b.len && (a.len == 0 || strncasecmp(a.data, b.data, a.len) == 0);
}

static bool is_scheme(struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		char c = text.data[i];

		if (!text_is_alpha(c) && (i == 0 || (!text_is_digit(c) && c != '+' && c != '-' && c != '.')))
			return false;
	}
	return text.len > 0;
}

/* Labels with dots between them. A dot at the end would make another name of the same host. */
static bool is_name(struct slice text)
{
	bool in_label = false;

	for (size_t i = 0; i < text.len; i++) {
		char c = text.data[i];

		if (c == '.' && !in_label)
			return false;
		if (c != '.' && !text_is_alpha(c) && !text_is_digit(c) && c != '-' && c != '_')
			return false;
		in_label = c != '.';
	}
	return in_label && text.len <= HOST_MAX;
}

static bool is_host(struct slice text)
{
	struct in6_addr address;
	bool ipv4;

	if (text.len > 2 && text.data[0] == '[' && text.data[text.len - 1] == ']')
		return ip_parse((struct slice){text.data + 1, text.len - 2}, &address, &ipv4) && !ipv4;
	return is_name(text);
}

/* As browsers write one: no sign, no zero before it. */
static bool read_port(struct slice text, int *portp)
{
	int port = 0;

	if (text.len == 0 || text.len > 5 || text.data[0] == '0')
		return false;
	for (size_t i = 0; i < text.len; i++) {
		if (!text_is_digit(text.data[i]))
			return false;
		port = port * 10 + (text.data[i] - '0');
	}
	*portp = port;
	return port <= UINT16_MAX;
}

static const char *last(struct slice text, char wanted)
{
	for (size_t i = text.len; i > 0; i--)
		if (text.data[i - 1] == wanted)
			return text.data + i - 1;
	return NULL;
}

/* host, or host:port. `any`: an asterisk is a port, too. */
static bool read_place(struct slice text, bool any, struct place *place)
{
	size_t host_len = text.len;
	const char *colon = last(text, ':');
	const char *bracket = last(text, ']');

	place->port = PORT_NONE;
	if (colon && (!bracket || colon > bracket)) {
		struct slice port = {colon + 1, (size_t)(text.data + text.len - colon - 1)};

		host_len = (size_t)(colon - text.data);
		if (any && slice_is(port, "*"))
			place->port = PORT_ANY;
		else if (!read_port(port, &place->port))
			return false;
	}
	place->host = (struct slice){text.data, host_len};
	return is_host(place->host);
}

static bool is_web(struct slice scheme)
{
	return equal(scheme, slice_of("http")) || equal(scheme, slice_of("https"));
}

static int scheme_port(struct slice scheme)
{
	if (equal(scheme, slice_of("http")))
		return 80;
	return equal(scheme, slice_of("https")) ? 443 : PORT_NONE;
}

/* The scheme, and what stands behind "://". */
static bool split(struct slice text, struct slice *scheme, struct slice *rest)
{
	const char *colon = text.len ? memchr(text.data, ':', text.len) : NULL;
	size_t at = colon ? (size_t)(colon - text.data) : 0;

	if (!colon || text.len - at < 3 || memcmp(colon, "://", 3) != 0)
		return false;
	*scheme = (struct slice){text.data, at};
	*rest = (struct slice){colon + 3, text.len - at - 3};
	return is_scheme(*scheme);
}

static bool read_origin(struct slice text, bool any_port, struct origin *origin)
{
	struct slice rest;

	if (!split(text, &origin->scheme, &rest) || !read_place(rest, any_port, &origin->place))
		return false;
	if (origin->place.port == PORT_NONE)
		origin->place.port = scheme_port(origin->scheme);
	return true;
}

/* scheme://<star>.name: read as scheme://name, whose host then gets its dot back. */
static bool read_below(const char *entry, struct origin *origin)
{
	struct slice rest;

	if (!split(slice_of(entry), &origin->scheme, &rest) || rest.len < 3 ||
		memcmp(rest.data, "*.", 2) != 0)
		return false;
	if (!read_place((struct slice){rest.data + 2, rest.len - 2}, true, &origin->place) ||
		origin->place.host.data[0] == '[')
		return false;
	if (origin->place.port == PORT_NONE)
		origin->place.port = scheme_port(origin->scheme);
	origin->place.host.data--;
	origin->place.host.len++;
	return true;
}

static bool read_rule(const char *entry, struct rule *rule)
{
	*rule = (struct rule){.kind = RULE_EXACT, .text = entry};
	if (strcmp(entry, "same") == 0)
		rule->kind = RULE_SAME;
	else if (strcmp(entry, "*") == 0)
		rule->kind = RULE_ANY;
	else if (strcmp(entry, "null") == 0 || strcmp(entry, "file://") == 0)
		rule->kind = RULE_TEXT;
	else if (read_below(entry, &rule->origin))
		rule->kind = RULE_BELOW;
	else
		return read_origin(slice_of(entry), true, &rule->origin);
	return true;
}

bool origin_entry_is_valid(const char *entry)
{
	struct rule rule;

	return read_rule(entry, &rule);
}

static void rule_free(struct rule *rule)
{
	free((char *)rule->text);
}

struct origins *origins_new(char *const *entries)
{
	struct origins *origins;
	size_t n = 0;

	while (entries[n])
		n++;
	origins = calloc(1, sizeof(*origins) + n * sizeof(origins->rules[0]));
	if (!origins)
		return NULL;
	for (; origins->n < n; origins->n++) {
		char *text = strdup(entries[origins->n]);

		if (!text || !read_rule(text, &origins->rules[origins->n])) {
			free(text);
			goto fail;
		}
	}
	return origins;
fail:
	origins_free(origins);
	return NULL;
}

void origins_free(struct origins *origins)
{
	if (!origins)
		return;
	for (size_t i = 0; i < origins->n; i++)
		rule_free(&origins->rules[i]);
	free(origins);
}

static bool is_loopback_host(struct slice host)
{
	if (host.len > 2 && host.data[0] == '[')
		return ip_is_loopback((struct slice){host.data + 1, host.len - 2});
	return equal(host, slice_of("localhost")) || ip_is_loopback(host);
}

static bool is_same(const struct origin *origin, struct slice host, const char *remote)
{
	struct place place;

	if (!is_web(origin->scheme) || !read_place(host, false, &place))
		return false;
	if (ip_is_loopback(slice_of(remote)) && is_loopback_host(place.host) &&
		is_loopback_host(origin->place.host))
		return true;
	if (place.port == PORT_NONE)
		place.port = scheme_port(origin->scheme);
	return place.port == origin->place.port && equal(place.host, origin->place.host);
}

static bool fits(const struct rule *rule, const struct origin *origin)
{
	const struct place *wanted = &rule->origin.place, *place = &origin->place;
	struct slice host = place->host;

	if (!equal(rule->origin.scheme, origin->scheme) ||
		(wanted->port != PORT_ANY && wanted->port != place->port))
		return false;
	if (rule->kind == RULE_BELOW) {
		if (host.len <= wanted->host.len)
			return false;
		host.data += host.len - wanted->host.len;
		host.len = wanted->host.len;
	}
	return equal(host, wanted->host);
}

bool origins_allow(const struct origins *origins, struct slice origin, struct slice host, const char *remote)
{
	struct origin parsed;
	bool sound = read_origin(origin, false, &parsed);
	bool bare = slice_is(origin, "null") || slice_is(origin, "file://");

	for (size_t i = 0; (sound || bare) && i < origins->n; i++) {
		const struct rule *rule = &origins->rules[i];

		if (rule->kind == RULE_ANY || (rule->kind == RULE_TEXT && slice_is(origin, rule->text)))
			return true;
		if (rule->kind == RULE_SAME && sound && is_same(&parsed, host, remote))
			return true;
		if ((rule->kind == RULE_EXACT || rule->kind == RULE_BELOW) && sound && fits(rule, &parsed))
			return true;
	}
	return false;
}

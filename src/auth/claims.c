/* Claims: the JSON text of a token's payload, or of a ticket, to an identity; see the header. */

#include "auth/claims.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/claims_object.h"
#include "auth/identity_draft.h"
#include "core/text.h"
#include "protocol/json.h"

enum {
	TEXT_ROOM = 256, /* for a claim's text; one that fills it is too long for whatever it is */
};

static bool is_number(struct slice value)
{
	return value.data && (value.data[0] == '-' || text_is_digit(value.data[0]));
}

/* claims_parse() found that it fits. */
static int64_t integer_of(struct slice number)
{
	size_t i = number.data[0] == '-' ? 1 : 0;
	bool negative = i != 0;
	int64_t n = 0;

	for (; i < number.len; i++)
		n = n * 10 + (negative ? '0' - number.data[i] : number.data[i] - '0');
	return n;
}

/* Seconds since 1970, which may have a fraction (RFC 7519), as milliseconds, cut to what an int64 holds. */
static int64_t milliseconds(struct slice number)
{
	double ms;

	if (json_is_integer(number)) {
		int64_t seconds = integer_of(number);

		if (seconds > -INT64_MAX / 1000 && seconds < INT64_MAX / 1000)
			return seconds * 1000;
	}
	ms = strtod(number.data, NULL) * 1000;
	if (ms >= 9.2e18)
		return INT64_MAX;
	return ms <= -9.2e18 ? INT64_MIN : (int64_t)ms;
}

/* a + b of a time and a leeway, which is not negative. */
static int64_t later(int64_t a, int64_t b)
{
	return a > INT64_MAX - b ? INT64_MAX : a + b;
}

int claims_time(const struct claims_object *object, const struct claims_rules *rules, int64_t now_ms)
{
	struct slice exp = claims_value(object, "exp"), nbf = claims_value(object, "nbf");

	if (!is_number(exp) && (exp.data || !rules->exp_optional))
		return TOKEN_NO_EXP;
	if (exp.data && now_ms >= later(milliseconds(exp), rules->leeway_ms))
		return TOKEN_EXPIRED;
	if (nbf.data && !is_number(nbf))
		return TOKEN_MALFORMED;
	if (nbf.data && later(now_ms, rules->leeway_ms) < milliseconds(nbf))
		return TOKEN_NOT_YET;
	return TOKEN_GOOD;
}

static bool string_is(struct slice value, const char *wanted)
{
	return json_is_string(value) && json_string_is(value, wanted, strlen(wanted));
}

static bool audience_holds(struct slice aud, const char *wanted)
{
	struct slice one;
	size_t pos = 0;

	while (json_is_array(aud) && json_array_next(aud, &pos, &one))
		if (string_is(one, wanted))
			return true;
	return string_is(aud, wanted);
}

/* The text of a string or an integer, where it stands or in the room; {NULL, 0} for all else. */
static struct slice text_of(struct slice value, char room[TEXT_ROOM])
{
	long len;

	if (json_is_integer(value)) {
		len = snprintf(room, TEXT_ROOM, "%" PRId64, integer_of(value)); /* "-0" is 0 */
		return (struct slice){room, (size_t)len};
	}
	if (!json_is_string(value))
		return (struct slice){0};
	if (!memchr(value.data, '\\', value.len))
		return (struct slice){value.data + 1, value.len - 2};
	len = json_unescape(value, room, TEXT_ROOM);
	return (struct slice){room, len < 0 ? TEXT_ROOM : (size_t)len};
}

/* Absent and null list nothing. */
static bool read_channels(struct identity_draft *draft, struct slice channels)
{
	char room[TEXT_ROOM];
	struct slice one;
	size_t pos = 0;

	if (!channels.data || channels.data[0] == 'n')
		return true;
	if (!json_is_array(channels))
		return false;
	while (json_array_next(channels, &pos, &one))
		if (!json_is_string(one) || !identity_draft_pattern(draft, text_of(one, room)))
			return false;
	return true;
}

static int read_identity(
	struct identity_draft *draft, const struct claims_object *object, const struct identity_rules *rules)
{
	struct slice iat = claims_value(object, "iat");
	char room[TEXT_ROOM];

	draft->dated = is_number(iat);
	draft->issued_ms = draft->dated ? milliseconds(iat) : 0;
	identity_draft_token(draft, text_of(claims_value(object, "jti"), room));
	if (!identity_draft_user(draft, rules->user, text_of(claims_value(object, rules->user), room)))
		return TOKEN_USER;
	for (const char *const *name = rules->claims; name && *name; name++)
		if (**name == '=')
			identity_draft_text(draft, *name, text_of(claims_value(object, *name + 1), room));
		else if (strcmp(*name, rules->user) != 0)
			identity_draft_claim(draft, *name, text_of(claims_value(object, *name), room));
	if (!read_channels(draft, claims_value(object, rules->channels)))
		return TOKEN_CHANNELS;
	return 0;
}

int claims_identity(
	const struct claims_object *object, const struct claims_rules *rules, struct identity **identityp)
{
	struct slice exp = claims_value(object, "exp");
	struct identity_draft draft = {0};
	int r;

	if (rules->issuer && !string_is(claims_value(object, "iss"), rules->issuer))
		return TOKEN_ISSUER;
	if (rules->audience && !audience_holds(claims_value(object, "aud"), rules->audience))
		return TOKEN_AUDIENCE;
	r = read_identity(&draft, object, &rules->identity);
	if (r == 0)
		r = identity_draft_finish(&draft, exp.data ? milliseconds(exp) : INT64_MAX, identityp);
	identity_draft_deinit(&draft);
	return r;
}

int claims_read(
	struct slice json, const struct claims_rules *rules, int64_t now_ms, struct identity **identityp)
{
	struct claims_object object;
	int r = claims_parse(json.data, json.len, &object);

	if (r == 0)
		r = claims_time(&object, rules, now_ms);
	if (r == 0)
		r = claims_identity(&object, rules, identityp);
	return r;
}

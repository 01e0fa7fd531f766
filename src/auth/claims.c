/* Claims: the JSON text of a token's payload, or of a ticket, to an identity; see the header. */

#include "auth/claims.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "auth/claims_object.h"
#include "auth/identity_draft.h"
#include "auth/json_memory.h"

enum {
	INTEGER_MAX = 24, /* room for an int64 in digits */
};

int claims_parse(struct slice json, json_t **objectp)
{
	json_error_t error;
	json_t *object;

	if (json.len > CLAIMS_BYTES_MAX)
		return TOKEN_MALFORMED;
	json_memory_watch();
	object = json_loadb(json.data, json.len, JSON_REJECT_DUPLICATES, &error);
	if (json_memory_failed()) {
		json_decref(object);
		return -ENOMEM;
	}
	if (!json_is_object(object)) {
		json_decref(object);
		return TOKEN_MALFORMED;
	}
	*objectp = object;
	return 0;
}

/* Seconds since 1970, which may have a fraction (RFC 7519), as milliseconds, cut to what an int64 holds. */
static int64_t milliseconds(const json_t *number)
{
	double ms = json_number_value(number) * 1000;

	if (json_is_integer(number) && json_integer_value(number) > -INT64_MAX / 1000 &&
		json_integer_value(number) < INT64_MAX / 1000)
		return json_integer_value(number) * 1000;
	if (ms >= 9.2e18)
		return INT64_MAX;
	return ms <= -9.2e18 ? INT64_MIN : (int64_t)ms;
}

/* a + b of a time and a leeway, which is not negative. */
static int64_t later(int64_t a, int64_t b)
{
	return a > INT64_MAX - b ? INT64_MAX : a + b;
}

int claims_time(const json_t *object, const struct claims_rules *rules, int64_t now_ms)
{
	const json_t *exp = json_object_get(object, "exp"), *nbf = json_object_get(object, "nbf");

	if (!json_is_number(exp) && (exp || !rules->exp_optional))
		return TOKEN_NO_EXP;
	if (exp && now_ms >= later(milliseconds(exp), rules->leeway_ms))
		return TOKEN_EXPIRED;
	if (nbf && !json_is_number(nbf))
		return TOKEN_MALFORMED;
	if (nbf && later(now_ms, rules->leeway_ms) < milliseconds(nbf))
		return TOKEN_NOT_YET;
	return TOKEN_GOOD;
}

static bool string_is(const json_t *value, const char *wanted)
{
	return json_is_string(value) && strcmp(json_string_value(value), wanted) == 0;
}

static bool audience_holds(const json_t *aud, const char *wanted)
{
	size_t i;
	json_t *one;

	json_array_foreach(aud, i, one)
	{
		if (string_is(one, wanted))
			return true;
	}
	return string_is(aud, wanted);
}

/* The text of a string or an integer; {NULL, 0} for all else. digits: room for the integer's. */
static struct slice text_of(const json_t *value, char digits[INTEGER_MAX])
{
	if (json_is_string(value))
		return (struct slice){json_string_value(value), json_string_length(value)};
	if (!json_is_integer(value))
		return (struct slice){0};
	snprintf(digits, INTEGER_MAX, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	return slice_of(digits);
}

/* Absent and null list nothing. */
static bool read_channels(struct identity_draft *draft, const json_t *channels)
{
	size_t i;
	json_t *one;

	if (!channels || json_is_null(channels))
		return true;
	if (!json_is_array(channels))
		return false;
	json_array_foreach(channels, i, one)
	{
		struct slice pattern = {json_string_value(one), json_string_length(one)};

		if (!pattern.data || !identity_draft_pattern(draft, pattern))
			return false;
	}
	return true;
}

static int read_identity(
	struct identity_draft *draft, const json_t *object, const struct identity_rules *rules)
{
	const json_t *iat = json_object_get(object, "iat");
	char digits[INTEGER_MAX];

	draft->dated = json_is_number(iat);
	draft->issued_ms = draft->dated ? milliseconds(iat) : 0;
	identity_draft_token(draft, text_of(json_object_get(object, "jti"), digits));
	if (!identity_draft_user(draft, rules->user, text_of(json_object_get(object, rules->user), digits)))
		return TOKEN_USER;
	for (const char *const *name = rules->claims; name && *name; name++)
		if (**name == '=')
			identity_draft_text(
				draft, *name, text_of(json_object_get(object, *name + 1), digits));
		else if (strcmp(*name, rules->user) != 0)
			identity_draft_claim(draft, *name, text_of(json_object_get(object, *name), digits));
	if (!read_channels(draft, json_object_get(object, rules->channels)))
		return TOKEN_CHANNELS;
	return 0;
}

int claims_identity(const json_t *object, const struct claims_rules *rules, struct identity **identityp)
{
	const json_t *exp = json_object_get(object, "exp");
	struct identity_draft draft = {0};
	int r;

	if (rules->issuer && !string_is(json_object_get(object, "iss"), rules->issuer))
		return TOKEN_ISSUER;
	if (rules->audience && !audience_holds(json_object_get(object, "aud"), rules->audience))
		return TOKEN_AUDIENCE;
	r = read_identity(&draft, object, &rules->identity);
	if (r == 0)
		r = identity_draft_finish(&draft, exp ? milliseconds(exp) : INT64_MAX, identityp);
	identity_draft_deinit(&draft);
	return r;
}

int claims_read(
	struct slice json, const struct claims_rules *rules, int64_t now_ms, struct identity **identityp)
{
	json_t *object;
	int r = claims_parse(json, &object);

	if (r)
		return r;
	r = claims_time(object, rules, now_ms);
	if (r == 0)
		r = claims_identity(object, rules, identityp);
	json_decref(object);
	return r;
}

/*
 * Fuzz claims_read(): the first line of the input is a channel, the rest the claims. Whoever is let in has
 * a name, a part that is one, and channels that are listed part by part; and what more is demanded lets in
 * nobody new. What is taken for an object jansson takes, with the same members and values; and what jansson
 * takes is taken, up to the bounds, unless it has a NUL: jansson lets one pass behind a number.
 */

#include "fuzz.h"

#include <stdbool.h>
#include <string.h>

#include <jansson.h>

#include "auth/claims.h"
#include "auth/claims_object.h"
#include "auth/json_object.h"
#include "core/text.h"

#define NOW_MS INT64_C(1000000)

static const char *const names[] = {"tenant", "n", NULL};

static bool is_part(struct slice part)
{
	for (size_t i = 0; i < part.len; i++)
		if (!text_is_alpha(part.data[i]) && !text_is_digit(part.data[i]) &&
			!strchr("._-~", part.data[i]))
			return false;
	return part.len > 0 && part.len <= IDENTITY_PART_MAX && !slice_is(part, ".") && !slice_is(part, "..");
}

static bool is_utf8(const char *text)
{
	size_t len = strlen(text);

	for (size_t i = 0; i < len;) {
		size_t n = text_utf8_sequence((const unsigned char *)text + i, len - i);

		if (n == 0)
			return false;
		i += n;
	}
	return true;
}

static void look_at(const struct identity *identity, struct slice channel)
{
	static const char *const asked[] = {"sub", "tenant", "n", "channels"};
	const char *user = identity_user(identity);

	PROMISE(*user && strlen(user) <= IDENTITY_USER_MAX && is_utf8(user));
	for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
		struct slice part = identity_claim(identity, asked[i]);

		PROMISE(!part.data || (is_part(part) && i < 3));
	}
	if (identity_lists(identity, channel))
		PROMISE(channel.len && channel.data[0] != ':' && channel.data[channel.len - 1] != ':' &&
			!memmem(channel.data, channel.len, "::", 2));
}

static bool lets_in(struct slice json, const struct claims_rules *rules, struct slice channel)
{
	struct identity *identity = NULL;
	int r = claims_read(json, rules, NOW_MS, &identity);

	PROMISE(r >= 0 && r < N_TOKEN_FAULTS && (r == 0) == (identity != NULL));
	if (r == 0) {
		PROMISE(identity_deadline_ms(identity) > NOW_MS - rules->leeway_ms);
		look_at(identity, channel);
	}
	identity_free(identity);
	return r == 0;
}

static bool is_within_bounds(json_t *value, unsigned int depth, size_t *n_namesp)
{
	bool container = json_is_object(value) || json_is_array(value), within = !container || depth > 0;
	const char *name;
	json_t *one;
	size_t i;

	*n_namesp += json_object_size(value);
	json_object_foreach(value, name, one)
	{
		within = within && is_within_bounds(one, depth - 1, n_namesp);
	}
	json_array_foreach(value, i, one)
	{
		within = within && is_within_bounds(one, depth - 1, n_namesp);
	}
	return within && *n_namesp <= CLAIMS_NAMES_MAX;
}

/* Does jansson read the same value? */
static bool is_same(struct slice value, json_t *theirs)
{
	json_error_t error;
	json_t *ours = json_loadb(value.data, value.len, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &error);
	bool same = ours && json_equal(ours, theirs);

	json_decref(ours);
	return same;
}

static void compare(struct slice json)
{
	struct claims_object ours;
	json_t *theirs = NULL, *value;
	const char *name;
	size_t n_names = 0;
	bool taken, good;

	if (json.len > CLAIMS_BYTES_MAX)
		return;
	taken = claims_parse(json.data, json.len, &ours) == 0;
	good = json_object_read(json, &theirs) == 0;
	PROMISE(good || !taken);
	if (good && !taken)
		PROMISE(memchr(json.data, '\0', json.len) ||
			!is_within_bounds(theirs, CLAIMS_DEPTH_MAX, &n_names));
	PROMISE(!taken || json_object_size(theirs) == ours.n_members);
	if (taken)
		json_object_foreach(theirs, name, value)
		{
			struct slice found = claims_value(&ours, name);

			PROMISE(found.data && is_same(found, value));
		}
	json_decref(theirs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct claims_rules rules = {.identity = {.user = "sub", .channels = "channels", .claims = names}};
	const char *newline = size ? memchr(data, '\n', size) : NULL;
	struct slice channel = {(const char *)data, newline ? (size_t)(newline - (const char *)data) : 0};
	struct slice json = {(const char *)data + channel.len, size - channel.len};
	bool plain = lets_in(json, &rules, channel), strict, late, ticket;

	compare(json);
	rules.issuer = "me";
	rules.audience = "live";
	strict = lets_in(json, &rules, channel);
	rules.issuer = rules.audience = NULL;
	rules.leeway_ms = 10000;
	late = lets_in(json, &rules, channel);
	rules.exp_optional = true;
	ticket = lets_in(json, &rules, channel);
	PROMISE((!strict || plain) && (!plain || late) && (!late || ticket));
	return 0;
}

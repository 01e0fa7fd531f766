/*
 * Fuzz claims_read(): the first line of the input is a channel, the rest the claims. Whoever is let in has
 * a name, a part that is one, and channels that are listed part by part; and what more is demanded lets in
 * nobody new.
 */

#include "fuzz.h"

#include <stdbool.h>
#include <string.h>

#include "auth/claims.h"
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct claims_rules rules = {.identity = {.user = "sub", .channels = "channels", .claims = names}};
	const char *newline = size ? memchr(data, '\n', size) : NULL;
	struct slice channel = {(const char *)data, newline ? (size_t)(newline - (const char *)data) : 0};
	struct slice json = {(const char *)data + channel.len, size - channel.len};
	bool plain = lets_in(json, &rules, channel), strict, late, ticket;

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

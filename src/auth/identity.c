/*
 * Identity: who a connection is, as its token or ticket said; see the header.
 *
 * The block ends with texts, each with a NUL behind it: the user; the token's name; name and part of each
 * claim, where an empty part stands for the user as it is; the patterns, in which {sub} has become the user's
 * part already. There are few of them, so they are searched from the front.
 */

#include "auth/identity.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "auth/identity_draft.h"
#include "core/text.h"

struct identity {
	int64_t deadline_ms;
	int64_t issued_ms;
	uint16_t n_claims;
	uint16_t n_patterns;
	char text[];
};

/* The text behind this one. */
static const char *behind(const char *text)
{
	return text + strlen(text) + 1;
}

const char *identity_user(const struct identity *identity)
{
	return identity->text;
}

struct slice identity_claim(const struct identity *identity, const char *name)
{
	const char *at = behind(identity_token(identity));

	for (unsigned int i = 0; i < identity->n_claims; i++) {
		const char *part = behind(at);

		if (strcmp(at, name) == 0)
			return slice_of(*part ? part : identity->text);
		at = behind(part);
	}
	return (struct slice){0};
}

int64_t identity_deadline_ms(const struct identity *identity)
{
	return identity->deadline_ms;
}

int64_t identity_issued_ms(const struct identity *identity)
{
	return identity->issued_ms;
}

const char *identity_token(const struct identity *identity)
{
	return behind(identity->text);
}

void identity_free(struct identity *identity)
{
	free(identity);
}

/* Cuts off the first part of a name, up to ':' or its end. */
static struct slice next_part(struct slice *name)
{
	const char *colon = name->len ? memchr(name->data, ':', name->len) : NULL;
	struct slice part = {name->data, colon ? (size_t)(colon - name->data) : name->len};
	size_t taken = part.len + (colon ? 1 : 0);

	name->data += taken;
	name->len -= taken;
	return part;
}

static bool ends_with_colon(struct slice name)
{
	return name.len && name.data[name.len - 1] == ':';
}

static bool pattern_fits(struct slice pattern, struct slice channel)
{
	if (ends_with_colon(channel))
		return false; /* its last part is empty, and next_part() would not see it */
	while (pattern.len && channel.len) {
		struct slice wanted = next_part(&pattern), part = next_part(&channel);

		if (part.len == 0 || !(slice_is(wanted, "*") || slice_equal(wanted, part)))
			return false;
	}
	return pattern.len == 0 && channel.len == 0;
}

bool identity_lists(const struct identity *identity, struct slice channel)
{
	const char *at = behind(identity_token(identity));

	if (channel.len == 0)
		return false;
	for (unsigned int i = 0; i < 2u * identity->n_claims; i++)
		at = behind(at);
	for (unsigned int i = 0; i < identity->n_patterns; i++, at = behind(at))
		if (pattern_fits(slice_of(at), channel))
			return true;
	return false;
}

/* --- the draft ----------------------------------------------------------------------------- */

static bool is_part_byte(char c)
{
	return text_is_alpha(c) || text_is_digit(c) || c == '.' || c == '_' || c == '-';
}

/* Writes the text as the part of a name. Returns its length; 0 for what is empty or becomes too long. */
static size_t write_part(struct slice text, char out[IDENTITY_PART_MAX])
{
	static const char digits[] = "0123456789ABCDEF";
	bool dots = slice_is(text, ".") || slice_is(text, "..");
	size_t n = 0;

	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.data[i];
		bool plain = is_part_byte(text.data[i]) && !dots;

		if (n + (plain ? 1 : 3) > IDENTITY_PART_MAX)
			return 0;
		if (plain) {
			out[n++] = text.data[i];
			continue;
		}
		out[n++] = '~';
		out[n++] = digits[c >> 4];
		out[n++] = digits[c & 15];
	}
	return n;
}

static void append_text(struct buf *out, struct slice text)
{
	buf_append(out, text.data, text.len);
	buf_append_char(out, '\0');
}

static void append_claim(struct identity_draft *draft, const char *name, struct slice part)
{
	append_text(&draft->text, slice_of(name));
	append_text(&draft->text, part);
	draft->n_claims++;
}

static bool has_nul(struct slice text)
{
	return text.len && memchr(text.data, '\0', text.len);
}

void identity_draft_token(struct identity_draft *draft, struct slice name)
{
	_Static_assert(sizeof(draft->token) == IDENTITY_TOKEN_MAX + 1, "room for the longest name");
	if (name.len == 0 || name.len > IDENTITY_TOKEN_MAX || has_nul(name))
		return;
	memcpy(draft->token, name.data, name.len);
	draft->token[name.len] = '\0';
}

bool identity_draft_user(struct identity_draft *draft, const char *name, struct slice user)
{
	size_t len;

	_Static_assert(sizeof(draft->part_text) == IDENTITY_PART_MAX, "room for the longest part");
	if (user.len == 0 || user.len > IDENTITY_USER_MAX || has_nul(user))
		return false;
	append_text(&draft->text, user);
	append_text(&draft->text, slice_of(draft->token));
	len = write_part(user, draft->part_text);
	if (len) {
		draft->part = (struct slice){draft->part_text, len};
		append_claim(draft, name, slice_equal(draft->part, user) ? (struct slice){0} : draft->part);
	}
	return true;
}

void identity_draft_claim(struct identity_draft *draft, const char *name, struct slice value)
{
	char part[IDENTITY_PART_MAX];
	size_t len = write_part(value, part);

	if (len)
		append_claim(draft, name, (struct slice){part, len});
}

void identity_draft_text(struct identity_draft *draft, const char *name, struct slice value)
{
	if (value.len && value.len <= IDENTITY_TEXT_MAX && !has_nul(value))
		append_claim(draft, name, value);
}

/* A literal has nothing in it that looks like a pattern: user:4* would promise what is not there. */
static bool is_pattern_part(struct slice part)
{
	if (part.len == 0 || has_nul(part))
		return false;
	if (slice_is(part, "*") || slice_is(part, "{sub}"))
		return true;
	return !memchr(part.data, '*', part.len) && !memchr(part.data, '{', part.len) &&
	       !memchr(part.data, '}', part.len);
}

bool identity_draft_pattern(struct identity_draft *draft, struct slice pattern)
{
	struct slice left = pattern;
	bool first = true;

	if (pattern.len == 0 || pattern.len > IDENTITY_PATTERN_MAX || ends_with_colon(pattern) ||
		draft->n_patterns == IDENTITY_PATTERNS_MAX)
		return false;
	while (left.len) {
		struct slice part = next_part(&left);

		if (!is_pattern_part(part))
			return false;
		if (!first)
			buf_append_char(&draft->text, ':');
		first = false;
		/* A user that is no part is in no name, and as '{' is in none, the pattern fits none. */
		if (slice_is(part, "{sub}") && draft->part.len)
			part = draft->part;
		buf_append(&draft->text, part.data, part.len);
	}
	buf_append_char(&draft->text, '\0');
	draft->n_patterns++;
	return true;
}

int identity_draft_finish(struct identity_draft *draft, int64_t deadline_ms, struct identity **identityp)
{
	struct identity *identity;

	if (draft->text.failed)
		return -ENOMEM;
	identity = malloc(offsetof(struct identity, text) + draft->text.len);
	if (!identity)
		return -ENOMEM;
	/* Member by member: the struct as a whole is longer than where its text begins. */
	identity->deadline_ms = deadline_ms;
	identity->issued_ms = draft->dated ? draft->issued_ms : IDENTITY_UNDATED;
	identity->n_claims = (uint16_t)draft->n_claims;
	identity->n_patterns = (uint16_t)draft->n_patterns;
	memcpy(identity->text, draft->text.data, draft->text.len);
	*identityp = identity;
	return 0;
}

void identity_draft_deinit(struct identity_draft *draft)
{
	buf_deinit(&draft->text);
}

/*
 * Fuzz token_parse(): the input is a token, and it is a header and a payload, with a newline between them,
 * that a token is made of. What is taken is written in the one form that its bytes have, and says its alg;
 * what a token is made of decides whether it is taken, and not what was taken before.
 */

#include "fuzz.h"

#include <stdbool.h>
#include <string.h>

#include <jansson.h>

#include "auth/base64.h"
#include "auth/claims_object.h"
#include "auth/json_object.h"
#include "auth/token.h"
#include "auth/token_fault.h"
#include "auth/verifier.h"
#include "core/buf.h"

/* The part's bytes give the part again, and nothing else could. */
static void look_at_part(struct slice part)
{
	char bytes[TOKEN_BYTES_MAX];
	struct buf again = {0};
	size_t len;

	PROMISE(base64url_decode(part, bytes, &len));
	base64url_append(&again, bytes, len);
	PROMISE(slice_equal(buf_slice(&again), part));
	buf_deinit(&again);
}

static bool same_payload(const struct claims_object *a, const struct claims_object *b)
{
	bool same = a->n_members == b->n_members;

	for (size_t i = 0; same && i < a->n_members; i++)
		same = slice_equal(a->members[i].name, b->members[i].name) &&
		       slice_equal(a->members[i].value, b->members[i].value);
	return same;
}

/* What a thread remembers of the token before decides nothing. */
static void look_again(struct slice text, const struct token *token, int r)
{
	struct token_checker *fresh = token_checker_new();
	struct token again;

	PROMISE(fresh && token_parse(fresh, text, &again) == r);
	if (r == 0)
		PROMISE(json_equal(again.header, token->header) &&
			same_payload(&again.payload, &token->payload));
	token_deinit(&again);
	token_checker_free(fresh);
}

static bool taken(struct slice text)
{
	static struct token_checker *checker;
	struct token token;
	int r;

	checker = checker ? checker : token_checker_new();
	PROMISE(checker);
	r = token_parse(checker, text, &token);
	PROMISE(r == 0 || r == TOKEN_MALFORMED);
	look_again(text, &token, r);
	if (r == 0) {
		const char *first = memchr(text.data, '.', text.len),
			   *second = memrchr(text.data, '.', text.len);

		PROMISE(text.len <= TOKEN_BYTES_MAX && first < second &&
			!memchr(first + 1, '.', (size_t)(second - first - 1)));
		look_at_part((struct slice){text.data, (size_t)(first - text.data)});
		look_at_part((struct slice){first + 1, (size_t)(second - first - 1)});
		look_at_part((struct slice){second + 1, text.len - (size_t)(second + 1 - text.data)});
		PROMISE(token.alg && json_is_object(token.header));
		PROMISE(!json_object_get(token.header, "crit"));
	}
	token_deinit(&token);
	return r == 0;
}

/* Is it an object that says each thing once? */
static bool is_object(struct slice json)
{
	json_t *object = NULL;
	bool is = json_object_read(json, &object) == 0;

	json_decref(object);
	return is;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice input = {(const char *)data, size}, header, payload;
	const char *newline = size ? memchr(input.data, '\n', size) : NULL;
	struct buf text = {0};

	taken(input);
	if (!newline || size > 4096)
		return 0;
	header = (struct slice){input.data, (size_t)(newline - input.data)};
	payload = (struct slice){newline + 1, size - header.len - 1};
	base64url_append(&text, header.data, header.len);
	buf_append_char(&text, '.');
	base64url_append(&text, payload.data, payload.len);
	buf_append_str(&text, ".AAAA");
	PROMISE(!text.failed);
	if (taken(buf_slice(&text)))
		PROMISE(is_object(header) && is_object(payload));
	buf_deinit(&text);
	return 0;
}

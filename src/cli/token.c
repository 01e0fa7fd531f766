/*
 * `tidegate token`: a token for trying something out, or what is in one and whether it would be let in.
 *
 * What is made is judged like any other token before it is printed: whoever pastes it into a client should
 * not have to look for the mistake there.
 */

#include "cli/cli.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/identity.h"
#include "auth/token_text.h"
#include "auth/verifier.h"
#include "cli/keys_once.h"
#include "config/config.h"
#include "core/buf.h"
#include "core/clock.h"
#include "protocol/json.h"

enum {
	CLAIM_DEPTH_MAX = 16, /* of a claim's JSON */
	MS_PER_S = 1000,
};

static int fail(int status, const char *sentence)
{
	fprintf(stderr, "tidegate: token: %s\n", sentence ? sentence : "out of memory");
	return status;
}

static int fail_memory(void)
{
	return fail(1, NULL);
}

/* Says the sentence in the buf, or that there was no memory for one. */
static int fail_with(int r, struct buf *error)
{
	return r < 0 ? fail_memory() : fail(EXIT_USAGE, buf_text(error));
}

/* Why it is refused; of a malformed one, what is wrong with it. */
static const char *sentence_of(struct slice token, enum token_fault fault)
{
	return fault == TOKEN_MALFORMED ? token_text_fault(token) : token_fault_sentence(fault);
}

/* --- making ----------------------------------------------------------------------------------- */

static void append_member(struct buf *out, const char *name, size_t len)
{
	buf_append_char(out, out->len ? ',' : '{');
	buf_append_json_string(out, name, len);
	buf_append_char(out, ':');
}

static void append_text(struct buf *out, const char *name, const char *value)
{
	append_member(out, name, strlen(name));
	buf_append_json_string(out, value, strlen(value));
}

static void append_seconds(struct buf *out, const char *name, uint64_t ms)
{
	append_member(out, name, strlen(name));
	buf_printf(out, "%" PRIu64, ms / MS_PER_S);
}

/* "a,b:*": a list of them. */
static void append_channels(struct buf *out, const char *name, const char *channels)
{
	append_member(out, name, strlen(name));
	buf_append_char(out, '[');
	for (const char *at = channels, *comma; at; at = comma ? comma + 1 : NULL) {
		comma = strchr(at, ',');
		buf_append_json_string(out, at, comma ? (size_t)(comma - at) : strlen(at));
		if (comma)
			buf_append_char(out, ',');
	}
	buf_append_char(out, ']');
}

/* NAME=VALUE: a value that is JSON as it is, anything else as a text. False without '=' or a name. */
static bool append_claim(struct buf *out, const char *claim)
{
	const char *equals = strchr(claim, '='), *value = equals ? equals + 1 : NULL;
	bool is_object;

	if (!equals || equals == claim)
		return false;
	append_member(out, claim, (size_t)(equals - claim));
	if (json_check(value, strlen(value), CLAIM_DEPTH_MAX, NULL, 0, &is_object) == 0)
		buf_append_str(out, value);
	else
		buf_append_json_string(out, value, strlen(value));
	return true;
}

static int write_payload(const struct config *config, const struct cli_token *wanted, uint64_t now_ms,
	struct buf *out, struct buf *error)
{
	uint64_t ms = 0;

	if (config_duration(wanted->expires, &ms, error)) {
		buf_append_str(error, " (--expires)");
		return EXIT_USAGE;
	}
	append_text(out, config->token_user, wanted->user);
	append_seconds(out, "iat", now_ms);
	append_seconds(out, "exp", now_ms + ms);
	if (*config->token_issuer)
		append_text(out, "iss", config->token_issuer);
	if (*config->token_audience)
		append_text(out, "aud", config->token_audience);
	if (wanted->channels)
		append_channels(out, config->token_channels, wanted->channels);
	for (size_t i = 0; i < wanted->n_claims; i++)
		if (!append_claim(out, wanted->claims[i])) {
			buf_append_str(error, "--claim wants NAME=VALUE");
			return EXIT_USAGE;
		}
	buf_append_char(out, '}');
	return out->failed ? -ENOMEM : 0;
}

/* What the gateway would say of it. 0, -ENOMEM or an enum token_fault. */
static int judge(
	const struct verifier *verifier, struct slice token, uint64_t now_ms, struct verifier_result *result)
{
	struct verifier_thread *thread = verifier_thread_new();
	int r = thread ? verifier_check(verifier, thread, token, (int64_t)now_ms, result) : -ENOMEM;

	verifier_thread_free(thread);
	return r;
}

static int print_made(const struct verifier *verifier, struct slice token, uint64_t now_ms)
{
	struct verifier_result result = {0};
	int r = judge(verifier, token, now_ms, &result);

	identity_free(result.identity);
	if (r < 0)
		return fail_memory();
	if (r) {
		fprintf(stderr, "tidegate: token: it would not be let in: %s\n",
			sentence_of(token, (enum token_fault)r));
		return EXIT_USAGE;
	}
	printf("%.*s\n", (int)token.len, token.data);
	return fflush(stdout) ? 1 : 0;
}

static int make(const struct config *config, const struct verifier *verifier, const struct cli_token *wanted)
{
	struct buf payload = {0}, token = {0}, error = {0};
	uint64_t now_ms = clock_wall_ms();
	int r;

	if (!*config->token_secret)
		return fail(EXIT_USAGE, "only tokens of token_secret are made here, and there is none: set "
					"it, or ask whoever has "
					"the private key of token_keys");
	r = write_payload(config, wanted, now_ms, &payload, &error);
	if (r == 0)
		r = token_text_sign(config->token_secret, buf_slice(&payload), &token, &error);
	r = r ? fail_with(r, &error) : print_made(verifier, buf_slice(&token), now_ms);
	buf_deinit(&payload);
	buf_deinit(&token);
	buf_deinit(&error);
	return r;
}

/* --- looking ---------------------------------------------------------------------------------- */

static void print_identity(const struct identity *identity, uint64_t now_ms)
{
	const char *user = identity_user(identity);
	int64_t left_s = (identity_deadline_ms(identity) - (int64_t)now_ms) / MS_PER_S;
	struct buf quoted = {0};

	buf_append_json_string(&quoted, user, strlen(user));
	printf("user     %s\nends in  %" PRId64 " s\nlet in   yes\n", buf_text(&quoted) ? quoted.data : "",
		left_s);
	buf_deinit(&quoted);
}

static int show(const struct verifier *verifier, struct slice token)
{
	uint64_t now_ms = clock_wall_ms();
	struct verifier_result result = {0};
	struct buf text = {0};
	int r = token_text_show(token, &text);

	if (r == 0)
		r = judge(verifier, token, now_ms, &result);
	if (r >= 0 && text.len)
		fwrite(text.data, 1, text.len, stdout);
	if (r == 0)
		print_identity(result.identity, now_ms);
	else if (r > 0)
		printf("let in   no: %s (%s)\n", sentence_of(token, (enum token_fault)r),
			token_fault_name((enum token_fault)r));
	identity_free(result.identity);
	buf_deinit(&text);
	if (r < 0)
		return fail_memory();
	return fflush(stdout) || r ? 1 : 0;
}

/* What standard input has, where other users of the machine do not see it, without the spaces around it. */
static int show_input(const struct verifier *verifier)
{
	char line[2 * TOKEN_BYTES_MAX];
	size_t len = fread(line, 1, sizeof(line), stdin), start = 0;

	while (len > start && strchr(" \t\r\n", line[len - 1]))
		len--;
	while (start < len && strchr(" \t\r\n", line[start]))
		start++;
	return show(verifier, (struct slice){line + start, len - start});
}

/* What tokens are judged by; with the keys behind the URL where a token is to be looked at. */
static int make_verifier(
	const struct config *config, bool looks, struct verifier **verifierp, struct buf *error)
{
	struct verifier_keys fetched = {.name = config_keys_url(config), .remote = true};
	struct config_keys known = {.texts = &fetched};
	struct buf text = {0};
	int r = looks ? keys_once(config, &text, error) : 0;

	fetched.text = buf_slice(&text);
	known.n_texts = text.len ? 1 : 0;
	if (r == 0)
		r = config_verifier(config, &known, verifierp, error);
	buf_deinit(&text);
	return r;
}

int cli_token(const struct config *config, const struct cli_token *wanted)
{
	struct verifier *verifier = NULL;
	struct buf error = {0};
	int r = make_verifier(config, wanted->token != NULL, &verifier, &error);

	if (r)
		r = fail_with(r, &error);
	else if (!verifier)
		r = fail(EXIT_USAGE, "no key is configured: set token_secret or token_keys");
	else if (!wanted->token)
		r = make(config, verifier, wanted);
	else if (strcmp(wanted->token, "-") == 0)
		r = show_input(verifier);
	else
		r = show(verifier, slice_of(wanted->token));
	verifier_unref(verifier);
	buf_deinit(&error);
	return r;
}

/* Config keys: from the options of tokens to what tokens are judged by. */

#include "config/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "auth/jwks_url.h"
#include "auth/verifier.h"
#include "config/loader.h"
#include "config/options.h"
#include "config/read_file.h"
#include "core/buf.h"

enum {
	KEYS_BYTES_MAX = 256 * 1024, /* of one file: a JWKS of 256 keys */
};

bool config_wants_tokens(const struct config *config)
{
	return *config->token_secret || *config->token_secret_previous || config->token_keys[0] ||
	       config->tickets;
}

const char *config_keys_url(const struct config *config)
{
	for (size_t i = 0; config->token_keys[i]; i++)
		if (jwks_url_is_url(config->token_keys[i]))
			return config->token_keys[i];
	return NULL;
}

static void files_free(struct buf *texts, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (texts[i].data)
			explicit_bzero(texts[i].data, texts[i].cap); /* a secret may have been among them */
		buf_deinit(&texts[i]);
	}
	free(texts);
}

static int read_keys(const char *name, struct buf *text, struct buf *error)
{
	int r = read_file(name, KEYS_BYTES_MAX, text);

	if (r == 0 || r == -ENOMEM)
		return r;
	buf_printf(error, "%s: %s", name, strerror(-r));
	return CONFIG_BAD;
}

/* The option that a sentence of the verifier begins with; else it is about a file. */
static size_t option_of(const char *sentence)
{
	static const size_t named[] = {
		OPTION_token_secret, OPTION_token_secret_previous, OPTION_token_algorithms};

	for (size_t i = 0; i < sizeof(named) / sizeof(named[0]); i++) {
		size_t len = strlen(options[named[i]].name);

		if (strncmp(sentence, options[named[i]].name, len) == 0 &&
			(sentence[len] == ':' || sentence[len] == ' '))
			return named[i];
	}
	return OPTION_token_keys;
}

static int refuse(const struct config *config, struct buf *why, struct buf *error)
{
	const char *sentence = buf_text(why) ? buf_text(why) : "not valid";
	size_t option = option_of(sentence);

	source_describe(config, &options[option], config->sources->options[option], error);
	buf_printf(error, ": %s", sentence);
	return CONFIG_BAD;
}

static struct verifier_rules rules_of(const struct config *config)
{
	return (struct verifier_rules){
		.secret = config->token_secret,
		.secret_previous = config->token_secret_previous,
		.algorithms = (const char *const *)config->token_algorithms,
		.claims =
			{
				.identity =
					{
						.user = config->token_user,
						.channels = config->token_channels,
						.claims = route_table_claims(config->routes),
					},
				.issuer = config->token_issuer,
				.audience = config->token_audience,
				.leeway_ms = (int64_t)config->token_leeway_ms,
			},
	};
}

/* texts, keys: one for each file, and one more. */
static int build(const struct config *config, const struct verifier_keys *fetched, struct buf *texts,
	struct verifier_keys *keys, struct verifier **verifierp, struct buf *why)
{
	struct verifier_rules rules = rules_of(config);
	int r = 0;

	for (size_t i = 0; r == 0 && config->token_keys[i]; i++) {
		if (jwks_url_is_url(config->token_keys[i]))
			continue;
		r = read_keys(config->token_keys[i], &texts[i], why);
		keys[rules.n_keys++] = (struct verifier_keys){
			.name = config->token_keys[i], .text = {texts[i].data, texts[i].len}};
	}
	if (r == 0 && fetched)
		keys[rules.n_keys++] = *fetched;
	rules.keys = keys;
	return r ? r : verifier_new(&rules, verifierp, why);
}

int config_verifier(const struct config *config, const struct verifier_keys *fetched,
	struct verifier **verifierp, struct buf *error)
{
	struct verifier_keys *keys;
	struct buf why = {0}, *texts;
	size_t n = 0;
	int r = -ENOMEM;

	*verifierp = NULL;
	if (!config_wants_tokens(config))
		return 0;
	while (config->token_keys[n])
		n++;
	texts = calloc(n + 1, sizeof(*texts));
	keys = calloc(n + 1, sizeof(*keys));
	if (texts && keys)
		r = build(config, fetched, texts, keys, verifierp, &why);
	if (r > 0)
		r = refuse(config, &why, error);
	buf_deinit(&why);
	if (texts)
		files_free(texts, n);
	free(keys);
	return r;
}

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
	for (size_t i = 0; i < n; i++)
		buf_wipe(&texts[i]); /* a secret may have been among them */
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

static struct verifier_rules rules_of(const struct config *config, const struct config_keys *known)
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
						.claims = known && known->claims
								  ? known->claims
								  : route_table_claims(config->routes),
					},
				.issuer = config->token_issuer,
				.audience = config->token_audience,
				.leeway_ms = (int64_t)config->token_leeway_ms,
			},
	};
}

static const struct verifier_keys *find_text(const struct config_keys *known, const char *entry)
{
	for (size_t i = 0; known && i < known->n_texts; i++)
		if (!strcmp(known->texts[i].name, entry))
			return &known->texts[i];
	return NULL;
}

/* texts, keys: one for each entry of token_keys. */
static int build(const struct config *config, const struct config_keys *known, struct buf *texts,
	struct verifier_keys *keys, struct verifier **verifierp, struct buf *why)
{
	struct verifier_rules rules = rules_of(config, known);
	int r = 0;

	for (size_t i = 0; r == 0 && config->token_keys[i]; i++) {
		const char *entry = config->token_keys[i];
		const struct verifier_keys *text = find_text(known, entry);

		if (!text && jwks_url_is_url(entry))
			continue;
		if (!text)
			r = read_keys(entry, &texts[i], why);
		keys[rules.n_keys++] =
			text ? *text
			     : (struct verifier_keys){.name = entry, .text = {texts[i].data, texts[i].len}};
	}
	rules.keys = keys;
	return r ? r : verifier_new(&rules, verifierp, why);
}

int config_verifier(const struct config *config, const struct config_keys *known, struct verifier **verifierp,
	struct buf *error)
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
		r = build(config, known, texts, keys, verifierp, &why);
	if (r > 0)
		r = refuse(config, &why, error);
	buf_deinit(&why);
	if (texts)
		files_free(texts, n);
	free(keys);
	return r;
}

int config_read_keys(const struct config *config, const char *path, struct buf *text, struct buf *error)
{
	struct verifier_keys keys = {.name = path};
	struct verifier_rules rules = {
		.algorithms = (const char *const *)config->token_algorithms, .keys = &keys, .n_keys = 1};
	struct verifier *verifier = NULL;
	struct buf why = {0};
	int r = read_keys(path, text, &why);

	keys.text = (struct slice){text->data, text->len};
	if (r == 0)
		r = verifier_new(&rules, &verifier, &why);
	verifier_unref(verifier);
	if (r > 0)
		r = refuse(config, &why, error);
	buf_deinit(&why);
	return r;
}

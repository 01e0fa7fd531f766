/* Worker settings: a worker's part of the configuration; see the header. */

#include "worker/worker_settings.h"

#include <errno.h>
#include <stdlib.h>

#include "config/config.h"
#include "route/route.h"

enum {
	MS_PER_SECOND = 1000,
};

static int make_handshakes(const struct config *config, struct verifier *verifier,
	struct handshake_rules *rules, struct buf *error)
{
	const struct handshake_rules_spec spec = {
		.trusted = config->trusted_proxies,
		.origins = config->origins,
		.verifier = verifier,
		.keys_come_by_url = config_keys_url(config) != NULL,
		.serves_client = config->client_script,
		.serves_demo = config->demo,
		.credentials = {.cookie = config->token_cookie,
			.query = config->token_query,
			.tickets = config->tickets},
	};

	return handshake_rules_init(rules, &spec, error);
}

int worker_settings_new(const struct config *config, struct verifier *verifier,
	struct worker_settings **settingsp, struct buf *error)
{
	struct worker_settings *settings = calloc(1, sizeof(*settings));
	int r;

	if (!settings)
		return -ENOMEM;
	settings->limits = (struct client_limits){
		.message_bytes_max = config->message_bytes_max,
		.outbox_bytes_max = config->outbox_bytes_max,
		.deflate_bytes_min = config->compression_bytes_min,
		.subscriptions_max = config->subscriptions_max,
		.messages = bucket_rate(config->message_rate, MS_PER_SECOND, config_message_burst(config)),
		.failures = bucket_rate(config->failures_max, CLIENT_FAILURES_MS, config->failures_max),
		.ping_interval_ms = config->ping_interval_ms,
		.pong_timeout_ms = config->pong_timeout_ms,
		.token_leeway_ms = config->token_leeway_ms,
		.takes_tokens = config_wants_tokens(config),
	};
	settings->routes = route_table_ref(config->routes);
	settings->log_level = config->log_level;
	r = make_handshakes(config, verifier, &settings->handshakes, error);
	if (r < 0)
		goto fail;
	*settingsp = settings;
	return 0;

fail:
	worker_settings_free(settings);
	return r;
}

void worker_settings_free(struct worker_settings *settings)
{
	if (!settings)
		return;
	route_table_unref(settings->routes);
	handshake_rules_deinit(&settings->handshakes);
	free(settings);
}

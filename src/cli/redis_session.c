/* Redis session: a Redis broker on a loop of its own; see the header. */

#include "cli/redis_session.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include <event2/event.h>

#include "broker/redis/tls.h"
#include "broker/redis/urls.h"
#include "broker/redis_broker.h"
#include "config/config.h"
#include "core/buf.h"
#include "core/clock.h"
#include "core/log.h"

int redis_session_open(struct redis_session *session, const struct config *config, const char *what,
	const struct broker_listener *listener, struct buf *error)
{
	struct redis_urls urls;
	char node_id[64];
	int r;

	*session = (struct redis_session){
		.base = event_base_new(),
		.log = log_new(STDERR_FILENO, LOG_WARN, config->log_format),
	};
	r = redis_urls_parse(config->redis, &urls, error);
	if (r == 0 && redis_urls_want_tls(config->redis))
		r = redis_tls_new(&config->redis_tls, error, &session->tls);
	if (r < 0) {
		redis_urls_deinit(&urls);
		return r;
	}
	snprintf(node_id, sizeof(node_id), "%s-%ld-%" PRIu64, what, (long)getpid(), clock_wall_ms());
	struct redis_options options = {
		.urls = &urls,
		.tls = session->tls,
		.channel_prefix = config->channel_prefix,
		.pubsub = config->redis_pubsub,
		.node_id = node_id,
		.seed = clock_monotonic_us(),
		.payload_bytes_max = config->event_bytes_max,
	};
	r = session->base && session->log ? redis_broker_new(session->base, &options, listener, session->log,
						    NULL, &session->broker)
					  : -ENOMEM;
	redis_urls_deinit(&urls);
	if (r < 0)
		buf_append_str(error, "out of memory");
	return r;
}

void redis_session_close(struct redis_session *session)
{
	broker_free(session->broker);
	redis_tls_free(session->tls);
	if (session->base)
		event_base_free(session->base);
	log_free(session->log);
	*session = (struct redis_session){0};
}

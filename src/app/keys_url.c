/* Keys by URL: the text of token_keys that stands behind a URL, kept fresh; see the header. */

#include "app/keys_url.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "auth/jwks_fetch.h"
#include "auth/jwks_url.h"
#include "auth/key_refresh.h"
#include "core/buf.h"
#include "core/clock.h"
#include "core/log.h"
#include "metrics/metrics.h"

struct keys_url {
	struct keys_url_listener listener;
	struct log *log;
	struct metrics *metrics;
	char *name;
	char *ca; /* "" for the authorities of the system */
	struct jwks_fetch *fetch;
	struct key_refresh refresh;
	struct event *timer;
	struct buf text;
	uint64_t began_ms; /* when it was first waited for */
	bool failing;
};

/* --- the outcome of a fetch --- */

static void note_failure(struct keys_url *url, const char *reason)
{
	uint64_t now_ms = clock_monotonic_ms();

	url->failing = true;
	metrics_add(url->metrics, METRIC_KEYS_FETCHES_FAILED, 1);
	if (url->text.len)
		log_warn(url->log, "keys cannot be fetched, the old ones go on", log_str("url", url->name),
			log_str("reason", reason),
			log_uint("age_seconds", keys_url_age_ms(url, now_ms) / 1000));
	else
		log_warn(url->log, "keys cannot be fetched, clients with tokens wait",
			log_str("url", url->name), log_str("reason", reason));
}

static void note_success(struct keys_url *url, bool is_other)
{
	metrics_add(url->metrics, METRIC_KEYS_FETCHES_GOOD, 1);
	if (is_other || url->failing)
		log_info(url->log, "keys fetched", log_str("url", url->name),
			log_uint("bytes", url->text.len), log_bool("changed", is_other));
	url->failing = false;
}

/* 0; or an outcome or negative errno, where possible with a sentence appended to error. */
static int take(struct keys_url *url, struct slice text, struct buf *error)
{
	struct buf copy = {0};
	int r;

	buf_append(&copy, text.data, text.len);
	r = copy.failed ? -ENOMEM : url->listener.brought(url->listener.arg, text, error);
	if (r) {
		buf_deinit(&copy);
		return r;
	}
	buf_deinit(&url->text);
	url->text = copy;
	return 0;
}

static void schedule(struct keys_url *url);

static void on_fetched(void *arg, struct slice text, const char *reason)
{
	struct keys_url *url = arg;
	bool is_other = !reason && (!url->text.len || !slice_equal(text, buf_slice(&url->text)));
	struct buf why = {0};
	int r = is_other ? take(url, text, &why) : 0;

	if (r && !reason)
		reason = why.len && buf_text(&why) ? buf_text(&why) : "out of memory";
	key_refresh_end(&url->refresh, !reason, clock_monotonic_ms());
	if (reason)
		note_failure(url, reason);
	else
		note_success(url, is_other);
	if (!reason)
		url->listener.fetched(url->listener.arg);
	buf_deinit(&why);
	schedule(url);
}

/* --- when to fetch --- */

static void begin(struct keys_url *url)
{
	int r;

	key_refresh_begin(&url->refresh, clock_monotonic_ms());
	r = jwks_fetch_start(url->fetch);
	if (r < 0) {
		key_refresh_end(&url->refresh, false, clock_monotonic_ms());
		note_failure(url, strerror(-r));
		return;
	}
	url->listener.fetching(url->listener.arg);
}

static void on_timer(evutil_socket_t fd, short events, void *arg)
{
	struct keys_url *url = arg;

	(void)fd;
	(void)events;
	if (key_refresh_is_due(&url->refresh, clock_monotonic_ms()))
		begin(url);
	schedule(url);
}

static void schedule(struct keys_url *url)
{
	uint64_t ms = key_refresh_wait_ms(&url->refresh, clock_monotonic_ms());
	struct timeval wait = {(time_t)(ms / 1000), (suseconds_t)(ms % 1000 * 1000)};

	if (jwks_fetch_is_under_way(url->fetch))
		event_del(url->timer);
	else
		(void)event_add(url->timer, &wait); /* without memory the next tick tries again */
}

void keys_url_tick(struct keys_url *url)
{
	jwks_fetch_nudge(url->fetch);
	if (!event_pending(url->timer, EV_TIMEOUT, NULL))
		schedule(url);
}

void keys_url_start(struct keys_url *url)
{
	url->began_ms = clock_monotonic_ms();
	if (jwks_url_is_plain(url->name) && !jwks_url_is_local(url->name))
		log_warn(url->log, "keys come over http: whoever is on the way can let anybody in",
			log_str("url", url->name), log_str("remedy", "token_keys: https://…"));
	schedule(url);
}

void keys_url_want(struct keys_url *url)
{
	key_refresh_want(&url->refresh);
	schedule(url);
}

void keys_url_hurry(struct keys_url *url)
{
	key_refresh_hurry(&url->refresh);
	schedule(url);
}

/* --- what there is --- */

bool keys_url_is(const struct keys_url *url, const char *text, const char *ca)
{
	return !strcmp(url->name, text) && !strcmp(url->ca, ca);
}

const char *keys_url_name(const struct keys_url *url)
{
	return url->name;
}

struct slice keys_url_text(const struct keys_url *url)
{
	return buf_slice(&url->text);
}

uint64_t keys_url_age_ms(const struct keys_url *url, uint64_t now_ms)
{
	return now_ms - (url->refresh.fetched_ms ? url->refresh.fetched_ms : url->began_ms);
}

/* --- building and ending --- */

int keys_url_new(struct event_base *base, const char *text, const char *ca,
	const struct keys_url_listener *listener, struct log *log, struct metrics *metrics,
	struct keys_url **urlp, struct buf *error)
{
	struct keys_url *url = calloc(1, sizeof(*url));
	int r = -ENOMEM;

	if (!url)
		return -ENOMEM;
	url->listener = *listener;
	url->log = log;
	url->metrics = metrics;
	url->name = strdup(text);
	url->ca = strdup(ca);
	url->timer = evtimer_new(base, on_timer, url);
	if (url->name && url->ca && url->timer)
		r = jwks_fetch_new(base, text, ca, on_fetched, url, &url->fetch, error);
	if (r) {
		keys_url_free(url);
		return r;
	}
	*urlp = url;
	return 0;
}

void keys_url_free(struct keys_url *url)
{
	if (!url)
		return;
	jwks_fetch_free(url->fetch);
	if (url->timer)
		event_free(url->timer);
	buf_deinit(&url->text);
	free(url->name);
	free(url->ca);
	free(url);
}

/* Keys: what this node judges tokens by, kept fresh; see the header. */

#include "app/keys.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "app/claim_names.h"
#include "app/key_files.h"
#include "app/keys_url.h"
#include "auth/verifier.h"
#include "config/config.h"
#include "core/buf.h"
#include "core/clock.h"
#include "core/file_mark.h"
#include "core/log.h"
#include "metrics/metrics.h"
#include "route/route.h"

/* All that belongs to one configuration. */
struct key_source {
	const struct config *config; /* borrowed */
	struct verifier *verifier;   /* NULL: nothing is configured */
	struct keys_url *url;        /* NULL: files only */
	struct key_files *files;
};

struct keys {
	struct event_base *base;
	struct keys_listener listener;
	struct log *log;
	struct metrics *metrics;
	struct event *tick;
	struct key_source now;
	struct key_source next; /* prepared */
	struct claim_names claims;
	bool started;
	bool stale;  /* the files say something else than the verifier, for want of memory */
	bool untold; /* some worker does not know the newest keys, likewise */
};

/* --- building a verifier --- */

/* What the files say and what the URL says: `text`, which may be empty. 0, CONFIG_BAD or negative errno. */
static int build(const struct keys *keys, const struct key_source *source, struct slice text,
	struct verifier **verifierp, struct buf *error)
{
	size_t n = key_files_count(source->files);
	struct verifier_keys *texts = calloc(n + 1, sizeof(*texts));
	struct config_keys known = {texts, n, claim_names_list(&keys->claims)};
	int r;

	if (!texts)
		return -ENOMEM;
	key_files_list(source->files, texts);
	if (text.data)
		texts[known.n_texts++] = (struct verifier_keys){keys_url_name(source->url), text, true};
	r = config_verifier(source->config, &known, verifierp, error);
	free(texts);
	return r;
}

static struct slice text_of(const struct key_source *source)
{
	return source->url ? keys_url_text(source->url) : (struct slice){0};
}

static size_t count_used(const struct verifier *verifier, const char *name)
{
	size_t n = 0;

	for (size_t i = 0; verifier && i < verifier_n_keys(verifier); i++) {
		struct verifier_key key = verifier_key(verifier, i);

		n += !key.skipped && (!name || !strcmp(key.source, name));
	}
	return n;
}

/* An operator who adds a key wants to know why it counts for nothing. */
static void tell_skipped(const struct keys *keys, const struct verifier *verifier)
{
	for (size_t i = 0; verifier && i < verifier_n_keys(verifier); i++) {
		struct verifier_key key = verifier_key(verifier, i);

		if (key.skipped)
			log_info(keys->log, "key is not used", log_str("source", key.source),
				log_str("kid", key.kid), log_str("kind", key.kind),
				log_str("reason", key.skipped));
	}
}

/* Takes the verifier over and makes it known. */
static void change(struct keys *keys, struct verifier *verifier)
{
	struct verifier *old = keys->now.verifier;

	keys->now.verifier = verifier;
	tell_skipped(keys, verifier);
	metrics_set(keys->metrics, METRIC_KEYS, count_used(verifier, NULL));
	if (keys->started)
		keys->untold = keys->listener.changed(keys->listener.arg, verifier) < 0;
	verifier_unref(old);
}

/* --- from a URL --- */

static int on_brought(void *arg, struct slice text, struct buf *error)
{
	struct keys *keys = arg;
	struct verifier *verifier = NULL;
	int r = build(keys, &keys->now, text, &verifier, error);

	/* A server that lost its keys for a moment must not lock everybody out. */
	if (r == 0 && !count_used(verifier, keys_url_name(keys->now.url))) {
		buf_append_str(error, "there is no key in the answer that can be used");
		tell_skipped(keys, verifier);
		verifier_unref(verifier);
		r = CONFIG_BAD;
	}
	if (r == 0)
		change(keys, verifier);
	return r;
}

static void on_fetching(void *arg)
{
	struct keys *keys = arg;

	keys->listener.fetching(keys->listener.arg);
}

static void on_fetched(void *arg)
{
	struct keys *keys = arg;

	keys->listener.fetched(keys->listener.arg);
}

/* --- from files --- */

/* With these files nobody would be let in any more, which nobody means: a job that found nothing wrote them.
 * Where tickets let people in, somebody may mean it. True, with the sentence. */
static bool shuts_everybody_out(const struct keys *keys, const struct key_source *source,
	const struct verifier *verifier, struct buf *error)
{
	if (!verifier || source->url || source->config->tickets || !key_files_count(source->files))
		return false;
	if (count_used(verifier, NULL) || !count_used(keys->now.verifier, NULL))
		return false;
	buf_append_str(error, "token_keys: no key in its files can be used, so nobody would be let in any "
			      "more: the old keys go on");
	return true;
}

static void read_files(struct keys *keys)
{
	struct verifier *verifier = NULL;
	struct buf error = {0};
	int r;

	keys->stale |= key_files_look(keys->now.files);
	if (!keys->stale)
		return;
	r = build(keys, &keys->now, text_of(&keys->now), &verifier, &error);
	if (r == 0 && shuts_everybody_out(keys, &keys->now, verifier, &error)) {
		keys->stale = false; /* told once */
		verifier_unref(verifier);
		key_files_refuse(keys->now.files, &error);
	} else if (r == 0) {
		keys->stale = false;
		change(keys, verifier);
		log_info(keys->log, "key files read again", log_uint("keys", count_used(verifier, NULL)));
	} else { /* each text was good by itself, so there was no memory */
		log_error(keys->log, "key files refused, the old keys go on",
			log_str("reason", error.len ? buf_text(&error) : strerror(ENOMEM)));
	}
	buf_deinit(&error);
}

static void on_tick(evutil_socket_t fd, short events, void *arg)
{
	struct keys *keys = arg;

	(void)fd;
	(void)events;
	if (keys->untold)
		keys->untold = keys->listener.changed(keys->listener.arg, keys->now.verifier) < 0;
	read_files(keys);
	if (keys->now.url)
		keys_url_tick(keys->now.url);
}

/* --- configurations --- */

static void source_deinit(struct key_source *source)
{
	verifier_unref(source->verifier);
	keys_url_free(source->url);
	key_files_free(source->files);
	*source = (struct key_source){0};
}

static int source_url(struct keys *keys, struct key_source *source, const char *url, struct buf *error)
{
	const struct keys_url_listener up = {keys, on_brought, on_fetching, on_fetched};
	int r = keys_url_new(keys->base, url, source->config->token_keys_ca, &up, keys->log, keys->metrics,
		&source->url, error);

	return r > 0 ? CONFIG_BAD : r;
}

/* text: what the URL said last, if it is the same one. */
static int source_init(
	struct keys *keys, struct key_source *source, const struct config *config, struct buf *error)
{
	const char *url = config_keys_url(config);
	bool kept = url && keys->now.url && keys_url_is(keys->now.url, url, config->token_keys_ca);
	int r;

	*source = (struct key_source){.config = config};
	r = key_files_new(config, keys->log, keys->metrics, &source->files, error);
	if (r == 0)
		r = claim_names_add(&keys->claims, route_table_claims(config->routes));
	if (r == 0 && url && !kept)
		r = source_url(keys, source, url, error);
	else if (kept)
		source->url = keys->now.url; /* until it is known whether it moves over */
	if (r == 0)
		r = build(keys, source, text_of(source), &source->verifier, error);
	if (kept)
		source->url = NULL;
	if (r)
		source_deinit(source);
	return r;
}

int keys_prepare(struct keys *keys, const struct config *config, struct buf *error)
{
	int r;

	source_deinit(&keys->next);
	r = source_init(keys, &keys->next, config, error);
	if (r || !shuts_everybody_out(keys, &keys->next, keys->next.verifier, error))
		return r;
	source_deinit(&keys->next);
	return CONFIG_BAD;
}

struct verifier *keys_prepared(const struct keys *keys)
{
	return keys->next.verifier;
}

void keys_apply(struct keys *keys, bool go)
{
	const char *url = go && keys->next.config ? config_keys_url(keys->next.config) : NULL;

	if (!go || !keys->next.config) {
		source_deinit(&keys->next);
		return;
	}
	if (url && !keys->next.url) { /* the same as before */
		keys->next.url = keys->now.url;
		keys->now.url = NULL;
		keys_url_hurry(keys->next.url);
	} else if (url) {
		keys_url_start(keys->next.url);
	}
	source_deinit(&keys->now);
	keys->now = keys->next;
	keys->next = (struct key_source){0};
	keys->stale = keys->untold = false; /* whoever asked tells the workers */
	tell_skipped(keys, keys->now.verifier);
	metrics_set(keys->metrics, METRIC_KEYS, count_used(keys->now.verifier, NULL));
}

/* --- what there is --- */

struct verifier *keys_verifier(const struct keys *keys)
{
	return keys->now.verifier;
}

void keys_want(struct keys *keys)
{
	if (keys->now.url)
		keys_url_want(keys->now.url);
}

bool keys_are_awaited(const struct keys *keys)
{
	return keys->now.url && !keys_url_text(keys->now.url).len;
}

uint64_t keys_age_ms(const struct keys *keys, uint64_t now_ms)
{
	return keys->now.url ? keys_url_age_ms(keys->now.url, now_ms) : 0;
}

/* --- building and ending --- */

int keys_new(struct event_base *base, const struct config *config, struct log *log, struct metrics *metrics,
	struct keys **keysp, struct buf *error)
{
	struct timeval interval = {FILE_LOOK_MS / 1000, 0};
	struct keys *keys = calloc(1, sizeof(*keys));
	int r = -ENOMEM;

	if (!keys)
		return -ENOMEM;
	keys->base = base;
	keys->log = log;
	keys->metrics = metrics;
	keys->tick = event_new(base, -1, EV_PERSIST, on_tick, keys);
	if (keys->tick && event_add(keys->tick, &interval) == 0)
		r = source_init(keys, &keys->now, config, error);
	if (r) {
		keys_free(keys);
		return r < 0 ? r : -EINVAL;
	}
	*keysp = keys;
	return 0;
}

void keys_start(struct keys *keys, const struct keys_listener *listener)
{
	keys->listener = *listener;
	keys->started = true;
	tell_skipped(keys, keys->now.verifier);
	metrics_set(keys->metrics, METRIC_KEYS, count_used(keys->now.verifier, NULL));
	if (keys->now.url)
		keys_url_start(keys->now.url);
}

void keys_free(struct keys *keys)
{
	if (!keys)
		return;
	if (keys->tick)
		event_free(keys->tick);
	source_deinit(&keys->next);
	source_deinit(&keys->now);
	claim_names_deinit(&keys->claims);
	free(keys);
}

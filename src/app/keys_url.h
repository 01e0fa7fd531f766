#ifndef TIDEGATE_SRC_APP_KEYS_URL_H
#define TIDEGATE_SRC_APP_KEYS_URL_H

/*
 * Keys by URL: the text of token_keys that stands behind a URL, kept fresh.
 *
 * What was fetched last and was good is kept: a server that is away, slow or talks nonsense takes no key
 * from us. Each failure leaves a line in the log. On the bus thread.
 */

#include <stdbool.h>
#include <stdint.h>

#include "core/slice.h"

struct buf;
struct event_base;
struct keys_url;
struct log;
struct metrics;

struct keys_url_listener {
	void *arg;
	/* Another text than before; borrowed. 0 if it is used from now on, else with a sentence appended
	 * to error. */
	int (*brought)(void *arg, struct slice text, struct buf *error);
	/* A fetch begins; and it was good, whether it brought another text or the same. */
	void (*fetching)(void *arg);
	void (*fetched)(void *arg);
};

/* The first fetch begins with keys_url_start(). log and metrics must outlive it. 0, JWKS_FETCH_BAD with
 * one sentence appended to error, or -ENOMEM. */
int keys_url_new(struct event_base *base, const char *url, const char *ca,
	const struct keys_url_listener *listener, struct log *log, struct metrics *metrics,
	struct keys_url **urlp, struct buf *error);
void keys_url_free(struct keys_url *url); /* accepts NULL */

void keys_url_start(struct keys_url *url);

/* Is it this URL, believed by these authorities? */
bool keys_url_is(const struct keys_url *url, const char *text, const char *ca);

const char *keys_url_name(const struct keys_url *url);

/* What was fetched last and was good; borrowed until the next turn. {NULL, 0}: nothing yet. */
struct slice keys_url_text(const struct keys_url *url);

/* To be called now and then: goes on with what was left undone for want of memory. */
void keys_url_tick(struct keys_url *url);

/* An operator wants them fetched at once. */
void keys_url_hurry(struct keys_url *url);

/* A token names a key that is not known. */
void keys_url_want(struct keys_url *url);

/* How old the keys are; without keys, how long they are waited for. */
uint64_t keys_url_age_ms(const struct keys_url *url, uint64_t now_ms);

#endif

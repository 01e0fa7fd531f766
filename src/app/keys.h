#ifndef TIDEGATE_SRC_APP_KEYS_H
#define TIDEGATE_SRC_APP_KEYS_H

/*
 * Keys: what this node judges tokens by, kept fresh.
 *
 * Key files are looked at every ten seconds and at each reload, a URL is fetched now and then (keys_url.h).
 * A file or an answer that cannot be used is refused as a whole, with a line in the log: its last good
 * keys go on, and neither stands in the way of the other. What fails for want of memory is tried again at
 * the next look. On the bus thread.
 */

#include <stdbool.h>
#include <stdint.h>

struct buf;
struct config;
struct event_base;
struct keys;
struct log;
struct metrics;
struct verifier;

struct keys_listener {
	void *arg;
	/* Other keys hold from now on; borrowed. 0, or negative errno: it is told again a moment later. */
	int (*changed)(void *arg, struct verifier *verifier);
	/* A fetch begins; and it was good. Its keys were told by changed() before, if they are other
	 * ones. */
	void (*fetching)(void *arg);
	void (*fetched)(void *arg);
};

/*
 * Reads the files; the first fetch comes with keys_start(). The config is borrowed until keys_apply()
 * brings another; log and metrics outlive the keys. 0, or negative errno with one sentence appended to
 * error.
 */
int keys_new(struct event_base *base, const struct config *config, struct log *log, struct metrics *metrics,
	struct keys **keysp, struct buf *error);
void keys_free(struct keys *keys); /* accepts NULL */

void keys_start(struct keys *keys, const struct keys_listener *listener);

/* Borrowed until the next turn. NULL: nothing is configured that tokens or tickets could be judged by. */
struct verifier *keys_verifier(const struct keys *keys);

/* Prepares those of another configuration; where that can fail, it fails here. 0, CONFIG_BAD or negative
 * errno, where possible with one sentence appended to error. */
int keys_prepare(struct keys *keys, const struct config *config, struct buf *error);

/* What was prepared. Borrowed until keys_apply(). */
struct verifier *keys_prepared(const struct keys *keys);

/* It holds from now on, and whoever asked has told the workers; or it is dropped. */
void keys_apply(struct keys *keys, bool go);

/* A token names a key that is not known. */
void keys_want(struct keys *keys);

/* No keys have come from the URL yet, since the start or since a reload named another one. */
bool keys_are_awaited(const struct keys *keys);

/* How long ago the URL was last asked with success; 0 without a URL. */
uint64_t keys_age_ms(const struct keys *keys, uint64_t now_ms);

#endif

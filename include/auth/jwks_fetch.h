#ifndef TIDEGATE_AUTH_JWKS_FETCH_H
#define TIDEGATE_AUTH_JWKS_FETCH_H

/*
 * JWKS fetch: the text behind one URL, by libcurl on the loop of the caller.
 *
 * Only the configured URL is asked: it is not left for another by a redirect. An answer has 5 s to be there
 * and may have 256 KiB. The certificate of an https server has to be good and of its name; http is for
 * servers on this machine, since whoever can change the answer can make tokens.
 *
 * It fetches when it is told to, once. When to fetch, and what the text is worth, others decide.
 */

#include <stdbool.h>

#include "core/slice.h"

struct buf;
struct event_base;
struct jwks_fetch;

enum {
	JWKS_FETCH_MS = 5000,
	JWKS_BYTES_MAX = 256 * 1024,
	JWKS_FETCH_BAD = 1, /* a sentence is in the error buffer */
};

/* text: the answer, borrowed; or reason: why there is none, one sentence without a full stop; the other
 * is empty. It may start the next fetch, and must not free this one. */
typedef void (*jwks_fetched_fn)(void *arg, struct slice text, const char *reason);

/* Can this URL be asked by this build? 0, or JWKS_FETCH_BAD with one sentence appended to error. */
int jwks_fetch_check(const char *url, struct buf *error);

/*
 * ca: a PEM file with the authorities that the server is believed by; NULL or "": those of the system. 0; or
 * JWKS_FETCH_BAD, as above; or -ENOMEM.
 */
int jwks_fetch_new(struct event_base *base, const char *url, const char *ca, jwks_fetched_fn fetched,
	void *arg, struct jwks_fetch **fetchp, struct buf *error);

/* Fetches. fetched() is called later, once. 0; -EALREADY: a fetch is under way, whose answer counts;
 * -ENOMEM. */
int jwks_fetch_start(struct jwks_fetch *fetch);

/*
 * Lets a fetch that is under way go on, and end where its time is over. To be called now and then: without
 * memory the loop may have lost its events, and nothing else would ever end it. It may call fetched().
 */
void jwks_fetch_nudge(struct jwks_fetch *fetch);

bool jwks_fetch_is_under_way(const struct jwks_fetch *fetch);

/* Without a call of fetched(). Accepts NULL. */
void jwks_fetch_free(struct jwks_fetch *fetch);

#endif

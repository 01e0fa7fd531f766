#ifndef TIDEGATE_AUTH_KEY_REFRESH_H
#define TIDEGATE_AUTH_KEY_REFRESH_H

/*
 * Key refresh: when keys are fetched from their URL. Pure: time is handed in.
 *
 * At the start; then every ten minutes; sooner when a token names a key that is not known, but never twice
 * within half a minute, so that nobody can use us to flood the server with questions. After a failure the
 * next try comes after one second, then after two, and so on up to a minute, as long as there are no keys
 * at all; with keys it comes after half a minute.
 */

#include <stdbool.h>
#include <stdint.h>

enum {
	KEY_REFRESH_MS = 10 * 60 * 1000,
	KEY_REFRESH_APART_MS = 30 * 1000,
	KEY_REFRESH_RETRY_MS = 1000, /* the first wait of a gateway that has no keys yet */
	KEY_REFRESH_RETRY_MAX_MS = 60 * 1000,
};

/* Zeroed memory: nothing was fetched yet, and it is due. */
struct key_refresh {
	uint64_t due_ms;
	uint64_t began_ms;   /* the last fetch, or the one that is under way */
	uint64_t retry_ms;   /* the last wait after a failure, without keys; 0: none yet */
	uint64_t fetched_ms; /* when keys came last; 0: never */
	bool under_way;
	bool wanted; /* by a token, since the last fetch began */
};

/* Is it time to fetch? */
bool key_refresh_is_due(const struct key_refresh *refresh, uint64_t now_ms);

/* How long until it is; 0: now. UINT64_MAX: a fetch is under way. */
uint64_t key_refresh_wait_ms(const struct key_refresh *refresh, uint64_t now_ms);

/* A fetch begins. */
void key_refresh_begin(struct key_refresh *refresh, uint64_t now_ms);

/* It is over. good: keys came. */
void key_refresh_end(struct key_refresh *refresh, bool good, uint64_t now_ms);

/* A token names a key that is not known: it is fetched as soon as may be. */
void key_refresh_want(struct key_refresh *refresh);

/* Somebody who may ask for it wants a fetch at once. */
void key_refresh_hurry(struct key_refresh *refresh);

#endif

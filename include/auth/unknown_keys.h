#ifndef TIDEGATE_AUTH_UNKNOWN_KEYS_H
#define TIDEGATE_AUTH_UNKNOWN_KEYS_H

/*
 * Unknown keys: which keys, named by tokens, were asked for in vain. One worker's; pure, time is handed in.
 *
 * A token may name a key that we do not have because its issuer made a new one a moment ago. It is refused
 * for good only after a fetch that began later than the token was first seen; until then its client is told
 * to come again. So a rotation refuses nobody, and neither do strangers who keep the fetches busy with
 * names that they make up.
 *
 * Names are kept as bits under a hash: two that share one are refused together at worst, for half a minute.
 */

#include <stdbool.h>
#include <stdint.h>

#include "core/slice.h"

enum {
	UNKNOWN_KEYS_BITS = 4096,
	UNKNOWN_KEYS_WORDS = UNKNOWN_KEYS_BITS / 64,
	UNKNOWN_KEYS_AGAIN_MS = 1000, /* between two times that a fetch is wished for */
};

/* Zeroed memory: none yet. */
struct unknown_keys {
	uint64_t asked[UNKNOWN_KEYS_WORDS];     /* since the last fetch began */
	uint64_t under_way[UNKNOWN_KEYS_WORDS]; /* asked before the fetch that is under way */
	uint64_t refused[UNKNOWN_KEYS_WORDS];   /* asked before the last fetch, which did not bring them */
	uint64_t fetched_ms;                    /* when that one was over; 0: there was none */
	uint64_t wish_ms; /* until then no fetch needs to be wished for, since one was */
};

/* True: the client may come again after the next fetch, which is wanted now. False: there is no such key. */
bool unknown_keys_ask(struct unknown_keys *keys, struct slice name, uint64_t now_ms);

/* Is a fetch to be wished for, since nobody did, or no fetch has come of it? And somebody has wished. */
bool unknown_keys_wish_is_due(const struct unknown_keys *keys, uint64_t now_ms);
void unknown_keys_wished(struct unknown_keys *keys, uint64_t now_ms);

/* A fetch begins; and it has brought keys. One that failed only begins again. */
void unknown_keys_begin(struct unknown_keys *keys);
void unknown_keys_fetched(struct unknown_keys *keys, uint64_t now_ms);

#endif

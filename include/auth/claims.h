#ifndef TIDEGATE_AUTH_CLAIMS_H
#define TIDEGATE_AUTH_CLAIMS_H

/*
 * Claims: the JSON text of a token's payload, or of a ticket, to an identity.
 *
 * Pure. The text may be a stranger's: whoever has it from a token has checked its signature, or forgets what
 * comes out. Members that stand twice, bytes behind the object and numbers that no int64 holds are refused,
 * because two readers could understand them differently.
 */

#include <stdbool.h>
#include <stdint.h>

#include "auth/identity.h"
#include "auth/token_fault.h"
#include "core/slice.h"

enum {
	CLAIMS_BYTES_MAX = 8000, /* of the text; as many as a token has */
};

/* Borrowed for the length of a call, unless its taker says otherwise. */
struct claims_rules {
	struct identity_rules identity;
	const char *issuer;   /* what `iss` must be; NULL: anything */
	const char *audience; /* what `aud` must be or hold; NULL: anything */
	int64_t leeway_ms;    /* by which clocks may differ; not negative */
	bool exp_optional;    /* of tickets: Redis forgets them by itself */
};

/* 0 and *identityp, which is the caller's; -ENOMEM; or an enum token_fault. now_ms: the wall clock. */
int claims_read(
	struct slice json, const struct claims_rules *rules, int64_t now_ms, struct identity **identityp);

#endif

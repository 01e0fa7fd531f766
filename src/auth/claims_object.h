#ifndef TIDEGATE_SRC_AUTH_CLAIMS_OBJECT_H
#define TIDEGATE_SRC_AUTH_CLAIMS_OBJECT_H

/* Claims object: claims that are parsed already; see auth/claims.h. */

#include <stdint.h>

#include "core/slice.h"

struct claims_rules;
struct identity;
struct json_t; /* jansson's */

/* 0 and *objectp, which the caller gives back; -ENOMEM; or TOKEN_MALFORMED: it is no JSON object. */
int claims_parse(struct slice json, struct json_t **objectp);

/*
 * What the time says of the token: TOKEN_GOOD, TOKEN_NO_EXP, TOKEN_EXPIRED, TOKEN_NOT_YET, or
 * TOKEN_MALFORMED for an nbf that is no number. It is looked at before the signature: most tokens of a
 * storm have expired, and a signature costs ten times as much.
 */
int claims_time(const struct json_t *object, const struct claims_rules *rules, int64_t now_ms);

/* The rest, after claims_time() found the token good. As claims_read(). */
int claims_identity(
	const struct json_t *object, const struct claims_rules *rules, struct identity **identityp);

#endif

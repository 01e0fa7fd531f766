#ifndef TIDEGATE_SRC_AUTH_CLAIMS_OBJECT_H
#define TIDEGATE_SRC_AUTH_CLAIMS_OBJECT_H

/*
 * Claims object: the members of a token's payload, or of a ticket, where they lie; see auth/claims.h.
 *
 * It is read for each connection, mostly without being believed yet, so it takes no memory. json_check()
 * knows the grammar. What it lets pass and two readers could understand differently is refused here: a name
 * that stands twice in an object, at any depth, a NUL or half a surrogate pair in a string, and a number that
 * no int64 or no double holds.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/slice.h"

struct claims_rules;
struct identity;

enum {
	CLAIMS_DEPTH_MAX = 16,  /* brackets open at a time */
	CLAIMS_NAMES_MAX = 256, /* members of all objects that are open at a time */
};

struct claims_member {
	struct slice name; /* as it stands, like the value */
	struct slice value;
	bool escaped; /* the name is */
};

struct claims_object {
	size_t n_members;
	struct claims_member members[CLAIMS_NAMES_MAX];
};

/* Reads text[0..len), which the object borrows. 0, or TOKEN_MALFORMED: it is no
 * object that each reader understands alike, or one beyond the bounds. */
int claims_parse(const char *text, size_t len, struct claims_object *object);

/* The value of a member, checked by json_check(); {NULL, 0} if it is not there. */
struct slice claims_value(const struct claims_object *object, const char *name);

/*
 * What the time says of the token: TOKEN_GOOD, TOKEN_NO_EXP, TOKEN_EXPIRED, TOKEN_NOT_YET, or
 * TOKEN_MALFORMED for an nbf that is no number. It is looked at before the signature: most tokens of a
 * storm have expired, and a signature by a public key costs twenty times as much.
 */
int claims_time(const struct claims_object *object, const struct claims_rules *rules, int64_t now_ms);

/* The rest, after claims_time() found the token good. As claims_read(). */
int claims_identity(
	const struct claims_object *object, const struct claims_rules *rules, struct identity **identityp);

#endif

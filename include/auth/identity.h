#ifndef TIDEGATE_AUTH_IDENTITY_H
#define TIDEGATE_AUTH_IDENTITY_H

/*
 * Identity: who a connection is, as its token or ticket said.
 *
 * One block of memory that does not change, with one owner: the rights of the connection. It keeps what may
 * be asked later and nothing else of the token: the user, the claims that routes use as {token.NAME}, the
 * patterns of the `channels` claim, and when it ends.
 *
 * What a token says is any text, and the part of a channel's name is not. So bytes outside A-Za-z0-9._- stand
 * as ~XX in it, and "." and ".." as ~2E and ~2E~2E: each text has one form, so users never share a name.
 */

#include <stdbool.h>
#include <stdint.h>

#include "core/slice.h"

enum {
	IDENTITY_USER_MAX = 255,    /* bytes: what OpenID Connect allows of `sub` */
	IDENTITY_PART_MAX = 128,    /* of a claim as the part of a name, as long as an id of a path may be */
	IDENTITY_TEXT_MAX = 255,    /* of a claim as it stands: room for a name in any script */
	IDENTITY_PATTERN_MAX = 255, /* of a pattern in `channels`, as long as a channel's name may be */
	IDENTITY_PATTERNS_MAX = 64, /* each subscribe is compared with all */
	IDENTITY_TOKEN_MAX = 255,   /* of `jti`; of a longer one nothing is kept */
};

/* A token that does not say when it was made. */
#define IDENTITY_UNDATED INT64_MIN

struct identity;

/* Which claims mean what. Borrowed for the length of a call, unless its taker says otherwise. */
struct identity_rules {
	const char *user;     /* the claim that names the user: "sub" */
	const char *channels; /* the claim that lists channels: "channels" */
	/* Further claims that routes use; NULL-terminated, or NULL. "=NAME" is the claim NAME as it stands
	 * and not as the part of a name. */
	const char *const *claims;
};

/* As the token says, not escaped; without NUL, otherwise any UTF-8. Never NULL, never empty. */
const char *identity_user(const struct identity *identity);

/*
 * A claim as the part of a channel's name, or as it stands where its name begins with '='. {NULL, 0}: the
 * token has no string or integer of this name, it is empty, or its form is longer than IDENTITY_PART_MAX;
 * or nobody had asked for the claim when the token was read. Borrowed for the identity's life.
 */
struct slice identity_claim(const struct identity *identity, const char *name);

/*
 * Does the `channels` claim list this channel? A pattern has the parts of a name, joined by ':', each
 * literal, "*" for any one part, or "{sub}" for the user.
 */
bool identity_lists(const struct identity *identity, struct slice channel);

/* When the token ends, in milliseconds of the wall clock; INT64_MAX: never. */
int64_t identity_deadline_ms(const struct identity *identity);

/* When the token was made (`iat`), in milliseconds of the wall clock; or IDENTITY_UNDATED. */
int64_t identity_issued_ms(const struct identity *identity);

/* The token's own name (`jti`), as it says; "" without one. Never NULL. */
const char *identity_token(const struct identity *identity);

void identity_free(struct identity *identity); /* accepts NULL */

#endif

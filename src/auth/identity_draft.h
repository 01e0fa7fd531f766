#ifndef TIDEGATE_SRC_AUTH_IDENTITY_DRAFT_H
#define TIDEGATE_SRC_AUTH_IDENTITY_DRAFT_H

/* Identity draft: an identity while its claims are read. First the user, then claims, then patterns. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/slice.h"

struct identity;

struct identity_draft {
	struct buf text;     /* what identity.c says of its layout */
	struct slice part;   /* the user as a part of a name, of part_text; {NULL, 0} if it is none */
	char part_text[128]; /* IDENTITY_PART_MAX */
	char token[256];     /* IDENTITY_TOKEN_MAX, and a NUL: the token's name; "" without one */
	bool dated;          /* it says when it was made: at issued_ms */
	int64_t issued_ms;
	unsigned int n_claims;
	unsigned int n_patterns;
};

/* The name of the token, before its user. One that is too long, or has a NUL, is left out. */
void identity_draft_token(struct identity_draft *draft, struct slice name);

/* name: of the claim. False: it is empty, too long, or has a NUL. */
bool identity_draft_user(struct identity_draft *draft, const char *name, struct slice user);

/* What cannot be the part of a name is left out: to whoever asks it is absent. */
void identity_draft_claim(struct identity_draft *draft, const char *name, struct slice value);

/* The same as it stands, up to IDENTITY_TEXT_MAX bytes. */
void identity_draft_text(struct identity_draft *draft, const char *name, struct slice value);

/* False: it is no pattern, or one too many. */
bool identity_draft_pattern(struct identity_draft *draft, struct slice pattern);

/* 0 or -ENOMEM. The draft is to be deinitialised in any case. */
int identity_draft_finish(struct identity_draft *draft, int64_t deadline_ms, struct identity **identityp);
void identity_draft_deinit(struct identity_draft *draft);

#endif

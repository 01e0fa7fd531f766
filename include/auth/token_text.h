#ifndef TIDEGATE_AUTH_TOKEN_TEXT_H
#define TIDEGATE_AUTH_TOKEN_TEXT_H

/* Token text: tokens for people. One to try something out with, and what is in one. */

#include "core/slice.h"

struct buf;

enum {
	TOKEN_TEXT_BAD = 1, /* a sentence is in the error buffer */
};

/*
 * Appends a token with this payload, signed with HS256 and a secret as it is configured ("base64:…" for
 * bytes). 0; -ENOMEM; TOKEN_TEXT_BAD: the secret is none. What the payload says is not looked at.
 */
int token_text_sign(const char *secret, struct slice payload, struct buf *out, struct buf *error);

/*
 * Appends the header and the payload of a token, a line of JSON each, of ASCII without control characters;
 * of a malformed token what can be read. 0, or -ENOMEM.
 */
int token_text_show(struct slice token, struct buf *out);

/* What is wrong with the form of a token that is malformed: a sentence without a full stop, for people. */
const char *token_text_fault(struct slice token);

#endif

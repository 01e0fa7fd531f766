#ifndef TIDEGATE_AUTH_REHEARSAL_H
#define TIDEGATE_AUTH_REHEARSAL_H

/*
 * Rehearsal: each kind of signature is looked at once, before a token needs it.
 *
 * As tls/tls_rehearsal.h says, OpenSSL remembers for good what it has not found, and without memory it finds
 * nothing: one allocation that failed with the first token, and no token of its kind would ever be let in.
 */

/* How many kinds cannot be checked here, 0 at best: where the configuration of OpenSSL forbids one; or
 * -ENOMEM. */
int auth_rehearse(void);

#endif

#ifndef TIDEGATE_WS_HANDSHAKE_RULES_H
#define TIDEGATE_WS_HANDSHAKE_RULES_H

/*
 * Handshake rules: what requests are held against, as far as a reload can change it.
 *
 * They are made on the bus thread and handed to a worker as a whole. Zeroed memory has no rules and needs no
 * deinit.
 */

#include "auth/credential.h"

struct buf;
struct origins;
struct trusted;
struct verifier;

struct handshake_rules {
	struct trusted *trusted;   /* proxies */
	struct origins *origins;   /* of pages that may connect */
	struct verifier *verifier; /* one reference; NULL: no token is taken */
	bool keys_come_by_url;     /* a key that is not known may be there */
	unsigned int files;        /* sets of web/files that are served */
	struct credential_rules credentials;
};

/* What a configuration says, borrowed for the call. */
struct handshake_rules_spec {
	char *const *trusted;      /* addresses and CIDR blocks; NULL-terminated */
	char *const *origins;      /* likewise */
	struct verifier *verifier; /* gets one more reference; may be NULL */
	bool keys_come_by_url;
	bool serves_client; /* the JavaScript client */
	bool serves_demo;   /* and the page of the demonstration */
	struct credential_rules credentials;
};

/* 0, -EINVAL with one sentence appended to error, or -ENOMEM. */
int handshake_rules_init(
	struct handshake_rules *rules, const struct handshake_rules_spec *spec, struct buf *error);
void handshake_rules_deinit(struct handshake_rules *rules);

/* Moves them out of where they were. */
struct handshake_rules handshake_rules_take(struct handshake_rules *from);

#endif

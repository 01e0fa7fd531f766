#ifndef TIDEGATE_ADMIN_AUTH_H
#define TIDEGATE_ADMIN_AUTH_H

/*
 * Auth: may this request be answered?
 *
 * The token is kept and compared as a digest, so timing tells neither its length nor how much of a guess was
 * right. It takes texts, not requests.
 */

#include <stdbool.h>
#include <stddef.h>

enum {
	ADMIN_DIGEST_BYTES = 32, /* SHA-256 */
	ADMIN_HOST_MAX = 255,
};

struct admin_auth {
	bool wants_token;
	bool metrics_public;
	unsigned char digest[ADMIN_DIGEST_BYTES];
	char host[ADMIN_HOST_MAX + 1]; /* that the listener was told, for the Host header */
};

/* token: "" if no token is wanted. 0, or -EIO if there is no SHA-256. */
int admin_auth_init(struct admin_auth *auth, const char *token, bool metrics_public, const char *host);

/* Is the value of an Authorization header "Bearer " and the token? */
bool admin_auth_token(const struct admin_auth *auth, const char *authorization, size_t len);

/*
 * Could a page of another site have led a browser here by a name that it makes point to this address (DNS
 * rebinding)? Addresses, names without a dot, localhost and the listener's own name are sane; a name of the
 * public DNS is not.
 */
bool admin_auth_host(const struct admin_auth *auth, const char *host);

/* Is the Origin that of the Host itself? */
bool admin_auth_origin(const char *origin, const char *host);

#endif

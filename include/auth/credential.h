#ifndef TIDEGATE_AUTH_CREDENTIAL_H
#define TIDEGATE_AUTH_CREDENTIAL_H

/*
 * Credential: where in a request the token is, or the ticket.
 *
 * Pure: it reads a head and judges no token. There are five places, in this order:
 *
 *   Authorization: Bearer TOKEN                servers, and clients that are no browsers
 *   Sec-WebSocket-Protocol: tidegate.bearer.…  pages: the one header that they can set
 *   ?ticket=TICKET                             pages whose backend hands out tickets
 *   Cookie: NAME=TOKEN                         pages; browsers add it for any page, so Origin counts
 *   ?NAME=TOKEN                                clients that know nothing else; proxies log it
 *
 * The first place where something stands counts: if that is bad, the others are not looked at, or a client
 * would be let in as somebody else than it believes. What stands in one place twice is bad, too: of two
 * readers each could take another one.
 */

#include <stdbool.h>

#include "core/slice.h"
#include "http/request_head.h"

enum credential_place {
	CREDENTIAL_BEARER,
	CREDENTIAL_SUBPROTOCOL,
	CREDENTIAL_TICKET,
	CREDENTIAL_COOKIE,
	CREDENTIAL_QUERY,
	N_CREDENTIAL_PLACES,
};

enum {
	CREDENTIAL_NONE = 1, /* in none of the places */
	CREDENTIAL_BAD,      /* the place that counts has two, or one that no token is as long as */

	CREDENTIAL_TEXT_SIZE = 8192,
};

/* Places that an operator opens. Borrowed. */
struct credential_rules {
	const char *cookie; /* its name; NULL or "": no cookie is looked at */
	const char *query;  /* likewise, of a member of the query */
	bool tickets;
};

struct credential {
	enum credential_place place;
	struct slice token;              /* may be empty; of the head, or of the text below */
	char text[CREDENTIAL_TEXT_SIZE]; /* what stands in a query, percent-decoded once */
};

/* 0, CREDENTIAL_NONE or CREDENTIAL_BAD. The head and its bytes stay the caller's. */
int credential_find(
	const struct request_head *head, const struct credential_rules *rules, struct credential *out);

/* Does it stand among the subprotocols? Then the answer has to name another of them, or browsers hang up. */
bool credential_in_subprotocols(const struct request_head *head);

/* One word, for the log: "bearer", "subprotocol", "ticket", "cookie", "query". */
const char *credential_place_name(enum credential_place place);

#endif

/* Ws identify: the token that a client shows on its open connection; see ws/ws_server.h. */

#include "ws/ws_server.h"

#include "auth/token_fault.h"
#include "auth/verifier.h"
#include "client/clients.h"
#include "core/clock.h"
#include "core/log.h"
#include "ws/ws_server_private.h"

int ws_server_identify(struct ws_server *server, struct slice token, struct identity **identityp)
{
	struct verifier_result result;
	uint64_t suppressed;
	enum refusal as;
	int r;

	*identityp = NULL;
	if (!server->rules.verifier)
		return CLIENT_TOKEN_INVALID; /* a reload took the keys away just now */
	r = verifier_check(
		server->rules.verifier, server->verifying, token, (int64_t)clock_wall_ms(), &result);
	if (r == 0)
		*identityp = result.identity;
	if (r <= 0)
		return r;
	if (r == TOKEN_UNKNOWN_KEY && ws_server_wants_key(server, result.kid))
		return CLIENT_TOKEN_LATER;
	as = r == TOKEN_EXPIRED ? REFUSAL_TOKEN_EXPIRED : REFUSAL_TOKEN_INVALID;
	if (log_limit_allow(server->log, &server->refused_limits[as], clock_monotonic_ms(), &suppressed))
		log_warn(server->log, "token refused", log_str("code", handshake_refusal(as)->code),
			log_str("why", token_fault_name((enum token_fault)r)), log_str("place", "auth"),
			log_str("kid", result.kid), log_str("alg", result.alg),
			log_uint("suppressed", suppressed));
	return r == TOKEN_EXPIRED ? CLIENT_TOKEN_EXPIRED : CLIENT_TOKEN_INVALID;
}

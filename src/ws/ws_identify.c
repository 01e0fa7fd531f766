/* Ws identify: the token that a client shows on its open connection; see ws/ws_server.h. */

#include "ws/ws_server.h"

#include "auth/identity.h"
#include "auth/revocations.h"
#include "auth/token_fault.h"
#include "auth/verifier.h"
#include "client/client.h"
#include "client/clients.h"
#include "core/clock.h"
#include "core/ip.h"
#include "core/log.h"
#include "ws/ws_server_private.h"

static void note_refusal(struct ws_server *server, const struct client *client, int fault,
	const struct verifier_result *result)
{
	enum refusal as = fault == TOKEN_EXPIRED ? REFUSAL_TOKEN_EXPIRED : REFUSAL_TOKEN_INVALID;
	char remote[INET6_ADDRSTRLEN];
	uint64_t suppressed;

	if (!log_limit_allow(server->log, &server->refused_limits[as], clock_monotonic_ms(), &suppressed))
		return;
	ip_print(&client->remote, remote);
	log_warn(server->log, "token refused", log_str("code", handshake_refusal(as)->code),
		log_str("why", token_fault_name((enum token_fault)fault)), log_str("place", "auth"),
		log_str("kid", result->kid), log_str("alg", result->alg), log_uint("conn", client->id),
		log_str("remote", remote), log_uint("suppressed", suppressed));
}

int ws_server_identify(struct ws_server *server, const struct client *client, struct slice token,
	struct identity **identityp)
{
	struct verifier_result result;
	int r;

	*identityp = NULL;
	if (!server->rules.verifier)
		return CLIENT_TOKEN_INVALID; /* a reload took the keys away just now */
	r = verifier_check(
		server->rules.verifier, server->verifying, token, (int64_t)clock_wall_ms(), &result);
	if (r == 0 && revocations_have(server->revocations, result.identity, (int64_t)clock_wall_ms())) {
		identity_free(result.identity);
		return CLIENT_TOKEN_REVOKED;
	}
	if (r == 0)
		*identityp = result.identity;
	if (r <= 0)
		return r;
	if (r == TOKEN_UNKNOWN_KEY && ws_server_wants_key(server, result.kid))
		return CLIENT_TOKEN_LATER;
	note_refusal(server, client, r, &result);
	return r == TOKEN_EXPIRED ? CLIENT_TOKEN_EXPIRED : CLIENT_TOKEN_INVALID;
}

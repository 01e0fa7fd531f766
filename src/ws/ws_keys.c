/* Ws keys: what a worker's handshakes know of the keys that tokens are judged by, and of those that come. */

#include "auth/revocations.h"
#include "auth/unknown_keys.h"
#include "auth/verifier.h"
#include "core/clock.h"
#include "ws/ws_server_private.h"

bool ws_server_wants_key(struct ws_server *server, const char *kid)
{
	uint64_t now_ms = clock_monotonic_ms();

	if (!server->rules.keys_come_by_url ||
		!unknown_keys_ask(&server->unknown_keys, slice_of(kid), now_ms))
		return false;
	if (unknown_keys_wish_is_due(&server->unknown_keys, now_ms) && server->up.keys(server->up.arg) == 0)
		unknown_keys_wished(&server->unknown_keys, now_ms);
	return true;
}

void ws_server_keys_fetching(struct ws_server *server)
{
	unknown_keys_begin(&server->unknown_keys);
}

void ws_server_keys_fetched(struct ws_server *server)
{
	unknown_keys_fetched(&server->unknown_keys, clock_monotonic_ms());
}

void ws_server_set_verifier(struct ws_server *server, struct verifier *verifier)
{
	verifier_unref(server->rules.verifier);
	server->rules.verifier = verifier;
}

void ws_server_set_revocations(struct ws_server *server, struct revocations *revocations)
{
	revocations_unref(server->revocations);
	server->revocations = revocations;
}

/* Ws keys: what a worker's handshakes know of the keys that tokens are judged by, and of those that come. */

#include "auth/unknown_keys.h"
#include "auth/verifier.h"
#include "core/clock.h"
#include "ws/ws_server_private.h"

bool ws_server_wants_key(struct ws_server *server, const char *kid)
{
	if (!server->rules.keys_come_by_url ||
		!unknown_keys_ask(&server->unknown_keys, slice_of(kid), clock_monotonic_ms()))
		return false;
	/* One wish is enough until the fetch begins. */
	if (!server->keys_wanted)
		server->up.keys(server->up.arg);
	server->keys_wanted = true;
	return true;
}

void ws_server_keys_fetching(struct ws_server *server)
{
	unknown_keys_begin(&server->unknown_keys);
	server->keys_wanted = false;
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

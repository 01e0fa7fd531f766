/* Handshake rules: what requests are held against; see the header. */

#include "ws/handshake_rules.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "auth/verifier.h"
#include "http/origin.h"
#include "web/files.h"
#include "ws/trusted.h"

int handshake_rules_init(
	struct handshake_rules *rules, const struct handshake_rules_spec *spec, struct buf *error)
{
	const struct credential_rules *names = &spec->credentials;
	int r = -ENOMEM;

	*rules = (struct handshake_rules){
		.credentials.tickets = names->tickets, .keys_come_by_url = spec->keys_come_by_url};
	rules->files = (spec->serves_client ? WEB_CLIENT : 0) | (spec->serves_demo ? WEB_DEMO : 0);
	if (spec->verifier)
		rules->verifier = verifier_ref(spec->verifier);
	rules->credentials.cookie = strdup(names->cookie ? names->cookie : "");
	rules->credentials.query = strdup(names->query ? names->query : "");
	rules->origins = origins_new(spec->origins);
	if (rules->credentials.cookie && rules->credentials.query && rules->origins)
		r = trusted_new(spec->trusted, &rules->trusted, error);
	if (r < 0)
		handshake_rules_deinit(rules);
	return r;
}

void handshake_rules_deinit(struct handshake_rules *rules)
{
	trusted_free(rules->trusted);
	origins_free(rules->origins);
	verifier_unref(rules->verifier);
	free((char *)rules->credentials.cookie);
	free((char *)rules->credentials.query);
	*rules = (struct handshake_rules){0};
}

struct handshake_rules handshake_rules_take(struct handshake_rules *from)
{
	struct handshake_rules taken = *from;

	*from = (struct handshake_rules){0};
	return taken;
}

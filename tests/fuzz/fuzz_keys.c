/*
 * Fuzz key_set_add_text(): the input is PEM or a JWKS. Whatever it is, each key either has algorithms, and
 * libjwt has it, or says why it is skipped; a URL gives no secret; and a token is tried with keys of its
 * algorithm alone.
 */

#include "fuzz.h"

#include <stdbool.h>
#include <string.h>

#include "auth/key_set.h"
#include "core/buf.h"

static void look_at(const struct key_set *set, bool remote)
{
	const unsigned int secrets = 1u << ALGORITHM_HS256 | 1u << ALGORITHM_HS384 | 1u << ALGORITHM_HS512;

	for (size_t i = 0; i < key_set_count(set); i++) {
		const struct key *key = key_set_at(set, i);

		PROMISE(!key->skipped == !!key->set && (!key->set || key->signing) &&
			!key->set == !*key->algorithms);
		PROMISE(!remote || !(key->set & secrets));
		PROMISE(!(key->set & secrets) || !(key->set & ~secrets));
		PROMISE(!(key->set & 1u << ALGORITHM_RS256) || key->bits >= 2048);
		PROMISE(!(key->set & 1u << ALGORITHM_HS256) || key->bits >= 256);
	}
	for (unsigned int algorithm = 0; algorithm < N_ALGORITHMS; algorithm++) {
		const struct key *found[KEY_TRIES_MAX];
		size_t n = key_set_find(set, (enum algorithm)algorithm, "a", found);

		for (size_t i = 0; i < n; i++)
			PROMISE(found[i]->set & 1u << algorithm &&
				(!found[i]->kid || strcmp(found[i]->kid, "a") == 0));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	for (int remote = 0; remote <= 1; remote++) {
		struct key_set *set = key_set_new((1u << N_ALGORITHMS) - 1);
		struct buf error = {0};
		int r;

		PROMISE(set);
		r = key_set_add_text(set, "input", (struct slice){(const char *)data, size}, remote, &error);
		PROMISE(r == 0 || r == KEY_SET_BAD);
		PROMISE((r == 0) == (error.len == 0));
		look_at(set, remote);
		buf_deinit(&error);
		key_set_free(set);
	}
	return 0;
}

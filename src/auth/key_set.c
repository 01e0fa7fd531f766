/*
 * Key set: the keys that tokens may be signed with; see the header.
 *
 * Each key becomes a JWK, is looked at by us, and handed to libjwt alone: what is wrong with one is no
 * matter to the others. Private parts are taken off before.
 */

#include "auth/key_set.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <jwt.h>
#include <openssl/err.h>

#include "auth/base64.h"
#include "auth/json_memory.h"
#include "auth/pem_key.h"
#include "auth/secret.h"
#include "auth/signature.h"
#include "auth/verifier.h"
#include "core/buf.h"

struct key_set {
	unsigned int accepted;
	jwk_set_t *jwks; /* owns the items */
	struct key keys[KEYS_MAX];
	size_t n_keys;
	bool has_remote; /* keys from a URL, which may have others by now */
};

struct key_set *key_set_new(unsigned int accepted)
{
	struct key_set *set = calloc(1, sizeof(*set));

	if (set)
		set->accepted = accepted;
	return set;
}

static void key_deinit(struct key *key)
{
	free((char *)key->source);
	free((char *)key->kind);
	free((char *)key->kid);
	free((char *)key->algorithms);
	free((char *)key->skipped);
	signature_key_unref(key->signing);
}

void key_set_free(struct key_set *set)
{
	if (!set)
		return;
	for (size_t i = 0; i < set->n_keys; i++)
		key_deinit(&set->keys[i]);
	jwks_free(set->jwks);
	free(set);
}

bool key_set_has_remote(const struct key_set *set)
{
	return set->has_remote;
}

size_t key_set_count(const struct key_set *set)
{
	return set->n_keys;
}

const struct key *key_set_at(const struct key_set *set, size_t i)
{
	return &set->keys[i];
}

/* --- one key -------------------------------------------------------------------------------- */

static const char *text_of(const json_t *jwk, const char *name)
{
	return json_string_value(json_object_get(jwk, name));
}

static bool text_is(const json_t *jwk, const char *name, const char *wanted)
{
	const char *text = text_of(jwk, name);

	return text && strcmp(text, wanted) == 0;
}

static enum key_kind kind_of(const json_t *jwk)
{
	if (text_is(jwk, "kty", "oct"))
		return KEY_SECRET;
	if (text_is(jwk, "kty", "RSA"))
		return KEY_RSA;
	if (text_is(jwk, "kty", "OKP"))
		return text_is(jwk, "crv", "Ed25519") ? KEY_ED25519 : KEY_UNKNOWN;
	if (!text_is(jwk, "kty", "EC"))
		return KEY_UNKNOWN;
	if (text_is(jwk, "crv", "P-256"))
		return KEY_P256;
	if (text_is(jwk, "crv", "P-384"))
		return KEY_P384;
	return text_is(jwk, "crv", "P-521") ? KEY_P521 : KEY_UNKNOWN;
}

/* Is it said what the key is for, and is that something else? */
static bool is_for_something_else(const json_t *jwk)
{
	const json_t *use = json_object_get(jwk, "use"), *operations = json_object_get(jwk, "key_ops");
	size_t i;
	json_t *one;

	if (use && !text_is(jwk, "use", "sig"))
		return true;
	if (!operations)
		return false;
	json_array_foreach(operations, i, one)
	{
		if (json_is_string(one) && strcmp(json_string_value(one), "verify") == 0)
			return false;
	}
	return true;
}

/* Why this JWK is not for us, before libjwt sees it; NULL: it may be. */
static const char *reason_to_skip(const json_t *jwk, bool remote)
{
	const json_t *alg = json_object_get(jwk, "alg"), *kid = json_object_get(jwk, "kid");
	enum key_kind kind = kind_of(jwk);

	if (is_for_something_else(jwk))
		return "it is not for signatures (use, key_ops)";
	if (kind == KEY_UNKNOWN)
		return "its kind is not known here";
	if (kind == KEY_SECRET && remote)
		return "a secret that is public is none";
	if (kid && !json_is_string(kid))
		return "its kid is no text";
	if (alg && (!json_is_string(alg) || algorithm_find(json_string_value(alg)) == N_ALGORITHMS))
		return "its alg is not known here";
	return NULL;
}

/* What is accepted of what this key can do: of its own alg alone, if it has one. */
static unsigned int usable(const struct key_set *set, const json_t *jwk, int bits)
{
	const char *alg = text_of(jwk, "alg");
	unsigned int can = algorithms_of(kind_of(jwk), bits) & set->accepted;

	return alg ? can & 1u << algorithm_find(alg) : can;
}

static const char *reason_unusable(const json_t *jwk, int bits)
{
	if (algorithms_of(kind_of(jwk), bits))
		return "token_algorithms has none that it could be used for";
	return kind_of(jwk) == KEY_RSA ? "RSA with less than 2,048 bits is too weak"
				       : "it is shorter than 256 bits";
}

/* Hands the JWK to libjwt. 0 with key->signing and key->bits; -ENOMEM; KEY_SET_BAD: it is no key. */
static int import(struct key_set *set, json_t *jwk, struct key *key)
{
	static const char *const private_parts[] = {"d", "p", "q", "dp", "dq", "qi", "oth"};
	const jwk_item_t *item;
	jwk_set_t *jwks;
	char *text;

	for (size_t i = 0; i < sizeof(private_parts) / sizeof(private_parts[0]); i++)
		json_object_del(jwk, private_parts[i]);
	json_memory_watch();
	text = json_dumps(jwk, JSON_COMPACT);
	if (!text)
		return -ENOMEM;
	jwks = jwks_load(set->jwks, text);
	explicit_bzero(text, strlen(text));
	free(text);
	ERR_clear_error();
	if (!jwks)
		return -ENOMEM;
	set->jwks = jwks;
	if (json_memory_failed() || jwks_error(jwks))
		return -ENOMEM; /* the text is JSON: it came from json_dumps() */
	item = jwks_item_get(jwks, jwks_item_count(jwks) - 1);
	if (!item || jwks_item_error(item))
		return KEY_SET_BAD;
	key->bits = jwks_item_key_bits(item);
	key->signing = signature_key_new(item);
	return key->signing ? 0 : -ENOMEM;
}

/* A copy of the text; NULL with *failed when out of memory. */
static char *copied(const char *text, bool *failed)
{
	char *copy = strdup(text);

	*failed |= !copy;
	return copy;
}

/* Puts the key into the set, with all that is to be told of it. */
static int keep(
	struct key_set *set, struct key *key, const char *source, const json_t *jwk, const char *skipped)
{
	enum key_kind kind = kind_of(jwk);
	const char *said = text_of(jwk, "kty"), *kid = text_of(jwk, "kid");
	struct buf algorithms = {0};
	bool failed = false;

	algorithms_write(key->set, &algorithms);
	key->source = copied(source, &failed);
	key->kind = copied(kind ? key_kind_name(kind) : said ? said : "", &failed);
	key->kid = kid ? copied(kid, &failed) : NULL;
	key->skipped = skipped ? copied(skipped, &failed) : NULL;
	buf_text(&algorithms);
	key->algorithms = algorithms.data; /* NULL when out of memory */
	if (failed || algorithms.failed) {
		key_deinit(key);
		return -ENOMEM;
	}
	set->keys[set->n_keys++] = *key;
	return 0;
}

static int add_jwk(struct key_set *set, const char *source, json_t *jwk, bool remote)
{
	const char *skipped = reason_to_skip(jwk, remote);
	struct key key = {0};
	int r;

	if (set->n_keys == KEYS_MAX)
		return 0;
	if (!skipped) {
		r = import(set, jwk, &key);
		if (r < 0)
			return r;
		key.set = r ? 0 : usable(set, jwk, key.bits);
		if (r)
			skipped = "it is broken: its numbers make no key";
		else if (!key.set)
			skipped = reason_unusable(jwk, key.bits);
	}
	return keep(set, &key, source, jwk, skipped);
}

/* --- texts ------------------------------------------------------------------------------------ */

static int add_pem(struct key_set *set, const char *source, struct slice text, bool remote, struct buf *error)
{
	size_t before = error->len;
	json_t *jwk;
	int r;

	buf_printf(error, "%s ", source);
	while ((r = pem_next(&text, &jwk, error)) == 0) {
		r = add_jwk(set, source, jwk, remote);
		json_decref(jwk);
		if (r < 0)
			break;
	}
	if (r == PEM_BAD)
		return KEY_SET_BAD;
	error->len = before;
	return r == PEM_END ? 0 : r;
}

/* One JWK, or a set of them. */
static int add_jwks(struct key_set *set, const char *source, json_t *root, bool remote, struct buf *error)
{
	json_t *keys = json_object_get(root, "keys"), *one;
	size_t i;
	int r = 0;

	if (json_is_object(root) && !keys && json_object_get(root, "kty"))
		return add_jwk(set, source, root, remote);
	if (!json_is_array(keys)) {
		buf_printf(error, "%s has no keys: a JWKS is {\"keys\": […]}", source);
		return KEY_SET_BAD;
	}
	json_array_foreach(keys, i, one)
	{
		r = add_jwk(set, source, one, remote);
		if (r < 0)
			break;
	}
	return r;
}

/* A JWKS may have members of its own with PEM in them. */
static bool is_json(struct slice text)
{
	size_t n = 0;

	while (n < text.len && strchr(" \t\r\n", text.data[n]))
		n++;
	return n < text.len && (text.data[n] == '{' || text.data[n] == '[');
}

int key_set_add_text(
	struct key_set *set, const char *source, struct slice text, bool remote, struct buf *error)
{
	json_error_t why;
	json_t *root;
	int r;

	set->has_remote |= remote;
	if (pem_looks(text) && !is_json(text))
		return add_pem(set, source, text, remote, error);
	json_memory_watch();
	root = json_loadb(text.data ? text.data : "", text.len, JSON_REJECT_DUPLICATES, &why);
	if (json_memory_failed()) {
		json_decref(root);
		return -ENOMEM;
	}
	if (!root) {
		buf_printf(error, "%s is neither PEM nor a JWKS: line %d: %s", source, why.line, why.text);
		return KEY_SET_BAD;
	}
	r = add_jwks(set, source, root, remote, error);
	json_decref(root);
	return r;
}

/* --- secrets ------------------------------------------------------------------------------------ */

static int add_secret_bytes(struct key_set *set, const char *name, struct slice bytes)
{
	struct buf k = {0};
	json_t *jwk = json_object();
	int r = -ENOMEM;

	base64url_append(&k, bytes.data, bytes.len);
	if (jwk && buf_text(&k) && json_object_set_new(jwk, "kty", json_string("oct")) == 0 &&
		json_object_set_new(jwk, "k", json_string(k.data)) == 0)
		r = add_jwk(set, name, jwk, false);
	if (r == 0 && !set->keys[set->n_keys - 1].signing)
		r = -ENOMEM; /* nothing else can be wrong with it */
	json_decref(jwk);
	buf_wipe(&k);
	return r;
}

int key_set_add_secret(struct key_set *set, const char *name, const char *secret, struct buf *error)
{
	struct buf bytes = {0};
	int r = secret_read(name, secret, &bytes, error);

	if (r)
		return r < 0 ? r : KEY_SET_BAD;
	r = add_secret_bytes(set, name, buf_slice(&bytes));
	buf_wipe(&bytes);
	return r;
}

/* --- asking ------------------------------------------------------------------------------------- */

size_t key_set_find(const struct key_set *set, enum algorithm algorithm, const char *kid,
	const struct key *found[KEY_TRIES_MAX])
{
	size_t n = 0;

	for (int named = 1; named >= 0; named--)
		for (size_t i = 0; i < set->n_keys && n < KEY_TRIES_MAX; i++) {
			const struct key *key = &set->keys[i];

			if (!(key->set & 1u << algorithm) || !!key->kid != named)
				continue;
			if (!kid || !key->kid || strcmp(key->kid, kid) == 0)
				found[n++] = key;
		}
	return n;
}

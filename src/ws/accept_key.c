/* Accept key: the proof of a handshake; see the header. */

#include "ws/accept_key.h"

#include <stdlib.h>
#include <string.h>

#include <libwebsockets.h>
#include <openssl/evp.h>

enum {
	SHA1_BYTES = 20,
};

struct accept_key {
	EVP_MD *sha1;
	EVP_MD_CTX *context;
};

struct accept_key *accept_key_new(void)
{
	struct accept_key *accept = calloc(1, sizeof(*accept));

	if (!accept)
		return NULL;
	accept->sha1 = EVP_MD_fetch(NULL, "SHA1", NULL);
	accept->context = EVP_MD_CTX_new();
	if (accept->sha1 && accept->context)
		return accept;
	accept_key_free(accept);
	return NULL;
}

void accept_key_free(struct accept_key *accept)
{
	if (!accept)
		return;
	EVP_MD_CTX_free(accept->context);
	EVP_MD_free(accept->sha1);
	free(accept);
}

static bool digest(
	struct accept_key *accept, const unsigned char *text, size_t len, unsigned char out[SHA1_BYTES])
{
	return accept && EVP_DigestInit_ex2(accept->context, accept->sha1, NULL) == 1 &&
	       EVP_DigestUpdate(accept->context, text, len) == 1 &&
	       EVP_DigestFinal_ex(accept->context, out, NULL) == 1;
}

void accept_key_write(struct accept_key *accept, struct slice key, char out[ACCEPT_KEY_SIZE])
{
	static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
	unsigned char text[ACCEPT_KEY_LEN + sizeof(guid) - 1];
	unsigned char bytes[SHA1_BYTES];

	memcpy(text, key.data, ACCEPT_KEY_LEN);
	memcpy(text + ACCEPT_KEY_LEN, guid, sizeof(guid) - 1);
	if (!digest(accept, text, sizeof(text), bytes))
		lws_SHA1(text, sizeof(text), bytes);
	lws_b64_encode_string((const char *)bytes, SHA1_BYTES, out, ACCEPT_KEY_SIZE);
}

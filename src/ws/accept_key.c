/* Accept key: the proof of a handshake; see the header. */

#define OPENSSL_SUPPRESS_DEPRECATED /* SHA1_Init() and the others: see the header */

#include "ws/accept_key.h"

#include <string.h>

#include <openssl/evp.h>
#include <openssl/sha.h>

void accept_key_write(struct slice key, char out[ACCEPT_KEY_SIZE])
{
	static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
	unsigned char bytes[SHA_DIGEST_LENGTH];
	SHA_CTX sha1;

	/* None of them fails. */
	(void)SHA1_Init(&sha1);
	(void)SHA1_Update(&sha1, key.data, ACCEPT_KEY_LEN);
	(void)SHA1_Update(&sha1, guid, sizeof(guid) - 1);
	(void)SHA1_Final(bytes, &sha1);
	(void)EVP_EncodeBlock((unsigned char *)out, bytes, sizeof(bytes));
}

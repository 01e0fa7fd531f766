/* TLS rehearsal: handshakes with oneself, in memory; see the header. */

#include "ws/tls_rehearsal.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

#include <openssl/bio.h>
#include <openssl/err.h>

enum {
	TURNS_MAX = 10, /* of each side: a handshake takes two or three */
};

/* What clients of our days say, and those of yesterday. For these the group of the certificate's own key is
 * one that they have to name. */
static const struct part {
	int version;
	const char *groups;
} parts[] = {
	{TLS1_3_VERSION, "X25519"},
	{TLS1_3_VERSION, "P-256"},
	{TLS1_2_VERSION, "X25519:P-256:P-384:P-521"},
};

/* Who wants a certificate from clients gets none from us, and has done all but look at it by then. */
static bool only_lacks_a_certificate(void)
{
	return ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE;
}

static bool shake_hands(SSL *server, SSL *client)
{
	for (int turn = 0; turn < TURNS_MAX; turn++) {
		int told = SSL_do_handshake(client), heard;

		heard = SSL_do_handshake(server);
		if (heard == 1 && told == 1)
			return true;
		if (heard != 1 && SSL_get_error(server, heard) != SSL_ERROR_WANT_READ)
			return only_lacks_a_certificate();
	}
	return false;
}

static bool lacked_memory(void)
{
	unsigned long error;

	while ((error = ERR_get_error()))
		if (ERR_GET_REASON(error) == ERR_R_MALLOC_FAILURE)
			return true;
	return false;
}

/* As tls_rehearse(). */
static int rehearse(SSL_CTX *server_context, SSL_CTX *client_context, const struct part *part)
{
	SSL *server = SSL_new(server_context), *client = SSL_new(client_context);
	BIO *one, *other;
	int r = -ENOMEM;

	ERR_clear_error();
	if (server && client && SSL_set_min_proto_version(client, part->version) &&
		SSL_set_max_proto_version(client, part->version) &&
		SSL_set1_groups_list(client, part->groups) && BIO_new_bio_pair(&one, 0, &other, 0)) {
		SSL_set_bio(server, one, one);
		SSL_set_bio(client, other, other);
		SSL_set_accept_state(server);
		SSL_set_connect_state(client);
		r = shake_hands(server, client) ? 0 : lacked_memory() ? -ENOMEM : 1;
	}
	SSL_free(client);
	SSL_free(server);
	ERR_clear_error();
	return r;
}

int tls_rehearse(SSL_CTX *server)
{
	SSL_CTX *client = SSL_CTX_new(TLS_client_method());
	int r = client ? 0 : -ENOMEM, n_failed = 0;

	for (size_t i = 0; r >= 0 && i < sizeof(parts) / sizeof(*parts); i++) {
		if (parts[i].version < SSL_CTX_get_min_proto_version(server))
			continue;
		r = rehearse(server, client, &parts[i]);
		n_failed += r > 0;
	}
	SSL_CTX_free(client);
	ERR_clear_error();
	return r < 0 ? r : n_failed;
}

#ifndef TIDEGATE_TLS_TLS_REHEARSAL_H
#define TIDEGATE_TLS_TLS_REHEARSAL_H

/*
 * TLS rehearsal: handshakes with oneself, in memory, before anybody else is spoken to.
 *
 * OpenSSL looks up an algorithm when it is first used, and remembers for good what it has not found. Without
 * memory it finds none: one allocation that failed at the wrong moment, and no handshake would ever succeed
 * again. What a rehearsal has used is found already.
 */

#include <stdbool.h>

#include <openssl/ssl.h>

/* How many of the handshakes failed, 0 at best: where the certificate or the configuration of OpenSSL leaves
 * nothing that both sides know, which other clients may do better; or -ENOMEM. */
int tls_rehearse(SSL_CTX *server);

/* The same for who will be a client, with a server that is made for it. */
int tls_rehearse_client(void);

/* Does a reason in OpenSSL's queue say that memory was lacking? The queue is empty behind it. */
bool tls_lacked_memory(void);

#endif

#ifndef TIDEGATE_SRC_WS_TLS_REHEARSAL_H
#define TIDEGATE_SRC_WS_TLS_REHEARSAL_H

/*
 * TLS rehearsal: handshakes with oneself, in memory, before anybody else is spoken to.
 *
 * OpenSSL looks up an algorithm when it is first used, and remembers for good what it has not found. Without
 * memory it finds none: one allocation that failed at the wrong moment, and no handshake would ever succeed
 * again. What a rehearsal has used is found already.
 */

#include <openssl/ssl.h>

/* 0, or -ENOMEM: the context is of no use, for want of memory most likely. */
int tls_rehearse(SSL_CTX *server);

#endif

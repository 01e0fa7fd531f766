#ifndef TIDEGATE_CLI_ADMIN_LINK_H
#define TIDEGATE_CLI_ADMIN_LINK_H

/*
 * Admin link: a blocking connection to the admin port of a gateway, plain or over TLS.
 *
 * TLS is spoken where admin_tls_certificate or admin_tls_ca is set. A port of another machine is believed by
 * these authorities, or those of the system, and has to have the name that was dialled. One of this machine
 * is believed by admin_tls_ca whatever its name, and without admin_tls_ca unseen.
 */

#include <stddef.h>
#include <sys/types.h>

struct admin_link;
struct buf;
struct config;

/* 0, or negative errno with one sentence appended to error. */
int admin_link_open(const struct config *config, struct admin_link **linkp, struct buf *error);
void admin_link_close(struct admin_link *link); /* accepts NULL */

/* 0 or negative errno. */
int admin_link_send(struct admin_link *link, const char *data, size_t len);

/* How many bytes came, at least one; 0: the gateway has said all; negative errno. */
ssize_t admin_link_receive(struct admin_link *link, char *data, size_t size);

#endif

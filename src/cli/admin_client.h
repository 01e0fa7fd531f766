#ifndef TIDEGATE_CLI_ADMIN_CLIENT_H
#define TIDEGATE_CLI_ADMIN_CLIENT_H

/*
 * Admin client: one HTTP request to the admin port of a gateway, blocking.
 *
 * Speaks to our own admin listener and to nothing else: HTTP/1.1, one request a connection, the body ends
 * with it.
 */

#include <stddef.h>
#include <stdint.h>

struct buf;

/* A stretch of the body; the bytes are borrowed. */
typedef void (*admin_body_fn)(void *arg, const char *data, size_t len);

/*
 * body NULL: GET. Returns the HTTP status with the body handed over as it comes, or negative errno with one
 * sentence appended to error.
 */
int admin_request_send(const char *host, uint16_t port, const char *path, const char *body, size_t body_len,
	admin_body_fn fn, void *arg, struct buf *error);

/* Appends what the gateway said went wrong, out of {"error":{"code":…,"message":…}}. */
void admin_refusal(const struct buf *answer, struct buf *out);

#endif

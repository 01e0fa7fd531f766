#ifndef TIDEGATE_CLI_ADMIN_CLIENT_H
#define TIDEGATE_CLI_ADMIN_CLIENT_H

/*
 * Admin client: one HTTP request to the admin port of a gateway, blocking.
 *
 * It talks only to our own admin listener: HTTP/1.1, one request for each connection, whose end
 * is that of the body.
 */

#include <stddef.h>
#include <stdint.h>

struct buf;
struct config;

/* A stretch of the body; the bytes are borrowed. */
typedef void (*admin_body_fn)(void *arg, const char *data, size_t len);

/*
 * Sends a request to the admin listener of the configuration, with its token. body: NULL for GET. Returns
 * 200, with the body handed over as it comes; another HTTP status, with the gateway's sentence about it
 * appended to error; or negative errno, also with a sentence.
 */
int admin_request_send(const struct config *config, const char *path, const char *body, size_t body_len,
	admin_body_fn fn, void *arg, struct buf *error);

/* The same, with the whole body appended to answer. */
int admin_request_whole(const struct config *config, const char *path, const char *body, size_t body_len,
	struct buf *answer, struct buf *error);

#endif

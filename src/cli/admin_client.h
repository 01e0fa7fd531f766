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
struct config;

/* A stretch of the body; the bytes are borrowed. */
typedef void (*admin_body_fn)(void *arg, const char *data, size_t len);

/*
 * To the admin listener of the configuration, with its token. body NULL: GET. 200, with the body handed over
 * as it comes; another HTTP status, with what the gateway said went wrong as one sentence appended to error;
 * or negative errno, likewise.
 */
int admin_request_send(const struct config *config, const char *path, const char *body, size_t body_len,
	admin_body_fn fn, void *arg, struct buf *error);

/* The same, with the whole body appended to answer. */
int admin_request_whole(const struct config *config, const char *path, const char *body, size_t body_len,
	struct buf *answer, struct buf *error);

#endif

#ifndef TIDEGATE_ASYNCAPI_ASYNCAPI_H
#define TIDEGATE_ASYNCAPI_ASYNCAPI_H

/*
 * AsyncAPI: a configuration as a document of AsyncAPI 3.0.0: what clients say and hear on each path, and
 * backends in Redis.
 *
 * What every gateway has stands in protocol.json; servers, channels, operations and the messages that routes
 * declare come from the configuration, and close codes from their tables. The document has no secrets.
 */

struct buf;
struct config;

/* Appends the document, indented, with a newline at its end. Without memory out->failed is set. */
void asyncapi_write(const struct config *config, struct buf *out);

#endif

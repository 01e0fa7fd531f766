#ifndef TIDEGATE_WS_SSE_STREAM_H
#define TIDEGATE_WS_SSE_STREAM_H

/*
 * Sse stream: a connection that is answered with an endless response of server-sent events.
 *
 * Its body ends with the connection, and has no chunks: so the bytes are the same for HTTP/1.0 and 1.1, they
 * are the messages' own and can be shared, and a message that was cut off is none by the rules of event
 * streams (docs/decisions/0019-event-streams-are-not-chunked.md).
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/slice.h"

struct request_head;
struct ws_connection;

/* Keeps what the answer to this request will begin with. page_reads: handshake_page_reads(). 0 or -ENOMEM. */
int sse_stream_prepare(struct ws_connection *connection, const struct request_head *head, bool page_reads);

/* Tells the client where it was: by Last-Event-ID, or else ?lastEventId=, or else ?since=. 0 or -ENOMEM. */
int sse_stream_resume(struct ws_connection *connection, const struct request_head *head);

/* Answers: the client is open. said: by POST with its request, messages, a line each. */
void sse_stream_open(struct ws_connection *connection, struct slice said);

/* See socket_ops: a heartbeat, and the last message. Both return what they have said, or negative errno. */
ssize_t sse_stream_ping(struct ws_connection *connection);
ssize_t sse_stream_close(struct ws_connection *connection, uint16_t code, const char *sentence);

#endif

#ifndef TIDEGATE_WS_WS_FILE_H
#define TIDEGATE_WS_WS_FILE_H

/*
 * Ws file: the answer to a request on the public port that wants a file and no WebSocket.
 *
 * Files are parts of the program (web/files): no disk is read for them. A path that is a route's too is the
 * route's for whoever asks for a WebSocket.
 */

struct handshake_rules;
struct lws;
struct request_head;
struct web_file;

/* NULL: it asks for something else, or for what this gateway does not serve. */
const struct web_file *ws_file_asked(const struct request_head *head, const struct handshake_rules *rules);

/* Writes the answer, whose bytes lws keeps while the peer does not take them. 0, or -ENOMEM. */
int ws_file_answer(struct lws *wsi, const struct request_head *head, const struct web_file *file);

#endif

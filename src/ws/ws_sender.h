#ifndef TIDEGATE_WS_WS_SENDER_H
#define TIDEGATE_WS_WS_SENDER_H

/*
 * Ws sender: the same bytes to many sockets, in as few system calls as the kernel allows.
 *
 * Collects what is to be sent and sends it at once: through io_uring where that is built in and allowed, many
 * sends a call; otherwise one send(2) each. io_uring sends never wait (MSG_DONTWAIT): each is over when the
 * call returns, so that nothing outlives ws_sender_submit().
 */

#include <stdbool.h>
#include <stddef.h>

struct log;
struct metrics;
struct ws_connection;
struct ws_sender;

/* NULL when out of memory. `use_uring` false: send(2) only. */
struct ws_sender *ws_sender_new(bool use_uring, struct log *log, struct metrics *metrics);
void ws_sender_free(struct ws_sender *sender); /* accepts NULL */

/* See socket_ops.send_later(). */
void ws_sender_add(struct ws_sender *sender, struct ws_connection *connection, const void *data, size_t len,
	const void *cookie);

/* Sends all that was added; client_sent() is called for each soon after it was sent. On the thread of the
 * first call, from then on.
 */
void ws_sender_submit(struct ws_sender *sender);

#endif

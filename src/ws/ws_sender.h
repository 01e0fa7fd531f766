#ifndef TIDEGATE_WS_WS_SENDER_H
#define TIDEGATE_WS_WS_SENDER_H

/*
 * Ws sender: sends the same bytes to many sockets, in as few system calls as the kernel allows.
 *
 * It collects sends and makes them at once: many in one call through io_uring, if that is built in and
 * allowed; otherwise one send(2) each. Sends through io_uring never wait (MSG_DONTWAIT): each is over when
 * the call returns, so that no send outlives ws_sender_submit().
 */

#include <stdbool.h>
#include <stddef.h>

struct clients;
struct log;
struct metrics;
struct ws_connection;
struct ws_sender;

/* NULL when out of memory. `use_uring` false: send(2) only. */
struct ws_sender *ws_sender_new(
	bool use_uring, struct clients *clients, struct log *log, struct metrics *metrics);
void ws_sender_free(struct ws_sender *sender); /* accepts NULL */

/* See socket_ops.send_later(). */
void ws_sender_add(struct ws_sender *sender, struct ws_connection *connection, const void *data, size_t len,
	const void *cookie);

/* Makes all sends that were added, and tells what became of each: clients_sent(), client_sent(). From the
 * first call on it belongs to that thread. */
void ws_sender_submit(struct ws_sender *sender);

#endif

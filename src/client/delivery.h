#ifndef TIDEGATE_CLIENT_DELIVERY_H
#define TIDEGATE_CLIENT_DELIVERY_H

/*
 * Delivery: brings messages into one client's socket.
 *
 * The direct path hands the bytes of a batch to the socket as they are, without a copy, an
 * allocation or a reference for each client. Only messages that the socket does not take are queued
 * in the outbox, as references.
 */

#include <stdbool.h>

#include "core/slice.h"

struct client;
struct hub_batch;
struct message;

/* A batch for an open or parked client. `alone`: nothing else is waiting this turn. */
void delivery_batch(struct client *client, const struct hub_batch *batch, bool alone);

/* Queues one message, in the form in which its peer gets it; it goes out at the end of the turn. Takes its
 * own reference. */
void delivery_queue(struct client *client, struct message *message);

/* The same for a plain message for this client alone, in the form in which its peer gets such messages. */
void delivery_queue_single(struct client *client, struct message *plain);

/* The same for an event that was promised to the client: it never gives way, whatever the bound. */
void delivery_queue_promised(struct client *client, struct message *plain);

/* The same for the last word to a client that is closing. Without memory for it the close has to do. */
void delivery_queue_last(struct client *client, struct message *plain);

/* What was queued for the client says where in this channel it is then; see client/positions.h. */
void delivery_note_position(struct client *client, struct slice channel, struct slice pos);

/* Asks the peer for a sign of life, ahead of all queued messages: a slow reader must not look dead. */
void delivery_ping(struct client *client);

/* Sends the outbox at the end of the turn. */
void delivery_flush_later(struct client *client);

/* Sends the outbox now, as far as the socket takes it, and behind it the close of a client
 * that is closing. */
void delivery_flush(struct client *client);

#endif

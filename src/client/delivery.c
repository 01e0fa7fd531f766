/* Delivery: messages into one client's socket; see the header. */

#include "client/delivery.h"

#include <errno.h>
#include <sys/uio.h>

#include "client/client.h"
#include "client/clients.h"
#include "client/delivery_time.h"
#include "client/positions.h"
#include "client/slow.h"
#include "client/socket.h"
#include "hub/hub.h"
#include "protocol/message.h"

enum {
	/* Frames in one sendmsg(2). With more than eight events in a write, copying costs more than the
	 * system call (docs/performance.md); UIO_MAXIOV is 1024. */
	PARTS_MAX = 64,
};

/* To be closed at the end of the turn: a hub that is handing out must not lose subscribers. */
static void doom(struct client *client, enum close_reason reason)
{
	client->doomed = (uint8_t)reason;
	delivery_flush_later(client);
}

static void count_sent(struct client *client, uint32_t n, size_t bytes)
{
	client->n_sent += n;
	clients_count_sent(client->clients, n, bytes);
}

void delivery_flush_later(struct client *client)
{
	if (!list_linked(&client->flush))
		list_push_back(&client->clients->flush, &client->flush);
}

/* Handles the result of queueing a message. */
static void queued(struct client *client, int r)
{
	if (r == SLOW_OVER)
		doom(client, CLOSE_SLOW);
	else if (r < 0)
		doom(client, CLOSE_INTERNAL);
	else if (!client->blocked && client->state != CLIENT_PARKED)
		delivery_flush_later(client);
}

void delivery_queue(struct client *client, struct message *message)
{
	int r;

	if (client->doomed)
		return;
	r = slow_queue(client, message);
	if (r == SLOW_FLUSH) {
		delivery_flush(client);
		if (client->doomed)
			return;
		r = slow_queue(client, message);
	}
	queued(client, r);
}

/* The form of a message for this client alone. Borrowed, as message_as() says, which may be NULL. */
static struct message *single(struct client *client, struct message *plain)
{
	return message_as(plain, form_single(client->subscriber.form), &client->clients->maker);
}

void delivery_queue_single(struct client *client, struct message *plain)
{
	struct message *message = single(client, plain);

	if (message)
		delivery_queue(client, message);
	else
		doom(client, CLOSE_INTERNAL);
}

void delivery_queue_promised(struct client *client, struct message *plain)
{
	struct message *message = single(client, plain);

	if (!client->doomed && client_is_live(client))
		queued(client, message ? slow_queue_promised(client, message) : -ENOMEM);
}

void delivery_queue_last(struct client *client, struct message *plain)
{
	struct message *message = single(client, plain);

	if (message)
		(void)outbox_push(&client->outbox, message, SIZE_MAX, &client->clients->queued_bytes);
}

void delivery_note_position(struct client *client, struct slice channel, struct slice pos)
{
	if (positions_note(client->positions, channel, pos) < 0)
		doom(client, CLOSE_INTERNAL);
}

/* Behind the messages of this turn. */
static void tell_positions(struct client *client)
{
	struct message *told;

	if (client->state != CLIENT_OPEN || client->doomed || !positions_untold(client->positions))
		return;
	told = positions_tell(client->positions);
	if (!told || outbox_push(&client->outbox, told, SIZE_MAX, &client->clients->queued_bytes) < 0)
		doom(client, CLOSE_INTERNAL);
	message_unref(told);
}

/* Handles the result of a ping or a close of the socket. */
static void said(struct client *client, ssize_t n)
{
	if (n < 0)
		doom(client, CLOSE_GONE);
	else
		count_sent(client, 1, (size_t)n);
}

void delivery_ping(struct client *client)
{
	said(client, client->clients->ops->ping(client->socket));
}

/* The socket takes no more for now. */
static void block(struct client *client)
{
	client->blocked = true;
	slow_enter(client);
	client->clients->ops->want_writable(client->socket);
}

/* `taken` bytes of the batch were sent. The socket keeps the rest of a frame that was begun;
 * whole frames are queued. */
static void queue_rest(struct client *client, const struct hub_batch *batch, size_t taken)
{
	uint32_t i = 0;
	size_t end = 0;

	while (i < batch->n && end < taken) {
		delivery_time_event(client->clients, batch->messages[i]);
		end += batch->messages[i++]->frame_len;
	}
	count_sent(client, i, end);
	block(client);
	if (end > taken && client->clients->ops->keep(
				   client->socket, (const char *)batch->bytes + taken, end - taken) < 0) {
		doom(client, CLOSE_GONE);
		return;
	}
	for (; i < batch->n; i++)
		delivery_queue(client, batch->messages[i]);
}

void client_sent(struct client *client, const void *cookie, ssize_t n)
{
	const struct hub_batch *batch = cookie;

	if (n == (ssize_t)batch->len) {
		clients_sent(client->clients, cookie, 1);
		return;
	}
	client->n_sent -= batch->n;
	if (n < 0)
		doom(client, CLOSE_GONE);
	else
		queue_rest(client, batch, (size_t)n);
}

/* Queues the messages, and notes each one's position behind it: queueing may send what was queued so far, and
 * its positions with it. */
static void queue_batch(struct client *client, const struct hub_batch *batch)
{
	for (uint32_t i = 0; i < batch->n; i++) {
		struct message *event = batch->messages[i];

		delivery_queue(client, event);
		if (client->positions)
			delivery_note_position(client, (struct slice){event->channel, event->channel_len},
				message_pos(event));
	}
}

static void send_batch(struct client *client, const struct hub_batch *batch)
{
	struct iovec part = {(void *)batch->bytes, batch->len};

	client_sent(client, batch, client->clients->ops->send(client->socket, &part, 1));
}

void delivery_batch(struct client *client, const struct hub_batch *batch, bool alone)
{
	const struct socket_ops *ops = client->clients->ops;

	if (client->state == CLIENT_CLOSING || client->doomed)
		return;
	if (!batch->n) {
		doom(client, CLOSE_INTERNAL);
		return;
	}
	if (!alone || client->positions || client->blocked || client->state != CLIENT_OPEN ||
		!outbox_empty(&client->outbox)) {
		queue_batch(client, batch);
		return;
	}
	client->n_sent += batch->n; /* here, where it is at hand: most sockets take all */
	if (ops->send_later)
		ops->send_later(client->socket, batch->bytes, batch->len, batch);
	else
		send_batch(client, batch);
}

/* Out of the outbox into the socket. The reference is the caller's. */
static struct message *take_oldest(struct client *client)
{
	uint64_t replayed_us = outbox_replayed_us(&client->outbox);
	struct message *message = outbox_pop(&client->outbox);

	count_sent(client, 1, message->frame_len);
	/* 0 for a message that is not an event, or that did not arrive over pub/sub */
	if (message->arrived_us > replayed_us)
		delivery_time_event(client->clients, message);
	return message;
}

/* Takes the messages that were sent out of the outbox. 0, or negative errno if the rest of a frame
 * could not be kept. */
static int drop_taken(struct client *client, size_t taken)
{
	int r = 0;

	while (taken && r == 0) {
		struct message *message = take_oldest(client);

		if (taken < message->frame_len) {
			r = client->clients->ops->keep(
				client->socket, message->frame + taken, message->frame_len - taken);
			taken = 0;
		} else {
			taken -= message->frame_len;
		}
		message_unref(message);
	}
	return r;
}

/* Makes one write. True if another one is worth trying. */
static bool flush_some(struct client *client)
{
	struct iovec parts[PARTS_MAX];
	size_t wanted;
	int n_parts = outbox_peek(&client->outbox, parts, PARTS_MAX, &wanted);
	ssize_t n = client->clients->ops->send(client->socket, parts, n_parts);

	if (n < 0 || drop_taken(client, (size_t)n) < 0) {
		doom(client, CLOSE_GONE);
		return false;
	}
	if ((size_t)n < wanted)
		block(client);
	return (size_t)n == wanted;
}

/* Sends the close behind the last message, and ends our direction if no answer is waited for. */
static void take_leave(struct client *client)
{
	const struct socket_ops *ops = client->clients->ops;

	if (client->owes_close) {
		client->owes_close = false;
		said(client, ops->close(client->socket, client->close_code,
				     client->reason == CLOSE_PEER ? "" : client_farewell(client)));
	}
	if (client->finishes && !client->doomed) {
		client->finishes = false;
		ops->finish(client->socket);
	}
}

void delivery_flush(struct client *client)
{
	if (client->blocked || client->state == CLIENT_PARKED || client->state == CLIENT_NONE)
		return;
	tell_positions(client);
	while (!outbox_empty(&client->outbox) && flush_some(client))
		;
	if (client->state == CLIENT_CLOSING && outbox_empty(&client->outbox) && !client->blocked &&
		!client->doomed)
		take_leave(client);
}

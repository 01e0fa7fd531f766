/* Ws message: what the peer of a connection says; see the header. */

#include "ws/ws_message.h"

#include <stdlib.h>

#include "client/client.h"
#include "client/clients.h"
#include "core/buf.h"
#include "ws/ws_connection.h"
#include "ws/ws_inflate.h"
#include "ws/ws_server_private.h"

void ws_message_drop(struct ws_connection *connection)
{
	if (connection->message)
		buf_deinit(connection->message);
	free(connection->message);
	connection->message = NULL;
}

/* The most bytes of a message that are kept, in the form in which they come. */
static size_t pieces_max(const struct ws_connection *connection)
{
	size_t text_max = connection->client.clients->limits.message_bytes_max;

	return lws_ws_message_has_rsv1(connection->wsi) ? ws_inflate_payload_max(text_max) : text_max;
}

/* A piece of a message that did not come whole. */
static void message_append(struct ws_connection *connection, const char *data, size_t len)
{
	if (!connection->message) {
		connection->message = calloc(1, sizeof(*connection->message));
		if (!connection->message) {
			client_close(&connection->client, CLOSE_INTERNAL);
			return;
		}
	}
	if (connection->message->len + len > pieces_max(connection)) {
		ws_message_drop(connection);
		client_reject(&connection->client, CLOSE_TOO_BIG);
		return;
	}
	buf_append(connection->message, data, len);
}

static void receive_deflated(struct ws_connection *connection, const char *payload, size_t len)
{
	struct client *client = &connection->client;
	struct slice text;

	switch (ws_inflate_message(connection->server->inflate, payload, len, &text)) {
	case 0:
		client_receive(client, text.data, text.len);
		break;
	case WS_INFLATE_TOO_BIG:
		client_reject(client, CLOSE_TOO_BIG);
		break;
	case WS_INFLATE_BROKEN:
		client_reject(client, CLOSE_BAD_DATA);
		break;
	default:
		client_close(client, CLOSE_INTERNAL);
		break;
	}
}

/* Takes a whole message, in the form in which it came. */
static void receive(struct ws_connection *connection, const char *data, size_t len)
{
	if (!client_may_say(&connection->client))
		return; /* nor inflated: that costs more than all else */
	if (lws_ws_message_has_rsv1(connection->wsi))
		receive_deflated(connection, data, len);
	else
		client_receive(&connection->client, len ? data : "", len);
}

void ws_message_receive(struct ws_connection *connection, const char *data, size_t len)
{
	struct client *client = &connection->client;
	struct lws *wsi = connection->wsi;
	bool last = lws_is_final_fragment(wsi);

	ws_server_refresh_time(connection->server);
	if (client->state != CLIENT_OPEN)
		return; /* read on only to see the peer's close frame */
	client_heard(client);
	if (lws_frame_is_binary(wsi)) {
		client_reject(client, CLOSE_BINARY);
		return;
	}
	if (last && !connection->message && len <= pieces_max(connection)) {
		receive(connection, data, len);
		return;
	}
	message_append(connection, data, len);
	if (!last || !connection->message)
		return;
	if (connection->message->failed)
		client_close(client, CLOSE_INTERNAL);
	else
		receive(connection, connection->message->data, connection->message->len);
	ws_message_drop(connection);
}

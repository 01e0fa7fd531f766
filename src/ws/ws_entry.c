/* Ws entry: a request that asks to be let in; see the header. */

#include "ws/ws_entry.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "auth/identity.h"
#include "auth/verifier.h"
#include "channel_log/position.h"
#include "client/client.h"
#include "client/clients.h"
#include "core/buf.h"
#include "core/tally.h"
#include "http/request_head.h"
#include "route/route.h"
#include "ws/arrival.h"
#include "ws/deflate_offer.h"
#include "ws/since_query.h"
#include "ws/sse_stream.h"
#include "ws/ws_connection.h"
#include "ws/ws_file.h"
#include "ws/ws_server_private.h"

/* A request that is let in. */
struct admitted {
	enum transport transport;
	struct rights rights;
	struct tally_name *user;
	struct in6_addr remote;
};

/* A connection of ours for this wsi, with a client begun, which takes the rights over. 0 or -ENOMEM. */
static int connection_begin(
	struct ws_server *server, struct lws *wsi, struct ws_entry *entry, struct admitted *admitted)
{
	struct rights *rights = &admitted->rights;
	struct ws_connection *connection = calloc(1, sizeof(*connection));
	int r;

	if (!connection) {
		rights_deinit(rights);
		return -ENOMEM;
	}
	connection->wsi = wsi;
	connection->server = server;
	connection->user = admitted->user;
	if (admitted->transport == TRANSPORT_POST)
		r = client_init_posting(
			&connection->client, server->clients, connection, rights, &admitted->remote);
	else
		r = client_init(&connection->client, server->clients, connection, rights, &admitted->remote);
	if (r < 0) {
		free(connection);
		return r;
	}
	connection->held = r == CLIENT_HELD;
	if (connection->held)
		connection->path = strndup(entry->head->path.data, entry->head->path.len);
	connection->address = entry->arrival->address;
	entry->arrival->address = NULL;
	entry->connection = connection;
	return 0;
}

/* Reads ?since=…, the position of the client. */
static void resume(struct ws_connection *connection, const struct request_head *head)
{
	struct position others[ROUTE_CHANNELS_MAX - 1];
	struct since since;

	if (head->query.len && since_query_read(head->query, "since", false, others, &since))
		client_resume(&connection->client, &since);
}

static const char *answer_to_offers(const struct request_head *head)
{
	char scratch[REQUEST_HEAD_MAX];
	struct slice offers = request_head_list(head, HTTP_WEBSOCKET_EXTENSIONS, scratch);

	return deflate_offer_answer(offers.data, offers.len);
}

static const char *extensions_for(const struct client *client, const struct request_head *head)
{
	if (!route_compresses(client->rights.route) || !head->n[HTTP_WEBSOCKET_EXTENSIONS])
		return NULL;
	return answer_to_offers(head);
}

/* Behind a proxy the address of a client is known only now. */
static const struct handshake_refusal *count_client(
	struct ws_server *server, struct arrival *arrival, const struct in6_addr *remote)
{
	int r = arrival_count_client(
		arrival, server->places->addresses, server->rules.trusted, remote, server->clients->now_ms);

	if (r < 0)
		return handshake_refusal(REFUSAL_OUT_OF_MEMORY);
	return arrival->over ? handshake_refusal(arrival->refusal) : NULL;
}

static const struct handshake_refusal *check(
	struct ws_server *server, struct ws_entry *entry, struct admitted *admitted)
{
	const struct handshake_door door = {
		.routes = server->clients->routes,
		.rules = &server->rules,
		.verifying = server->verifying,
		.revocations = server->revocations,
		.ticket = entry->ticket,
		.judged = &entry->identity,
		.remote = &admitted->remote,
		.now_ms = (int64_t)server->clients->wall_ms,
		.message_bytes_max = server->clients->limits.message_bytes_max,
	};
	const struct handshake_refusal *refusal =
		handshake_check(entry->head, &door, &admitted->rights, &admitted->transport, &entry->token);

	if (refusal && entry->token.key_is_unknown && ws_server_wants_key(server, entry->token.header.kid))
		return handshake_refusal(REFUSAL_KEYS_REFRESHING);
	return refusal;
}

/* NULL and *userp: what the connection counts for. Otherwise there are no rights any more. */
static const struct handshake_refusal *count_user(
	struct ws_server *server, struct rights *rights, struct tally_name **userp)
{
	const struct identity *identity = rights_identity(rights);
	int r;

	*userp = NULL;
	if (!identity)
		return NULL;
	r = tally_enter(server->places->users, slice_of(identity_user(identity)), userp);
	if (r == 0)
		return NULL;
	rights_deinit(rights);
	return handshake_refusal(r == TALLY_FULL ? REFUSAL_USER_FULL : REFUSAL_OUT_OF_MEMORY);
}

/* What belongs to a WebSocket. 0, or -ENOMEM. */
static int begin_socket(struct ws_connection *connection, const struct request_head *head)
{
	const char *extensions = extensions_for(&connection->client, head);
	struct buf answer = {0};

	handshake_answer(head, extensions, &answer);
	if (!buf_text(&answer)) {
		buf_deinit(&answer);
		return -ENOMEM;
	}
	connection->head = answer.data;
	if (extensions)
		connection->client.subscriber.form = FORM_DEFLATED;
	if (handshake_speaks(head))
		client_speaks(&connection->client);
	resume(connection, head);
	return 0;
}

/* What belongs to an event stream. 0, or -ENOMEM. */
static int begin_stream(
	struct ws_connection *connection, const struct request_head *head, const struct in6_addr *remote)
{
	const struct ws_server *server = connection->server;
	int r;

	connection->streams = true;
	r = sse_stream_prepare(connection, head, handshake_page_reads(head, &server->rules, remote));
	/* What is said by POST is heard when it opens. */
	if (r < 0 || connection->client.transport == TRANSPORT_POST)
		return r;
	return sse_stream_resume(connection, head);
}

/* All questions but the user's number. NULL: there are rights, or entry->file. */
static const struct handshake_refusal *question(
	struct ws_server *server, struct ws_entry *entry, struct admitted *admitted)
{
	const struct handshake_refusal *refusal;

	ws_server_refresh_time(server);
	entry->token = (struct handshake_token){0};
	if (server->draining)
		return handshake_refusal(REFUSAL_DRAINING);
	admitted->remote = handshake_remote(&entry->arrival->peer, server->rules.trusted, entry->head);
	refusal = count_client(server, entry->arrival, &admitted->remote);
	entry->file = refusal ? NULL : ws_file_asked(entry->head, &server->rules);
	if (refusal || entry->file)
		return refusal;
	return check(server, entry, admitted);
}

const struct handshake_refusal *ws_entry_look(struct ws_server *server, struct ws_entry *entry)
{
	struct admitted admitted;
	const struct handshake_refusal *refusal = question(server, entry, &admitted);

	if (!refusal && !entry->file)
		entry->identity = rights_end(&admitted.rights);
	return *entry->token.ticket ? NULL : refusal;
}

const struct handshake_refusal *ws_entry_admit(
	struct ws_server *server, struct lws *wsi, struct ws_entry *entry)
{
	struct admitted admitted = {0};
	const struct handshake_refusal *refusal = question(server, entry, &admitted);
	int r;

	if (entry->file)
		return NULL;
	if (!refusal)
		refusal = count_user(server, &admitted.rights, &admitted.user);
	if (refusal)
		return refusal;
	if (connection_begin(server, wsi, entry, &admitted) < 0) {
		tally_leave(server->places->users, admitted.user);
		return handshake_refusal(REFUSAL_OUT_OF_MEMORY);
	}
	r = admitted.transport == TRANSPORT_WEBSOCKET
		    ? begin_socket(entry->connection, entry->head)
		    : begin_stream(entry->connection, entry->head, &admitted.remote);
	if (r == 0)
		return NULL;
	ws_server_end(entry->connection);
	entry->connection = NULL;
	return handshake_refusal(REFUSAL_OUT_OF_MEMORY);
}

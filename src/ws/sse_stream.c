/* Sse stream: the transport of server-sent events; see the header. */

#include "ws/sse_stream.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <libwebsockets.h>

#include "channel_log/position.h"
#include "client/client.h"
#include "client/clients.h"
#include "core/buf.h"
#include "core/clock.h"
#include "http/query.h"
#include "http/request_head.h"
#include "protocol/command.h"
#include "protocol/event_stream.h"
#include "protocol/json.h"
#include "route/route.h"
#include "ws/handshake.h"
#include "ws/since_query.h"
#include "ws/ws_connection.h"

enum {
	/* A browser comes back so long after a stream broke: each after another time, for a gateway that ends
	 * has many. Browsers' own times are 3 s and 5 s. */
	RETRY_MS = 1000,
	RETRY_SPREAD_MS = 2000,
};

/* In comments, which no browser shows: a client that reads HTTP by itself hears each channel once. */
static void tell_channels(const struct client *client, struct buf *out)
{
	char name[ROUTE_CHANNEL_MAX + 1];
	struct route_match match;

	rights_match(&client->rights, &match);
	for (size_t i = 0; i < route_n_channels(match.route); i++) {
		size_t len = route_channel(&match, i, name);

		buf_printf(out, ":joins %.*s\n", (int)len, name);
	}
}

int sse_stream_prepare(struct ws_connection *connection, const struct request_head *head, bool page_reads)
{
	struct buf out = {0};
	uint32_t spread = (uint32_t)(connection->client.id * UINT64_C(0x9e3779b97f4a7c15) >> 32);

	handshake_answer_stream(head, page_reads, &out);
	if (connection->client.transport != TRANSPORT_POST)
		tell_channels(&connection->client, &out);
	event_stream_open(&out, RETRY_MS + spread % RETRY_SPREAD_MS,
		connection->client.clients->limits.ping_interval_ms);
	if (buf_text(&out))
		connection->head = strdup(buf_text(&out));
	buf_deinit(&out);
	return connection->head ? 0 : -ENOMEM;
}

/* Before they have heard an id, polyfills may bring an empty one. */
static bool query_has_id(struct slice query)
{
	char first[2];
	int len = query_text(query, "lastEventId", NULL, first, sizeof(first));

	return len > 0 || len == -ENOSPC;
}

int sse_stream_resume(struct ws_connection *connection, const struct request_head *head)
{
	struct slice id = head->value[HTTP_LAST_EVENT_ID];
	struct position others[ROUTE_CHANNELS_MAX - 1];
	struct since since;

	if (head->n[HTTP_LAST_EVENT_ID] > 1)
		since = (struct since){.kind = SINCE_MALFORMED};
	else if (id.len)
		since = since_parse_list(id, others, ROUTE_CHANNELS_MAX - 1);
	else if (!since_query_read(head->query, query_has_id(head->query) ? "lastEventId" : "since", true,
			 others, &since))
		return client_streams(&connection->client, NULL);
	return client_streams(&connection->client, &since);
}

/*
 * The peer answers no pings, but its kernel does: a heartbeat that nobody acknowledges ends the connection,
 * and so does a peer that reads nothing for as long as a WebSocket might.
 */
static void watch(const struct ws_connection *connection)
{
	const struct client_limits *limits = &connection->client.clients->limits;
	unsigned int ms = (unsigned int)(limits->ping_interval_ms + limits->pong_timeout_ms);

	/* Without it TCP's own, longer time holds. */
	(void)setsockopt(lws_get_socket_fd(connection->wsi), IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof(ms));
}

/* lws keeps the bytes that the socket does not take now, and sends them before anything else. */
static ssize_t say(struct ws_connection *connection, const char *text, size_t len)
{
	int n = lws_write(connection->wsi, (unsigned char *)text, len, LWS_WRITE_HTTP);

	return n < 0 ? -EPIPE : (ssize_t)len;
}

/* One message may go over several lines, as people write it. Others stand in a line each. */
static bool is_one_message(struct slice said)
{
	bool is_object;

	return memchr(said.data, '\n', said.len) &&
	       json_check(said.data, said.len, COMMAND_ACTION_DEPTH_MAX, NULL, 0, &is_object) == 0;
}

/* What the client has said with its request, as if these were messages on a WebSocket. */
static void hear(struct client *client, struct slice said)
{
	const char *at = said.data, *end = at + said.len;

	if (is_one_message(said)) {
		if (client_may_say(client))
			client_receive(client, said.data, said.len);
		at = end;
	}
	while (at < end && client->state == CLIENT_OPEN) {
		const char *lf = memchr(at, '\n', (size_t)(end - at));
		struct slice line = {at, (size_t)((lf ? lf : end) - at)};

		at += line.len + 1;
		if (line.len && line.data[line.len - 1] == '\r')
			line.len--;
		if (http_trim(line).len && client_may_say(client))
			client_receive(client, line.data, line.len);
	}
	client_said_all(client);
}

void sse_stream_open(struct ws_connection *connection, struct slice said)
{
	bool broken = say(connection, connection->head, strlen(connection->head)) < 0;

	free(connection->head);
	connection->head = NULL;
	watch(connection);
	client_open(&connection->client);
	if (broken)
		client_close(&connection->client, CLOSE_GONE);
	else if (connection->client.transport == TRANSPORT_POST)
		hear(&connection->client, said);
	if (connection->peer_ended)
		(void)client_waits_on(&connection->client);
}

ssize_t sse_stream_ping(struct ws_connection *connection)
{
	return say(connection, EVENT_STREAM_PING, sizeof(EVENT_STREAM_PING) - 1);
}

ssize_t sse_stream_close(struct ws_connection *connection, uint16_t code, const char *sentence)
{
	struct buf out = {0};
	ssize_t n = -ENOMEM;

	event_stream_close(&out, code, sentence, clock_wall_ms());
	if (!out.failed)
		n = say(connection, out.data, out.len);
	buf_deinit(&out);
	return n;
}

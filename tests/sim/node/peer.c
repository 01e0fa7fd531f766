/*
 * Peers: clients' far ends, who check all that they hear. A peer that knows of recovery does what the
 * document says: it stores the position of what it heard last, and comes back with it.
 */

#include "node.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/socket.h"
#include "protocol/frame.h"
#include "route/route.h"

enum {
	TEXT_MAX = 600,
};

static ssize_t paper_send(void *socket, const struct iovec *parts, int n_parts)
{
	struct peer *peer = socket;
	size_t taken = 0;

	for (int i = 0; i < n_parts && peer->room; i++) {
		size_t len = parts[i].iov_len < peer->room ? parts[i].iov_len : peer->room;

		buf_append(&peer->wire, parts[i].iov_base, len);
		peer->room -= len;
		taken += len;
	}
	return (ssize_t)taken;
}

static int paper_keep(void *socket, const void *data, size_t len)
{
	struct peer *peer = socket;

	buf_append(&peer->wire, data, len);
	return 0;
}

static void paper_want_writable(void *socket)
{
	((struct peer *)socket)->wants_writable = true;
}

static ssize_t paper_ping(void *socket)
{
	(void)socket;
	return 1;
}

static uint32_t paper_n_unacked(void *socket, uint32_t *n_ackedp)
{
	(void)socket;
	(void)n_ackedp;
	return 0;
}

static ssize_t paper_close(void *socket, uint16_t code, const char *sentence)
{
	(void)socket;
	(void)code;
	(void)sentence;
	return 1;
}

/* How a connection ends is no matter here: peer_read() sees that it is closing. */
static void paper_nothing(void *socket)
{
	(void)socket;
}

const struct socket_ops peer_ops = {
	.send = paper_send,
	.keep = paper_keep,
	.want_writable = paper_want_writable,
	.ping = paper_ping,
	.n_unacked = paper_n_unacked,
	.fall_silent = paper_nothing,
	.close = paper_close,
	.finish = paper_nothing,
	.abort = paper_nothing,
};

static unsigned int number(const struct node *node, const struct peer *peer)
{
	return (unsigned int)(peer - node->peers);
}

static bool is_aware(const struct node *node, const struct peer *peer)
{
	return number(node, peer) + 1 < NODE_PEERS;
}

/* The offset in the message's pos. */
static bool offset_in(const char *text, unsigned int *offsetp)
{
	const char *pos = strstr(text, "\"pos\":\"");
	const char *dot = pos ? strchr(pos, '.') : NULL;

	if (dot)
		*offsetp = (unsigned int)strtoul(dot + 1, NULL, 10);
	return dot;
}

static void hear_answer(struct node *node, struct peer *peer, const char *text)
{
	const char *count = strstr(text, "\"count\":");
	unsigned int at;

	peer->waits = peer->hears_plain = false;
	if (!strstr(text, "\"recovered\":true") || !offset_in(text, &at)) {
		if (strstr(text, "\"recovered\":false") && !strstr(text, "\"limit\""))
			node_complain(node, "peer %u was refused: %s", number(node, peer), text);
		peer->has_position = offset_in(text, &peer->position);
		peer->promised = 0;
		return;
	}
	if (peer->has_position && peer->position != at)
		node_complain(node, "peer %u stood at %u and was answered for %u", number(node, peer),
			peer->position, at);
	peer->has_position = true;
	peer->position = at;
	peer->promised = at + (count ? (unsigned int)strtoul(count + 8, NULL, 10) : 0);
}

static void hear_resync(struct node *node, struct peer *peer, const char *text)
{
	if (peer->waits)
		node_complain(node, "peer %u heard a resync before it was answered", number(node, peer));
	peer->has_position = offset_in(text, &peer->position);
}

/* Whether it may miss this entry: it gave way, or no history was kept of it. */
static bool may_miss(const struct node *node, const struct peer *peer, unsigned int entry)
{
	if (entry <= peer->promised)
		return false;
	if (!is_aware(node, peer) && entry <= peer->opened_at)
		return true;
	return node->excused[entry] || peer->client.n_dropped != peer->n_dropped;
}

static void hear_event(struct node *node, struct peer *peer, unsigned int entry)
{
	if (peer->waits)
		node_complain(node, "peer %u heard %u before it was answered", number(node, peer), entry);
	if (peer->has_position && entry <= peer->position)
		node_complain(
			node, "peer %u stood at %u and heard %u", number(node, peer), peer->position, entry);
	for (unsigned int i = peer->position + 1; peer->has_position && i < entry; i++)
		if (!may_miss(node, peer, i))
			node_complain(node, "peer %u stood at %u and heard %u", number(node, peer),
				peer->position, entry);
	peer->has_position = true;
	peer->position = entry;
	peer->n_events++;
}

static void hear(struct node *node, struct peer *peer, const char *text)
{
	if (node->is_verbose)
		printf("          %u: %s\n", number(node, peer), text);
	if (strncmp(text, "{\"type\":\"n\",", 12) == 0 && peer->hears_plain && !strstr(text, "\"pos\":"))
		return;
	if (strncmp(text, "{\"type\":\"n\",\"data\":", 19) == 0)
		hear_event(node, peer, (unsigned int)strtoul(text + 19, NULL, 10));
	else if (strstr(text, "\"type\":\"subscribed\""))
		hear_answer(node, peer, text);
	else if (strstr(text, "\"code\":\"unavailable\""))
		peer->hears_plain = true;
	else if (strstr(text, "\"type\":\"resync\""))
		hear_resync(node, peer, text);
}

void peer_read(struct node *node, struct peer *peer)
{
	unsigned int n_before = peer->n_events;
	size_t at = 0;

	while (peer->wire.len - at >= 2) {
		const unsigned char *frame = (const unsigned char *)peer->wire.data + at;
		size_t len = frame[1], header = 2;
		char text[TEXT_MAX];

		if (len == 126) {
			header = 4;
			len = peer->wire.len - at >= 4 ? (size_t)frame[2] << 8 | frame[3] : SIZE_MAX / 2;
		}
		if (header + len > peer->wire.len - at)
			break;
		snprintf(text, sizeof(text), "%.*s", (int)len, (const char *)frame + header);
		if (frame[0] == (0x80 | FRAME_TEXT))
			hear(node, peer, text);
		at += header + len;
	}
	if (at) {
		memmove(peer->wire.data, peer->wire.data + at, peer->wire.len - at);
		peer->wire.len -= at;
	}
	if (peer->is_open && peer->client.state == CLIENT_CLOSING)
		peer_leave(peer);
	/* Entries that gave way are older than an event that arrives later. They may be newer than an answer.
	 */
	if (peer->is_open && peer->n_events != n_before && !peer->wire.len &&
		outbox_empty(&peer->client.outbox))
		peer->n_dropped = peer->client.n_dropped;
}

void peer_come(struct node *node, struct peer *peer)
{
	struct route_match match;
	struct rights rights;
	struct since since = {.kind = SINCE_NOW};
	const struct in6_addr remote = IN6ADDR_LOOPBACK_INIT;
	int r;

	if (peer->is_open)
		return;
	if (route_table_match(node->clients.routes, "/ws/x", 5, &match) != 0 ||
		rights_init(&rights, node->clients.routes, &match, NULL) < 0)
		abort();
	peer->is_open = true;
	peer->room = SIZE_MAX;
	peer->wants_writable = false;
	peer->n_dropped = 0;
	peer->promised = 0;
	buf_reset(&peer->wire);
	r = client_init(&peer->client, &node->clients, peer, &rights, &remote);
	if (r < 0)
		abort();
	if (is_aware(node, peer)) {
		if (peer->has_position)
			since = (struct since){.kind = SINCE_POSITION,
				.position = {{"abcdefgh"}, peer->position,
					peer->position ? 1000 + peer->position : 0}};
		peer->waits = true;
		client_resume(&peer->client, &since);
	} else {
		peer->has_position = false;
	}
	if (r == 0)
		peer_open(peer);
}

void peer_open(struct peer *peer)
{
	peer->opened_at = peer->node->top;
	client_open(&peer->client);
}

void peer_leave(struct peer *peer)
{
	if (!peer->is_open)
		return;
	peer->is_open = false;
	peer->waits = peer->hears_plain = false;
	client_deinit(&peer->client);
}

void peer_take(struct node *node, struct peer *peer, size_t room)
{
	peer->room = room;
	if (!peer->is_open || !room || !peer->wants_writable)
		return;
	peer->wants_writable = false;
	client_writable(&peer->client);
	clients_turn(&node->clients);
}

void peer_is_complete(struct node *node, const struct peer *peer)
{
	if (!peer->is_open)
		return;
	if (peer->waits)
		node_complain(node, "peer %u was never answered", number(node, peer));
	for (unsigned int i = peer->position + 1; peer->has_position && i <= node->top; i++)
		if (!may_miss(node, peer, i))
			node_complain(node, "peer %u stays at %u of %u", number(node, peer), peer->position,
				node->top);
}

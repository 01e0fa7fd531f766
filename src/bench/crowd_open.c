/* Crowd, opening: from a socket to an open WebSocket connection, and back. */

#include "bench/peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/arrival.h"
#include "bench/plan.h"
#include "bench/stream.h"
#include "bench/window.h"
#include "ws_client/ws_opening.h"

enum {
	OPEN_MAX = 64,            /* of a turn: those that are open must not wait long */
	SLOW_RCVBUF_BYTES = 4096, /* so that a client that never reads is full soon, as a phone is */
};

/* Its place among all connections. */
static uint32_t peer_number(const struct crowd *crowd, const struct peer *peer)
{
	return crowd->index + (uint32_t)(peer - crowd->peers) * crowd->shared->plan->n_crowds;
}

static int peer_bind(const struct crowd *crowd, const struct peer *peer)
{
	const struct plan *plan = crowd->shared->plan;
	struct sockaddr_in source = {.sin_family = AF_INET};
	int on = 1;

	if (!plan->n_sources)
		return 0;
	source.sin_addr.s_addr = htonl(plan_source(plan, peer_number(crowd, peer)));
	/* The port is chosen at connect(), when the whole quadruple counts: else 28,000 ports are all there
	 * are. */
	setsockopt(peer->wire.fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
	return bind(peer->wire.fd, (struct sockaddr *)&source, sizeof(source)) < 0 ? -errno : 0;
}

static int peer_connect(struct crowd *crowd, struct peer *peer)
{
	const struct ws_url *url = plan_url(crowd->shared->plan, peer_number(crowd, peer));
	struct epoll_event event = {.data.u64 = (uint64_t)(peer - crowd->peers)};
	int on = 1, small = SLOW_RCVBUF_BYTES, r;

	peer->wire.fd = socket(url->server.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (peer->wire.fd < 0)
		return -errno;
	r = peer_bind(crowd, peer);
	if (r < 0)
		return r;
	if (crowd->was_cut)
		arrival_watch(peer->wire.fd);
	setsockopt(peer->wire.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (peer->slow)
		setsockopt(peer->wire.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	r = connect(peer->wire.fd, (const struct sockaddr *)&url->server, url->server_len) < 0 ? -errno : 0;
	if (r == -EADDRNOTAVAIL)
		crowd_note(crowd, "no port is left to connect from: more --sources", "");
	if (r < 0 && r != -EINPROGRESS)
		return r;
	peer->state = PEER_CONNECTING;
	event.events = EPOLLIN | EPOLLRDHUP | EPOLLET | (r < 0 ? EPOLLOUT : 0);
	if (epoll_ctl(crowd->epoll_fd, EPOLL_CTL_ADD, peer->wire.fd, &event) < 0)
		return -errno;
	if (crowd->shared->tls && wire_speak_tls(&peer->wire, crowd->shared->tls, NULL) < 0)
		return -ENOMEM;
	if (r == 0)
		peer_ask(crowd, peer);
	return 0;
}

void crowd_open_some(struct crowd *crowd)
{
	uint32_t opening_max = crowd->shared->plan->opening_max / crowd->shared->plan->n_crowds + 1;

	crowd_start_round(crowd);
	for (int n = 0; n < OPEN_MAX && crowd->n_started < crowd->n_peers && crowd->n_opening < opening_max;
		n++) {
		struct peer *peer = &crowd->peers[crowd->n_started++];
		int r;

		if (peer->state != PEER_NEW)
			continue; /* it is back */
		peer_comes(crowd, peer);
		crowd->n_opening++;
		r = peer_connect(crowd, peer);
		if (r < 0) {
			crowd_note(crowd, "cannot connect: ", strerror(-r));
			peer_end(crowd, peer);
		}
	}
}

static size_t write_request(const struct crowd *crowd, const struct peer *peer, char out[WS_OPENING_MAX])
{
	const struct plan *plan = crowd->shared->plan;
	const char *host = plan_url(plan, peer_number(crowd, peer))->host;
	char path[PEER_PATH_SIZE];
	const struct ws_opening opening = {path, host, plan->token, plan->deflate};

	plan_expand(plan->path, peer->channel, path);
	peer_add_since(crowd, peer, path);
	return peer->listens ? stream_request_write(&opening, out) : ws_opening_write(&opening, out);
}

void peer_ask(struct crowd *crowd, struct peer *peer)
{
	char request[WS_OPENING_MAX];
	size_t len = write_request(crowd, peer, request);
	ssize_t n = wire_send(&peer->wire, request, len);

	if (n == (ssize_t)len) { /* a fresh socket has room for it */
		peer->state = PEER_ASKED;
		return;
	}
	if (n < 0 && errno == EAGAIN && peer->wire.session)
		return; /* the handshake goes on with the next bytes */
	crowd_note(crowd, "cannot connect: ", n < 0 ? strerror(errno) : "the request did not fit");
	peer_end(crowd, peer);
}

static void peer_opened(struct crowd *crowd, struct peer *peer)
{
	struct epoll_event event = {
		.events = EPOLLRDHUP | EPOLLET, .data.u64 = (uint64_t)(peer - crowd->peers)};

	peer->state = PEER_OPEN;
	crowd->n_opening--;
	if (peer_is_back(crowd, peer))
		return; /* its share was never taken away */
	crowd_count(&crowd->counts.opened, 1);
	if (peer->slow)
		epoll_ctl(crowd->epoll_fd, EPOLL_CTL_MOD, peer->wire.fd,
			&event); /* cannot fail for what is in it */
	else
		atomic_fetch_add_explicit(&crowd->shares[peer->channel], 1, memory_order_relaxed);
}

long peer_answered(struct crowd *crowd, struct peer *peer, const unsigned char *data, size_t len)
{
	struct ws_opened opened;
	long n = peer->listens ? stream_answer_take(data, len, &opened) : ws_opening_take(data, len, &opened);

	if (n == -ECONNREFUSED)
		crowd_note(crowd, "the server refused: ", opened.refusal);
	if (n <= 0)
		return n;
	crowd_count(&crowd->counts.deflated, opened.deflated);
	peer_opened(crowd, peer);
	return n;
}

void crowd_wake_slow(struct crowd *crowd)
{
	for (uint32_t i = 0; i < crowd->n_peers; i++) {
		struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET, .data.u64 = i};

		if (crowd->peers[i].slow && crowd->peers[i].state == PEER_OPEN)
			epoll_ctl(crowd->epoll_fd, EPOLL_CTL_MOD, crowd->peers[i].wire.fd, &event);
	}
	crowd->slow_awake = true;
}

/* What it will never have counts as arrived, so that the others' events are not held up for it. */
static void peer_settle(struct crowd *crowd, struct peer *peer)
{
	uint32_t share = crowd_share(crowd, peer->channel);
	uint64_t published = atomic_load_explicit(&crowd->shared->published, memory_order_relaxed);
	uint64_t number = peer->sequence.next;

	for (; crowd->window_shares && number < published; number += crowd->shared->plan->n_channels)
		if (window_arrived(crowd->shared->window, crowd->window_shares, number, share))
			crowd->got_whole = true;
	atomic_store_explicit(&crowd->shares[peer->channel], share - 1, memory_order_relaxed);
}

/* It does not come back. */
static void peer_leave(struct crowd *crowd, struct peer *peer)
{
	if (peer->state == PEER_OPEN && peer->slow) {
		crowd_count(&crowd->counts.slow_closed, 1);
	} else if (peer->state == PEER_OPEN) {
		crowd_count(&crowd->counts.closed, 1);
		peer_settle(crowd, peer);
	} else if (peer->state != PEER_GONE) {
		crowd_count(&crowd->counts.failed, 1);
		crowd->n_opening--;
	}
	peer->state = PEER_GONE;
}

void peer_end(struct crowd *crowd, struct peer *peer)
{
	if (!peer_comes_back(crowd, peer))
		peer_leave(crowd, peer);
	wire_close(&peer->wire);
	free(peer->rest);
	peer->rest = NULL;
	peer->rest_len = 0;
}

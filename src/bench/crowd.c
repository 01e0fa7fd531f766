/*
 * Crowd: the loop of one thread over its connections.
 *
 * Sockets are watched edge-triggered. A read that fills less than what was asked for has emptied the socket,
 * so there is no second one to be told EAGAIN. What is left of a frame that did not come whole is kept with
 * its connection, and put before the next read, in the one buffer that all share.
 */

#include "bench/crowd.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/arrival.h"
#include "bench/inflater.h"
#include "bench/peer.h"
#include "bench/plan.h"
#include "bench/shared_memory.h"
#include "bench/stream.h"
#include "bench/window.h"
#include "core/clock.h"
#include "ws_client/client_frame.h"
#include "ws_client/server_frame.h"

enum {
	EVENTS_MAX = 256,   /* connections a turn: the publisher must not wait long for its own */
	FRAME_EXTRA = 4096, /* what a gateway may add to an event */
	SAID_MAX = 256,     /* bytes of what a client says */
};

#define WATCH_FLAG (UINT64_C(1) << 63) /* in epoll's data: not a connection but a bit */

static size_t frame_max(const struct plan *plan)
{
	return plan->payload + FRAME_EXTRA;
}

static int crowd_allocate(struct crowd *crowd)
{
	const struct plan *plan = crowd->shared->plan;

	crowd->n_peers = (plan->n_connections - crowd->index + plan->n_crowds - 1) / plan->n_crowds;
	crowd->in_size = CROWD_IN_MIN > 2 * frame_max(plan) ? CROWD_IN_MIN : 2 * frame_max(plan);
	crowd->peers = calloc(crowd->n_peers ? crowd->n_peers : 1, sizeof(*crowd->peers));
	crowd->shares = shared_memory_new(plan->n_channels * sizeof(*crowd->shares));
	crowd->in = malloc(crowd->in_size);
	if (crowd->shared->window)
		crowd->window_shares = window_shares_new(crowd->shared->window);
	if (plan->storm)
		crowd->memories = calloc(crowd->n_peers ? crowd->n_peers : 1, sizeof(*crowd->memories));
	if (plan->deflate)
		crowd->inflater = inflater_new();
	if (!crowd->peers || !crowd->shares || !crowd->in ||
		(crowd->shared->window && !crowd->window_shares) || (plan->deflate && !crowd->inflater) ||
		(plan->storm && !crowd->memories))
		return -ENOMEM;
	return 0;
}

static void peers_init(struct crowd *crowd)
{
	const struct plan *plan = crowd->shared->plan;

	for (uint32_t i = 0; i < crowd->n_peers; i++) {
		uint32_t number = crowd->index + i * plan->n_crowds;
		struct peer *peer = &crowd->peers[i];

		peer->wire.fd = -1;
		peer->channel = number % plan->n_channels;
		peer->listens = plan->sse;
		peer->slow = number >= plan_n_readers(plan);
		sequence_init(&peer->sequence, peer->channel);
	}
}

int crowd_new(struct crowd_shared *shared, uint32_t index, struct crowd **crowdp)
{
	struct crowd *crowd = shared_memory_new(sizeof(*crowd));
	int r;

	if (!crowd)
		return -ENOMEM;
	crowd->shared = shared;
	crowd->index = index;
	crowd->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	r = crowd->epoll_fd < 0 ? -errno : crowd_allocate(crowd);
	if (r < 0)
		goto fail;
	peers_init(crowd);
	*crowdp = crowd;
	return 0;

fail:
	crowd->n_peers = 0; /* they are not set up yet */
	crowd_free(crowd);
	return r;
}

static void peer_goodbye(struct peer *peer)
{
	static const unsigned char close_1000[] = {
		0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8}; /* masked with zeros */

	if (peer->state == PEER_OPEN && !peer->listens)
		(void)wire_send(&peer->wire, close_1000, sizeof(close_1000)); /* a courtesy */
	wire_close(&peer->wire);
	sequence_deinit(&peer->sequence);
	free(peer->rest);
}

void crowd_free(struct crowd *crowd)
{
	if (!crowd)
		return;
	for (uint32_t i = 0; i < crowd->n_peers; i++)
		peer_goodbye(&crowd->peers[i]);
	if (crowd->epoll_fd >= 0)
		close(crowd->epoll_fd);
	inflater_free(crowd->inflater);
	free(crowd->window_shares);
	shared_memory_free(crowd->shares, crowd->shared->plan->n_channels * sizeof(*crowd->shares));
	free(crowd->peers);
	free(crowd->memories);
	free(crowd->in);
	shared_memory_free(crowd, sizeof(*crowd));
}

int crowd_watch(struct crowd *crowd, int fd, unsigned int bit)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.u64 = WATCH_FLAG | bit};

	return epoll_ctl(crowd->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

void crowd_note(struct crowd *crowd, const char *sentence, const char *detail)
{
	if (!crowd->trouble[0])
		snprintf(crowd->trouble, sizeof(crowd->trouble), "%s%s", sentence, detail);
}

/* Takes whole frames off the front. How many bytes; negative: the connection is to end. */
static long peer_take(struct crowd *crowd, struct peer *peer, const unsigned char *data, size_t len)
{
	bool sse = crowd->shared->plan->sse;
	size_t size_max = crowd->in_size / 2;
	size_t at = 0;
	long n;

	if (peer->state == PEER_ASKED) {
		n = peer_answered(crowd, peer, data, len);
		if (n <= 0)
			return n;
		at = (size_t)n;
	}
	while (peer->state == PEER_OPEN) {
		struct server_frame frame;
		int r;

		n = sse ? stream_parse(data + at, len - at, size_max, &frame)
			: server_frame_parse(data + at, len - at, size_max, &frame);
		if (n == 0)
			break;
		if (n < 0) {
			crowd_note(crowd, "a frame that no client accepts: ", strerror((int)-n));
			return n;
		}
		r = peer_frame(crowd, peer, &frame);
		if (r < 0)
			return r;
		at += (size_t)n;
	}
	return (long)at;
}

/* Keeps what did not come whole. */
static int peer_keep(struct peer *peer, const unsigned char *data, size_t len)
{
	unsigned char *rest = NULL;

	if (len) {
		rest = realloc(peer->rest, len);
		if (!rest)
			return -ENOMEM;
		memcpy(rest, data, len);
	} else {
		free(peer->rest);
	}
	peer->rest = rest;
	peer->rest_len = (uint32_t)len;
	return 0;
}

/* In a storm with a look at when the bytes came: it makes us read late. */
static ssize_t peer_receive(struct crowd *crowd, struct peer *peer, void *data, size_t size)
{
	crowd->came_us = 0;
	if (crowd->was_cut && !peer->wire.session)
		return arrival_receive(peer->wire.fd, data, size, &crowd->came_us);
	return wire_receive(&peer->wire, data, size);
}

/* One read. 1: there may be more; 0: that was all; negative: the connection is over. */
static int peer_read(struct crowd *crowd, struct peer *peer)
{
	size_t held = peer->rest_len;
	size_t room = crowd->in_size - held; /* a rest is shorter than a frame, and that than half of it */
	ssize_t n;
	long used;

	n = peer_receive(crowd, peer, crowd->in + held, room);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return errno == EINTR;
	if (n <= 0) {
		crowd_note(
			crowd, "the server closed a connection: ", n < 0 ? strerror(errno) : "end of stream");
		return n < 0 ? -errno : -ECONNRESET;
	}
	if (held)
		memcpy(crowd->in, peer->rest, held);
	crowd->now_us = clock_monotonic_us();
	crowd->from_us = atomic_load_explicit(&crowd->shared->from_us, memory_order_relaxed);
	crowd->to_us = atomic_load_explicit(&crowd->shared->to_us, memory_order_relaxed);
	crowd_count(&crowd->counts.bytes, (uint64_t)n);
	crowd_count(&crowd->counts.reads, 1);
	used = peer_take(crowd, peer, crowd->in, held + (size_t)n);
	if (used < 0)
		return (int)used;
	if ((held || (size_t)used < (size_t)n) &&
		peer_keep(peer, crowd->in + used, held + (size_t)n - (size_t)used) < 0)
		return -ENOMEM;
	return wire_has_more(&peer->wire, (size_t)n, room);
}

/* Its frames are of no interest, only whether they end. */
static void peer_ready_slow(struct crowd *crowd, struct peer *peer, uint32_t events)
{
	ssize_t n = 1;

	while (crowd->slow_awake && n > 0) {
		n = wire_receive(&peer->wire, crowd->in, crowd->in_size);
		crowd_count(&crowd->counts.reads, n > 0);
	}
	if (n == 0 || (n < 0 && errno != EAGAIN) || events & (EPOLLERR | EPOLLHUP))
		peer_end(crowd, peer);
}

static void peer_ready(struct crowd *crowd, struct peer *peer, uint32_t events)
{
	int r = 1;

	if (peer->state == PEER_CONNECTING)
		peer_ask(crowd, peer);
	if (peer->state == PEER_GONE || peer->state == PEER_CONNECTING || peer->state == PEER_NEW)
		return;
	if (peer->slow && peer->state == PEER_OPEN) {
		peer_ready_slow(crowd, peer, events);
		return;
	}
	while (r > 0 && events & (EPOLLIN | EPOLLERR | EPOLLHUP) && (!peer->slow || peer->state != PEER_OPEN))
		r = peer_read(crowd, peer);
	if (r < 0)
		peer_end(crowd, peer);
}

int crowd_turn(struct crowd *crowd, int timeout_ms)
{
	struct epoll_event events[EVENTS_MAX];
	int bits = 0, n;

	if (crowd->n_cut < crowd->n_peers &&
		atomic_load_explicit(&crowd->shared->storm_from_us, memory_order_relaxed) &&
		crowd_cut_off(crowd))
		timeout_ms = 0;
	crowd_open_some(crowd);
	if (!crowd->slow_awake && atomic_load_explicit(&crowd->shared->wake_slow, memory_order_relaxed))
		crowd_wake_slow(crowd);
	n = epoll_wait(crowd->epoll_fd, events, EVENTS_MAX, timeout_ms);
	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	for (int i = 0; i < n; i++) {
		if (events[i].data.u64 & WATCH_FLAG)
			bits |= (int)(events[i].data.u64 & ~WATCH_FLAG);
		else
			peer_ready(crowd, &crowd->peers[events[i].data.u64], events[i].events);
	}
	if (crowd->got_whole && crowd->index)
		eventfd_write(crowd->shared->wake_fd, 1); /* fails only if it is about to wake anyway */
	crowd->got_whole = false;
	return bits;
}

void crowd_say(struct crowd *crowd, uint32_t connection, const char *text, size_t len)
{
	struct peer *peer = &crowd->peers[connection];
	unsigned char frame[CLIENT_FRAME_HEAD_MAX + SAID_MAX];
	size_t head = client_frame_head(OPCODE_TEXT, len, frame);

	if (peer->state != PEER_OPEN || len > SAID_MAX)
		return;
	memcpy(frame + head, text, len);
	if (wire_send(&peer->wire, frame, head + len) == (ssize_t)(head + len))
		return;
	crowd_note(crowd, "the server does not read what its clients say", "");
	peer_end(crowd, peer);
}

const struct crowd_counts *crowd_counts(const struct crowd *crowd)
{
	return &crowd->counts;
}

uint32_t crowd_share(const struct crowd *crowd, uint32_t channel)
{
	return atomic_load_explicit(&crowd->shares[channel], memory_order_relaxed);
}

void crowd_end(struct crowd *crowd)
{
	uint64_t end = atomic_load_explicit(&crowd->shared->published, memory_order_relaxed);

	crowd->missing = 0;
	for (uint32_t i = 0; i < crowd->n_peers; i++)
		if (!crowd->peers[i].slow)
			crowd->missing += sequence_missing(
				&crowd->peers[i].sequence, end, crowd->shared->plan->n_channels);
}

uint64_t crowd_missing(const struct crowd *crowd)
{
	return crowd->missing;
}

const struct histogram *crowd_latency(const struct crowd *crowd)
{
	return &crowd->latency;
}

const struct histogram *crowd_storm_latency(const struct crowd *crowd)
{
	return &crowd->storm_latency;
}

const struct histogram *crowd_storm_read(const struct crowd *crowd)
{
	return &crowd->storm_read;
}

const char *crowd_trouble(const struct crowd *crowd)
{
	return crowd->trouble;
}

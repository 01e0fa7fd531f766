/*
 * Limit server: accepts, answers the handshake without a look at it, and sends.
 *
 * One loop, one thread. What one read of the orders brought is one batch: "each" sends an event to all its
 * subscribers before it looks at the next; "coalesced" strings the frames of a channel together first and
 * sends each client once; "uring" is as each, but gathers the sends of different clients for one system call
 * of io_uring. The rest that a full socket did not take is queued with its connection and goes
 * out before anything newer.
 */

#include "bench/limit_server.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/limit.h"
#include "bench/limit_ring.h"
#include "bench/plan.h"
#include "core/buf.h"

enum {
	EVENTS_MAX = 256,
	ACCEPT_MAX = 64, /* a turn, so that those who are in are not kept waiting */
	REQUEST_MAX = 2048,
	ORDERS_IN = 256 * 1024, /* bytes a read */
	QUEUE_MAX = 1 << 20,    /* what a client that does not read may hold; Tidegate's default */
};

struct link {
	int fd;
	bool open; /* has its 101 */
	uint32_t channel;
	uint32_t place; /* in the channel's list */
	struct buf queue;
};

struct channel {
	struct link **links;
	uint32_t n, cap;
	struct buf batch; /* frames of this batch, strung together */
	bool in_ring;     /* some of its sends wait there */
};

struct server {
	int epoll_fd, listen_fd, orders_fd;
	bool coalesce;
	struct channel *channels;
	uint32_t n_channels;
	uint32_t *touched; /* channels with something in their batch, or in the ring */
	uint32_t n_touched;
	struct limit_ring *ring; /* NULL: send(2) */
	int broken;              /* negative errno: the ring is */
	struct buf orders;       /* what has come and is not carried out yet */
};

static void link_close(struct server *server, struct link *link)
{
	struct channel *channel = &server->channels[link->channel];

	if (link->open) {
		channel->links[link->place] = channel->links[--channel->n];
		channel->links[link->place]->place = link->place;
	}
	close(link->fd);
	buf_deinit(&link->queue);
	free(link);
}

static void link_watch(struct server *server, struct link *link, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = link};

	epoll_ctl(server->epoll_fd, EPOLL_CTL_MOD, link->fd, &event);
}

/* Queues what the socket did not take. A link that is over its bound is closed. */
static void link_queue(struct server *server, struct link *link, const char *data, size_t len)
{
	bool first = !link->queue.len;

	if (first || link->queue.len + len <= QUEUE_MAX)
		buf_append(&link->queue, data, len);
	else
		link->queue.failed = true;
	if (link->queue.failed)
		link_close(server, link);
	else if (first)
		link_watch(server, link, EPOLLIN | EPOLLOUT);
}

/* n: what the socket took of it, or negative errno. May close the link. */
static void link_sent(struct server *server, struct link *link, const char *data, size_t len, ssize_t n)
{
	if (n == (ssize_t)len)
		return;
	if (n < 0 && n != -EAGAIN) {
		link_close(server, link);
		return;
	}
	n = n < 0 ? 0 : n;
	link_queue(server, link, data + n, len - (size_t)n);
}

/* Makes the sends that were gathered. */
static void ring_run(struct server *server)
{
	const struct limit_send *sends = NULL;
	ssize_t n = limit_ring_run(server->ring, &sends);

	if (n < 0)
		server->broken = (int)n;
	for (ssize_t i = 0; i < n; i++)
		link_sent(server, sends[i].arg, sends[i].data, sends[i].len, sends[i].result);
	while (server->n_touched)
		server->channels[server->touched[--server->n_touched]].in_ring = false;
}

static void ring_add(struct server *server, struct link *link, const char *data, size_t len)
{
	const struct limit_send send = {link, data, len, 0};

	if (limit_ring_n(server->ring) == LIMIT_RING_ENTRIES)
		ring_run(server);
	if (server->broken)
		return;
	limit_ring_add(server->ring, link->fd, &send);
}

/* May close the link. */
static void link_send(struct server *server, struct link *link, const char *data, size_t len)
{
	ssize_t n;

	if (link->queue.len) {
		link_queue(server, link, data, len);
	} else if (server->ring) {
		ring_add(server, link, data, len);
	} else {
		n = send(link->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
		link_sent(server, link, data, len, n < 0 ? -errno : n);
	}
}

static void link_flush(struct server *server, struct link *link)
{
	ssize_t n = send(link->fd, link->queue.data, link->queue.len, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0 && errno != EAGAIN) {
		link_close(server, link);
		return;
	}
	buf_consume(&link->queue, n < 0 ? 0 : (size_t)n);
	if (!link->queue.len)
		link_watch(server, link, EPOLLIN);
}

static int channel_add(struct channel *channel, struct link *link)
{
	if (channel->n == channel->cap) {
		uint32_t cap = channel->cap ? channel->cap * 2 : 1;
		struct link **links = realloc(channel->links, cap * sizeof(struct link *));

		if (!links)
			return -ENOMEM;
		channel->links = links;
		channel->cap = cap;
	}
	link->place = channel->n;
	channel->links[channel->n++] = link;
	return 0;
}

/* The digits that the path ends with. Out of range: not one of our own clients. */
static int path_channel(const struct server *server, const char *request, size_t len, uint32_t *channelp)
{
	const char *end = len > 4 ? memchr(request + 4, ' ', len - 4) : NULL;
	uint64_t channel = 0, unit = 1;

	for (; end && end > request && end[-1] >= '0' && end[-1] <= '9' && unit < 1000000000; unit *= 10)
		channel += (uint64_t)(*--end - '0') * unit;
	*channelp = (uint32_t)channel;
	return end && channel < server->n_channels ? 0 : -EPROTO;
}

/* A request that does not come in one piece is refused: our own clients send it in one. */
static int link_answer(struct server *server, struct link *link, const char *request, size_t len)
{
	static const char answer[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\n"
				     "Connection: Upgrade\r\n"
				     "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
	int r = path_channel(server, request, len, &link->channel);

	if (r < 0 || len < 4 || memcmp(request + len - 4, "\r\n\r\n", 4))
		return -EPROTO;
	if (send(link->fd, answer, sizeof(answer) - 1, MSG_DONTWAIT | MSG_NOSIGNAL) != sizeof(answer) - 1)
		return -EPIPE;
	r = channel_add(&server->channels[link->channel], link);
	link->open = r == 0;
	return r;
}

static void link_ready(struct server *server, struct link *link, uint32_t events)
{
	char in[REQUEST_MAX];
	ssize_t n;

	if (events & EPOLLOUT && link->queue.len) {
		link_flush(server, link);
		return; /* the rest is told again: nothing here is edge-triggered */
	}
	n = recv(link->fd, in, sizeof(in), MSG_DONTWAIT);
	if (n < 0 && errno == EAGAIN)
		return;
	/* Once open, what a client sends (pongs, its close) is of no interest. */
	if (n <= 0 || (!link->open && link_answer(server, link, in, (size_t)n) < 0))
		link_close(server, link);
}

static void server_accept(struct server *server)
{
	for (int i = 0; i < ACCEPT_MAX; i++) {
		int fd = accept4(server->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		struct link *link = fd < 0 ? NULL : calloc(1, sizeof(*link));
		struct epoll_event event = {.events = EPOLLIN, .data.ptr = link};

		if (fd < 0)
			return;
		if (!link) {
			close(fd);
			return;
		}
		link->fd = fd;
		if (epoll_ctl(server->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
			link_close(server, link);
	}
}

/* From the last to the first: a link that is closed on the way, this one or one before it whose send was
 * gathered, puts the last one in its place. */
static void channel_send(struct server *server, struct channel *channel, const char *data, size_t len)
{
	for (uint32_t i = channel->n; i-- > 0;)
		link_send(server, channel->links[i], data, len);
}

/* In one run a socket is sent to once. */
static void order_gather(struct server *server, const struct limit_order *order, const char *frame)
{
	struct channel *channel = &server->channels[order->channel];

	if (channel->in_ring)
		ring_run(server);
	channel_send(server, channel, frame, order->len);
	channel->in_ring = true;
	server->touched[server->n_touched++] = order->channel;
}

static void order_carry_out(struct server *server, const struct limit_order *order, const char *frame)
{
	struct channel *channel = &server->channels[order->channel];

	if (server->ring) {
		order_gather(server, order, frame);
		return;
	}
	if (!server->coalesce) {
		channel_send(server, channel, frame, order->len);
		return;
	}
	if (!channel->batch.len)
		server->touched[server->n_touched++] = order->channel;
	buf_append(&channel->batch, frame, order->len);
}

static int batch_send(struct server *server)
{
	for (uint32_t i = 0; i < server->n_touched; i++) {
		struct channel *channel = &server->channels[server->touched[i]];

		if (channel->batch.failed)
			return -ENOMEM;
		channel_send(server, channel, channel->batch.data, channel->batch.len);
		buf_reset(&channel->batch);
	}
	server->n_touched = 0;
	return 0;
}

/* One read is one batch. 0, negative errno; -EPIPE: the parent has ended. */
static int server_orders(struct server *server)
{
	char *in = buf_reserve(&server->orders, ORDERS_IN);
	ssize_t n = in ? recv(server->orders_fd, in, ORDERS_IN, MSG_DONTWAIT) : 0;
	size_t at = 0;

	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n <= 0)
		return -EPIPE;
	server->orders.len += (size_t)n;
	for (;;) {
		struct limit_order order;

		if (server->orders.len - at < sizeof(order))
			break;
		memcpy(&order, server->orders.data + at, sizeof(order));
		if (server->orders.len - at - sizeof(order) < order.len)
			break;
		order_carry_out(server, &order, server->orders.data + at + sizeof(order));
		at += sizeof(order) + order.len;
	}
	if (server->ring)
		ring_run(server);
	buf_consume(&server->orders, at);
	return server->ring ? server->broken : batch_send(server);
}

static int server_init(struct server *server, const struct plan *plan)
{
	struct epoll_event listening = {.events = EPOLLIN, .data.ptr = &server->listen_fd};
	struct epoll_event ordering = {.events = EPOLLIN, .data.ptr = &server->orders_fd};

	server->coalesce = plan->limit == PLAN_LIMIT_COALESCED;
	server->n_channels = plan->n_channels;
	server->channels = calloc(plan->n_channels, sizeof(*server->channels));
	server->touched = calloc(plan->n_channels, sizeof(*server->touched));
	if (plan->limit == PLAN_LIMIT_URING) {
		int r = limit_ring_new(&server->ring);

		if (r < 0)
			return r;
	}
	server->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (!server->channels || !server->touched)
		return -ENOMEM;
	if (server->epoll_fd < 0 ||
		epoll_ctl(server->epoll_fd, EPOLL_CTL_ADD, server->listen_fd, &listening) < 0 ||
		epoll_ctl(server->epoll_fd, EPOLL_CTL_ADD, server->orders_fd, &ordering) < 0)
		return -errno;
	return 0;
}

/* Orders come last in a turn: they may close links that the same turn still has news of. */
static int server_turn(struct server *server)
{
	struct epoll_event events[EVENTS_MAX];
	int n = epoll_wait(server->epoll_fd, events, EVENTS_MAX, -1);
	bool ordered = false;

	for (int i = 0; i < n; i++) {
		if (events[i].data.ptr == &server->listen_fd)
			server_accept(server);
		else if (events[i].data.ptr == &server->orders_fd)
			ordered = true;
		else
			link_ready(server, events[i].data.ptr, events[i].events);
	}
	return ordered ? server_orders(server) : 0;
}

int limit_serve(const struct plan *plan, int listen_fd, int orders_fd)
{
	struct server server = {.listen_fd = listen_fd, .orders_fd = orders_fd};
	int r = server_init(&server, plan);

	while (r == 0)
		r = server_turn(&server);
	return r == -EPIPE ? 0 : r; /* the process ends, and with it all that it holds */
}

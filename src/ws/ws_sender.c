/* Ws sender: the same bytes to many sockets; see the header. */

#include "ws/ws_sender.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <libwebsockets.h>
#ifdef TIDEGATE_IO_URING
#include <liburing.h>
#endif

#include "client/clients.h"
#include "client/socket.h"
#include "core/log.h"
#include "metrics/metrics.h"
#include "ws/ws_connection.h"
#include "ws/ws_server.h"

/* Small, for it lies with the bytes of a thousand others while the kernel works: half a line of the cache. */
struct pending {
	struct ws_connection *connection;
	const void *data;
	const void *cookie;
	uint32_t len;
	union {
		int fd; /* known once it is about to be sent through the ring; negative: nothing is sent */
		int result;
	};
};

struct ws_sender {
	struct pending *pending;
	size_t n;
	size_t capacity;
	struct clients *clients;
	struct log *log;
	struct metrics *metrics;
	bool use_uring; /* wanted, and not found wanting yet */
	bool has_uring;
#ifdef TIDEGATE_IO_URING
	struct io_uring ring;
#endif
};

enum {
	FIRST_CAPACITY = 256,
	RING_ENTRIES = 1024, /* sends in one call: 1,000 gain a quarter of the CPU, 32 gain a tenth
				(docs/performance.md) */
	RING_WORTH = 16,     /* fewer sends are made one by one */
};

struct ws_sender *ws_sender_new(
	bool use_uring, struct clients *clients, struct log *log, struct metrics *metrics)
{
	struct ws_sender *sender = calloc(1, sizeof(*sender));

	if (!sender)
		return NULL;
	sender->clients = clients;
	sender->log = log;
	sender->metrics = metrics;
	sender->use_uring = use_uring;
	return sender;
}

static ssize_t send_one(struct ws_connection *connection, const void *data, size_t len)
{
	struct iovec part = {(void *)data, len};

	return ws_socket_ops.send(connection, &part, 1);
}

static void send_pending(struct pending *pending)
{
	pending->result = (int)send_one(pending->connection, pending->data, pending->len);
}

#ifdef TIDEGATE_IO_URING

void ws_sender_free(struct ws_sender *sender)
{
	if (!sender)
		return;
	if (sender->has_uring)
		io_uring_queue_exit(&sender->ring);
	free(sender->pending);
	free(sender);
}

static int ring_init(struct io_uring *ring)
{
	/* Newer kernels complete a send inside our own call when they are told that only we submit. */
	int r = io_uring_queue_init(
		RING_ENTRIES, ring, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN);

	return r == -EINVAL ? io_uring_queue_init(RING_ENTRIES, ring, 0) : r;
}

/*
 * Sends one byte to a socket of our own. A kernel before 5.6 has rings that cannot send, and a seccomp
 * profile may allow a ring and forbid its use: clients must not be the first to find that out, for a failed
 * send ends a connection. 0 or negative errno.
 */
static int ring_try(struct io_uring *ring)
{
	struct io_uring_cqe *completion;
	int pair[2], r;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	io_uring_prep_send(io_uring_get_sqe(ring), pair[0], "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	do
		r = io_uring_submit_and_wait(ring, 1);
	while (r == -EINTR);
	if (r >= 0) {
		do
			r = io_uring_wait_cqe(ring, &completion);
		while (r == -EINTR);
	}
	if (r >= 0) {
		r = completion->res == 1 ? 0 : completion->res;
		io_uring_cqe_seen(ring, completion);
	}
	close(pair[0]);
	close(pair[1]);
	return r;
}

/* The ring belongs to the thread that sends, so it is made with the first batch. */
static void ring_make(struct ws_sender *sender)
{
	int r = ring_init(&sender->ring);

	if (r == 0) {
		r = ring_try(&sender->ring);
		if (r < 0)
			io_uring_queue_exit(&sender->ring);
	}
	sender->has_uring = r == 0;
	sender->use_uring = r == 0;
	metrics_set(sender->metrics, METRIC_IO_URING, r == 0);
	if (r < 0)
		log_info(sender->log, "io_uring is not available, sending one by one",
			log_str("reason", strerror(-r)));
	else
		log_info(sender->log, "sending through io_uring");
}

static void ring_add(struct ws_sender *sender, struct pending *pending)
{
	struct io_uring_sqe *entry = io_uring_get_sqe(&sender->ring);

	io_uring_prep_send(entry, pending->fd, pending->data, pending->len, MSG_DONTWAIT | MSG_NOSIGNAL);
	io_uring_sqe_set_data(entry, pending);
}

/*
 * Asks lws about each socket: in a loop of its own, because nothing of a wsi is in the cache when there are
 * thousands, and so the waits for its memory overlap. A socket for which lws has the rest of a frame to send
 * before gets nothing.
 */
static void look_up(struct pending *pending, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct lws *wsi = pending[i].connection->wsi;

		pending[i].fd = lws_partial_buffered(wsi) ? -1 : lws_get_socket_fd(wsi);
	}
}

/* The kernel may take some and leave the rest for another call. 0 or negative errno. */
static int ring_submit(struct ws_sender *sender, unsigned int n)
{
	while (n) {
		int r = io_uring_submit_and_wait(&sender->ring, n);

		if (r == -EINTR)
			continue;
		if (r <= 0)
			return r < 0 ? r : -EIO;
		n -= (unsigned int)r;
	}
	return 0;
}

/* Takes the completions that are there. How many. */
static unsigned int ring_take(struct ws_sender *sender)
{
	struct io_uring_cqe *completion;
	unsigned int head, n = 0;

	io_uring_for_each_cqe(&sender->ring, head, completion)
	{
		struct pending *pending = io_uring_cqe_get_data(completion);

		pending->result =
			completion->res == -EAGAIN || completion->res == -ENOBUFS ? 0 : completion->res;
		n++;
	}
	io_uring_cq_advance(&sender->ring, n);
	return n;
}

/* Takes n completions, most of which are there already. 0 or negative errno. */
static int ring_reap(struct ws_sender *sender, unsigned int n)
{
	for (n -= ring_take(sender); n; n -= ring_take(sender)) {
		struct io_uring_cqe *completion;
		int r = io_uring_wait_cqe(&sender->ring, &completion);

		if (r < 0 && r != -EINTR)
			return r;
	}
	return 0;
}

/* As many as fit into the ring, from the i-th on. How many were dealt with, or negative errno. */
static ssize_t ring_send(struct ws_sender *sender, size_t i)
{
	size_t n_taken = sender->n - i < RING_ENTRIES ? sender->n - i : RING_ENTRIES;
	struct pending *pending = &sender->pending[i];
	unsigned int n = 0;
	int r;

	look_up(pending, n_taken);
	for (size_t j = 0; j < n_taken; j++) {
		if (pending[j].fd >= 0) {
			ring_add(sender, &pending[j]);
			n++;
		}
		pending[j].result = 0;
	}
	r = ring_submit(sender, n);
	if (r == 0)
		r = ring_reap(sender, n);
	return r < 0 ? r : (ssize_t)n_taken;
}

/*
 * The kernel broke off in the middle. The submitted bytes may or may not have been sent, and no frame may be
 * sent twice. So these connections are given up, and all others are sent to one by one from now on.
 */
static void ring_fail(struct ws_sender *sender, size_t i, int error)
{
	log_error(sender->log, "io_uring failed, sending one by one", log_str("reason", strerror(-error)));
	for (; i < sender->n; i++)
		sender->pending[i].result = error;
	io_uring_queue_exit(&sender->ring);
	sender->has_uring = false;
	sender->use_uring = false;
	metrics_set(sender->metrics, METRIC_IO_URING, 0);
}

/* Sends some of the waiting bytes, from the i-th on. Returns how many. */
static size_t send_some(struct ws_sender *sender, size_t i)
{
	ssize_t n;

	if (sender->use_uring && !sender->has_uring && sender->n >= RING_WORTH)
		ring_make(sender);
	if (!sender->has_uring || sender->n - i < RING_WORTH) {
		send_pending(&sender->pending[i]);
		return 1;
	}
	n = ring_send(sender, i);
	if (n >= 0)
		return (size_t)n;
	ring_fail(sender, i, (int)n);
	return sender->n - i;
}

#else

void ws_sender_free(struct ws_sender *sender)
{
	if (!sender)
		return;
	free(sender->pending);
	free(sender);
}

static size_t send_some(struct ws_sender *sender, size_t i)
{
	send_pending(&sender->pending[i]);
	return 1;
}

#endif

/* How many of them, from the first one on, took all bytes of the same send. */
static size_t n_whole(const struct pending *pending, size_t n)
{
	size_t i = 0;

	while (i < n && pending[i].cookie == pending->cookie && pending[i].result == (int)pending[i].len)
		i++;
	return i;
}

static void tell(struct ws_sender *sender, const struct pending *pending, size_t n)
{
	for (size_t i = 0, whole; i < n; i += whole) {
		whole = n_whole(pending + i, n - i);
		if (whole)
			clients_sent(sender->clients, pending[i].cookie, (uint32_t)whole);
		else
			client_sent(&pending[i].connection->client, pending[i].cookie, pending[i].result);
		whole += !whole;
	}
}

void ws_sender_submit(struct ws_sender *sender)
{
	for (size_t i = 0, n; i < sender->n; i += n) {
		n = send_some(sender, i);
		tell(sender, &sender->pending[i], n);
	}
	sender->n = 0;
}

static bool grow(struct ws_sender *sender)
{
	size_t capacity = sender->capacity ? sender->capacity * 2 : FIRST_CAPACITY;
	struct pending *grown = realloc(sender->pending, capacity * sizeof(*grown));

	if (!grown)
		return false;
	sender->pending = grown;
	sender->capacity = capacity;
	return true;
}

static void send_at_once(struct ws_connection *connection, const void *data, size_t len, const void *cookie)
{
	client_sent(&connection->client, cookie, send_one(connection, data, len));
}

void ws_sender_add(struct ws_sender *sender, struct ws_connection *connection, const void *data, size_t len,
	const void *cookie)
{
	/* It is too long for one send of the ring, or there is no memory to wait in. */
	if (len > INT_MAX || (sender->n == sender->capacity && !grow(sender)))
		send_at_once(connection, data, len, cookie);
	else
		sender->pending[sender->n++] = (struct pending){connection, data, cookie, (uint32_t)len, {0}};
}

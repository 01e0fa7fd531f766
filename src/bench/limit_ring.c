/* Limit ring: the least that io_uring needs for a row of sends; see the header. */

#include "bench/limit_ring.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#ifdef TIDEGATE_IO_URING

#include <liburing.h>

struct limit_ring {
	struct io_uring ring;
	struct limit_send sends[LIMIT_RING_ENTRIES];
	uint32_t n;
};

int limit_ring_new(struct limit_ring **ringp)
{
	struct limit_ring *ring = calloc(1, sizeof(*ring));
	int r;

	if (!ring)
		return -ENOMEM;
	r = io_uring_queue_init(
		LIMIT_RING_ENTRIES, &ring->ring, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN);
	if (r == -EINVAL) /* a kernel before 6.1 */
		r = io_uring_queue_init(LIMIT_RING_ENTRIES, &ring->ring, 0);
	if (r < 0) {
		free(ring);
		return r;
	}
	*ringp = ring;
	return 0;
}

void limit_ring_free(struct limit_ring *ring)
{
	if (!ring)
		return;
	io_uring_queue_exit(&ring->ring);
	free(ring);
}

void limit_ring_add(struct limit_ring *ring, int fd, const struct limit_send *send)
{
	struct io_uring_sqe *entry = io_uring_get_sqe(&ring->ring);

	ring->sends[ring->n] = *send;
	io_uring_prep_send(entry, fd, send->data, send->len, MSG_DONTWAIT | MSG_NOSIGNAL);
	io_uring_sqe_set_data(entry, &ring->sends[ring->n++]);
}

static uint32_t take_completions(struct limit_ring *ring)
{
	struct io_uring_cqe *completion;
	unsigned int head;
	uint32_t n = 0;

	io_uring_for_each_cqe(&ring->ring, head, completion)
	{
		struct limit_send *send = io_uring_cqe_get_data(completion);

		send->result = completion->res;
		n++;
	}
	io_uring_cq_advance(&ring->ring, n);
	return n;
}

ssize_t limit_ring_run(struct limit_ring *ring, const struct limit_send **sendsp)
{
	uint32_t n = ring->n;

	for (uint32_t left = n; left; left -= take_completions(ring)) {
		int r = io_uring_submit_and_wait(&ring->ring, left);

		if (r < 0 && r != -EINTR)
			return r;
	}
	ring->n = 0;
	*sendsp = ring->sends;
	return n;
}

uint32_t limit_ring_n(const struct limit_ring *ring)
{
	return ring->n;
}

#else

int limit_ring_new(struct limit_ring **ringp)
{
	(void)ringp;
	return -ENOSYS;
}

void limit_ring_free(struct limit_ring *ring)
{
	(void)ring;
}

void limit_ring_add(struct limit_ring *ring, int fd, const struct limit_send *send)
{
	(void)ring;
	(void)fd;
	(void)send;
}

uint32_t limit_ring_n(const struct limit_ring *ring)
{
	(void)ring;
	return 0;
}

ssize_t limit_ring_run(struct limit_ring *ring, const struct limit_send **sendsp)
{
	(void)ring;
	(void)sendsp;
	return -ENOSYS;
}

#endif

/*
 * Mailbox: how one thread hands things to another.
 *
 * A locked list and an eventfd. The lock is held for a few instructions and, once per batch, for the write
 * that wakes the taker. A mailbox has no bound: the pushing side has to bound what it pushes. Order is kept
 * per pusher because the list has one tail.
 */

#include "core/mailbox.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct mailbox {
	pthread_mutex_t lock;
	struct mail *first;
	struct mail **lastp;
	int fd;
	mailbox_wake_fn wake; /* NULL: by the descriptor */
	void *wake_arg;
};

struct mailbox *mailbox_new(void)
{
	struct mailbox *box = calloc(1, sizeof(*box));

	if (!box)
		return NULL;
	box->lastp = &box->first;
	box->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (box->fd < 0) {
		free(box); /* leaves errno alone: glibc since 2.33 */
		return NULL;
	}
	pthread_mutex_init(&box->lock, NULL); /* cannot fail without attributes on Linux */
	return box;
}

void mailbox_free(struct mailbox *box)
{
	if (!box)
		return;
	assert(!box->first);
	close(box->fd);
	pthread_mutex_destroy(&box->lock);
	free(box);
}

int mailbox_fd(const struct mailbox *box)
{
	return box->fd;
}

void mailbox_wake_by(struct mailbox *box, mailbox_wake_fn wake, void *arg)
{
	box->wake = wake;
	box->wake_arg = arg;
}

/* The count cannot overflow, hence not fail: every turn from empty follows a take, and a take clears it. */
static void wake(struct mailbox *box)
{
	const uint64_t one = 1;

	if (box->wake)
		box->wake(box->wake_arg);
	else if (write(box->fd, &one, sizeof(one)) < 0)
		assert(errno == EAGAIN);
}

void mailbox_push(struct mailbox *box, struct mail *mail)
{
	bool was_empty;

	mail->next = NULL;
	pthread_mutex_lock(&box->lock);
	was_empty = !box->first;
	*box->lastp = mail;
	box->lastp = &mail->next;
	/*
	 * Within the lock: once the taker has this mail, and it was the pusher's last word, the taker may
	 * free the box. Nothing of it may be touched after that.
	 */
	if (was_empty)
		wake(box);
	pthread_mutex_unlock(&box->lock);
}

struct mail *mailbox_take(struct mailbox *box)
{
	struct mail *mail;
	uint64_t count;

	/*
	 * The wake-up is cleared before the list is taken: mail that comes between the two is taken now and
	 * leaves a needless wake-up. The other way round it would be left without one. Having nothing to
	 * clear is no error.
	 */
	if (!box->wake && read(box->fd, &count, sizeof(count)) < 0)
		assert(errno == EAGAIN);
	pthread_mutex_lock(&box->lock);
	mail = box->first;
	box->first = NULL;
	box->lastp = &box->first;
	pthread_mutex_unlock(&box->lock);
	return mail;
}

/* Log writer: a thread that carries lines to one descriptor; see the header. */

#include "core/log_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/text.h"

struct log_writer {
	int fd;
	struct log *notes; /* the writer's own line; for its thread */
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t more; /* there is something to write, or the end has come */
	pthread_cond_t idle; /* all is written; or the thread is about to end */
	bool ending;
	bool busy;               /* the thread has taken lines and not written them yet */
	bool done;               /* the thread looks at nothing here any more */
	bool left;               /* its owner has left: the thread frees this struct */
	size_t first;            /* of the queue, a ring of bytes */
	size_t len;              /* from there on */
	_Atomic uint64_t n_lost; /* changed under the lock, read by any thread */
	uint64_t n_told;         /* of these, in a line; the thread's */
	bool torn;               /* the last line was cut by an error; the thread's */
	char queue[LOG_WRITER_QUEUE_BYTES];
};

static void lose(struct log_writer *writer, const char *lines, size_t len)
{
	uint64_t n = 0;

	for (const char *at = lines; (at = memchr(at, '\n', (size_t)(lines + len - at))); at++)
		n++;
	atomic_fetch_add_explicit(&writer->n_lost, n, memory_order_relaxed);
}

static void put(struct log_writer *writer, const char *lines, size_t len)
{
	size_t end = (writer->first + writer->len) % LOG_WRITER_QUEUE_BYTES;
	size_t straight = LOG_WRITER_QUEUE_BYTES - end;

	if (straight > len)
		straight = len;
	memcpy(writer->queue + end, lines, straight);
	memcpy(writer->queue, lines + straight, len - straight);
	writer->len += len;
}

/* Takes the oldest whole lines, as many as one write may carry. */
static size_t take(struct log_writer *writer, char lines[PIPE_BUF])
{
	size_t len = writer->len < PIPE_BUF ? writer->len : PIPE_BUF;
	size_t straight = LOG_WRITER_QUEUE_BYTES - writer->first;

	if (straight > len)
		straight = len;
	memcpy(lines, writer->queue + writer->first, straight);
	memcpy(lines + straight, writer->queue, len - straight);
	len = text_whole_lines(lines, len);
	writer->first = (writer->first + len) % LOG_WRITER_QUEUE_BYTES;
	writer->len -= len;
	return len;
}

void log_writer_add(struct log_writer *writer, const char *lines, size_t len)
{
	size_t room, fits;

	if (!len)
		return;
	pthread_mutex_lock(&writer->lock);
	room = LOG_WRITER_QUEUE_BYTES - writer->len;
	fits = len <= room ? len : text_whole_lines(lines, room);
	put(writer, lines, fits);
	lose(writer, lines + fits, len - fits);
	pthread_cond_signal(&writer->more);
	pthread_mutex_unlock(&writer->lock);
}

/* All of it, however long that takes. 0 or negative errno. */
static int write_all(struct log_writer *writer, const char *data, size_t len)
{
	struct pollfd room = {.fd = writer->fd, .events = POLLOUT};

	while (len > 0) {
		ssize_t n = write(writer->fd, data, len);

		if (n > 0) {
			data += n;
			len -= (size_t)n;
			writer->torn = data[-1] != '\n';
		} else if (n < 0 && errno == EAGAIN) {
			/* another process that shares the descriptor has made it non-blocking */
			(void)poll(&room, 1, -1);
		} else if (n == 0 || errno != EINTR) {
			return n == 0 ? -EIO : -errno;
		}
	}
	return 0;
}

/* Lines that come now are taken: half of the queue is free. */
static bool has_room(struct log_writer *writer)
{
	bool has;

	pthread_mutex_lock(&writer->lock);
	has = writer->len < LOG_WRITER_QUEUE_BYTES / 2;
	pthread_mutex_unlock(&writer->lock);
	return has;
}

/* Once lines flow again. */
static void tell_lost(struct log_writer *writer)
{
	uint64_t n_lost = log_writer_n_lost(writer);

	if (n_lost == writer->n_told || !has_room(writer))
		return;
	log_warn(writer->notes, "log lines were lost: nobody took them",
		log_uint("lines", n_lost - writer->n_told), log_uint("lines_in_all", n_lost));
	writer->n_told = n_lost;
}

static void write_lines(struct log_writer *writer, const char *lines, size_t len)
{
	if ((writer->torn && write_all(writer, "\n", 1) < 0) || write_all(writer, lines, len) < 0)
		lose(writer, lines, len); /* a full disk, a reader that has gone: the next line may succeed */
	else
		tell_lost(writer);
}

static void destroy(struct log_writer *writer)
{
	pthread_cond_destroy(&writer->more);
	pthread_cond_destroy(&writer->idle);
	pthread_mutex_destroy(&writer->lock);
	log_free(writer->notes);
	if (writer->fd >= 0)
		close(writer->fd);
	free(writer);
}

/* False: all is written and the end has come. With the lock held. */
static bool wait_for_lines(struct log_writer *writer)
{
	writer->busy = false;
	if (!writer->len)
		pthread_cond_broadcast(&writer->idle);
	while (!writer->len && !writer->ending)
		pthread_cond_wait(&writer->more, &writer->lock);
	writer->busy = writer->len > 0;
	return writer->busy;
}

static void *run(void *arg)
{
	struct log_writer *writer = arg;
	char lines[PIPE_BUF];
	bool left;

	pthread_mutex_lock(&writer->lock);
	while (wait_for_lines(writer)) {
		size_t len = take(writer, lines);

		pthread_mutex_unlock(&writer->lock);
		write_lines(writer, lines, len);
		pthread_mutex_lock(&writer->lock);
	}
	writer->done = true;
	left = writer->left;
	pthread_cond_broadcast(&writer->idle);
	pthread_mutex_unlock(&writer->lock);
	if (left)
		destroy(writer);
	return NULL;
}

static int start(struct log_writer *writer)
{
	sigset_t all, before;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are others' */
	r = -pthread_create(&writer->thread, NULL, run, writer);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r == 0)
		pthread_setname_np(writer->thread, "tg-log");
	return r;
}

int log_writer_new(int fd, enum log_format format, struct log_writer **writerp)
{
	struct log_writer *writer = calloc(1, sizeof(*writer));
	pthread_condattr_t attributes;
	int r;

	if (!writer)
		return -ENOMEM;
	writer->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	pthread_mutex_init(&writer->lock, NULL); /* these calls cannot fail on Linux */
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&writer->more, NULL);
	pthread_cond_init(&writer->idle, &attributes);
	pthread_condattr_destroy(&attributes);
	writer->notes = log_new(writer->fd, LOG_WARN, format);
	r = writer->fd < 0 ? -errno : writer->notes ? start(writer) : -ENOMEM;
	if (r < 0)
		goto fail;
	*writerp = writer;
	return 0;

fail:
	destroy(writer);
	return r;
}

static struct timespec in_ms(unsigned int ms)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	time.tv_sec += ms / 1000;
	time.tv_nsec += (long)(ms % 1000) * 1000000;
	if (time.tv_nsec >= 1000000000) {
		time.tv_nsec -= 1000000000;
		time.tv_sec++;
	}
	return time;
}

void log_writer_wait(struct log_writer *writer, unsigned int ms)
{
	struct timespec deadline = in_ms(ms);

	if (!writer)
		return;
	pthread_mutex_lock(&writer->lock);
	while ((writer->len || writer->busy) &&
		pthread_cond_timedwait(&writer->idle, &writer->lock, &deadline) == 0)
		;
	pthread_mutex_unlock(&writer->lock);
}

void log_writer_free(struct log_writer *writer)
{
	struct timespec deadline = in_ms(LOG_WRITER_END_MS);
	bool done;

	if (!writer)
		return;
	pthread_mutex_lock(&writer->lock);
	writer->ending = true;
	pthread_cond_signal(&writer->more);
	while (!writer->done && pthread_cond_timedwait(&writer->idle, &writer->lock, &deadline) == 0)
		;
	done = writer->done;
	writer->left = !done;
	if (!done)
		pthread_detach(writer->thread);
	pthread_mutex_unlock(&writer->lock);
	if (!done)
		return;
	pthread_join(writer->thread, NULL);
	destroy(writer);
}

uint64_t log_writer_n_lost(const struct log_writer *writer)
{
	return writer ? atomic_load_explicit(&writer->n_lost, memory_order_relaxed) : 0;
}

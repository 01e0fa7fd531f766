/* Admission: sockets whose PROXY header is still to come; see the header. */

#include "ws/admission.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

#include "core/clock.h"
#include "core/list.h"
#include "core/priority.h"
#include "ws/arrival.h"
#include "ws/proxy_header.h"

struct admission {
	struct event_base *base;
	admission_fn done;
	void *arg;
	struct list waiting;
	size_t n;
};

struct newcomer {
	struct admission *admission;
	struct event *event;
	struct list link;
	struct arrival arrival;
	uint64_t deadline_ms;
	int fd;
	size_t len; /* that were taken out of the socket */
	char bytes[PROXY_HEADER_MAX];
};

struct admission *admission_new(struct event_base *base, admission_fn done, void *arg)
{
	struct admission *admission = calloc(1, sizeof(*admission));

	if (!admission)
		return NULL;
	*admission = (struct admission){.base = base, .done = done, .arg = arg};
	list_init(&admission->waiting);
	return admission;
}

static void newcomer_free(struct newcomer *newcomer)
{
	newcomer->admission->n--;
	list_remove(&newcomer->link);
	if (newcomer->event)
		event_free(newcomer->event);
	free(newcomer);
}

void admission_free(struct admission *admission)
{
	if (!admission)
		return;
	while (!list_empty(&admission->waiting)) {
		struct newcomer *newcomer = list_entry(admission->waiting.next, struct newcomer, link);

		close(newcomer->fd);
		newcomer_free(newcomer);
	}
	free(admission);
}

size_t admission_size(const struct admission *admission)
{
	return admission->n;
}

static void finish(struct newcomer *newcomer, int outcome)
{
	struct admission *admission = newcomer->admission;
	struct arrival arrival = newcomer->arrival;
	int fd = newcomer->fd;

	newcomer_free(newcomer);
	admission->done(admission->arg, fd, &arrival, outcome);
}

/* Looks at what the socket has. 0: so many bytes are there, at *np; or an outcome. */
static int look(struct newcomer *newcomer, size_t *np)
{
	ssize_t n = recv(newcomer->fd, newcomer->bytes + newcomer->len, PROXY_HEADER_MAX - newcomer->len,
		MSG_PEEK | MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return PROXY_HEADER_MORE;
	if (n <= 0)
		return ADMISSION_GONE;
	*np = (size_t)n;
	return 0;
}

/* Takes them out of the socket, which has them: recv() cannot fail but on a broken socket. */
static bool take(struct newcomer *newcomer, size_t n)
{
	return recv(newcomer->fd, newcomer->bytes + newcomer->len, n, MSG_DONTWAIT) == (ssize_t)n;
}

/* Reads on. True once it is finished, and the newcomer gone. */
static bool read_on(struct newcomer *newcomer)
{
	struct proxy_header header;
	size_t n = 0, used;
	int r = look(newcomer, &n);

	if (n == 0) {
		if (r == PROXY_HEADER_MORE)
			return false;
		finish(newcomer, newcomer->len ? ADMISSION_BAD : ADMISSION_GONE);
		return true;
	}
	used = newcomer->len + n;
	r = proxy_header_parse(&header, newcomer->bytes, used, &used);
	if (r == PROXY_HEADER_BAD || !take(newcomer, used - newcomer->len)) {
		finish(newcomer, ADMISSION_BAD);
		return true;
	}
	newcomer->len = used;
	if (r == PROXY_HEADER_MORE)
		return false;
	newcomer->arrival.named = header.named;
	if (header.named)
		newcomer->arrival.peer = header.client;
	finish(newcomer, 0);
	return true;
}

static void wait_for_more(struct newcomer *newcomer);

static void on_event(evutil_socket_t fd, short events, void *arg)
{
	struct newcomer *newcomer = arg;

	(void)fd;
	if (events & EV_TIMEOUT)
		finish(newcomer, newcomer->len ? ADMISSION_LATE : ADMISSION_GONE);
	else if (!read_on(newcomer))
		wait_for_more(newcomer);
}

/* The time is for the whole header, so whoever sends byte by byte gets no more of it. */
static void wait_for_more(struct newcomer *newcomer)
{
	uint64_t now_ms = clock_monotonic_ms();
	uint64_t left_ms = newcomer->deadline_ms > now_ms ? newcomer->deadline_ms - now_ms : 0;
	struct timeval left = {(time_t)(left_ms / 1000), (suseconds_t)(left_ms % 1000 * 1000)};

	if (!newcomer->event) {
		newcomer->event =
			event_new(newcomer->admission->base, newcomer->fd, EV_READ, on_event, newcomer);
		if (newcomer->event)
			event_priority_set(newcomer->event, PRIORITY_LAST);
	}
	if (!newcomer->event || event_add(newcomer->event, &left) < 0)
		finish(newcomer, -ENOMEM);
}

void admission_begin(struct admission *admission, int fd, const struct arrival *arrival)
{
	struct newcomer *newcomer = malloc(sizeof(*newcomer));
	struct arrival copy = *arrival;

	if (!newcomer) {
		admission->done(admission->arg, fd, &copy, -ENOMEM);
		return;
	}
	newcomer->admission = admission;
	newcomer->event = NULL;
	newcomer->arrival = copy;
	newcomer->fd = fd;
	newcomer->len = 0;
	newcomer->deadline_ms = clock_monotonic_ms() + ADMISSION_SECONDS * 1000;
	list_init(&newcomer->link);
	list_push_back(&admission->waiting, &newcomer->link);
	admission->n++;
	if (!read_on(newcomer))
		wait_for_more(newcomer);
}

/* Notify: tells the service manager about the gateway; see the header. */

#include "app/notify.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <event2/event.h>

#include "core/buf.h"

enum {
	STATUS_US = 1000000, /* how often the status line may change */
	US_PER_S = 1000000,
};

struct notify {
	struct notify_source source;
	struct event *timer;
	struct sockaddr_un address;
	socklen_t address_len;
	int fd;
	bool ready;           /* said */
	bool stopping;        /* said */
	uint64_t watchdog_us; /* 0: there is no watchdog */
	struct buf status;    /* the status line that was sent last */
};

/* Lines that cannot be sent at once are lost: the manager does not depend on any of them. */
static void say(struct notify *notify, const struct buf *lines)
{
	if (!lines->failed)
		(void)sendto(notify->fd, lines->data, lines->len, MSG_DONTWAIT | MSG_NOSIGNAL,
			(const struct sockaddr *)&notify->address, notify->address_len);
}

/* Appends STATUS=… if it is another than the last. */
static void append_status(struct notify *notify, struct buf *lines)
{
	struct buf status = {0};

	notify->source.describe(notify->source.arg, &status);
	if (status.failed ||
		(status.len == notify->status.len && !memcmp(status.data, notify->status.data, status.len))) {
		buf_deinit(&status);
		return;
	}
	buf_printf(lines, "STATUS=%s\n", buf_text(&status));
	buf_deinit(&notify->status);
	notify->status = status;
}

static void on_timer(evutil_socket_t fd, short events, void *arg)
{
	struct notify *notify = arg;
	struct buf lines = {0};

	(void)fd;
	(void)events;
	if (notify->watchdog_us && notify->source.live(notify->source.arg))
		buf_append_str(&lines, "WATCHDOG=1\n");
	if (notify->ready)
		append_status(notify, &lines);
	if (lines.len)
		say(notify, &lines);
	buf_deinit(&lines);
}

static int take_address(struct notify *notify, const char *socket)
{
	size_t len = strlen(socket);

	if ((socket[0] != '/' && socket[0] != '@') || len < 2 || len >= sizeof(notify->address.sun_path))
		return -EINVAL;
	notify->address.sun_family = AF_UNIX;
	memcpy(notify->address.sun_path, socket, len);
	if (socket[0] == '@')
		notify->address.sun_path[0] = '\0';
	notify->address_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
	return 0;
}

/* A time that is not a number means that there is no watchdog. */
static uint64_t watchdog_us(const struct notify_variables *variables)
{
	char *end;
	uint64_t us;

	if (!variables->watchdog_usec)
		return 0;
	if (variables->watchdog_pid && strtol(variables->watchdog_pid, NULL, 10) != (long)getpid())
		return 0;
	us = strtoull(variables->watchdog_usec, &end, 10);
	return *end ? 0 : us;
}

static int start_timer(struct notify *notify, struct event_base *base)
{
	uint64_t us = STATUS_US;
	struct timeval interval;

	if (notify->watchdog_us && notify->watchdog_us / 2 < us)
		us = notify->watchdog_us / 2;
	interval = (struct timeval){(time_t)(us / US_PER_S), (suseconds_t)(us % US_PER_S)};
	notify->timer = event_new(base, -1, EV_PERSIST, on_timer, notify);
	return notify->timer && event_add(notify->timer, &interval) == 0 ? 0 : -ENOMEM;
}

int notify_new(struct event_base *base, const struct notify_variables *variables,
	const struct notify_source *source, struct notify **notifyp)
{
	struct notify *notify;
	int r;

	*notifyp = NULL;
	if (!variables->socket || !variables->socket[0])
		return 0;
	notify = calloc(1, sizeof(*notify));
	if (!notify)
		return -ENOMEM;
	notify->source = *source;
	notify->watchdog_us = watchdog_us(variables);
	notify->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	r = notify->fd < 0 ? -errno : take_address(notify, variables->socket);
	if (r == 0)
		r = start_timer(notify, base);
	if (r < 0)
		goto fail;
	*notifyp = notify;
	return 0;

fail:
	notify_free(notify);
	return r;
}

void notify_free(struct notify *notify)
{
	if (!notify)
		return;
	if (notify->timer)
		event_free(notify->timer);
	if (notify->fd >= 0)
		close(notify->fd);
	buf_deinit(&notify->status);
	free(notify);
}

/* Sends a state and, if it has changed, the status line with it. */
static void say_state(struct notify *notify, struct buf *lines)
{
	append_status(notify, lines);
	say(notify, lines);
	buf_deinit(lines);
}

void notify_ready(struct notify *notify)
{
	struct buf lines = {0};

	if (!notify || notify->stopping)
		return;
	notify->ready = true;
	buf_append_str(&lines, "READY=1\n");
	say_state(notify, &lines);
}

void notify_reloading(struct notify *notify, uint64_t monotonic_us)
{
	struct buf lines = {0};

	if (!notify || notify->stopping)
		return;
	buf_printf(&lines, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64 "\n", monotonic_us);
	say(notify, &lines);
	buf_deinit(&lines);
}

void notify_stopping(struct notify *notify, uint64_t at_most_us)
{
	struct buf lines = {0};

	if (!notify)
		return;
	notify->stopping = true;
	buf_printf(&lines, "STOPPING=1\nEXTEND_TIMEOUT_USEC=%" PRIu64 "\n", at_most_us);
	say_state(notify, &lines);
}

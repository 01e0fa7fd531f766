/* Lws loop: a libwebsockets context on a libevent loop; see the header. */

#include "ws/lws_loop.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "core/buf.h"
#include "core/clock.h"
#include "core/priority.h"

/* A descriptor of lws. */
struct loop_io {
	struct event event;
	struct lws_loop *loop;
	struct lws *wsi;
	short wanted; /* EV_READ | EV_WRITE */
};

struct lws_loop {
	struct event_base *base;
	struct lws_context *context;
	struct event *timer;
	struct loop_io **ios; /* by descriptor */
	int n_ios;
	bool goes_first;
	uint64_t n_served;
	uint64_t turn_served;    /* of them before the last turn */
	uint64_t turned_us;      /* when that was */
	lws_loop_pause_fn pause; /* NULL: the loop is left */
	void *pause_arg;
	void *loops[1]; /* lws wants an array with one loop for each service thread */
	/* A log for lws that says nothing. The log that lws shares among all contexts counts its users
	 * without a lock, and ends the process if two threads have miscounted. */
	lws_log_cx_t log;
	lws_plugin_evlib_t plugin;
	struct lws_event_loop_ops ops;
};

/* Our part of the memory that lws keeps for each service thread. */
struct loop_pt {
	struct lws_loop *loop;
};

enum {
	/* lws' timers are seconds; looking four times a second is early enough for each. */
	TIMER_MS = 250,
};

/*
 * For connections with input that lws holds back (TLS, compression, flow control). Every event loop binding
 * of lws calls it; the header that declares it is not installed.
 */
extern int _lws_plat_service_forced_tsi(struct lws_context *context, int tsi);

static struct lws_loop *loop_of(struct lws *wsi)
{
	struct loop_pt *pt = lws_evlib_wsi_to_evlib_pt(wsi);

	return pt->loop;
}

static struct loop_io *io_of(struct lws *wsi)
{
	struct lws_loop *loop = loop_of(wsi);
	int fd = lws_get_socket_fd(wsi);

	if (fd < 0 || fd >= loop->n_ios || !loop->ios[fd] || loop->ios[fd]->wsi != wsi)
		return NULL;
	return loop->ios[fd];
}

void lws_loop_set_pause(struct lws_loop *loop, lws_loop_pause_fn pause, void *arg)
{
	loop->pause = pause;
	loop->pause_arg = arg;
}

void lws_loop_go_first(struct lws_loop *loop)
{
	loop->goes_first = true;
}

void lws_loop_served(struct lws_loop *loop)
{
	uint64_t n = ++loop->n_served - loop->turn_served;

	if (!loop->pause && n >= LWS_LOOP_TURN_SERVED)
		event_base_loopbreak(loop->base);
	if (loop->pause && n >= LWS_LOOP_PAUSE_SERVED &&
		clock_monotonic_us() >= loop->turned_us + LWS_LOOP_PAUSE_US)
		loop->pause(loop->pause_arg);
}

static void on_event(evutil_socket_t fd, short events, void *arg)
{
	struct loop_io *io = arg;
	struct lws_loop *loop = io->loop;
	struct lws_pollfd pollfd = {.fd = fd};

	if (events & EV_READ)
		pollfd.events |= POLLIN;
	if (events & EV_WRITE)
		pollfd.events |= POLLOUT;
	pollfd.revents = pollfd.events;
	lws_service_fd(loop->context, &pollfd); /* may free io */
	lws_loop_served(loop);
}

static int reserve(struct lws_loop *loop, int fd)
{
	int n = loop->n_ios ? loop->n_ios : 64;
	struct loop_io **ios;

	while (n <= fd)
		n *= 2;
	if (n == loop->n_ios)
		return 0;
	ios = realloc(loop->ios, (size_t)n * sizeof(struct loop_io *));
	if (!ios)
		return -ENOMEM;
	memset(ios + loop->n_ios, 0, (size_t)(n - loop->n_ios) * sizeof(struct loop_io *));
	loop->ios = ios;
	loop->n_ios = n;
	return 0;
}

static int init_pt(struct lws_context *context, void *loop, int tsi)
{
	struct loop_pt *pt = lws_evlib_tsi_to_evlib_pt(context, tsi);

	pt->loop = loop;
	pt->loop->context = context;
	return 0;
}

static int sock_accept(struct lws *wsi)
{
	struct lws_loop *loop = loop_of(wsi);
	int fd = lws_get_socket_fd(wsi);
	struct loop_io *io;

	if (fd < 0 || reserve(loop, fd) < 0)
		return 1;
	io = loop->ios[fd];
	if (!io)
		io = calloc(1, sizeof(*io));
	if (!io)
		return 1;
	io->loop = loop;
	io->wsi = wsi;
	io->wanted = 0;
	loop->ios[fd] = io;
	return 0;
}

/* lws changes its mind often and cheaply: libevent's change list passes only the outcome to the kernel. */
static void io_change(struct lws *wsi, unsigned int flags)
{
	struct loop_io *io = io_of(wsi);
	short changed = (short)((flags & LWS_EV_READ ? EV_READ : 0) | (flags & LWS_EV_WRITE ? EV_WRITE : 0));
	short wanted;

	if (!io)
		return;
	wanted = (short)(flags & LWS_EV_START ? io->wanted | changed : io->wanted & ~changed);
	if (wanted == io->wanted)
		return;
	if (io->wanted)
		event_del(&io->event);
	io->wanted = wanted;
	if (!wanted)
		return;
	event_assign(&io->event, io->loop->base, lws_get_socket_fd(wsi), (short)(wanted | EV_PERSIST),
		on_event, io);
	event_priority_set(&io->event, io->loop->goes_first ? PRIORITY_FIRST : PRIORITY_LAST);
	event_add(&io->event, NULL);
}

/* Called before lws closes the descriptor, or just after; never when the number already
 * belongs to another file. */
static int logical_close(struct lws *wsi)
{
	struct loop_io *io = io_of(wsi);

	if (!io)
		return 0;
	if (io->wanted)
		event_del(&io->event);
	io->loop->ios[lws_get_socket_fd(wsi)] = NULL;
	free(io);
	return 0;
}

static void on_timer(evutil_socket_t fd, short events, void *arg)
{
	(void)fd;
	(void)events;
	(void)arg; /* only to wake the loop: its turn does the work */
}

struct lws_loop *lws_loop_new(struct event_base *base)
{
	struct timeval interval = {0, TIMER_MS * 1000};
	struct lws_loop *loop = calloc(1, sizeof(*loop));

	if (!loop)
		return NULL;
	loop->base = base;
	loop->loops[0] = loop;
	loop->ops = (struct lws_event_loop_ops){
		.name = "tidegate",
		.init_pt = init_pt,
		.init_vhost_listen_wsi = sock_accept,
		.sock_accept = sock_accept,
		.io = io_change,
		.wsi_logical_close = logical_close,
		.evlib_size_pt = sizeof(struct loop_pt),
	};
	loop->plugin = (lws_plugin_evlib_t){
		.hdr = {"tidegate", "lws_evlib_plugin", LWS_BUILD_HASH, LWS_PLUGIN_API_MAGIC},
		.ops = &loop->ops,
	};
	loop->timer = event_new(base, -1, EV_PERSIST, on_timer, loop);
	if (!loop->timer || event_add(loop->timer, &interval) < 0)
		goto fail;
	event_priority_set(loop->timer, PRIORITY_LAST);
	return loop;

fail:
	lws_loop_free(loop);
	return NULL;
}

struct lws_context *lws_loop_create_context(struct lws_loop *loop, struct lws_context_creation_info *info)
{
	info->event_lib_custom = &loop->plugin;
	info->foreign_loops = loop->loops;
	info->log_cx = &loop->log; /* of the context, and of vhosts made with this */
	loop->context = lws_create_context(info);
	return loop->context;
}

void lws_loop_turn(struct lws_loop *loop)
{
	loop->turn_served = loop->n_served;
	loop->turned_us = clock_monotonic_us();
	if (lws_service_adjust_timeout(loop->context, TIMER_MS, 0) == 0) {
		_lws_plat_service_forced_tsi(loop->context, 0);
		event_active(loop->timer, EV_TIMEOUT, 0); /* there may be more: another turn at once */
	}
}

uint64_t lws_loop_n_served(const struct lws_loop *loop)
{
	return loop->n_served;
}

void lws_loop_free(struct lws_loop *loop)
{
	if (!loop)
		return;
	if (loop->context)
		lws_context_destroy(loop->context);
	for (int i = 0; i < loop->n_ios; i++) {
		if (loop->ios[i] && loop->ios[i]->wanted)
			event_del(&loop->ios[i]->event);
		free(loop->ios[i]);
	}
	free(loop->ios);
	if (loop->timer)
		event_free(loop->timer);
	free(loop);
}

void lws_loop_explain(struct buf *error)
{
	if (access("/dev/urandom", R_OK) < 0)
		buf_printf(error, "libwebsockets cannot read /dev/urandom: %s", strerror(errno));
	else
		buf_append_str(error, "cannot start libwebsockets: out of memory or of file descriptors");
}

/* Revoking: what this node knows of tokens that count no more; see the header. */

#include "bus/revoking.h"

#include <errno.h>
#include <stdlib.h>

#include <event2/event.h>

#include "bus/bus_private.h"
#include "core/buf.h"
#include "core/clock.h"
#include "mail/order.h"
#include "protocol/control_command.h"
#include "worker/worker.h"

enum {
	SHARE_MS = 100, /* commands that come within it make one copy; at most 10 ms each for the largest */
	EXPIRE_MS = 10000, /* between two looks for what is over */
	SET_MS = 3600000,  /* after which it leaves the set: a clock that is ahead takes out nothing */
	MS_PER_SECOND = 1000,
};

static double seconds(int64_t ms)
{
	return (double)ms / MS_PER_SECOND;
}

static void say_count(struct revoking *revoking)
{
	metrics_set(revoking->bus->metrics, METRIC_REVOCATIONS, revocation_book_count(&revoking->book));
}

/* --- to the workers --- */

static void on_swept(void *arg, int r, uint64_t n)
{
	struct revocations *revoked = arg;

	(void)r; /* the handshakes know it in any case */
	(void)n;
	revocations_unref(revoked);
}

/* Closes whom the copy concerns. */
static void sweep(struct revoking *revoking)
{
	const struct order_text text = {
		.verb = ORDER_DISCONNECT,
		.target = ORDER_REVOKED,
		.revoked = revoking->shared,
		.reason = CLOSE_TOKEN_REVOKED,
	};

	if (bus_order(revoking->bus, &text, on_swept, revocations_ref(revoking->shared)) < 0)
		revocations_unref(revoking->shared);
}

void revoking_tell_soon(struct revoking *revoking)
{
	const struct timeval wait = {0, SHARE_MS * 1000};

	if (!event_pending(revoking->share_timer, EV_TIMEOUT, NULL))
		(void)event_add(revoking->share_timer, &wait);
}

/* Tells the workers, for their handshakes. False: there was no memory for it. */
static bool tell(struct revoking *revoking)
{
	struct bus *bus = revoking->bus;
	struct revocations *copy = revocation_book_share(&revoking->book);
	bool told = copy;

	for (unsigned int i = 0; copy && i < bus->n_workers; i++)
		told &= worker_post_revocations(bus->workers[i], copy) == 0;
	if (copy) {
		revocations_unref(revoking->shared);
		revoking->shared = copy;
	}
	return told;
}

static void share(struct revoking *revoking)
{
	bool told = tell(revoking);

	event_del(revoking->share_timer);
	if (told)
		revoking->listener.told(revoking->listener.arg);
	if (revoking->shared)
		sweep(revoking);
	if (!told) /* without memory: again a moment later */
		revoking_tell_soon(revoking);
}

static void on_share(evutil_socket_t fd, short events, void *arg)
{
	(void)fd;
	(void)events;
	share(arg);
}

/* --- the book, and the set --- */

/* 0, or why it was not added. What cannot be added now is missed in the set, and added, after the next
 * connect. */
static int add_to_set(struct revoking *revoking, const struct revocation *revocation)
{
	struct buf text = {0};
	int r = -ENOMEM;

	revocation_write(revocation, &text);
	if (!text.failed)
		r = broker_revoke(revoking->bus->broker,
			&(struct broker_revocation){buf_slice(&text), seconds(revocation->until_ms)});
	buf_deinit(&text);
	return r;
}

static void take_from_set(struct revoking *revoking, const struct revocation *revocation)
{
	struct buf text = {0};

	revocation_write(revocation, &text);
	if (!text.failed)
		(void)broker_unrevoke(revoking->bus->broker, buf_slice(&text));
	buf_deinit(&text);
}

static void complain_full(struct revoking *revoking)
{
	struct bus *bus = revoking->bus;
	uint64_t suppressed;

	metrics_add(bus->metrics, METRIC_REVOCATIONS_FULL, 1);
	if (log_limit_allow(bus->log, &revoking->full_limit, clock_monotonic_ms(), &suppressed))
		log_error(bus->log, "revocation not noted: as many are known as may be",
			log_uint("n", revocation_book_count(&revoking->book)),
			log_str("remedy",
				"revoke users and not tokens, for shorter times, or change the key"),
			log_uint("suppressed", suppressed));
}

/* The texts in the set are what the book says, and the one before goes. */
static void replace_in_set(
	struct revoking *revoking, const struct revocation *before, const struct revocation *now)
{
	if (before && before->issued_before_ms != now->issued_before_ms)
		take_from_set(revoking, before);
	(void)add_to_set(revoking, now);
}

/* 0: there was something new. */
static int note(struct revoking *revoking, const struct revocation *revocation)
{
	struct revocation before, widened;
	bool was_there = revocation_book_find(&revoking->book, revocation, &before);
	int r = revocation_book_note(&revoking->book, revocation, &widened);

	if (r == REVOCATION_FULL)
		complain_full(revoking);
	if (r == 0)
		replace_in_set(revoking, was_there ? &before : NULL, &widened);
	say_count(revoking);
	return r;
}

static void take_back(struct revoking *revoking, const struct revocation *about)
{
	struct revocation known;

	if (!revocation_book_find(&revoking->book, about, &known))
		return;
	take_from_set(revoking, &known);
	revocation_book_forget(&revoking->book, about);
	say_count(revoking);
	revoking_tell_soon(revoking);
}

int revoking_note(struct revoking *revoking, const struct revocation *revocation)
{
	int r;

	if (!revocation->until_ms) {
		take_back(revoking, revocation);
		return 0;
	}
	/* An old command, perhaps, while a longer one counts. */
	if (revocation->until_ms <= (int64_t)clock_wall_ms())
		return 0;
	r = note(revoking, revocation);
	if (r == 0)
		revoking_tell_soon(revoking);
	return r == REVOCATION_KNOWN ? 0 : r;
}

/* What was over just now has to leave the set, too, some time. */
static void clear_set_later(struct revoking *revoking, int64_t now_ms)
{
	revoking->over_ms = now_ms;
	if (!revoking->clear_ms)
		revoking->clear_ms = now_ms + SET_MS;
}

static void clear_set(struct revoking *revoking, int64_t now_ms)
{
	if (!revoking->clear_ms || now_ms < revoking->clear_ms)
		return;
	if (broker_expire_revocations(revoking->bus->broker, seconds(now_ms - SET_MS)) == 0)
		revoking->clear_ms = revoking->over_ms > now_ms - SET_MS ? now_ms + SET_MS : 0;
}

/* --- reading --- */

static void finish_reading(struct revoking *revoking)
{
	if (revoking->news)
		share(revoking);
	revoking->news = false;
}

/* What Redis has lost, or never got. */
static void mend_set(struct revoking *revoking)
{
	const struct map_entry *entry = NULL;
	struct revocation missed;

	while (!revoking->mends && (entry = revocation_book_missed(&revoking->book, entry, &missed)))
		revoking->mends = add_to_set(revoking, &missed) == -EAGAIN;
}

static void read_some(struct revoking *revoking, const struct broker_revocation *some, size_t n)
{
	int64_t now_ms = (int64_t)clock_wall_ms();
	struct revocation one, widened;

	for (size_t i = 0; i < n; i++) {
		int r;

		if (!(some[i].until_seconds < 1e12) || !revocation_read(some[i].text, &one))
			continue;
		one.until_ms = (int64_t)(some[i].until_seconds * MS_PER_SECOND);
		if (one.until_ms <= now_ms) {
			clear_set_later(revoking, now_ms);
			continue;
		}
		r = revocation_book_note(&revoking->book, &one, &widened);
		if (r == REVOCATION_FULL)
			complain_full(revoking);
		revoking->news |= r == 0;
		/* Two of one user, from two nodes: one is enough. */
		if (r >= 0 && widened.issued_before_ms != one.issued_before_ms)
			replace_in_set(revoking, &one, &widened);
	}
	say_count(revoking);
}

static void on_some(void *arg, int r, const struct broker_revocation *some, size_t n, bool is_last)
{
	struct revoking *revoking = arg;

	read_some(revoking, some, n);
	if (!is_last)
		return;
	revoking->reading = false;
	if (r == -ETIMEDOUT || r == -ENOTCONN || r == -ECANCELED)
		return; /* the link is lost: after the next connect */
	/* Else the tick asks again. */
	revoking->has_set = r != -EAGAIN && r != -ENOMEM;
	revoking->refused = r < 0 && revoking->has_set;
	revoking->was_read |= revoking->has_set;
	if (r == 0)
		mend_set(revoking);
	finish_reading(revoking);
}

static void read_set(struct revoking *revoking)
{
	int r;

	revocation_book_again(&revoking->book);
	r = broker_revocations(revoking->bus->broker, on_some, revoking);
	revoking->reading = r == 0;
	revoking->mends &= r < 0;
	revoking->has_set |= r == -EOPNOTSUPP; /* without Redis there is none */
}

void revoking_connected(struct revoking *revoking, bool connected)
{
	revoking->has_set = revoking->has_log = revoking->refused = revoking->mends = false;
	if (connected)
		read_set(revoking);
}

void revoking_again(struct revoking *revoking)
{
	revoking->mends = true; /* until it is asked for */
	read_set(revoking);
}

void revoking_read_command(struct revoking *revoking, struct slice payload)
{
	struct control_command command;
	struct revocation revocation;

	if (!bus_read_command(payload, &command) && control_revocation(&command, &revocation))
		revoking->news |= revoking_note(revoking, &revocation) == 0;
}

void revoking_read_log(struct revoking *revoking)
{
	revoking->has_log = true;
	finish_reading(revoking);
}

bool revoking_is_done(const struct revoking *revoking)
{
	return revoking->has_set && revoking->has_log;
}

/* --- time, building and ending --- */

void revoking_tick(struct revoking *revoking)
{
	int64_t now_ms = (int64_t)clock_wall_ms();

	if ((!revoking->has_set || revoking->mends) && !revoking->reading &&
		broker_channel_state(revoking->bus->broker, slice_of(BROKER_CONTROL_CHANNEL)) == BROKER_READY)
		read_set(revoking);
	clear_set(revoking, now_ms);
	if (!revocation_book_count(&revoking->book) || now_ms - revoking->expired_ms < EXPIRE_MS)
		return;
	revoking->expired_ms = now_ms;
	if (!revocation_book_expire(&revoking->book, now_ms))
		return;
	say_count(revoking);
	clear_set_later(revoking, now_ms);
	revoking_tell_soon(revoking);
}

int revoking_init(struct revoking *revoking, struct bus *bus, const struct revoking_listener *listener)
{
	*revoking = (struct revoking){
		.bus = bus, .listener = *listener, .full_limit = {.burst = 1, .interval_ms = 60000}};
	revoking->share_timer = event_new(bus->base, -1, 0, on_share, revoking);
	return revoking->share_timer ? 0 : -ENOMEM;
}

void revoking_deinit(struct revoking *revoking)
{
	if (revoking->share_timer)
		event_free(revoking->share_timer);
	revocation_book_deinit(&revoking->book);
	revocations_unref(revoking->shared);
}

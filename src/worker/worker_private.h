#ifndef TIDEGATE_WORKER_WORKER_PRIVATE_H
#define TIDEGATE_WORKER_WORKER_PRIVATE_H

/* Shared by the worker's files: worker.c is the thread, worker_inbox.c takes its mail, worker_asks.c is what
 * its clients ask for, worker_post.c is for threads that post to it. */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "client/clients.h"
#include "core/log.h"
#include "core/priority.h"
#include "metrics/loop_lag.h"
#include "metrics/metrics.h"
#include "worker/backlog.h"
#include "worker/worker.h"

struct event;
struct event_base;
struct mail;
struct mailbox;
struct message;
struct worker_mail;
struct ws_server;

struct worker {
	struct metrics metrics; /* first, for its alignment */
	unsigned int index;
	struct worker_listener listener;
	pthread_t thread;
	bool started;
	struct worker_mail *outgoing; /* of the posting thread: events not pushed yet */
	struct worker_mail *prepared; /* the same for a configuration that does not hold yet */
	struct mailbox *inbox;
	_Atomic uint64_t turned_ms;  /* when the loop turned last */
	_Atomic uint64_t shed_bytes; /* that clients are to be closed for */
	atomic_bool drained;         /* the last client is gone for good */
	struct backlog backlog;      /* of the inbox and the waiting mail */

	/* All below belongs to the worker's thread once it runs. */
	struct event_base *base;
	bool shares_loop;             /* with the bus: it is not ours to free, and there is no thread */
	struct event *mail_event;     /* not added while mail waits behind sockets */
	struct event *behind_event;   /* active meanwhile, behind the sockets that are ready */
	uint64_t round_end_us;        /* when the time of these sockets is over */
	uint64_t row_us;              /* for mail since a socket was served */
	uint64_t row_served;          /* the sockets that were served by then */
	struct mail *waiting;         /* taken from the inbox, but too much for one turn */
	uint64_t enough_us;           /* when this turn's time for mail is over */
	struct message *passed;       /* the newest event of a run of one channel that was passed over */
	uint32_t n_passed;            /* events in that run, about which its clients are not told yet */
	struct message *first_passed; /* since the log told of any */
	uint64_t n_passed_all;        /* likewise */
	struct log_limit passed_limit;
	struct event *tick;
	struct loop_lag lag;
	struct event *drain_tick;
	struct event *order_timer; /* pending while orders are being carried out */
	struct log *log;
	struct clients clients;
	bool clients_ready; /* clients_init() was done */
	struct ws_server *server;
	uint64_t silent_ms; /* when a drain stops waiting for connections that send nothing */
	bool stopped;
};

/* Reads the clocks for all that the clients do until the next time. */
void worker_refresh_time(struct worker *worker);

/* The connections end within this time, along a line of their own. */
void worker_drain(struct worker *worker, uint64_t time_ms, uint64_t seed);

/* Orders are carried out behind sockets, so that a large one holds nothing up. */
void worker_carry_out_orders(struct worker *worker, long us);

/* An event of the loop, whose callback gets the worker. NULL when out of memory. */
struct event *worker_event(struct worker *worker, enum priority priority, int fd, short events,
	void (*callback)(int, short, void *));

#endif

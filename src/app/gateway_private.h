#ifndef TIDEGATE_APP_GATEWAY_PRIVATE_H
#define TIDEGATE_APP_GATEWAY_PRIVATE_H

/* Shared by the gateway's two files: gateway.c builds, runs and ends it, report.c tells its state. */

#include <stdbool.h>
#include <stdint.h>

#include "app/certificates.h"
#include "app/memory_watch.h"
#include "app/pulse.h"
#include "app/reload.h"
#include "app/shutdown.h"
#include "core/fault_off.h"
#include "metrics/metrics.h"
#include "metrics/process_metrics.h"
#include "worker/worker.h"
#include "ws/places.h"

struct admin;
struct announcer;
struct broker;
struct redis_tls;
struct buf;
struct bus;
struct config;
struct event;
struct event_base;
struct keys;
struct log;
struct notify;

enum {
	N_SIGNALS = 3,
	NODE_ID_LEN = 16, /* hexadecimal digits */
};

struct gateway {
	struct metrics metrics;      /* the bus thread's; first, for its alignment */
	const struct config *config; /* the configuration of the start; reload has the one in force */
	struct reload reload;
	struct event_base *base;
	bool single_thread; /* the only worker is on that loop, too */
	struct event *signals[N_SIGNALS];
	struct log_writer *log_writer;
	struct log *log;
	struct bus *bus;
	struct broker *broker;
	struct redis_tls *redis_tls; /* NULL: without TLS */
	struct keys *keys;           /* of tokens */
	struct worker *workers[WORKERS_MAX];
	unsigned int n_workers;
	uint64_t n_files;                /* that may be open */
	struct address_table *addresses; /* of the places */
	struct tally *users;             /* likewise */
	struct places places;
	struct certificates certificates;
	struct memory_watch memory;
	struct admin *admin;
	struct announcer *announcer;
	struct pulse pulse;
	char node_id[NODE_ID_LEN + 1];
	uint64_t seed;
#ifdef TIDEGATE_FAULT_CONTROLS
	struct fault_off fault_off;
#endif
	struct process_metrics process;
	struct shutdown shutdown;
	struct notify *notify; /* NULL: no service manager is there */
	uint64_t started_ms;
	uint16_t port;  /* of the workers, also when they listen no more */
	bool withdrawn; /* its announcement is taken back */
};

/*
 * report.c: answers about the gateway, which is arg. The first two are for the service manager, the others
 * for the admin listener, and gateway_say_status() also for the other nodes.
 */
bool gateway_is_live(void *arg);
void gateway_describe(void *arg, struct buf *out);
bool gateway_say_live(void *arg, struct buf *out);
bool gateway_say_ready(void *arg, struct buf *out);
void gateway_say_metrics(void *arg, struct buf *out);
void gateway_say_status(void *arg, struct buf *out);
void gateway_say_config(void *arg, struct buf *out);
void gateway_say_asyncapi(void *arg, struct buf *out);

/* Now and then, at least once a second: takes the pulse when it is due. */
void gateway_beat(void *arg);

#endif

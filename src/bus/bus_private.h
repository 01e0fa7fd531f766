#ifndef TIDEGATE_BUS_BUS_PRIVATE_H
#define TIDEGATE_BUS_BUS_PRIVATE_H

/* Shared by the bus' files: bus.c switches, bus_channel.c has the channels, bus_inbox.c takes the mail of the
 * workers. */

#include "bus/absence.h"
#include "bus/actions.h"
#include "bus/arrivals.h"
#include "bus/bus.h"
#include "bus/control.h"
#include "bus/history.h"
#include "bus/lifecycle.h"
#include "bus/node_lease.h"
#include "bus/presence.h"
#include "bus/reaper.h"
#include "bus/replays.h"
#include "bus/roll_calls.h"
#include "core/log.h"
#include "core/map.h"
#include "core/slice.h"
#include "metrics/loop_lag.h"
#include "metrics/metrics.h"

struct event;
struct mailbox;

struct bus {
	struct event_base *base;
	struct broker *broker;
	struct worker *const *workers;
	unsigned int n_workers;
	struct route_table *routes; /* one reference, or NULL */
	struct map channels;
	struct histories histories;
	struct list own_channels; /* own_channel.link */
	struct actions actions;
	struct control control;
	struct presence presence;
	struct event *presence_tick; /* pending while presence is active */
	struct lifecycle lifecycle;
	struct event *lifecycle_tick; /* pending while lifecycle is active */
	struct roll_calls roll_calls;
	struct node_lease lease;
	struct reaper reaper;
	struct event *lease_tick; /* NULL: no route has ever kept presence, or told a lifecycle */
	struct replays replays;
	struct absence absence;
	struct list lingering; /* in order of linger_ms */
	size_t n_lingering;
	size_t n_given_up;   /* channels, since memory was last given back to the system */
	uint64_t trimmed_ms; /* when that was */
	struct list ending;  /* channels whose history is no longer kept, but still holds events back */
	struct list surveys; /* in order of deadline_ms */
	struct mailbox *inbox;
	struct event *mail_event;
	struct event *tick;
	struct loop_lag lag;
	struct bus_keys_listener keys;
	struct log *log;
	struct metrics *metrics;
	struct log_limit drop_limit;
	struct log_limit rename_limit;
	bool is_connected;  /* some of the broker is there: the workers know */
	bool is_short;      /* of memory */
	bool controlled;    /* control commands are followed */
	uint64_t n_returns; /* of the broker's servers, seen so far */
	bool has_control;   /* the server of the control channel is there */
	uint16_t era;       /* how often there were other routes; never 0 while a channel is there */
	struct arrivals arrivals;
	uint64_t now_us; /* of the events that are being handed over; 0 in between */
	uint64_t wall_ms;
};

/* An event came with names of ours, and has got others for them: counts it, and tells the operator now and
 * then. */
void bus_renamed(struct bus *bus, struct slice channel);

/* An event is lost: counts it, and logs it now and then. */
void bus_drop(struct bus *bus, struct slice channel, enum metric metric, const char *reason);

/* Sends the events that were handed out to the workers. */
void bus_flush(struct bus *bus);

/* An answered join goes back to its worker, behind the events that came before. */
void bus_give_back(struct bus *bus, struct join *join);

#endif

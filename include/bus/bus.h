#ifndef TIDEGATE_BUS_BUS_H
#define TIDEGATE_BUS_BUS_H

/*
 * Bus: the switch between the broker and the workers, on the bus thread.
 *
 * It subscribes at the broker to what some worker wants, for a short while longer than it is wanted, and to
 * nothing else. Each event is checked, stamped and framed here, once a node; workers get references. Taps
 * hear the same as a subscriber would (`tidegate tail`).
 *
 * All functions are for the bus thread, except bus_post_…().
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bus/survey.h"
#include "core/list.h"
#include "core/slice.h"

struct broker;
struct broker_listener;
struct bus;
struct channel_log;
struct event_base;
struct fault_off;
struct join;
struct log;
struct message;
struct metrics;
struct route_table;
struct worker;

enum {
	BUS_LINGERING_MAX = 1024, /* more than that do not wait for it */
	BUS_LINGER_MS = 2000,     /* a page that reloads comes back within it, and costs Redis nothing */
};

/* Called for each event of a channel; the message is borrowed. It must not remove the tap. */
typedef void (*bus_tap_fn)(void *arg, struct message *event);

/* Embedded in whoever taps. */
struct bus_tap {
	struct list link; /* of its channel */
	struct bus_channel *channel;
	bus_tap_fn event;
	void *arg;
};

/* NULL when out of memory. */
struct bus *bus_new(struct event_base *base, struct log *log, struct metrics *metrics);

/* What the broker must be created with. */
struct broker_listener bus_broker_listener(struct bus *bus);

/* The broker and the workers that it switches between; borrowed until bus_free(). Once, before the loop runs.
 */
void bus_connect(
	struct bus *bus, struct broker *broker, struct worker *const *workers, unsigned int n_workers);

/*
 * Where events have their keys, and which channels keep a history. Takes a reference; again with another
 * table: it counts from the next event on, also for channels that are there. A history that is no longer kept
 * ends once it holds nothing back and what was published while the link was lost has been read; or when its
 * log could not be read for half a minute, which is announced.
 */
void bus_set_routes(struct bus *bus, struct route_table *routes);

#ifdef TIDEGATE_FAULT_CONTROLS
/* Before anybody wants a channel. */
void bus_set_fault_off(struct bus *bus, const struct fault_off *off);
#endif

/* No worker thread may run any more. Accepts NULL. */
void bus_free(struct bus *bus);

/* A worker does (not) want a channel; see hub_listener.interest. From any thread. */
void bus_post_interest(struct bus *bus, unsigned int worker, struct slice channel, uint64_t hash,
	uint64_t generation, bool wanted);

/* A client wants to hear a channel from where it was; or join_spend() said that it has to come back. Takes
 * over the join; the first goes back to its worker. From any thread. */
void bus_post_join(struct bus *bus, struct join *join);

/* A worker has answered its part of a survey. From any thread. */
void bus_post_survey(struct bus *bus, struct survey_part *part);

/*
 * Asks all workers. done() is called later, once, unless survey_cancel() is. NULL when out of memory.
 */
struct survey *bus_survey(
	struct bus *bus, const struct census_question *question, survey_done_fn done, void *arg);

/* What this node knows of a channel that somebody on it wants, or wanted a moment ago. */
struct bus_view {
	bool subscribed;                       /* the broker says that every event comes */
	const struct channel_log *channel_log; /* its history; NULL: it keeps none. Borrowed */
};

/* False: there is no such channel here. */
bool bus_look(const struct bus *bus, struct slice channel, struct bus_view *view);

/* Hears a channel from now on. 0 or -ENOMEM. */
int bus_tap_add(struct bus *bus, struct bus_tap *tap, struct slice channel);
void bus_tap_remove(struct bus *bus, struct bus_tap *tap); /* harmless if it was not added */

size_t bus_n_channels(const struct bus *bus);

#endif

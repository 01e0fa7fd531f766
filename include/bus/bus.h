#ifndef TIDEGATE_BUS_BUS_H
#define TIDEGATE_BUS_BUS_H

/*
 * Bus: the switch between the broker and the workers, on the bus thread.
 *
 * At the broker it subscribes to the channels that some worker wants, keeps each for a short while longer,
 * and subscribes to no others. Each event is checked, stamped and framed here, once for the node; workers get
 * references. Taps (`tidegate tail`) get the same events as subscribers.
 *
 * All functions are for the bus thread, except those of bus_worker_listener(). That thread may be the only
 * worker's, too: see bus_share_loop().
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/list.h"
#include "core/slice.h"

struct broker;
struct broker_listener;
struct bus;
struct census_question;
struct channel_log;
struct channel_log_resync;
struct control_command;
struct event_base;
struct fault_off;
struct log;
struct message;
struct metrics;
struct order_text;
struct route_table;
struct survey;
struct worker;
struct worker_listener;

enum {
	BUS_LINGERING_MAX = 1024,    /* channels beyond this number are given up at once */
	BUS_NODE_MAX = 64,           /* bytes of a node's id */
	BUS_CONTROL_LOG_SIZE = 1000, /* commands that a node may miss and still carry out */
	BUS_CONTROL_LOG_TTL_MS = 3600 * 1000,
	/* a page that is loaded anew comes back within this time and costs Redis nothing */
	BUS_LINGER_MS = 2000,
};

/* Where control commands are published. */
#define BUS_CONTROL_CHANNEL "tg:control"

/* Called for each event of a channel; the message is borrowed. It must not remove the tap. */
typedef void (*bus_tap_fn)(void *arg, struct message *event);

/* Called when every event of the channel comes from now on, again after each time that it was lost. The
 * same. */
typedef void (*bus_tap_confirmed_fn)(void *arg);

/* Called when events may be missing, before others follow. The same. */
typedef void (*bus_tap_resync_fn)(void *arg, const struct channel_log_resync *resync);

/* A tap; embedded in the caller's struct. */
struct bus_tap {
	struct list link; /* of its channel */
	struct bus_channel *channel;
	bus_tap_fn event;
	bus_tap_confirmed_fn confirmed; /* may be NULL, like the next */
	bus_tap_resync_fn resync;
	void *arg;
};

/* NULL when out of memory. */
struct bus *bus_new(struct event_base *base, struct log *log, struct metrics *metrics);

/* The only worker will run on the loop of the bus. To be called before it is made. */
void bus_share_loop(struct bus *bus);

/* lease_ms: without a word for so long others take it for dead. This node's id, to which backends answer;
 * at most BUS_NODE_MAX bytes. Without it no action is carried. To be called before bus_connect(). */
void bus_set_node(struct bus *bus, const char *node, uint64_t lease_ms);

/* Has all been said that the workers have told of connections that ended? */
bool bus_has_said_all(struct bus *bus);

/* This node is about to end: other nodes need not wait for long to clear up behind it. */
void bus_leave(struct bus *bus);

/* Control commands are followed, by all who may publish to tg:control. To be called before bus_connect(), and
 * after bus_set_node(). 0 or -ENOMEM. */
int bus_set_controlled(struct bus *bus);

/* Are control commands heard, and is known what was revoked before? */
enum bus_control_state {
	BUS_CONTROL_OFF, /* they are not followed */
	BUS_CONTROL_READY,
	BUS_CONTROL_AWAITED, /* a moment after the link was made */
	BUS_CONTROL_LACKING, /* Redis refuses it: people have to mend that */
	BUS_CONTROL_AWAY,    /* its server is not there; what was revoked before is known */
};

enum bus_control_state bus_control_state(const struct bus *bus);

/* Reads a control command. NULL, or what is wrong with it, as a sentence without a full stop. */
const char *bus_read_command(struct slice text, struct control_command *command);

/* The listener that the broker must be created with. */
struct broker_listener bus_broker_listener(struct bus *bus);

/* Connects the broker and the workers; both are borrowed until bus_free(). To be called once,
 * before the loop runs. */
void bus_connect(
	struct bus *bus, struct broker *broker, struct worker *const *workers, unsigned int n_workers);

/*
 * Sets the table that says where events have their keys and which channels keep a history. Takes a reference.
 * It may be called again with another table, which holds from the next event on, also for existing channels.
 * A history that is no longer kept ends once it holds no event back and has read what was published while the
 * link was lost; or after its log could not be read for half a minute, which its subscribers are told.
 */
void bus_set_routes(struct bus *bus, struct route_table *routes);

/* Where keys come from. */
struct bus_keys_listener {
	void *arg;
	/* A client of some worker waits for a key that is not known yet. */
	void (*wanted)(void *arg);
};

/* Without it nobody waits for keys. */
void bus_set_keys(struct bus *bus, const struct bus_keys_listener *keys);

/*
 * Memory is short, or is so no longer. Meanwhile histories forget their entries, and clients that ask for
 * missed events are told to come again: `unavailable`.
 */
void bus_set_short(struct bus *bus, bool is_short);

#ifdef TIDEGATE_FAULT_CONTROLS
/* To be called before any channel is wanted. */
void bus_set_fault_off(struct bus *bus, const struct fault_off *off);
#endif

/* The broker is about to be freed: nobody is answered from now on. Accepts NULL. */
void bus_fall_silent(struct bus *bus);

/* No worker thread may run any more. Accepts NULL. */
void bus_free(struct bus *bus);

/* What the workers must be created with. Each call becomes mail: from any thread. */
struct worker_listener bus_worker_listener(struct bus *bus);

/*
 * Asks all workers. done() is called later, once, unless the survey is cancelled by survey_cancel(). NULL
 * when out of memory.
 */
struct survey *bus_survey(struct bus *bus, const struct census_question *question,
	void (*done)(void *arg, const struct survey *survey), void *arg);

/*
 * Has something done to connections on all workers of this node. done(), which may be NULL, is called once,
 * in this call or later, when it is done everywhere. 0, or -ENOMEM and nothing is done.
 */
int bus_order(struct bus *bus, const struct order_text *text, void (*done)(void *arg, int r, uint64_t n),
	void *arg);

/* What this node knows about a channel that one of its workers wants, or wanted a moment ago. */
struct bus_view {
	bool subscribed;                       /* the broker says that every event comes */
	const struct channel_log *channel_log; /* its history, borrowed; NULL if it keeps none */
};

/* False if this node has no such channel. */
bool bus_look(const struct bus *bus, struct slice channel, struct bus_view *view);

/* How many users are on a channel by this node, and connections without one, where presence is kept. */
void bus_count_users(const struct bus *bus, struct slice channel, uint64_t *n_usersp, uint64_t *n_anonymousp);

/* The tap gets the channel's events from now on. 0 or -ENOMEM. */
int bus_tap_add(struct bus *bus, struct bus_tap *tap, struct slice channel);
void bus_tap_remove(struct bus *bus, struct bus_tap *tap); /* harmless if it was not added */

size_t bus_n_channels(const struct bus *bus);

#endif

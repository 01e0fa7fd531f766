#ifndef TIDEGATE_ADMIN_ADMIN_H
#define TIDEGATE_ADMIN_ADMIN_H

/*
 * Admin: the operator's HTTP listener, on the bus thread.
 *
 * What it serves is the table in src/admin/router.c; docs/admin.md tells it to people. Whoever calls needs
 * the token where one is set, except for probes and the empty page. It is meant for machines and operators,
 * never for pages of other sites: a request with a foreign Origin is refused, and where no token protects it,
 * one with a foreign Host.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct admin;
struct broker;
struct buf;
struct bus;
struct event_base;
struct log;
struct metrics;
struct route_table;

/* What the listener asks of whoever runs the process. */
struct admin_source {
	void *arg;
	bool (*live)(void *arg, struct buf *out);  /* appends one JSON object */
	bool (*ready)(void *arg, struct buf *out); /* likewise */
	void (*metrics)(void *arg, struct buf *out);
	unsigned int (*reload)(void *arg, struct buf *out); /* appends one JSON object; an HTTP status */
	void (*status)(void *arg, struct buf *out);         /* one JSON object */
	void (*config)(void *arg, struct buf *out);         /* likewise */
};

struct admin_options {
	struct event_base *base;
	const char *host;
	uint16_t port;                /* 0: any free one */
	const char *token;            /* "": none is wanted. Borrowed for the call */
	unsigned int connections_max; /* beyond it the least needed one gives way */
	bool metrics_public;          /* /metrics does not want it */
	const char *node_id;          /* borrowed */
	struct admin_source source;
	struct bus *bus;                  /* outlives the listener */
	struct broker *broker;            /* likewise */
	const struct route_table *routes; /* until admin_configure(): which channels keep a history */
	struct log *log;
	struct metrics *metrics; /* of the bus thread */
	size_t event_bytes_max;  /* of a payload that is published */
};

/* 0, or negative errno with one sentence appended to error. */
int admin_new(const struct admin_options *options, struct admin **adminp, struct buf *error);

/*
 * The process is about to end: nobody new is listened to, and publications that the broker has not answered
 * are answered as not known.
 */
void admin_give_up(struct admin *admin);

/* Is there an answer that has not left yet? */
bool admin_is_answering(const struct admin *admin);

/* Ends all requests. Before the bus and the broker go. Accepts NULL. */
void admin_free(struct admin *admin);

uint16_t admin_port(const struct admin *admin);

/* Other admin_options of these names. */
void admin_configure(struct admin *admin, const struct route_table *routes, size_t event_bytes_max);

/* Once per turn of the loop. */
void admin_turn(struct admin *admin);

#endif

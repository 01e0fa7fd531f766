#ifndef TIDEGATE_ADMIN_ADMIN_H
#define TIDEGATE_ADMIN_ADMIN_H

/*
 * Admin: the operator's HTTP listener, on the bus thread.
 *
 * It serves the table in src/admin/router.c, which docs/admin.md describes for people. If a token is set,
 * every request needs it, except for probes and the empty page. The listener is meant for machines and
 * operators, never for pages of other sites: it refuses a request with a foreign Origin and, without a token,
 * a request with a foreign Host.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tls/tls_keys.h"

struct admin;
struct broker;
struct buf;
struct bus;
struct event_base;
struct log;
struct metrics;
struct route_table;

/* What the listener asks the composition of the process. */
struct admin_source {
	void *arg;
	bool (*live)(void *arg, struct buf *out);  /* appends appends one JSON object */
	bool (*ready)(void *arg, struct buf *out); /* likewise */
	void (*metrics)(void *arg, struct buf *out);
	/* appends one JSON object and returns an HTTP status */
	unsigned int (*reload)(void *arg, struct buf *out);
	void (*status)(void *arg, struct buf *out);   /* one JSON object */
	void (*config)(void *arg, struct buf *out);   /* likewise */
	void (*asyncapi)(void *arg, struct buf *out); /* likewise */
};

struct admin_options {
	struct tls_keys *tls_keys; /* takes its own reference; NULL: without TLS */
	enum tls_version tls_least;
	struct event_base *base;
	const char *host;
	uint16_t port;                /* 0: any free one */
	const char *token;            /* "" if no token is wanted; borrowed for the call */
	unsigned int connections_max; /* beyond it the least needed connection gives way */
	bool metrics_public;          /* /metrics does not want the token */
	const char *node_id;          /* borrowed */
	struct admin_source source;
	struct bus *bus;                  /* outlives the listener */
	struct broker *broker;            /* likewise */
	const struct route_table *routes; /* says which channels keep a history, until admin_configure() */
	struct log *log;
	struct metrics *metrics; /* of the bus thread */
	size_t event_bytes_max;  /* of a published payload */
};

/* 0, or negative errno with one sentence appended to error. */
int admin_new(const struct admin_options *options, struct admin **adminp, struct buf *error);

/*
 * The process is about to end: takes no new requests, and answers the publications that the broker has not
 * answered yet with "not known".
 */
void admin_give_up(struct admin *admin);

/* Is there an answer that has not left yet? */
bool admin_is_answering(const struct admin *admin);

/* Ends all requests. To be called before the bus and the broker are freed. Accepts NULL. */
void admin_free(struct admin *admin);

uint16_t admin_port(const struct admin *admin);

/* Changes the admin_options of these names. */
void admin_configure(struct admin *admin, const struct route_table *routes, size_t event_bytes_max);

/* Handshakes of TLS from now on are made with these. Takes its own reference. */
void admin_set_tls_keys(struct admin *admin, struct tls_keys *keys);

/* Once per turn of the loop. */
void admin_turn(struct admin *admin);

#endif

#ifndef TIDEGATE_ADMIN_PRIVATE_H
#define TIDEGATE_ADMIN_PRIVATE_H

/* Shared by the files of the admin listener. */

#include <libwebsockets.h>

#include "admin/admin.h"
#include "admin/auth.h"
#include "core/list.h"
#include "core/log.h"

struct admin_request;
struct event_base;
struct listener;
struct lws_loop;
struct metrics;
struct route_table;
struct ws_tls;

struct admin {
	struct event_base *base;
	struct listener *listener;
	struct list requests; /* that have a caller */
	bool ending;          /* nothing is published any more */
	struct lws_loop *loop;
	struct lws_context *context;
	struct lws_vhost *vhost;
	struct ws_tls *tls; /* NULL: plain */
	struct lws_protocols protocols[2];
	struct admin_source source;
	struct admin_auth auth;
	size_t n_connections;
	size_t connections_max;
	struct log_limit crowd_limit;   /* of log lines about connections that give way to newer ones */
	struct log_limit refused_limit; /* of lines on requests without the token */
	struct log_limit error_limit;   /* of lines on all others that are refused */
	const char *node_id;
	struct bus *bus;
	struct broker *broker;
	const struct route_table *routes;
	struct log *log;
	struct metrics *metrics;
	uint64_t n_commands; /* that operators gave */
	size_t event_bytes_max;
	size_t body_bytes_max; /* the same, and room for the JSON around it */
};

#endif

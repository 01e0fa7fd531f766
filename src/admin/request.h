#ifndef TIDEGATE_ADMIN_REQUEST_H
#define TIDEGATE_ADMIN_REQUEST_H

/* Admin request: one request of the admin listener, from its headers to the last byte of its answer. */

#include <stdbool.h>
#include <stddef.h>

#include "bus/bus.h"
#include "core/buf.h"

struct admin;
struct lws;

enum {
	ADMIN_TAPS_MAX = 32, /* channels in one tail */
};

struct admin_request {
	struct admin *admin;
	struct lws *wsi; /* NULL: the caller left while we wait for the broker */
	struct buf body;
	struct buf out;
	size_t sent;  /* of out */
	bool done;    /* nothing follows what is in out */
	bool waiting; /* for the broker */
	unsigned int n_taps;
	struct bus_tap taps[];
};

/* The whole answer; it is sent and the connection ended. The body's memory stays the caller's. */
void admin_answer(struct admin_request *request, unsigned int status, const char *type, const char *headers,
	const struct buf *body);

/* {"error":{"code":…,"message":…}} */
void admin_answer_error(struct admin_request *request, unsigned int status, const char *headers,
	const char *code, const char *message);

/* POST /publish with its body complete. */
void admin_publish(struct admin_request *request);

/* GET /tail: an answer without an end. The channels are the taps' room that was made. */
void admin_tail(struct admin_request *request);

#endif

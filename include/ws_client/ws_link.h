#ifndef TIDEGATE_WS_CLIENT_WS_LINK_H
#define TIDEGATE_WS_CLIENT_WS_LINK_H

/*
 * WS link: one connection to a gateway as a client has it, whose calls wait, each up to a time of its own.
 *
 * A gateway of another machine is believed by the authorities of the system, or those in the file `ca`, and
 * has to have the name that was dialled. One of this machine is believed by those in `ca` whatever its name,
 * and without `ca` unseen.
 */

#include <stddef.h>
#include <stdint.h>

#include "core/slice.h"

struct buf;
struct ws_link;
struct ws_url;

struct ws_link_options {
	const struct ws_url *url;
	const char *path;
	const char *token;   /* "" for none */
	const char *ca;      /* NULL: see above */
	uint64_t timeout_ms; /* of the opening */
};

/* 0, or negative errno with one sentence appended to error. said: gets the body of a refusal. */
int ws_link_open(
	const struct ws_link_options *options, struct ws_link **linkp, struct buf *said, struct buf *error);

/* Says goodbye. Accepts NULL. */
void ws_link_close(struct ws_link *link);

/* One text. 0, or negative errno with one sentence. */
int ws_link_send(struct ws_link *link, struct slice text, struct buf *error);

/* The next text, which stays until the next call. 0; -ETIMEDOUT after so long without one; or other negative
 * errno with one sentence. */
int ws_link_receive(struct ws_link *link, uint64_t timeout_ms, struct slice *textp, struct buf *error);

#endif

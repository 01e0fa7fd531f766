#ifndef TIDEGATE_MAIL_SESSION_H
#define TIDEGATE_MAIL_SESSION_H

/*
 * Session: what travels from a worker to the bus about one connection, where its route has that said: that it
 * is open, and later that it has ended, and why.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/slice.h"
#include "mail/bus_mail.h"
#include "protocol/close_reason.h"

struct session_change {
	struct bus_mail mail; /* in the bus' inbox */
	uint64_t conn;        /* the connection's number */
	bool is_here;
	/* Of one that has ended: */
	uint16_t code;
	enum close_reason reason;
	/* Of one that is open: */
	unsigned int events; /* that are said of it, a mask (route/route.h) */
	unsigned int size;   /* of the stream */
	size_t stream_len, text_len;
	char bytes[]; /* the stream's key; lengths of user and route, and both, and the path's variables */
};

/* An open one; the numbers are the caller's to fill. NULL when out of memory. To be freed with free(). */
struct session_change *session_begun(
	struct slice stream, struct slice user, struct slice route, struct slice vars);

/* One that has ended; likewise. */
struct session_change *session_over(void);

static inline struct slice session_change_stream(const struct session_change *change)
{
	return (struct slice){change->bytes, change->stream_len};
}

static inline struct slice session_change_text(const struct session_change *change)
{
	return (struct slice){change->bytes + change->stream_len, change->text_len};
}

#endif

#ifndef TIDEGATE_PROTOCOL_CONTROL_COMMAND_H
#define TIDEGATE_PROTOCOL_CONTROL_COMMAND_H

/*
 * Control command: what a backend or an operator wants done to connections on all nodes (docs/control.md).
 *
 *     {"do": "disconnect", "user": "42"}
 *
 * Read strictly: a member that is not known, or stands twice, refuses the command, because it may have been
 * meant to narrow it. Pure.
 */

#include <stddef.h>
#include <stdint.h>

#include "core/slice.h"

enum {
	CONTROL_COMMAND_MAX = 4096, /* bytes; the longest that makes sense has some 1,000 */
	CONTROL_NAME_MAX = 255,     /* bytes of a user, a token's name, a channel, a route, a reply channel */
	CONTROL_NODE_MAX = 64,      /* of a node's id in `conn` */
	CONTROL_REASON_MAX = 123,   /* what a close frame has room for */
	CONTROL_CODE_MIN = 4000,    /* the codes that are an application's (RFC 6455 section 7.4.2) */
	CONTROL_CODE_MAX = 4999,
};

enum control_do {
	CONTROL_DISCONNECT,
	CONTROL_SUBSCRIBE,
	CONTROL_UNSUBSCRIBE,
	CONTROL_REFRESH,
	CONTROL_REVOKE,
	N_CONTROL_DO,
};

/* Who is meant. */
enum control_who {
	CONTROL_CONN,
	CONTROL_USER,
	CONTROL_TOKEN,
	CONTROL_CHANNEL,
	CONTROL_ROUTE,
	N_CONTROL_WHO,
};

struct control_text {
	size_t len;
	char bytes[CONTROL_NAME_MAX + 1]; /* with a NUL behind them */
};

struct control_command {
	enum control_do what;
	enum control_who who;
	struct control_text name; /* of who; of a connection it is the node */
	uint64_t conn;            /* the connection's number on that node */
	struct control_text channel;
	uint16_t code;              /* 0: none is given */
	struct control_text reason; /* len 0: none is given */
	int64_t issued_before_ms;   /* of the wall clock, like the next */
	int64_t until_ms;
	struct control_text reply; /* the channel where an answer is awaited; len 0: nowhere */
};

/* NULL, or what is wrong with it, as a sentence without a full stop. Its reply is set if that one is good. */
const char *control_command_parse(struct slice text, struct control_command *command);

/* The word of `do`. */
const char *control_do_name(enum control_do what);

static inline struct slice control_slice(const struct control_text *text)
{
	return (struct slice){text->bytes, text->len};
}

#endif

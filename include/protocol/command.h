#ifndef TIDEGATE_PROTOCOL_COMMAND_H
#define TIDEGATE_PROTOCOL_COMMAND_H

/*
 * Command: what a client asked, taken apart and checked.
 *
 * Read with jsmn on top of json_check(): one object, at most COMMAND_TOKENS_MAX tokens and COMMAND_DEPTH_MAX
 * levels, no duplicate keys. The fixed token array is the defence against jsmn's quadratic cost; it is never
 * enlarged. Members nobody knows are ignored. Every slice points into the text that was parsed.
 */

#include <stddef.h>

#include "core/slice.h"

enum {
	COMMAND_TOKENS_MAX = 64,
	COMMAND_DEPTH_MAX = 8,
	COMMAND_ID_MAX = 128,      /* bytes of "id" as it stands, quotes included */
	COMMAND_CHANNEL_MAX = 300, /* longest channel name that is looked at; longer is no valid name */
};

enum command_type {
	COMMAND_SUBSCRIBE,
	COMMAND_UNSUBSCRIBE,
	COMMAND_PING,
	COMMAND_ACTION,
};

/* Outcomes; each is one error code of the protocol, see command_error_code(). */
enum {
	COMMAND_BAD_JSON = 1,    /* "bad_json": not JSON, not one object, too deep, too many members */
	COMMAND_MISSING_TYPE,    /* "missing_type": no `type`, or not a string */
	COMMAND_UNKNOWN_TYPE,    /* "unknown_type" */
	COMMAND_BAD_ID,          /* "bad_id": neither string nor integer, or too long */
	COMMAND_BAD_DATA,        /* "bad_data": `data` is there but no object */
	COMMAND_MISSING_CHANNEL, /* "missing_channel": data.channel is no string, or empty; unsubscribe has
				    none */
};

struct command {
	enum command_type type;
	struct slice id; /* as it stands, to be echoed; absent if none. Set even when the outcome is an error
			    after it. */
	struct slice data; /* as it stands; absent if none */
	char channel[COMMAND_CHANNEL_MAX +
		     1]; /* unescaped, NUL-terminated; "" if none: a subscribe then means what the
			    connection's route joins; "?" if it cannot be a name */
	size_t channel_len;
};

/* 0 or an outcome above. Never a negative value: it allocates nothing. */
int command_parse(const char *text, size_t len, struct command *command);

/* The code and the sentence that the client is told for an outcome of command_parse(). */
const char *command_error_code(int outcome);
const char *command_error_message(int outcome);

#endif

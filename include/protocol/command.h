#ifndef TIDEGATE_PROTOCOL_COMMAND_H
#define TIDEGATE_PROTOCOL_COMMAND_H

/*
 * Command: a client's message, taken apart and checked.
 *
 * It is read with jsmn on top of json_check(): one object, at most COMMAND_TOKENS_MAX tokens and
 * COMMAND_DEPTH_MAX levels, no duplicate keys. The fixed token array is the defence against jsmn's quadratic
 * cost; it is never enlarged. Unknown members are ignored. Every slice points into the parsed text.
 *
 * An action is for a backend, which may mean larger things by it: its data is any JSON value of as many
 * tokens as a message has room for and COMMAND_ACTION_DEPTH_MAX levels, and only json_check() looks at it.
 */

#include <stdbool.h>
#include <stddef.h>

#include "core/slice.h"

enum {
	COMMAND_TOKENS_MAX = 64,
	COMMAND_DEPTH_MAX = 8,
	COMMAND_ACTION_DEPTH_MAX = 33, /* 32 of the data, in the message */
	COMMAND_KEY_MAX = 64,          /* bytes of an action's "key", unescaped */
	COMMAND_ID_MAX = 128,          /* bytes of "id" as it stands, quotes included */
	COMMAND_CHANNEL_MAX = 300,     /* longest channel name that is looked at; longer is no valid name */
};

enum command_type {
	COMMAND_SUBSCRIBE,
	COMMAND_UNSUBSCRIBE,
	COMMAND_AUTH,
	COMMAND_PING,
	COMMAND_ACTION,
	COMMAND_PRESENCE,
};

/* Outcomes; each is one error code of the protocol, see command_error_code(). */
enum {
	COMMAND_BAD_JSON = 1, /* "bad_json": not JSON, not one object, too deep, too many members */
	COMMAND_MISSING_TYPE, /* "missing_type": no `type`, or not a string */
	COMMAND_UNKNOWN_TYPE, /* "unknown_type" */
	COMMAND_BAD_ID,       /* "bad_id": neither string nor integer, or too long */
	COMMAND_BAD_DATA,     /* "bad_data": `data` is there but no object */
	/* "missing_channel": data.channel is no string, or is empty; or an unsubscribe or a presence
	 * without a channel */
	COMMAND_MISSING_CHANNEL,
	COMMAND_MISSING_TOKEN, /* "missing_token": an auth without data.token, or that is no string */
	COMMAND_BAD_KEY,       /* "bad_key": `key` of an action is no string of 1 to COMMAND_KEY_MAX bytes */
};

struct command {
	enum command_type type;
	/* as it stands, to be echoed; absent if there is no id. Also set when a later member is wrong. */
	struct slice id;
	struct slice data; /* as it stands; absent if there is no data */
	/* of an action, unescaped; "" without one */
	char key[COMMAND_KEY_MAX];
	size_t key_len;
	/* Unescaped and NUL-terminated. "" without a channel: a subscribe then means the channels that the
	 * connection's route joins. "?" if it cannot be a channel's name. */
	char channel[COMMAND_CHANNEL_MAX + 1];
	size_t channel_len;
	/* What the data says of a history: where the client was, as it stands, absent if it says nothing of
	 * that; and whether it wants to know where it is. */
	struct slice since;
	bool recover;
	struct slice token; /* of an auth: the string, as it stands */
};

/* 0 or an outcome above. Never negative, since it allocates nothing. */
int command_parse(const char *text, size_t len, struct command *command);

/* The code and the sentence that tell the client about an outcome of command_parse(). */
const char *command_error_code(int outcome);
const char *command_error_message(int outcome);

#endif

#ifndef TIDEGATE_CONFIG_MESSAGES_H
#define TIDEGATE_CONFIG_MESSAGES_H

/*
 * Messages: the types of events that routes declare, each with the JSON Schema of its `data`. The gateway
 * checks no event against them: they are for documents (asyncapi/asyncapi.h) and for those who read these.
 */

#include <stddef.h>

enum {
	CONFIG_MESSAGES_MAX = 64,               /* of one route */
	CONFIG_MESSAGE_NAME_MAX = 128,          /* bytes of a type */
	CONFIG_MESSAGE_SCHEMA_MAX = 256 * 1024, /* bytes of a schema */
};

/* Owned by its configuration. */
struct config_message {
	size_t route; /* its place in the table */
	char *name;   /* the `type` of the events */
	char *schema; /* JSON, an object: read from the file when the configuration was loaded */
};

struct config_messages {
	struct config_message *items;
	size_t n;
};

void config_messages_free(struct config_messages *messages); /* leaves it empty */

#endif

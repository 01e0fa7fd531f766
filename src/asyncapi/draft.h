#ifndef TIDEGATE_SRC_ASYNCAPI_DRAFT_H
#define TIDEGATE_SRC_ASYNCAPI_DRAFT_H

/*
 * Draft: the document while it is put together. Values are handed over (jansson's "_new"). A NULL means that
 * there was no memory: it marks the draft as failed, and what follows goes on.
 */

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

struct config;
struct route;

enum {
	DRAFT_NAME_MAX = 400, /* bytes of a name in the document, NUL included: a template's are fewer */
};

struct draft {
	const struct config *config;
	json_t *root;
	/* Parts of root, borrowed. */
	json_t *servers, *channels, *operations, *messages;
	bool failed;
};

/* object[name] = value. Takes the value over, and returns it, borrowed; NULL when out of memory. */
json_t *draft_put(struct draft *draft, json_t *object, const char *name, json_t *value);

/* array[] = value, likewise. */
void draft_append(struct draft *draft, json_t *array, json_t *value);

/* {"$ref": "#/WHERE/NAME"}, or with a third part behind it (NULL: none); NULL when out of memory. */
json_t *draft_ref(const char *where, const char *name, const char *part);

/* A name for this text that is free in the object: letters, digits, '_' and '-' of it, behind a prefix. */
void draft_name(const json_t *object, const char *prefix, const char *text, char name[DRAFT_NAME_MAX]);

/*
 * An address with its parameters, for a path or a channel: {variables} stay, {token.NAME} becomes
 * {token_NAME}, and each is described.
 */
json_t *draft_address(struct draft *draft, const char *prefix, const char *template);

/* route_channel.c: the channel and the operations of a route's path. */
void draft_add_route(struct draft *draft, const struct route *route);

/* redis_channel.c: what of a route is heard and said in Redis. */
void draft_add_redis(struct draft *draft, const struct route *route);

/* close_codes.c: a message for each close code. */
void draft_add_close_codes(struct draft *draft);

/*
 * declared.c: puts the messages that a route declares into components.messages, as clients hear them or, with
 * published, as backends publish them, and into `messages`, a channel's, under the same names. Returns how
 * many are declared.
 */
size_t draft_add_declared(struct draft *draft, const struct route *route, bool published, json_t *messages);

#endif

#ifndef TIDEGATE_SRC_AUTH_JSON_OBJECT_H
#define TIDEGATE_SRC_AUTH_JSON_OBJECT_H

/* JSON object: a stranger's text that is one, read by jansson. For what is not read for each connection. */

#include "core/slice.h"

struct json_t; /* jansson's */

enum {
	JSON_OBJECT_BAD = 1, /* it is no object, or says a thing twice */
};

/* 0 and *objectp, which the caller gives back; -ENOMEM; or JSON_OBJECT_BAD. */
int json_object_read(struct slice json, struct json_t **objectp);

#endif

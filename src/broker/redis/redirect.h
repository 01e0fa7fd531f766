#ifndef TIDEGATE_BROKER_REDIS_REDIRECT_H
#define TIDEGATE_BROKER_REDIS_REDIRECT_H

/*
 * Redis redirect: what a server of a cluster answers to a command that is not its to carry out, or not now.
 * Nothing was carried out then. Pure.
 */

#include <stdint.h>

#include "core/slice.h"

enum redis_redirect_kind {
	REDIS_REDIRECT_NONE,        /* an answer like any other */
	REDIS_REDIRECT_MOVED,       /* another one has the slot */
	REDIS_REDIRECT_ASK,         /* another one has the key, while the slot is under way to it */
	REDIS_REDIRECT_TRYAGAIN,    /* some of the keys are under way */
	REDIS_REDIRECT_CLUSTERDOWN, /* nobody has the slot, or the server is apart from the others */
	REDIS_REDIRECT_READONLY,    /* it is no primary any more */
	N_REDIS_REDIRECTS,
};

struct redis_redirect {
	enum redis_redirect_kind kind;
	/* Of MOVED and ASK. host is empty where the one that was asked is meant; borrowed from the text. */
	unsigned int slot;
	struct slice host;
	uint16_t port;
};

/* From the text of an error. A MOVED or ASK that cannot be made out is CLUSTERDOWN: the map will tell. */
struct redis_redirect redis_redirect_parse(struct slice error);

#endif

#ifndef TIDEGATE_BROKER_REDIS_SETTINGS_H
#define TIDEGATE_BROKER_REDIS_SETTINGS_H

/*
 * Redis settings: which servers something is about, and the options of those, as a copy of its own.
 */

#include "broker/redis/urls.h"
#include "broker/redis_broker.h"
#include "core/buf.h"

struct redis_settings {
	struct redis_element element;
	struct redis_options options; /* its texts are the two below, and it has no URLs */
	char *prefix;
	char *node_id;
	struct buf client_name; /* for CLIENT SETNAME */
};

/* Makes it of zeroed memory. 0 or -ENOMEM, after which it is to be freed as well. */
int redis_settings_init(struct redis_settings *settings, const struct redis_element *element,
	const struct redis_options *options);
void redis_settings_deinit(struct redis_settings *settings); /* harmless on zeroed memory */

#endif

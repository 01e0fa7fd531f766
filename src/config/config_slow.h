#ifndef TIDEGATE_CONFIG_CONFIG_SLOW_H
#define TIDEGATE_CONFIG_CONFIG_SLOW_H

/* Config slow: what a route does about clients that read too slowly. */

#include <yaml.h>

#include "route/route.h"

struct reader;

/* The value of `slow`. Texts belong to the document. key_linep: the line of its key, untouched where it has
 * no key. 0, CONFIG_BAD, or -ENOMEM. */
int config_slow_read(
	struct reader *reader, const yaml_node_t *value, struct route_slow *slow, unsigned int *key_linep);

#endif

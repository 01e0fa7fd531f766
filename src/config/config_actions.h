#ifndef TIDEGATE_CONFIG_CONFIG_ACTIONS_H
#define TIDEGATE_CONFIG_CONFIG_ACTIONS_H

/* Config actions: where what a route's clients ask of a backend goes. */

#include <yaml.h>

#include "route/route.h"

struct reader;

/* The value of `actions`. Texts belong to the document. 0, CONFIG_BAD, or -ENOMEM. */
int config_actions_read(struct reader *reader, const yaml_node_t *value, struct route_actions *actions);

#endif

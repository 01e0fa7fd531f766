#ifndef TIDEGATE_CONFIG_CONFIG_PRESENCE_H
#define TIDEGATE_CONFIG_CONFIG_PRESENCE_H

/* Config presence: what a route keeps and tells of who is on its channels. */

#include <yaml.h>

#include "route/route.h"

struct reader;

/* The value of `presence`. Texts belong to the document. 0, CONFIG_BAD, or -ENOMEM. */
int config_presence_read(struct reader *reader, const yaml_node_t *value, struct route_presence *presence);

#endif

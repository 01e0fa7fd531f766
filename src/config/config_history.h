#ifndef TIDEGATE_CONFIG_CONFIG_HISTORY_H
#define TIDEGATE_CONFIG_CONFIG_HISTORY_H

/* Config history: the history that a route keeps of its channels. */

#include <yaml.h>

#include "route/route.h"

struct reader;

/* The value of `history`. 0, CONFIG_BAD, or -ENOMEM. */
int config_history_read(struct reader *reader, const yaml_node_t *value, struct route_history *history);

#endif

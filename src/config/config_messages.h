#ifndef TIDEGATE_SRC_CONFIG_CONFIG_MESSAGES_H
#define TIDEGATE_SRC_CONFIG_CONFIG_MESSAGES_H

/* Config messages: reads the `messages` of a route. */

#include <stddef.h>

#include <yaml.h>

struct reader;

/* Adds to the configuration what this mapping declares for the route at this place of the table. 0,
 * CONFIG_BAD with one line of the loader's error, or -ENOMEM. */
int config_messages_read(struct reader *reader, const yaml_node_t *node, size_t route);

#endif

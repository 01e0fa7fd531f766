#ifndef TIDEGATE_CONFIG_CONFIG_ROUTES_H
#define TIDEGATE_CONFIG_CONFIG_ROUTES_H

/* Config routes: the `routes` of a YAML file into the route table. */

#include <yaml.h>

struct reader;

/* 0, CONFIG_BAD with one line in the error, or -ENOMEM. */
int config_routes_read(struct reader *reader, const yaml_node_t *node);

#endif

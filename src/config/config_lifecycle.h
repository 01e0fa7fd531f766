#ifndef TIDEGATE_CONFIG_CONFIG_LIFECYCLE_H
#define TIDEGATE_CONFIG_CONFIG_LIFECYCLE_H

/* Config lifecycle: what a route has said of its connections and channels in a stream. */

#include <yaml.h>

#include "route/route.h"

struct reader;

/* The value of `lifecycle`. Texts belong to the document. 0, CONFIG_BAD, or -ENOMEM. */
int config_lifecycle_read(struct reader *reader, const yaml_node_t *value, struct route_lifecycle *lifecycle);

#endif

#ifndef TIDEGATE_SRC_CONFIG_CONFIG_PRINT_H
#define TIDEGATE_SRC_CONFIG_CONFIG_PRINT_H

/* Config print: parts of a configuration in the words of the file, for `check` and for GET /config. */

#include <stddef.h>

struct buf;
struct config;
struct route;

/* "latest_by_key data.id 1MiB 10s" */
void slow_describe(const struct config *config, const struct route *route, struct buf *out);

/* "1000 24h close", "off" */
void history_describe(const struct route *route, struct buf *out);
void actions_describe(const struct route *route, struct buf *out);
void presence_describe(const struct route *route, struct buf *out);
void lifecycle_describe(const struct route *route, struct buf *out);

/* "tidegate.yaml:5", "default": of the route at this place of the table. */
void route_source_describe(const struct config *config, size_t i, struct buf *out);

#endif

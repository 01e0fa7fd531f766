#ifndef TIDEGATE_SRC_CONFIG_CONFIG_OPEN_H
#define TIDEGATE_SRC_CONFIG_CONFIG_OPEN_H

/* Config open: what a configuration leaves open, and what would shut everybody out. Its warnings are in
 * config/config.h. */

#include <stdbool.h>

struct buf;
struct config;

/* Can only this machine reach it? A name may mean any machine, except for localhost (RFC 6761). */
bool host_is_loopback(const char *host);

/* What no gateway should be started with. 0, or CONFIG_BAD with one line appended to error. */
int config_check_open(const struct config *config, struct buf *error);

#endif

#ifndef TIDEGATE_SRC_CONFIG_CONFIG_CHECK_H
#define TIDEGATE_SRC_CONFIG_CONFIG_CHECK_H

/* Config check: what of a configuration does not go together. What must be right before it is served is
 * config_check_served() in config/config.h. */

struct loader;

/* Do its options go together? 0, or CONFIG_BAD with one line in the loader's error. */
int config_check_options(struct loader *loader);

/* Do the routes of its file go with its options? Likewise. */
int config_check_routes(struct loader *loader);

#endif

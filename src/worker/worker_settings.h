#ifndef TIDEGATE_WORKER_WORKER_SETTINGS_H
#define TIDEGATE_WORKER_WORKER_SETTINGS_H

/*
 * Worker settings: a worker's part of the configuration, as far as a reload can change it.
 *
 * They are made on the bus thread and taken over by the worker, so that nothing can fail there. The table of
 * routes is shared by reference; everything else is the worker's own.
 */

#include "client/clients.h"
#include "core/log.h"
#include "ws/handshake_rules.h"

struct buf;
struct config;
struct route_table;
struct verifier;

struct worker_settings {
	struct client_limits limits;
	struct route_table *routes;        /* one reference */
	struct handshake_rules handshakes; /* zeroed once they were taken out */
	enum log_level log_level;
};

/* verifier: NULL, or what gets one more reference. 0, -EINVAL with one sentence appended to error, or
 * -ENOMEM. */
int worker_settings_new(const struct config *config, struct verifier *verifier,
	struct worker_settings **settingsp, struct buf *error);
void worker_settings_free(struct worker_settings *settings); /* accepts NULL */

#endif

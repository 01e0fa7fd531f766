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

struct buf;
struct config;
struct origins;
struct route_table;
struct trusted;

struct worker_settings {
	struct client_limits limits;
	struct route_table *routes; /* one reference */
	struct trusted *trusted;    /* NULL once it was taken out */
	struct origins *origins;    /* likewise */
	enum log_level log_level;
};

/* 0, -EINVAL with one sentence appended to error, or -ENOMEM. */
int worker_settings_new(const struct config *config, struct worker_settings **settingsp, struct buf *error);
void worker_settings_free(struct worker_settings *settings); /* accepts NULL */

#endif

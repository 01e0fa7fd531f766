#ifndef TIDEGATE_BROKER_REDIS_ACTION_H
#define TIDEGATE_BROKER_REDIS_ACTION_H

/* Redis action: a call of tidegate_action, and the caller who waits for its answer. */

#include "broker/broker.h"

struct redis_library;

/* As broker_act(); stream.reply is the channel as Redis knows it, prefix and all. */
int redis_action_send(struct redis_library *library, const struct broker_action_stream *stream,
	const struct broker_action *actions, size_t n, broker_acted_fn done, void *arg);

#endif

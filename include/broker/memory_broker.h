#ifndef TIDEGATE_BROKER_MEMORY_BROKER_H
#define TIDEGATE_BROKER_MEMORY_BROKER_H

/*
 * Memory broker: for a node alone. Events that are published to it arrive at its own listener;
 * logs are kept in memory.
 */

#include "broker/broker.h"

/* The listener must outlive it. 0 or -ENOMEM. */
int memory_broker_new(
	struct event_base *base, const struct broker_listener *listener, struct broker **brokerp);

#endif

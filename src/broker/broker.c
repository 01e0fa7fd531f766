/*
 * Broker: the calls of the interface, each handed to whichever broker stands behind it.
 */

#include "broker/broker.h"

int broker_subscribe(struct broker *broker, struct slice channel)
{
	return broker->ops->subscribe(broker, channel);
}

void broker_unsubscribe(struct broker *broker, struct slice channel)
{
	broker->ops->unsubscribe(broker, channel);
}

int broker_publish(struct broker *broker, struct slice channel, struct slice payload,
	broker_published_fn done, void *arg)
{
	return broker->ops->publish(broker, channel, payload, done, arg);
}

enum broker_state broker_state(const struct broker *broker)
{
	return broker->ops->state(broker);
}

void broker_describe(const struct broker *broker, struct buf *out)
{
	broker->ops->describe(broker, out);
}

void broker_free(struct broker *broker)
{
	if (broker)
		broker->ops->free(broker);
}

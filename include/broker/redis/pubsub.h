#ifndef TIDEGATE_BROKER_REDIS_PUBSUB_H
#define TIDEGATE_BROKER_REDIS_PUBSUB_H

/* Redis pub/sub: how a cluster's channels are heard. A server that is in no cluster has but the classic
 * way. */
enum redis_pubsub {
	REDIS_PUBSUB_AUTO, /* both, where there are both */
	REDIS_PUBSUB_BOTH,
	REDIS_PUBSUB_SHARDED, /* SSUBSCRIBE alone: what others PUBLISH is not heard */
	REDIS_PUBSUB_CLASSIC, /* SUBSCRIBE alone, and we PUBLISH */
};

#endif

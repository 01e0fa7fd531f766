#ifndef TIDEGATE_PROTOCOL_REPLY_H
#define TIDEGATE_PROTOCOL_REPLY_H

/*
 * Reply: what the gateway itself says to one client. Each returns a message whose reference the caller owns,
 * or NULL when out of memory. `id` is echoed as it stands; absent: none.
 */

#include <stdint.h>

#include "protocol/json.h"

struct message;

/* {"type":"pong","timestamp":…} */
struct message *reply_pong(struct slice id, uint64_t wall_ms);

/* {"type":"subscribed","data":{"channel":…},"timestamp":…} */
struct message *reply_subscribed(struct slice id, struct slice channel, uint64_t wall_ms);
struct message *reply_unsubscribed(struct slice id, struct slice channel, uint64_t wall_ms);

/*
 * {"type":"error","data":{"code":…,"message":…,"channel":…,"retry_after_ms":…},"timestamp":…}
 * channel may be absent; retry_after_ms 0: left out.
 */
struct message *reply_error(struct slice id, const char *code, const char *message, struct slice channel,
	uint64_t retry_after_ms, uint64_t wall_ms);

#endif

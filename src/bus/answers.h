#ifndef TIDEGATE_BUS_ANSWERS_H
#define TIDEGATE_BUS_ANSWERS_H

/*
 * Answers: the channel of this node on which it hears answers of backends, tg:r:NODE.
 *
 * Where several servers share the channels one of them has it. While that server is away the node follows
 * another one, tg:r:NODE:1 and so on, the first whose server is there, so that actions go on. The ones before
 * stay followed: an answer that is under way comes when their server is back. On the bus thread.
 */

#include <stdbool.h>

#include "bus/bus.h"
#include "bus/own_channel.h"

enum {
	/* channels that one node may follow: of two servers, the other one has none of 16 with a chance of
	   1 in 65,536 */
	BUS_ANSWERS_CHANNELS = 16,
};

struct answers {
	struct own_channel channels[BUS_ANSWERS_CHANNELS];
	bool wanted;
};

/* As own_channel_init(), for each of them. */
void answers_init(struct answers *answers, struct bus *bus, const char *node,
	const struct route_history *history, bus_tap_fn event, void *arg);

/* Some route wants answers, or none does. */
void answers_follow(struct answers *answers, bool wanted);

/* The one where an answer may be sent now; NULL: there is none. */
const struct own_channel *answers_live(const struct answers *answers);

/* Now and then. */
void answers_tick(struct answers *answers);

#endif

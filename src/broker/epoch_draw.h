#ifndef TIDEGATE_BROKER_EPOCH_DRAW_H
#define TIDEGATE_BROKER_EPOCH_DRAW_H

/*
 * The name for a log that begins: 8 letters at random. That it is drawn twice must be unlikely; it is no
 * secret.
 */

#include "channel_log/position.h"

enum {
	EPOCH_LETTERS = 8,
};

void epoch_draw(struct epoch *epoch);

#endif

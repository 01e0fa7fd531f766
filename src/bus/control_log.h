#ifndef TIDEGATE_BUS_CONTROL_LOG_H
#define TIDEGATE_BUS_CONTROL_LOG_H

/*
 * Control log: reads the commands of the last hour, beside the channel that brings the newer ones.
 *
 * Revocations among them count for whoever reads them. Others count where the channel says that it could not
 * go on where it stood: then all that is in the log up to the place where it goes on was never heard. On the
 * bus thread.
 */

#include <stdbool.h>
#include <stdint.h>

#include "channel_log/position.h"

struct control;

struct control_log {
	struct control *control;
	uint64_t at;            /* read up to here */
	struct position missed; /* commands up to here were never heard; offset 0: all were */
	uint64_t taken;         /* of these the ones up to here were carried out */
	bool reading;
	struct position missed_next; /* likewise, of the read after this one */
	bool again;                  /* once more, when that is over */
};

/* Begins to read, or will once more. missed: see above; NULL: only what a read that failed has left of it. */
void control_log_read(struct control_log *log, const struct position *missed);

#endif

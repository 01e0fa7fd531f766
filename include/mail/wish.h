#ifndef TIDEGATE_MAIL_WISH_H
#define TIDEGATE_MAIL_WISH_H

/* Wish: a hub wants to hear a channel, or no longer does. */

#include <stdbool.h>
#include <stdint.h>

#include "core/slice.h"

struct wish {
	struct slice channel; /* borrowed */
	uint64_t hash;        /* map_hash() of it */
	uint64_t generation; /* how often this hub began to want channels; comes back with the confirmation */
	bool wanted;
	bool urgent; /* a handshake waits for it: others, who are served already, come behind */
};

#endif

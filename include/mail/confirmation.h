#ifndef TIDEGATE_MAIL_CONFIRMATION_H
#define TIDEGATE_MAIL_CONFIRMATION_H

/*
 * Confirmation: the node is subscribed to a channel, as one worker asked for.
 *
 * Most clients wait for it with their handshake. One that was let in without it may have missed what was
 * published between its `open` and the moment from which the worker is handed everything: that is the bus'
 * knowledge, however late the worker's news of the link is. Both times are of the same monotonic clock.
 */

#include <stdbool.h>
#include <stdint.h>

struct message;

struct confirmation {
	uint64_t generation;  /* with which the hub wanted it */
	uint64_t from_ms;     /* the worker is handed all that was published after this */
	struct message *told; /* to who was let in before and knows the word; NULL: to nobody. Borrowed */
	bool close_others;    /* who was let in before and does not know the word is closed */
};

#endif

#ifndef TIDEGATE_CORE_TOP_H
#define TIDEGATE_CORE_TOP_H

/*
 * Top: the few largest of many, picked in one pass.
 *
 * A heap of bounded size whose least is at hand, so that most of what is offered is turned away with one
 * comparison. Equal ranks are told apart by the lower tie.
 */

#include <stdbool.h>
#include <stdint.h>

struct top_pick {
	uint64_t rank;
	uint64_t tie;
	const void *item;
};

struct top {
	struct top_pick *picks;
	uint32_t n;
	uint32_t max;
};

/* Of at most max items, at least 1. 0 or -ENOMEM. */
int top_init(struct top *top, uint32_t max);
void top_deinit(struct top *top); /* harmless on zeroed memory */

void top_offer(struct top *top, uint64_t rank, uint64_t tie, const void *item);

/* The largest first; after it nothing is offered any more. */
void top_sort(struct top *top);

#endif

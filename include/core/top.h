#ifndef TIDEGATE_CORE_TOP_H
#define TIDEGATE_CORE_TOP_H

/*
 * Top: picks the few largest of many items in one pass.
 *
 * It is a heap of bounded size whose smallest item is at hand, so that most items are turned away after one
 * comparison. Among equal ranks the lower tie wins.
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

/* max: how many items it picks, at least 1. 0 or -ENOMEM. */
int top_init(struct top *top, uint32_t max);
void top_deinit(struct top *top); /* harmless on zeroed memory */

void top_offer(struct top *top, uint64_t rank, uint64_t tie, const void *item);

/* Sorts the picked items, the largest first. No item may be offered afterwards. */
void top_sort(struct top *top);

#endif

/* Top: the few largest of many; see the header. */

#include "core/top.h"

#include <errno.h>
#include <stdlib.h>

int top_init(struct top *top, uint32_t max)
{
	*top = (struct top){.picks = malloc(max * sizeof(struct top_pick)), .max = max};
	return top->picks ? 0 : -ENOMEM;
}

void top_deinit(struct top *top)
{
	free(top->picks);
	*top = (struct top){0};
}

static bool less(const struct top_pick *a, const struct top_pick *b)
{
	return a->rank != b->rank ? a->rank < b->rank : a->tie > b->tie;
}

static void swap(struct top_pick *a, struct top_pick *b)
{
	struct top_pick c = *a;

	*a = *b;
	*b = c;
}

static void sift_up(struct top_pick *heap, uint32_t i)
{
	for (; i && less(&heap[i], &heap[(i - 1) / 2]); i = (i - 1) / 2)
		swap(&heap[i], &heap[(i - 1) / 2]);
}

static void sift_down(struct top_pick *heap, uint32_t n)
{
	for (uint32_t i = 0, child; (child = 2 * i + 1) < n; i = child) {
		if (child + 1 < n && less(&heap[child + 1], &heap[child]))
			child++;
		if (!less(&heap[child], &heap[i]))
			return;
		swap(&heap[child], &heap[i]);
	}
}

void top_offer(struct top *top, uint64_t rank, uint64_t tie, const void *item)
{
	struct top_pick pick = {rank, tie, item};

	if (top->n < top->max) {
		top->picks[top->n] = pick;
		sift_up(top->picks, top->n++);
	} else if (less(&top->picks[0], &pick)) {
		top->picks[0] = pick;
		sift_down(top->picks, top->n);
	}
}

static int compare(const void *a, const void *b)
{
	return less(a, b) ? 1 : less(b, a) ? -1 : 0;
}

void top_sort(struct top *top)
{
	if (top->n)
		qsort(top->picks, top->n, sizeof(struct top_pick), compare);
}

#ifndef TIDEGATE_BENCH_WINDOW_H
#define TIDEGATE_BENCH_WINDOW_H

/*
 * Window: the events that are under way, and which connections still miss them.
 *
 * The publisher may have `size` events out; the oldest must have reached every subscriber before the next
 * goes. Each crowd (the connections of one thread) counts its own arrivals, without sharing, and tells the
 * window once when it has all of its share. A number that was given up (window_skip) heals by itself: a
 * place remembers which number it counts for.
 *
 * `next` and `oldest` are changed by the publisher's thread only.
 */

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

enum {
	WINDOW_MAX = 65536,
};

struct window {
	uint64_t size;
	uint64_t mask; /* places: the next power of two */
	uint64_t next;
	_Atomic uint64_t oldest;
	_Atomic int *left; /* per place: crowds that do not have all of it */
};

/* One crowd's count of one number. */
struct window_share {
	uint64_t end; /* the number, plus 1; 0: of none yet */
	uint32_t n;
	uint32_t share; /* of when the first arrived: who leaves later counts as having it */
};

/* size: 1 to WINDOW_MAX. -ENOMEM. */
int window_init(struct window *window, uint64_t size);
void window_deinit(struct window *window);

/* A crowd's own counts; free() them. NULL when out of memory. */
struct window_share *window_shares_new(const struct window *window);

/* Moves past what has arrived. True if the oldest has changed. */
bool window_advance(struct window *window);

static inline bool window_is_full(const struct window *window)
{
	return window->next - atomic_load_explicit(&window->oldest, memory_order_relaxed) >= window->size;
}

/* Puts the next number under way; `left` crowds have subscribers of its channel. */
static inline uint64_t window_open(struct window *window, int left)
{
	atomic_store_explicit(&window->left[window->next & window->mask], left, memory_order_release);
	return window->next++;
}

/* Gives up on all that is under way, so that a run with losses goes on. Returns how many. */
uint64_t window_skip(struct window *window);

/*
 * One of the crowd's connections has the number, or will never have it. `share` is how many of them
 * subscribe to its channel. True if the whole window may be interested: the crowd has its share.
 */
static inline bool window_arrived(
	struct window *window, struct window_share *shares, uint64_t number, uint32_t share)
{
	struct window_share *mine = &shares[number & window->mask];

	if (mine->end != number + 1) {
		if (mine->end > number)
			return false;
		*mine = (struct window_share){.end = number + 1, .share = share};
	}
	if (++mine->n != mine->share)
		return false;
	atomic_fetch_sub_explicit(&window->left[number & window->mask], 1, memory_order_release);
	return true;
}

#endif

/* Window: what is not done for each delivery; see the header. */

#include "bench/window.h"

#include "bench/shared_memory.h"

int window_init(struct window *window, uint64_t size)
{
	uint64_t places = 1;

	while (places < size)
		places *= 2;
	*window = (struct window){.size = size, .mask = places - 1};
	window->left = shared_memory_new(places * sizeof(*window->left));
	return window->left ? 0 : -ENOMEM;
}

void window_deinit(struct window *window)
{
	shared_memory_free(window->left, (window->mask + 1) * sizeof(*window->left));
	window->left = NULL;
}

struct window_share *window_shares_new(const struct window *window)
{
	return calloc(window->mask + 1, sizeof(struct window_share));
}

bool window_advance(struct window *window)
{
	uint64_t before = atomic_load_explicit(&window->oldest, memory_order_relaxed);
	uint64_t oldest = before;

	while (oldest < window->next &&
		atomic_load_explicit(&window->left[oldest & window->mask], memory_order_acquire) <= 0)
		oldest++;
	atomic_store_explicit(&window->oldest, oldest, memory_order_relaxed);
	return oldest != before;
}

uint64_t window_skip(struct window *window)
{
	uint64_t oldest = atomic_load_explicit(&window->oldest, memory_order_relaxed);

	atomic_store_explicit(&window->oldest, window->next, memory_order_relaxed);
	return window->next - oldest;
}

/*
 * Failing malloc: lets allocations fail on purpose, in a program that knows nothing of it.
 *
 * It is preloaded (LD_PRELOAD), and counts all allocations of all threads. FAIL_AT=k lets number k fail
 * and no other, FAIL_EVERY=k each k-th. It counts from the start or, with FAIL_ON_SIGNAL=1, from each
 * SIGUSR2 on; SIGUSR1 stops it. At the end the count stands in the file that FAIL_REPORT names, so that a
 * run can tell whether it came as far as k. FAIL_ABORTS=1 ends the program there, for a debugger to show
 * who asked.
 *
 * Linked into a program under a sanitizer, which has a malloc of its own, it stands behind --wrap
 * (FAILING_MALLOC_WRAPS), and sees the allocations of the program and of its static libraries.
 */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef FAILING_MALLOC_WRAPS
#define OURS(name)  __wrap_##name
#define THEIR(name) __real_##name
#else
#define OURS(name)  name
#define THEIR(name) __libc_##name
#endif

void *THEIR(malloc)(size_t size);
void *THEIR(calloc)(size_t n, size_t size);
void *THEIR(realloc)(void *old, size_t size);
void *OURS(malloc)(size_t size);
void *OURS(calloc)(size_t n, size_t size);
void *OURS(realloc)(void *old, size_t size);
#ifdef FAILING_MALLOC_WRAPS
void *__real_aligned_alloc(size_t alignment, size_t size);
#else
void *__libc_memalign(size_t alignment, size_t size);
int posix_memalign(void **result, size_t alignment, size_t size);
#endif
void *OURS(aligned_alloc)(size_t alignment, size_t size);

static _Atomic uint64_t n_allocations;
static _Atomic bool counts;
static uint64_t fail_at, fail_every;
static bool aborts;

static uint64_t number(const char *name)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 10) : 0;
}

static void on_signal(int signal_number)
{
	if (signal_number == SIGUSR2)
		atomic_store(&n_allocations, 0);
	atomic_store(&counts, signal_number == SIGUSR2);
}

__attribute__((constructor)) static void begin(void)
{
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};

	fail_at = number("FAIL_AT");
	fail_every = number("FAIL_EVERY");
	aborts = number("FAIL_ABORTS");
	if (number("FAIL_ON_SIGNAL")) {
		sigaction(SIGUSR1, &action, NULL);
		sigaction(SIGUSR2, &action, NULL);
	}
	atomic_store(&counts, !number("FAIL_ON_SIGNAL"));
}

__attribute__((destructor)) static void report(void)
{
	const char *path = getenv("FAIL_REPORT");
	char text[32];
	int len = snprintf(text, sizeof(text), "%llu\n", (unsigned long long)atomic_load(&n_allocations));
	int fd = path ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;

	if (fd < 0)
		return;
	(void)!write(fd, text, (size_t)len);
	close(fd);
}

static bool fails(void)
{
	uint64_t n;

	if (!atomic_load_explicit(&counts, memory_order_relaxed))
		return false;
	n = atomic_fetch_add(&n_allocations, 1) + 1;
	if (n != fail_at && (!fail_every || n % fail_every != 0))
		return false;
	if (aborts)
		abort();
	errno = ENOMEM;
	return true;
}

void *OURS(malloc)(size_t size)
{
	return fails() ? NULL : THEIR(malloc)(size);
}

void *OURS(calloc)(size_t n, size_t size)
{
	return fails() ? NULL : THEIR(calloc)(n, size);
}

void *OURS(realloc)(void *old, size_t size)
{
	return size && fails() ? NULL : THEIR(realloc)(old, size);
}

void *OURS(aligned_alloc)(size_t alignment, size_t size)
{
#ifdef FAILING_MALLOC_WRAPS
	return fails() ? NULL : __real_aligned_alloc(alignment, size);
#else
	return fails() ? NULL : __libc_memalign(alignment, size);
#endif
}

#ifdef FAILING_MALLOC_WRAPS

char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t max);

char *__wrap_strndup(const char *text, size_t max)
{
	size_t len = strnlen(text, max);
	char *copy = __wrap_malloc(len + 1);

	if (copy) {
		memcpy(copy, text, len);
		copy[len] = '\0';
	}
	return copy;
}

char *__wrap_strdup(const char *text)
{
	return __wrap_strndup(text, strlen(text));
}

#else

int posix_memalign(void **result, size_t alignment, size_t size)
{
	void *memory = aligned_alloc(alignment, size);

	if (!memory)
		return ENOMEM;
	*result = memory;
	return 0;
}

#endif

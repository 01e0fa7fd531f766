/* Fake clock: see the header. */

#include "support/fake_clock.h"

#include <time.h>

uint64_t fake_clock_ms = FAKE_CLOCK_BEGIN_MS;

/* The linker takes it before that of the C library, for libraries too. */
__attribute__((visibility("default"))) int clock_gettime(clockid_t id, struct timespec *now)
{
	(void)id;
	now->tv_sec = (time_t)(fake_clock_ms / 1000);
	now->tv_nsec = (long)(fake_clock_ms % 1000) * 1000000;
	return 0;
}

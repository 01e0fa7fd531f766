#ifndef TIDEGATE_APP_MEMORY_GAUGE_H
#define TIDEGATE_APP_MEMORY_GAUGE_H

/*
 * Memory gauge: how much memory may be used, and how much is.
 *
 * Whoever is limited by a cgroup (v1 or v2) is killed for what all of that cgroup uses, so that is looked
 * at, and of several around one another the one with the tightest limit. Files in the page cache do not
 * count: the kernel drops them before it kills. What v2 counts for sockets does. Without a limit it is
 * what is resident of this process, without files.
 *
 * Nothing is allocated while it is read.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	MEMORY_GAUGE_PATH_MAX = 512,
};

struct memory_gauge {
	uint64_t limit_bytes; /* of the cgroup; without one, all memory of the machine */
	bool limited;         /* by a cgroup */
	bool of_cgroup;       /* whose memory is read; else this process' */
	bool is_v2;
	char root[64];                      /* before every path; "" but in tests */
	char folder[MEMORY_GAUGE_PATH_MAX]; /* of the cgroup; "" if there is none */
	uint64_t others_bytes; /* that others used of the cgroup at the start; UINT64_MAX: there is none */
	uint64_t file_bytes;   /* in the page cache when that was last read */
	uint64_t looks;        /* so far */
};

/* Finds the cgroup. root: borrowed for the call. */
void memory_gauge_init(struct memory_gauge *gauge, const char *root);

/* Looks at the limit anew. True: it has changed, and memory_gauge_bound() is to be called again. */
bool memory_gauge_renew(struct memory_gauge *gauge);

/*
 * The bound: wanted_bytes, or 90 % of what there is (0). Decides whose memory is read. Where a bound was
 * chosen that is smaller than the cgroup's, the cgroup counts only if this process is most of it: others
 * may share it.
 */
uint64_t memory_gauge_bound(struct memory_gauge *gauge, uint64_t wanted_bytes);

/* In use now. near: close to the bound, so that files are looked at anew; else now and then. */
uint64_t memory_gauge_read(struct memory_gauge *gauge, bool near);

#endif

/* Server cost: reading /proc; see the header. */

#include "bench/server_cost.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	TEXT_MAX = 4096,
	PATH_LEN_MAX = 320, /* of /proc/PID/task/… with the longest name that a directory may hold */
};

/* The file as a string; -ESRCH whatever the reason, as none of them is of use to anybody. */
static int read_text(const char *path, char text[TEXT_MAX])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, TEXT_MAX - 1);

	if (fd >= 0)
		close(fd);
	if (n <= 0)
		return -ESRCH;
	text[n] = '\0';
	return 0;
}

/* The first number of each thread's schedstat: nanoseconds on a CPU. */
static int cpu_of_threads(int pid, uint64_t *nsp)
{
	char path[PATH_LEN_MAX], text[TEXT_MAX];
	struct dirent *entry;
	DIR *threads;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	threads = opendir(path);
	if (!threads)
		return -ESRCH;
	*nsp = 0;
	while ((entry = readdir(threads))) {
		snprintf(path, sizeof(path), "/proc/%d/task/%s/schedstat", pid, entry->d_name);
		if (entry->d_name[0] != '.' && read_text(path, text) == 0)
			*nsp += strtoull(text, NULL, 10);
	}
	closedir(threads);
	return *nsp ? 0 : -ESRCH;
}

/* utime and stime: fields 14 and 15, counted behind the name, which may hold anything but ')' at its end. */
static int cpu_of_process(int pid, uint64_t *nsp)
{
	char path[PATH_LEN_MAX], text[TEXT_MAX];
	uint64_t user, system;
	const char *name_end;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	if (read_text(path, text) < 0)
		return -ESRCH;
	name_end = strrchr(text, ')');
	if (!name_end ||
		sscanf(name_end + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64,
			&user, &system) != 2)
		return -ESRCH;
	*nsp = (user + system) * (UINT64_C(1000000000) / (uint64_t)sysconf(_SC_CLK_TCK));
	return 0;
}

/* smaps_rollup walks the pages and is exact; statm may lag behind by some pages a CPU. */
static int resident(int pid, uint64_t *bytesp)
{
	char path[PATH_LEN_MAX], text[TEXT_MAX];
	const char *rss;

	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", pid);
	if (read_text(path, text) == 0) {
		rss = strstr(text, "Rss:");
		if (rss) {
			*bytesp = strtoull(rss + 4, NULL, 10) * 1024;
			return 0;
		}
	}
	snprintf(path, sizeof(path), "/proc/%d/statm", pid);
	if (read_text(path, text) < 0 || !strchr(text, ' '))
		return -ESRCH;
	*bytesp = strtoull(strchr(text, ' '), NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE);
	return 0;
}

int server_cost_read(const int *pids, uint32_t n, struct server_cost *cost)
{
	*cost = (struct server_cost){0};
	for (uint32_t i = 0; i < n; i++) {
		uint64_t ns, bytes;

		if (cpu_of_threads(pids[i], &ns) < 0 && cpu_of_process(pids[i], &ns) < 0)
			return -ESRCH;
		if (resident(pids[i], &bytes) < 0)
			return -ESRCH;
		cost->cpu_ns += ns;
		cost->resident_bytes += bytes;
	}
	return 0;
}

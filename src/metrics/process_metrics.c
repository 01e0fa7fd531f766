/* Process metrics: the kernel's figures about this process; see the header. */

#include "metrics/process_metrics.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "metrics/metrics.h"

enum {
	US_PER_S = 1000000,
};

static uint64_t us_of(struct timeval time)
{
	return (uint64_t)time.tv_sec * US_PER_S + (uint64_t)time.tv_usec;
}

static void read_cpu(struct metrics *metrics)
{
	struct rusage usage;

	if (getrusage(RUSAGE_SELF, &usage) == 0)
		metrics_set(metrics, METRIC_PROCESS_CPU, us_of(usage.ru_utime) + us_of(usage.ru_stime));
}

static void read_memory(struct metrics *metrics)
{
	uint64_t page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
	unsigned long long virtual_pages, resident_pages;
	FILE *file = fopen("/proc/self/statm", "re");

	if (!file)
		return;
	if (fscanf(file, "%llu %llu", &virtual_pages, &resident_pages) == 2) {
		metrics_set(metrics, METRIC_PROCESS_VIRTUAL, virtual_pages * page_bytes);
		metrics_set(metrics, METRIC_PROCESS_RESIDENT, resident_pages * page_bytes);
	}
	fclose(file);
}

uint64_t process_metrics_count_fds(void)
{
	DIR *folder = opendir("/proc/self/fd");
	const struct dirent *entry;
	uint64_t n = 0;

	while (folder && (entry = readdir(folder)))
		n += entry->d_name[0] != '.';
	if (!folder)
		return 0;
	closedir(folder);
	return n - 1; /* the folder itself was open */
}

static uint64_t n_fds(struct process_metrics *process, uint64_t now_ms)
{
	struct stat folder;

	/* The folder's size is how many there are since Linux 6.2, and 0 before. */
	if (stat("/proc/self/fd", &folder) == 0 && folder.st_size > 0)
		return (uint64_t)folder.st_size;
	/* Every event of the node waits while the bus thread counts. */
	if (!process->n_fds || now_ms - process->counted_ms >= PROCESS_FDS_MS) {
		process->n_fds = process_metrics_count_fds();
		process->counted_ms = now_ms;
	}
	return process->n_fds;
}

static void read_fds(struct process_metrics *process, struct metrics *metrics, uint64_t now_ms)
{
	struct rlimit limit;

	metrics_set(metrics, METRIC_PROCESS_OPEN_FDS, n_fds(process, now_ms));
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
		metrics_set(metrics, METRIC_PROCESS_MAX_FDS, limit.rlim_cur);
}

void process_metrics_read(struct process_metrics *process, struct metrics *metrics, uint64_t now_ms)
{
	metrics_set(metrics, METRIC_PROCESS_START, process->started_us);
	read_cpu(metrics);
	read_memory(metrics);
	read_fds(process, metrics, now_ms);
}

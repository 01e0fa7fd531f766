/*
 * CPUs: the number that this process may keep busy.
 *
 * The affinity mask says on which CPUs it may run (taskset, cpuset), the quota of its cgroup for how long
 * (`docker --cpus`, limits of Kubernetes). A limit that cannot be read does not count.
 */
#include "config/cpus.h"

#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/read_file.h"
#include "core/buf.h"

enum {
	PROC_FILE_MAX = 65536, /* far more than these files hold */
};

static unsigned int smaller(unsigned int a, unsigned int b)
{
	return a < b ? a : b;
}

static unsigned int cpus_of_affinity(void)
{
	cpu_set_t set;
	long online;

	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		return (unsigned int)CPU_COUNT(&set);
	online = sysconf(_SC_NPROCESSORS_ONLN); /* more CPUs than the set has room for */
	return online > 0 ? (unsigned int)online : 1;
}

/* The text of root + base + path + name; NULL when there is no such file. */
static const char *read_cgroup(
	const char *root, const char *base, const char *path, const char *name, struct buf *text)
{
	struct buf file = {0};
	int r = -1;

	buf_reset(text);
	buf_printf(&file, "%s%s%s/%s", root, base, path, name);
	if (buf_text(&file))
		r = read_file(buf_text(&file), PROC_FILE_MAX, text);
	buf_deinit(&file);
	return r == 0 ? buf_text(text) : NULL;
}

/* "150000 100000"; or "max 100000", which is no quota. */
static bool quota_v2(const char *root, const char *path, long long *quotap, long long *periodp)
{
	struct buf text = {0};
	const char *line = read_cgroup(root, "/sys/fs/cgroup", path, "cpu.max", &text);
	bool found = line && sscanf(line, "%lld %lld", quotap, periodp) == 2;

	buf_deinit(&text);
	return found;
}

/* Two files; -1 means no quota. */
static bool quota_v1(const char *root, const char *path, long long *quotap, long long *periodp)
{
	struct buf text = {0};
	const char *line;
	bool found;

	line = read_cgroup(root, "/sys/fs/cgroup/cpu", path, "cpu.cfs_quota_us", &text);
	found = line && sscanf(line, "%lld", quotap) == 1;
	line = read_cgroup(root, "/sys/fs/cgroup/cpu", path, "cpu.cfs_period_us", &text);
	found = found && line && sscanf(line, "%lld", periodp) == 1;
	buf_deinit(&text);
	return found;
}

typedef bool (*quota_fn)(const char *root, const char *path, long long *quotap, long long *periodp);

/*
 * The tightest quota on the way from the group up to the root. Inside a container the path may be the host's
 * and not be mounted; the walk then ends at the root of the mount, which is the container's own group.
 */
static unsigned int cpus_of_group(const char *root, char *path, quota_fn quota_of)
{
	unsigned int least = UINT32_MAX;

	for (;;) {
		char *slash = strrchr(path, '/');
		long long quota, period;

		if (slash && !slash[1])
			*slash = '\0'; /* the root is "/", and a path of nothing here */
		if (quota_of(root, path, &quota, &period) && quota > 0 && period > 0 &&
			quota / period < UINT32_MAX)
			least = smaller(least, (unsigned int)(quota / period));
		slash = strrchr(path, '/');
		if (!slash)
			return least;
		*slash = '\0';
	}
}

/* Is "cpu" one of "cpu,cpuacct"? */
static bool names_cpu(char *controllers)
{
	char *name;

	while ((name = strsep(&controllers, ",")))
		if (strcmp(name, "cpu") == 0)
			return true;
	return false;
}

/* Lines are "0::/path" (v2) and "4:cpu,cpuacct:/path" (v1). */
static unsigned int cpus_of_line(const char *root, char *line)
{
	char *controllers, *path;

	strsep(&line, ":");
	controllers = strsep(&line, ":");
	path = line;
	if (!controllers || !path)
		return UINT32_MAX;
	if (!controllers[0])
		return cpus_of_group(root, path, quota_v2);
	return names_cpu(controllers) ? cpus_of_group(root, path, quota_v1) : UINT32_MAX;
}

static unsigned int cpus_of_quota(const char *root)
{
	unsigned int least = UINT32_MAX;
	struct buf text = {0};
	const char *groups = read_cgroup(root, "/proc/self", "", "cgroup", &text);
	char *copy = groups ? strdup(groups) : NULL;
	char *rest = copy;
	char *line;

	while ((line = strsep(&rest, "\n")))
		least = smaller(least, cpus_of_line(root, line));
	free(copy);
	buf_deinit(&text);
	return least;
}

unsigned int cpus_allowed(const char *root)
{
	unsigned int n = smaller(cpus_of_affinity(), cpus_of_quota(root));

	return n > 0 ? n : 1;
}

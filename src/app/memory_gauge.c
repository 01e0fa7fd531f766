/* Memory gauge: reads what the kernel says of this process' cgroup, or of the process; see the header. */

#include "app/memory_gauge.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <unistd.h>

enum {
	KIB = 1024,
	DEFAULT_PERCENT = 90, /* of what there is */
	OTHERS_SHARE = 8,     /* of the bound: what others may use of a cgroup that counts as ours */
	FILES_EVERY = 4,      /* looks: memory.stat costs the kernel more than memory.current */
	PROC_BYTES = 65536,   /* of a file: mountinfo is the largest, with a line for each mount */
};

/* A small file as text; "" if it cannot be read. */
static const char *read_text(const struct memory_gauge *gauge, const char *path, char *out, size_t size)
{
	char name[sizeof(gauge->root) + 2 * MEMORY_GAUGE_PATH_MAX];
	size_t len = 0;
	ssize_t n;
	int fd;

	snprintf(name, sizeof(name), "%s%s", gauge->root, path);
	fd = open(name, O_RDONLY | O_CLOEXEC);
	while (fd >= 0 && len < size - 1 && (n = read(fd, out + len, size - 1 - len)) > 0)
		len += (size_t)n;
	if (fd >= 0)
		close(fd);
	out[len] = '\0';
	return out;
}

/* A file of the cgroup that is in `folder`, which holds one number. "max" and nothing are UINT64_MAX. */
static uint64_t read_number(const struct memory_gauge *gauge, const char *folder, const char *file)
{
	char path[2 * MEMORY_GAUGE_PATH_MAX], text[32], *end;
	unsigned long long number;

	snprintf(path, sizeof(path), "%s/%s", folder, file);
	number = strtoull(read_text(gauge, path, text, sizeof(text)), &end, 10);
	return end == text ? UINT64_MAX : number;
}

/* The number behind the name, at the beginning of a line; 0 without one. */
static uint64_t number_of(const char *text, const char *name)
{
	size_t len = strlen(name);

	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, name, len) == 0 && strchr(" \t", line[len]))
			return strtoull(line + len, NULL, 10);
	}
	return 0;
}

/* Is the word in the list with commas? */
static bool lists(const char *list, const char *word)
{
	size_t len = strlen(word);

	for (const char *at = strstr(list, word); at; at = strstr(at + 1, word))
		if ((at == list || at[-1] == ',') && (at[len] == '\0' || at[len] == ','))
			return true;
	return false;
}

/* The path of this process' cgroup for memory, as /proc says it. False: there is none. */
static bool find_path(struct memory_gauge *gauge, char path[MEMORY_GAUGE_PATH_MAX])
{
	char text[PROC_BYTES], *rest = text, *line;
	bool found = false;

	read_text(gauge, "/proc/self/cgroup", text, sizeof(text));
	while ((line = strsep(&rest, "\n"))) {
		const char *number = strsep(&line, ":"), *names = strsep(&line, ":");
		bool is_v1 = names && lists(names, "memory");

		if (!line || (!is_v1 && (strcmp(number, "0") != 0 || *names || found)))
			continue;
		gauge->is_v2 = !is_v1;
		found = snprintf(path, MEMORY_GAUGE_PATH_MAX, "%s", line) < MEMORY_GAUGE_PATH_MAX;
	}
	return found;
}

/* A line of mountinfo: where it is mounted, and which part of the whole, if it is the one. */
static bool is_mount(struct memory_gauge *gauge, char *line, const char **rootp, const char **mountp)
{
	char *fields[5], *type, *options;

	for (int i = 0; i < 5; i++)
		fields[i] = strsep(&line, " ");
	if (!line || !(line = strstr(line, "- ")))
		return false;
	line += 2;
	type = strsep(&line, " ");
	strsep(&line, " "); /* the device */
	options = line ? line : "";
	*rootp = fields[3];
	*mountp = fields[4];
	return gauge->is_v2 ? strcmp(type, "cgroup2") == 0
			    : strcmp(type, "cgroup") == 0 && lists(options, "memory");
}

/* Inside a container the mount may be a part of the whole, and the path that of the whole. */
static bool find_folder(struct memory_gauge *gauge, const char *path, size_t *mount_lenp)
{
	char text[PROC_BYTES], *rest = text, *line;
	const char *root, *mount;

	read_text(gauge, "/proc/self/mountinfo", text, sizeof(text));
	while ((line = strsep(&rest, "\n"))) {
		size_t len;

		if (!is_mount(gauge, line, &root, &mount))
			continue;
		len = strcmp(root, "/") == 0 ? 0 : strlen(root);
		if (strncmp(path, root, len) != 0 || (path[len] && path[len] != '/') || strstr(path, "/.."))
			path = "", len = 0; /* of another namespace */
		*mount_lenp = strlen(mount);
		snprintf(gauge->folder, sizeof(gauge->folder), "%s%s", mount,
			strcmp(path + len, "/") == 0 ? "" : path + len);
		return true;
	}
	return false;
}

static uint64_t limit_of(const struct memory_gauge *gauge, const char *folder)
{
	uint64_t max, high;

	if (!gauge->is_v2)
		return read_number(gauge, folder, "memory.limit_in_bytes");
	max = read_number(gauge, folder, "memory.max");
	/* Above it the kernel does not kill, but holds the process up until it has found memory. */
	high = read_number(gauge, folder, "memory.high");
	return high < max ? high : max;
}

/* The tightest limit, from the process' cgroup up to the mount; the folder becomes that of its cgroup. */
static void find_limit(struct memory_gauge *gauge, size_t mount_len)
{
	char folder[MEMORY_GAUGE_PATH_MAX];
	size_t len = strlen(gauge->folder);

	memcpy(folder, gauge->folder, len + 1);
	for (;;) {
		uint64_t limit = limit_of(gauge, folder);
		char *slash = strrchr(folder, '/');

		if (limit < gauge->limit_bytes) {
			gauge->limit_bytes = limit;
			gauge->limited = true;
			memcpy(gauge->folder, folder, strlen(folder) + 1);
		}
		if (!slash || (size_t)(slash - folder) < mount_len)
			return;
		*slash = '\0';
	}
}

static uint64_t read_resident(const struct memory_gauge *gauge)
{
	unsigned long long resident, shared;
	char text[128];

	if (sscanf(read_text(gauge, "/proc/self/statm", text, sizeof(text)), "%*u %llu %llu", &resident,
		    &shared) != 2 ||
		shared > resident)
		return 0;
	return (resident - shared) * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* The kernel can drop files, but not those that exist in memory alone (tmpfs), which it counts among them. */
static uint64_t read_files(const struct memory_gauge *gauge)
{
	char path[2 * MEMORY_GAUGE_PATH_MAX], text[PROC_BYTES];
	uint64_t files, memory;

	snprintf(path, sizeof(path), "%s/memory.stat", gauge->folder);
	read_text(gauge, path, text, sizeof(text));
	files = number_of(text, gauge->is_v2 ? "file" : "total_cache");
	memory = number_of(text, gauge->is_v2 ? "shmem" : "total_shmem");
	return files > memory ? files - memory : 0;
}

/* UINT64_MAX: the kernel does not say. */
static uint64_t read_cgroup(struct memory_gauge *gauge, bool near)
{
	uint64_t bytes =
		read_number(gauge, gauge->folder, gauge->is_v2 ? "memory.current" : "memory.usage_in_bytes");

	if (bytes == UINT64_MAX)
		return bytes;
	if (near || gauge->looks++ % FILES_EVERY == 0)
		gauge->file_bytes = read_files(gauge);
	return bytes > gauge->file_bytes ? bytes - gauge->file_bytes : 0;
}

static void find_others(struct memory_gauge *gauge)
{
	uint64_t all = *gauge->folder ? read_cgroup(gauge, true) : UINT64_MAX, ours = read_resident(gauge);

	gauge->others_bytes = all == UINT64_MAX ? all : all > ours ? all - ours : 0;
}

/* Of the machine. A container may have a /proc/meminfo of its own, and a service manager may hide it
 * (ProcSubset=). */
static uint64_t read_total(const struct memory_gauge *gauge)
{
	char text[PROC_BYTES];
	struct sysinfo machine;
	uint64_t kib = number_of(read_text(gauge, "/proc/meminfo", text, sizeof(text)), "MemTotal:");

	if (kib)
		return kib * KIB;
	return sysinfo(&machine) == 0 ? (uint64_t)machine.totalram * machine.mem_unit : UINT64_MAX;
}

static void find(struct memory_gauge *gauge)
{
	char path[MEMORY_GAUGE_PATH_MAX];
	size_t mount_len;

	gauge->limit_bytes = read_total(gauge);
	gauge->limited = false;
	gauge->folder[0] = '\0';
	if (find_path(gauge, path) && find_folder(gauge, path, &mount_len))
		find_limit(gauge, mount_len);
}

void memory_gauge_init(struct memory_gauge *gauge, const char *root)
{
	*gauge = (struct memory_gauge){0};
	snprintf(gauge->root, sizeof(gauge->root), "%s", root);
	find(gauge);
	find_others(gauge);
}

bool memory_gauge_renew(struct memory_gauge *gauge)
{
	struct memory_gauge before = *gauge;

	find(gauge);
	if (*before.folder && !*gauge->folder)
		*gauge = before; /* it cannot be read now */
	return gauge->limit_bytes != before.limit_bytes;
}

uint64_t memory_gauge_bound(struct memory_gauge *gauge, uint64_t wanted_bytes)
{
	uint64_t bound = wanted_bytes ? wanted_bytes : gauge->limit_bytes / 100 * DEFAULT_PERCENT;
	bool chosen = wanted_bytes && (!gauge->limited || wanted_bytes < gauge->limit_bytes);

	gauge->of_cgroup = chosen ? gauge->others_bytes < bound / OTHERS_SHARE
				  : gauge->limited && gauge->others_bytes != UINT64_MAX;
	return bound;
}

uint64_t memory_gauge_read(struct memory_gauge *gauge, bool near)
{
	uint64_t bytes = gauge->of_cgroup ? read_cgroup(gauge, near) : UINT64_MAX;

	return bytes == UINT64_MAX ? read_resident(gauge) : bytes;
}

/* Memory gauge: what app/memory_gauge.h promises, over a kernel that is a few files in a folder. */

#include "app/memory_gauge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include <cmocka.h>

#define MIB      UINT64_C(1048576)
#define V2_MOUNT "30 23 0:26 / /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw\n"

struct world {
	char root[64];
	struct memory_gauge gauge;
};

/* Writes a file of the made-up kernel, with the folders above it. */
static void put(struct world *world, const char *path, const char *text)
{
	char name[512];
	FILE *file;

	snprintf(name, sizeof(name), "%s%s", world->root, path);
	for (char *slash = strchr(name + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(name, 0700);
		*slash = '/';
	}
	file = fopen(name, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void put_mib(struct world *world, const char *path, uint64_t mib)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu\n", (unsigned long long)(mib * MIB));
	put(world, path, text);
}

static int setup(void **state)
{
	struct world *world = calloc(1, sizeof(*world));
	char text[64];

	assert_non_null(world);
	snprintf(world->root, sizeof(world->root), "memory-gauge-%ld", (long)getpid());
	assert_int_equal(mkdir(world->root, 0700), 0);
	put(world, "/proc/meminfo", "MemTotal:       8388608 kB\nMemFree: 1 kB\n");
	/* 12 MiB are resident, 2 of them files */
	snprintf(text, sizeof(text), "9999 %ld %ld 7 0 8 0\n", (long)(12 * MIB) / sysconf(_SC_PAGESIZE),
		(long)(2 * MIB) / sysconf(_SC_PAGESIZE));
	put(world, "/proc/self/statm", text);
	*state = world;
	return 0;
}

static int teardown(void **state)
{
	struct world *world = *state;
	char command[128];

	snprintf(command, sizeof(command), "rm -rf '%s'", world->root);
	assert_int_equal(system(command), 0);
	free(world);
	return 0;
}

static void init(struct world *world)
{
	memory_gauge_init(&world->gauge, world->root);
}

/* A container of its own, with a limit. */
static void put_container(struct world *world, const char *limit)
{
	put(world, "/proc/self/cgroup", "0::/\n");
	put(world, "/proc/self/mountinfo", "29 23 0:25 / /proc rw - proc proc rw\n" V2_MOUNT);
	put(world, "/sys/fs/cgroup/memory.max", limit);
	put(world, "/sys/fs/cgroup/memory.high", "max\n");
	put_mib(world, "/sys/fs/cgroup/memory.current", 100);
	put(world, "/sys/fs/cgroup/memory.stat",
		"anon 20971520\nfile 73400320\nfile_mapped 1\nshmem 10485760\n");
}

static void without_a_cgroup_it_is_the_process_and_the_machine(void **state)
{
	struct world *world = *state;

	init(world);
	assert_int_equal(memory_gauge_bound(&world->gauge, 0), 8192 * MIB / 100 * 90);
	assert_int_equal(memory_gauge_read(&world->gauge, true), 10 * MIB);
	assert_int_equal(memory_gauge_bound(&world->gauge, 64 * MIB), 64 * MIB);
	assert_int_equal(memory_gauge_read(&world->gauge, true), 10 * MIB);
}

/* marcpope/borgbackupserver 485: a service manager hid /proc/meminfo, and the machine had no memory. */
static void where_meminfo_is_hidden_the_machine_has_a_size_all_the_same(void **state)
{
	struct world *world = *state;
	struct sysinfo machine;

	put(world, "/proc/meminfo", "");
	assert_int_equal(sysinfo(&machine), 0);
	init(world);
	assert_int_equal(memory_gauge_bound(&world->gauge, 0),
		(uint64_t)machine.totalram * machine.mem_unit / 100 * 90);
}

/* kubernetes/kubernetes 43916: a page cache that was full of files counted as the process' memory. */
static void files_in_the_page_cache_do_not_count(void **state)
{
	struct world *world = *state;

	put_container(world, "134217728\n");
	init(world);
	assert_int_equal(memory_gauge_bound(&world->gauge, 0), 128 * MIB / 100 * 90);
	assert_int_equal(memory_gauge_read(&world->gauge, true), (100 - (70 - 10)) * MIB);
}

/* kubernetes/kubernetes 102884: a pod is resized while it runs. */
static void a_limit_that_changes_is_noticed(void **state)
{
	struct world *world = *state;

	put_container(world, "max\n");
	init(world);
	assert_int_equal(memory_gauge_bound(&world->gauge, 0), 8192 * MIB / 100 * 90);
	assert_false(memory_gauge_renew(&world->gauge));
	put(world, "/sys/fs/cgroup/memory.max", "134217728\n");
	assert_true(memory_gauge_renew(&world->gauge));
	assert_int_equal(memory_gauge_bound(&world->gauge, 0), 128 * MIB / 100 * 90);
	assert_int_equal(memory_gauge_read(&world->gauge, true), (100 - (70 - 10)) * MIB);
	put(world, "/sys/fs/cgroup/memory.max", "268435456\n");
	assert_true(memory_gauge_renew(&world->gauge));
	assert_false(memory_gauge_renew(&world->gauge));
	assert_int_equal(memory_gauge_bound(&world->gauge, 0), 256 * MIB / 100 * 90);
}

static void files_that_exist_in_memory_alone_do_count(void **state)
{
	struct world *world = *state;

	put_container(world, "134217728\n");
	put(world, "/sys/fs/cgroup/memory.stat", "file 73400320\nshmem 73400320\n");
	init(world);
	memory_gauge_bound(&world->gauge, 0);
	assert_int_equal(memory_gauge_read(&world->gauge, true), 100 * MIB);
}

static void a_cgroup_without_a_limit_bounds_nothing(void **state)
{
	struct world *world = *state;

	put_container(world, "max\n");
	init(world);
	assert_int_equal(memory_gauge_bound(&world->gauge, 0), 8192 * MIB / 100 * 90);
	assert_int_equal(memory_gauge_read(&world->gauge, true), 10 * MIB);
}

static void where_the_kernel_holds_up_is_a_limit_too(void **state)
{
	struct world *world = *state;

	put_container(world, "134217728\n");
	put(world, "/sys/fs/cgroup/memory.high", "67108864\n");
	init(world);
	assert_int_equal(memory_gauge_bound(&world->gauge, 0), 64 * MIB / 100 * 90);
}

static void the_tightest_limit_around_it_counts(void **state)
{
	struct world *world = *state;

	put(world, "/proc/self/cgroup", "0::/pod/gateway\n");
	put(world, "/proc/self/mountinfo", V2_MOUNT);
	put(world, "/sys/fs/cgroup/pod/gateway/memory.max", "max\n");
	put_mib(world, "/sys/fs/cgroup/pod/gateway/memory.current", 50);
	put_mib(world, "/sys/fs/cgroup/pod/memory.max", 256);
	put_mib(world, "/sys/fs/cgroup/pod/memory.current", 80);
	put(world, "/sys/fs/cgroup/pod/memory.stat", "file 0\nshmem 0\n");
	init(world);
	assert_int_equal(memory_gauge_bound(&world->gauge, 0), 256 * MIB / 100 * 90);
	assert_int_equal(memory_gauge_read(&world->gauge, true), 80 * MIB);
}

static void reads_v1_below_a_mount_that_is_a_part(void **state)
{
	struct world *world = *state;

	put(world, "/proc/self/cgroup", "5:cpu,cpuacct:/docker/ab\n4:memory:/docker/ab\n0::/\n");
	put(world, "/proc/self/mountinfo",
		"35 31 0:32 /docker/ab /sys/fs/cgroup/memory ro,relatime - cgroup cgroup rw,memory\n");
	put_mib(world, "/sys/fs/cgroup/memory/memory.limit_in_bytes", 512);
	put_mib(world, "/sys/fs/cgroup/memory/memory.usage_in_bytes", 300);
	put(world, "/sys/fs/cgroup/memory/memory.stat",
		"cache 1\nshmem 1\ntotal_cache 104857600\ntotal_shmem 0\n");
	init(world);
	assert_int_equal(memory_gauge_bound(&world->gauge, 0), 512 * MIB / 100 * 90);
	assert_int_equal(memory_gauge_read(&world->gauge, true), 200 * MIB);
}

static void what_v1_calls_unlimited_is_none(void **state)
{
	struct world *world = *state;

	put(world, "/proc/self/cgroup", "4:memory:/user\n0::/\n");
	put(world, "/proc/self/mountinfo",
		"35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n");
	put(world, "/sys/fs/cgroup/memory/user/memory.limit_in_bytes", "9223372036854771712\n");
	put_mib(world, "/sys/fs/cgroup/memory/user/memory.usage_in_bytes", 4000);
	init(world);
	assert_int_equal(memory_gauge_bound(&world->gauge, 0), 8192 * MIB / 100 * 90);
	assert_int_equal(memory_gauge_read(&world->gauge, true), 10 * MIB);
}

/* It was chosen for this process, and there are others in the cgroup. */
static void a_chosen_bound_is_not_for_what_others_use(void **state)
{
	struct world *world = *state;

	put_container(world, "max\n");
	init(world);
	memory_gauge_bound(&world->gauge, 64 * MIB);
	assert_int_equal(memory_gauge_read(&world->gauge, true), 10 * MIB);
	/* 30 of the 40 are others': little of this bound */
	memory_gauge_bound(&world->gauge, 400 * MIB);
	assert_int_equal(memory_gauge_read(&world->gauge, true), 40 * MIB);
}

static void files_are_looked_at_now_and_then_while_there_is_room(void **state)
{
	struct world *world = *state;

	put_container(world, "134217728\n");
	init(world);
	memory_gauge_bound(&world->gauge, 0);
	memory_gauge_read(&world->gauge, true);
	put_mib(world, "/sys/fs/cgroup/memory.current", 101);
	put(world, "/sys/fs/cgroup/memory.stat", "file 0\nshmem 0\n");
	for (int i = 0; i < 4; i++)
		memory_gauge_read(&world->gauge, false);
	assert_int_equal(memory_gauge_read(&world->gauge, false), 101 * MIB);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(without_a_cgroup_it_is_the_process_and_the_machine),
		TEST(where_meminfo_is_hidden_the_machine_has_a_size_all_the_same),
		TEST(files_in_the_page_cache_do_not_count),
		TEST(a_limit_that_changes_is_noticed),
		TEST(files_that_exist_in_memory_alone_do_count),
		TEST(a_cgroup_without_a_limit_bounds_nothing),
		TEST(where_the_kernel_holds_up_is_a_limit_too),
		TEST(the_tightest_limit_around_it_counts),
		TEST(reads_v1_below_a_mount_that_is_a_part),
		TEST(what_v1_calls_unlimited_is_none),
		TEST(a_chosen_bound_is_not_for_what_others_use),
		TEST(files_are_looked_at_now_and_then_while_there_is_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

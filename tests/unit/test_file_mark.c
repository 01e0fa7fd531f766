/* A file is known again: what was changed, renamed over or linked anew is seen, and nothing else. */

#include "core/file_mark.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct world {
	char folder[64];
	char path[96];
	char other[96];
	struct file_mark mark;
};

static void put(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

/* So that a time that a file is written at does not depend on how coarse the kernel's clock is. */
static void date(const char *path, int seconds)
{
	const struct timespec times[2] = {{.tv_sec = seconds}, {.tv_sec = seconds}};

	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static int begin(void **state)
{
	struct world *world = calloc(1, sizeof(*world));

	assert_non_null(world);
	snprintf(world->folder, sizeof(world->folder), "/tmp/test_file_mark.%d", getpid());
	assert_int_equal(mkdir(world->folder, 0700), 0);
	snprintf(world->path, sizeof(world->path), "%s/key.pem", world->folder);
	snprintf(world->other, sizeof(world->other), "%s/other.pem", world->folder);
	put(world->path, "old");
	date(world->path, 1000);
	assert_true(file_mark_look(&world->mark, world->path));
	*state = world;
	return 0;
}

static int end(void **state)
{
	struct world *world = *state;

	unlink(world->path);
	unlink(world->other);
	assert_int_equal(rmdir(world->folder), 0);
	free(world);
	return 0;
}

static void what_nobody_touched_is_the_same(void **state)
{
	struct world *world = *state;

	assert_false(file_mark_look(&world->mark, world->path));
	assert_false(file_mark_look(&world->mark, world->path));
}

static void another_text_of_the_same_length_is_seen(void **state)
{
	struct world *world = *state;

	put(world->path, "new");
	date(world->path, 2000);
	assert_true(file_mark_look(&world->mark, world->path));
	assert_false(file_mark_look(&world->mark, world->path));
}

/* As cp -p leaves it: the same length, the same date. */
static void a_file_renamed_over_it_is_seen(void **state)
{
	struct world *world = *state;

	put(world->other, "new");
	date(world->other, 1000);
	assert_int_equal(rename(world->other, world->path), 0);
	assert_true(file_mark_look(&world->mark, world->path));
}

/* Kubernetes turns a link on the way to the files of a secret. */
static void a_link_that_leads_elsewhere_is_seen(void **state)
{
	struct world *world = *state;
	struct file_mark mark = {0};
	char link[96];

	snprintf(link, sizeof(link), "%s/link.pem", world->folder);
	put(world->other, "new");
	date(world->other, 1000);
	assert_int_equal(symlink(world->path, link), 0);
	assert_true(file_mark_look(&mark, link));
	assert_false(file_mark_look(&mark, link));
	assert_int_equal(unlink(link), 0);
	assert_int_equal(symlink(world->other, link), 0);
	assert_true(file_mark_look(&mark, link));
	assert_int_equal(unlink(link), 0);
}

static void going_and_coming_are_seen_once_each(void **state)
{
	struct world *world = *state;

	assert_int_equal(unlink(world->path), 0);
	assert_true(file_mark_look(&world->mark, world->path));
	assert_false(file_mark_look(&world->mark, world->path));
	put(world->path, "old");
	assert_true(file_mark_look(&world->mark, world->path));
}

static void no_path_never_changes(void **state)
{
	struct file_mark mark = {0};

	(void)state;
	assert_true(file_mark_look(&mark, ""));
	assert_false(file_mark_look(&mark, ""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_nobody_touched_is_the_same, begin, end),
		cmocka_unit_test_setup_teardown(another_text_of_the_same_length_is_seen, begin, end),
		cmocka_unit_test_setup_teardown(a_file_renamed_over_it_is_seen, begin, end),
		cmocka_unit_test_setup_teardown(a_link_that_leads_elsewhere_is_seen, begin, end),
		cmocka_unit_test_setup_teardown(going_and_coming_are_seen_once_each, begin, end),
		cmocka_unit_test(no_path_never_changes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* File mark: which file stood at a path; see the header. */

#include "core/file_mark.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

enum {
	NS_PER_SECOND = 1000000000,
};

static int64_t nanoseconds(const struct timespec *time)
{
	return (int64_t)time->tv_sec * NS_PER_SECOND + time->tv_nsec;
}

static bool same(const struct file_mark *a, const struct file_mark *b)
{
	return a->looked == b->looked && a->error == b->error && a->device == b->device &&
	       a->number == b->number && a->bytes == b->bytes && a->written_ns == b->written_ns &&
	       a->changed_ns == b->changed_ns;
}

bool file_mark_look(struct file_mark *mark, const char *path)
{
	struct file_mark now = {.looked = true};
	struct stat found;
	bool moved;

	if (!*path) {
		/* no file: nothing to see */
	} else if (stat(path, &found) < 0) {
		now.error = errno;
	} else {
		now.device = found.st_dev;
		now.number = found.st_ino;
		now.bytes = (uint64_t)found.st_size;
		now.written_ns = nanoseconds(&found.st_mtim);
		now.changed_ns = nanoseconds(&found.st_ctim);
	}
	moved = !same(mark, &now);
	*mark = now;
	return moved;
}

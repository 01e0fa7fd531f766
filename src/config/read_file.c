/*
 * Read file: reads a small file as a whole.
 *
 * It reads until the end instead of asking for the size first: files of /proc have no size, and a pipe may
 * stand for a file (`--config <(…)`). It is bounded, so that a wrong name such as /dev/zero is an error and
 * does not use up the memory.
 */
#include "config/read_file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "core/buf.h"

enum {
	CHUNK_BYTES = 4096,
};

static int read_all(int fd, size_t max, struct buf *out)
{
	size_t total = 0;

	for (;;) {
		char *room = buf_reserve(out, CHUNK_BYTES);
		ssize_t n;

		if (!room)
			return -ENOMEM;
		n = read(fd, room, CHUNK_BYTES);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : 0;
		out->len += (size_t)n;
		total += (size_t)n;
		if (total > max)
			return -EFBIG;
	}
}

int read_file(const char *path, size_t max, struct buf *out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int r;

	if (fd < 0)
		return -errno;
	r = read_all(fd, max, out);
	close(fd);
	return r;
}

#ifndef TIDEGATE_CORE_FILE_MARK_H
#define TIDEGATE_CORE_FILE_MARK_H

/*
 * File mark: which file stood at a path when somebody last looked, and how it was.
 *
 * Keys and certificates are changed by writing into the file, by renaming another over it, and by turning a
 * symbolic link on the way to it. None of these tells us, so whoever uses a file looks now and then. To look
 * before reading means that a change while it is read is seen at the next look.
 */

#include <stdbool.h>
#include <stdint.h>

enum {
	FILE_LOOK_MS = 10000, /* between two looks at keys and certificates */
};

/* Zeroed memory: nobody looked yet. */
struct file_mark {
	bool looked;
	int error; /* errno, if there was no file to be seen */
	uint64_t device;
	uint64_t number; /* of its inode */
	uint64_t bytes;
	int64_t written_ns;
	int64_t changed_ns;
};

/* Looks, and remembers. True if the file came, went, is another or was written to since the last look; also
 * at the first look. An empty path is a file that never changes. */
bool file_mark_look(struct file_mark *mark, const char *path);

#endif

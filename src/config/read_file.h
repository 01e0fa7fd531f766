#ifndef TIDEGATE_SRC_CONFIG_READ_FILE_H
#define TIDEGATE_SRC_CONFIG_READ_FILE_H

/* Read file: a small file as a whole. */

#include <stddef.h>

struct buf;

/* Appends the file to out. 0, -EFBIG if it is longer than max, or the negative errno of a
 * call that failed. */
int read_file(const char *path, size_t max, struct buf *out);

#endif

#ifndef TIDEGATE_WEB_ASSETS_H
#define TIDEGATE_WEB_ASSETS_H

/* Assets: the files of this folder, as they were when this was built. */

#include <stddef.h>

struct buf;

struct web_asset {
	const char *path; /* in the URL */
	const char *type;
	const char *const *lines; /* with their newlines */
	size_t n_lines;
};

/* NULL if no asset has this path. */
const struct web_asset *web_asset_find(const char *path);

void web_asset_write(const struct web_asset *asset, struct buf *out);

#endif

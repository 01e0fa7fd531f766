/* Assets: the files of this folder; see the header. */

#include "web/assets.h"

#include <string.h>

#include "core/buf.h"
#include "web/assets_text.h"

#define LINES(lines) lines, sizeof(lines) / sizeof(lines[0])

static const struct web_asset assets[] = {
	{"/", "text/html; charset=utf-8", LINES(dashboard_html)},
	{"/dashboard.css", "text/css; charset=utf-8", LINES(dashboard_css)},
	{"/dashboard.js", "text/javascript; charset=utf-8", LINES(dashboard_js)},
	{"/try", "text/html; charset=utf-8", LINES(try_html)},
	{"/try.js", "text/javascript; charset=utf-8", LINES(try_js)},
};

const struct web_asset *web_asset_find(const char *path)
{
	for (size_t i = 0; i < sizeof(assets) / sizeof(assets[0]); i++)
		if (strcmp(assets[i].path, path) == 0)
			return &assets[i];
	return NULL;
}

void web_asset_write(const struct web_asset *asset, struct buf *out)
{
	for (size_t i = 0; i < asset->n_lines; i++)
		buf_append_str(out, asset->lines[i]);
}

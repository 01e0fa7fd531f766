/*
 * Page: the dashboard, one page and its two files.
 *
 * It holds no data and asks for all of it like any caller, so it needs no token itself. It may load nothing
 * from elsewhere, nor be shown inside another page, nor tell anybody where it was opened.
 */

#include "endpoints.h"

#include "core/buf.h"
#include "web/assets.h"
#include "request.h"
#include "router.h"

static const char headers[] =
	"Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; "
	"connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
	"frame-ancestors 'none'\r\n"
	"Referrer-Policy: no-referrer\r\n"
	"X-Frame-Options: DENY\r\n";

void admin_page(struct admin_request *request)
{
	const struct web_asset *asset = web_asset_find(request->endpoint->path);
	struct buf body = {0};

	web_asset_write(asset, &body);
	if (body.failed)
		admin_answer_no_memory(request);
	else
		admin_answer(request, 200, asset->type, headers, &body);
	buf_deinit(&body);
}

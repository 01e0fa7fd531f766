/*
 * Page: the dashboard and the page to try endpoints with.
 *
 * Neither contains data; they ask for it like any caller, so they need no token themselves. A page may
 * not load anything from elsewhere, be shown inside another page, or tell others where it was opened.
 * The page to try endpoints with may open WebSockets anywhere: clients connect to another port, under
 * any name that leads there.
 */

#include "admin/endpoints.h"

#include "admin/request.h"
#include "admin/router.h"
#include "core/buf.h"
#include "web/assets.h"

#define HEADERS(connects)                                                                                    \
	"Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; "                 \
	"connect-src 'self'" connects "; img-src data:; base-uri 'none'; form-action 'none'; "               \
	"frame-ancestors 'none'\r\n"                                                                         \
	"Referrer-Policy: no-referrer\r\n"                                                                   \
	"X-Frame-Options: DENY\r\n"

static void answer(struct admin_request *request, const char *headers)
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

void admin_page(struct admin_request *request)
{
	answer(request, HEADERS(""));
}

void admin_page_to_try(struct admin_request *request)
{
	answer(request, HEADERS(" ws: wss:"));
}

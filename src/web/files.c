/* Files: what the public port serves; see the header. */

#include "web/files.h"

#include "web/files_text.h"

#define JAVASCRIPT "text/javascript; charset=utf-8"

/* It is for pages of any site, and there is no secret in it. */
#define FOR_ALL                                                                                              \
	"Access-Control-Allow-Origin: *\r\nAccess-Control-Expose-Headers: ETag, Content-Location\r\n"        \
	"Cross-Origin-Resource-Policy: cross-origin\r\n"

#define ASK_AGAIN "Cache-Control: no-cache\r\n"
#define FOR_EVER  "Cache-Control: public, max-age=31536000, immutable\r\n"

/*
 * The page may load nothing from elsewhere, and connect to its own gateway and those of this machine:
 * deploy/local.sh runs two, and the page goes to the other when one is killed.
 */
#define OF_DEMO                                                                                              \
	ASK_AGAIN "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; "       \
		  "connect-src 'self' ws://127.0.0.1:* ws://localhost:*; img-src 'self' data:; base-uri "    \
		  "'none'; "                                                                                 \
		  "form-action 'none'; frame-ancestors 'none'\r\n"                                           \
		  "Referrer-Policy: no-referrer\r\nX-Frame-Options: DENY\r\n"                                \
		  "Cross-Origin-Resource-Policy: same-origin\r\n"

#define CLIENT_BEGIN   "/tidegate."
#define CLIENT_END     ".js"
#define CLIENT_BY_HASH CLIENT_BEGIN TIDEGATE_JS_TAG CLIENT_END

#define CONTENT(name)                                                                                        \
	{(const char *)(name), sizeof(name)},                                                                \
	{                                                                                                    \
		(const char *)name##_gzip, sizeof(name##_gzip)                                               \
	}

static const struct web_file files[] = {
	{"/tidegate.js", WEB_CLIENT | WEB_DEMO, JAVASCRIPT, TIDEGATE_JS_TAG,
		ASK_AGAIN FOR_ALL "Content-Location: " CLIENT_BY_HASH "\r\n", NULL, CONTENT(tidegate_js)},
	{CLIENT_BY_HASH, WEB_CLIENT, JAVASCRIPT, TIDEGATE_JS_TAG, FOR_EVER FOR_ALL, NULL,
		CONTENT(tidegate_js)},
	{"/tidegate-sse.js", WEB_CLIENT, JAVASCRIPT, TIDEGATE_SSE_JS_TAG, ASK_AGAIN FOR_ALL, NULL,
		CONTENT(tidegate_sse_js)},
	{"/demo", WEB_DEMO, "text/html; charset=utf-8", DEMO_HTML_TAG, OF_DEMO, NULL, CONTENT(demo_html)},
	{"/demo/demo.css", WEB_DEMO, "text/css; charset=utf-8", DEMO_CSS_TAG, OF_DEMO, NULL,
		CONTENT(demo_css)},
	{"/demo/demo.js", WEB_DEMO, JAVASCRIPT, DEMO_JS_TAG, OF_DEMO, NULL, CONTENT(demo_js)},
};

/* While gateways are replaced one by one, a page may come from one and name the client of another. */
static const struct web_file moved = {
	.set = WEB_CLIENT, .headers = "Cache-Control: no-store\r\n" FOR_ALL, .location = "/tidegate.js"};

static bool is_hash(struct slice text)
{
	if (text.len != sizeof(TIDEGATE_JS_TAG) - 1)
		return false;
	for (size_t i = 0; i < text.len; i++)
		if (!memchr("0123456789abcdef", text.data[i], 16))
			return false;
	return true;
}

static bool is_client_of_another_build(struct slice path)
{
	const size_t begin = sizeof(CLIENT_BEGIN) - 1, end = sizeof(CLIENT_END) - 1;

	if (path.len < begin + end || !slice_starts(path, CLIENT_BEGIN) ||
		memcmp(path.data + path.len - end, CLIENT_END, end) != 0)
		return false;
	return is_hash((struct slice){path.data + begin, path.len - begin - end});
}

const struct web_file *web_file_find(struct slice path)
{
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		if (slice_is(path, files[i].path))
			return &files[i];
	return is_client_of_another_build(path) ? &moved : NULL;
}

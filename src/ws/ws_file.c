/* Ws file: the answer to a request for a file; see the header. */

#include "ws/ws_file.h"

#include <errno.h>
#include <stdio.h>

#include <libwebsockets.h>

#include "core/buf.h"
#include "core/clock.h"
#include "http/date.h"
#include "http/request_head.h"
#include "web/files.h"
#include "ws/handshake_rules.h"

enum {
	ETAG_SIZE = 64,
	FILE_SECONDS = 30, /* for a peer that takes the answer slowly */
};

const struct web_file *ws_file_asked(const struct request_head *head, const struct handshake_rules *rules)
{
	const struct web_file *file;

	if (!request_head_method_is(head, "GET") && !request_head_method_is(head, "HEAD"))
		return NULL;
	if (request_head_has_body(head) || request_head_lists(head, HTTP_UPGRADE, "websocket"))
		return NULL;
	file = web_file_find(head->path);
	return file && (file->set & rules->files) ? file : NULL;
}

/* Is one of the tags that the peer has, as it says, the file's? RFC 9110 section 13.1.2: compared weakly. */
static bool is_known(const struct request_head *head, const struct web_file *file)
{
	char etag[ETAG_SIZE];

	(void)snprintf(etag, sizeof(etag), "W/\"%s\"", file->tag);
	return request_head_is(head, HTTP_IF_NONE_MATCH, "*") ||
	       request_head_lists(head, HTTP_IF_NONE_MATCH, etag) ||
	       request_head_lists(head, HTTP_IF_NONE_MATCH, etag + strlen("W/"));
}

static void write_status(struct buf *out, const char *status)
{
	char date[HTTP_DATE_SIZE];

	http_date((int64_t)clock_wall_ms(), date);
	buf_printf(out, "HTTP/1.1 %s\r\nDate: %s\r\n", status, date);
}

/* The tag is weak, since the plain and the compressed bytes have the same one. */
static void write_rest(struct buf *out, const struct web_file *file)
{
	if (file->tag)
		buf_printf(out, "ETag: W/\"%s\"\r\nVary: Accept-Encoding\r\n", file->tag);
	buf_printf(out, "%sConnection: close\r\n\r\n", file->headers);
}

static void write_moved(struct buf *out, const struct web_file *file)
{
	write_status(out, "307 Temporary Redirect");
	buf_printf(out, "Location: %s\r\nContent-Length: 0\r\n", file->location);
	write_rest(out, file);
}

static void write_known(struct buf *out, const struct web_file *file)
{
	write_status(out, "304 Not Modified");
	write_rest(out, file);
}

static void write_content(struct buf *out, const struct request_head *head, const struct web_file *file)
{
	bool zipped = request_head_lists(head, HTTP_ACCEPT_ENCODING, "gzip");
	const struct slice *content = zipped ? &file->gzip : &file->plain;

	write_status(out, "200 OK");
	buf_printf(out, "Content-Type: %s\r\nContent-Length: %zu\r\nX-Content-Type-Options: nosniff\r\n%s",
		file->type, content->len, zipped ? "Content-Encoding: gzip\r\n" : "");
	write_rest(out, file);
	if (request_head_method_is(head, "GET"))
		buf_append(out, content->data, content->len);
}

int ws_file_answer(struct lws *wsi, const struct request_head *head, const struct web_file *file)
{
	static const char room[LWS_PRE];
	struct buf out = {0};
	int r = -ENOMEM;

	buf_append(&out, room, sizeof(room)); /* where lws may write */
	if (file->location)
		write_moved(&out, file);
	else if (is_known(head, file))
		write_known(&out, file);
	else
		write_content(&out, head, file);
	if (!out.failed) {
		lws_set_timeout(wsi, PENDING_TIMEOUT_USER_OK, FILE_SECONDS);
		/* The peer may be gone already; then the answer is not needed. */
		(void)lws_write(wsi, (unsigned char *)out.data + LWS_PRE, out.len - LWS_PRE, LWS_WRITE_HTTP);
		r = 0;
	}
	buf_deinit(&out);
	return r;
}

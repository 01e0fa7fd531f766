/* Admin client: one HTTP request to the admin port, blocking; see the header. */

#include "cli/admin_client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/admin_link.h"
#include "cli/json_at.h"
#include "config/config.h"
#include "core/buf.h"

enum {
	HEADERS_MAX = 16 * 1024, /* ours are some hundred bytes */
	SENTENCE_MAX = 512,      /* of what the gateway says went wrong */
};

static int send_request(struct admin_link *link, const struct config *config, const char *path,
	const char *body, size_t body_len)
{
	struct buf request = {0};
	const char *host = config->admin.host;
	int r = -ENOMEM;

	buf_printf(&request,
		strchr(host, ':') ? "%s %s HTTP/1.1\r\nHost: [%s]:%u\r\nConnection: close\r\n"
				  : "%s %s HTTP/1.1\r\nHost: %s:%u\r\nConnection: close\r\n",
		body ? "POST" : "GET", path, host, config->admin.port);
	if (*config->admin_token)
		buf_printf(&request, "Authorization: Bearer %s\r\n", config->admin_token);
	if (body)
		buf_printf(&request, "Content-Type: application/json\r\nContent-Length: %zu\r\n", body_len);
	buf_append_str(&request, "\r\n");
	buf_append(&request, body, body ? body_len : 0);
	if (!request.failed)
		r = admin_link_send(link, request.data, request.len);
	if (request.data)
		explicit_bzero(request.data, request.cap); /* the token is in it */
	buf_deinit(&request);
	return r;
}

/* Reads on until the headers are whole. Their length, or negative errno. */
static ssize_t read_headers(struct admin_link *link, struct buf *in)
{
	const char *end;

	for (;;) {
		char *room = buf_reserve(in, 4096);
		ssize_t n = room ? admin_link_receive(link, room, 4096) : -ENOMEM;

		if (n <= 0)
			return n < 0 ? n : -EPROTO;
		in->len += (size_t)n;
		end = memmem(in->data, in->len, "\r\n\r\n", 4);
		if (end)
			return end + 4 - in->data;
		if (in->len > HEADERS_MAX)
			return -EPROTO;
	}
}

/* Prints the gateway's sentence about the error, out of {"error":{"code":…,"message":…}}; or, where it is the
 * public port that was asked, out of {"type":"error","data":{"code":…,"message":…}}. */
static void tell_refusal(int status, const struct buf *answer, struct buf *error)
{
	struct slice text = {answer->data, answer->len};
	char sentence[SENTENCE_MAX];

	if (status == 401)
		buf_append_str(error, "the gateway wants its token: --admin-token, TIDEGATE_ADMIN_TOKEN or "
				      "TIDEGATE_ADMIN_TOKEN_FILE");
	else if (*json_text_at(text, "error.message", sentence, sizeof(sentence)) ||
		 *json_text_at(text, "data.message", sentence, sizeof(sentence)))
		buf_append_str(error, sentence);
	else
		buf_printf(error, "the gateway refused with status %d", status);
}

static void collect(void *arg, const char *data, size_t len)
{
	buf_append(arg, data, len);
}

/* Reads the body, beginning with the part that came with the headers. 0 or negative errno. */
static int read_body(
	struct admin_link *link, const char *begun, size_t begun_len, admin_body_fn fn, void *arg)
{
	char data[16384];

	fn(arg, begun, begun_len);
	for (;;) {
		ssize_t n = admin_link_receive(link, data, sizeof(data));

		if (n <= 0)
			return (int)n;
		fn(arg, data, (size_t)n);
	}
}

static int read_answer(struct admin_link *link, admin_body_fn fn, void *arg, struct buf *error)
{
	struct buf in = {0}, refusal = {0};
	ssize_t n = read_headers(link, &in);
	int status = -EPROTO, r;

	if (n >= 0 && (size_t)n > sizeof("HTTP/1.1 200") && !memcmp(in.data, "HTTP/1.1 ", 9) &&
		atoi(in.data + 9) > 0)
		status = atoi(in.data + 9);
	else if (n < 0)
		status = (int)n;
	if (status == 200) {
		r = read_body(link, in.data + n, in.len - (size_t)n, fn, arg);
		status = r < 0 ? r : status;
	} else if (status > 0) {
		(void)read_body(
			link, in.data + n, in.len - (size_t)n, collect, &refusal); /* as far as it came */
		tell_refusal(status, &refusal, error);
	}
	buf_deinit(&refusal);
	buf_deinit(&in);
	return status;
}

int admin_request_send(const struct config *config, const char *path, const char *body, size_t body_len,
	admin_body_fn fn, void *arg, struct buf *error)
{
	struct admin_link *link;
	int r = admin_link_open(config, &link, error);

	if (r < 0)
		return r;
	r = send_request(link, config, path, body, body_len);
	if (r == 0)
		r = read_answer(link, fn, arg, error);
	admin_link_close(link);
	if (r < 0)
		buf_printf(error, "%s:%u does not answer like the admin port of a gateway: %s",
			config->admin.host, config->admin.port, strerror(-r));
	return r;
}

int admin_request_whole(const struct config *config, const char *path, const char *body, size_t body_len,
	struct buf *answer, struct buf *error)
{
	return admin_request_send(config, path, body, body_len, collect, answer, error);
}

/* Admin client: one HTTP request to the admin port, blocking; see the header. */

#include "admin_client.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/buf.h"
#include "protocol/json.h"
#include "protocol/message.h"

enum {
	HEADERS_MAX = 16 * 1024, /* ours are some hundred bytes */
};

static int dial(const char *host, uint16_t port, struct buf *error)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
	char service[8];
	int fd = -1, r;

	/* What listens everywhere is reached here. */
	if (!*host || !strcmp(host, "0.0.0.0"))
		host = "127.0.0.1";
	else if (!strcmp(host, "::"))
		host = "::1";
	snprintf(service, sizeof(service), "%u", port);
	r = getaddrinfo(host, service, &hints, &found);
	if (r) {
		buf_printf(error, "cannot resolve %s: %s", host, gai_strerror(r));
		return -EADDRNOTAVAIL;
	}
	r = -ECONNREFUSED;
	for (struct addrinfo *address = found; address && r < 0; address = address->ai_next) {
		fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
		r = fd < 0 ? -errno : 0;
		if (r == 0 && connect(fd, address->ai_addr, address->ai_addrlen) < 0) {
			r = -errno;
			close(fd);
		}
	}
	freeaddrinfo(found);
	if (r < 0)
		buf_printf(
			error, "no gateway answers at the admin address %s:%u: %s", host, port, strerror(-r));
	return r < 0 ? r : fd;
}

static int send_all(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t n = send(fd, data, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

static int send_request(int fd, const char *host, const char *path, const char *body, size_t body_len)
{
	struct buf request = {0};
	int r = -ENOMEM;

	buf_printf(&request, "%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n", body ? "POST" : "GET",
		path, host);
	if (body)
		buf_printf(&request, "Content-Type: application/json\r\nContent-Length: %zu\r\n", body_len);
	buf_append_str(&request, "\r\n");
	buf_append(&request, body, body ? body_len : 0);
	if (!request.failed)
		r = send_all(fd, request.data, request.len);
	buf_deinit(&request);
	return r;
}

/* Reads on until the headers are whole. Their length, or negative errno. */
static ssize_t read_headers(int fd, struct buf *in)
{
	const char *end;

	for (;;) {
		char *room = buf_reserve(in, 4096);
		ssize_t n = room ? recv(fd, room, 4096, 0) : -1;

		if (n < 0 && room && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 && room ? -errno : -EPROTO;
		in->len += (size_t)n;
		end = memmem(in->data, in->len, "\r\n\r\n", 4);
		if (end)
			return end + 4 - in->data;
		if (in->len > HEADERS_MAX)
			return -EPROTO;
	}
}

static int read_answer(int fd, admin_body_fn fn, void *arg)
{
	struct buf in = {0};
	ssize_t n = read_headers(fd, &in);
	int status = 0;

	if (n >= 0 && (size_t)n > sizeof("HTTP/1.1 200") && !memcmp(in.data, "HTTP/1.1 ", 9))
		status = atoi(in.data + 9);
	if (status)
		fn(arg, in.data + n, in.len - (size_t)n);
	buf_deinit(&in);
	while (status) {
		char data[16384];

		n = recv(fd, data, sizeof(data), 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return status;
		fn(arg, data, (size_t)n);
	}
	return n < 0 ? (int)n : -EPROTO;
}

int admin_request_send(const char *host, uint16_t port, const char *path, const char *body, size_t body_len,
	admin_body_fn fn, void *arg, struct buf *error)
{
	int fd = dial(host, port, error);
	int r;

	if (fd < 0)
		return fd;
	r = send_request(fd, host, path, body, body_len);
	if (r == 0)
		r = read_answer(fd, fn, arg);
	close(fd);
	if (r < 0)
		buf_printf(error, "%s:%u does not answer like the admin port of a gateway: %s", host, port,
			strerror(-r));
	return r;
}

void admin_refusal(const struct buf *answer, struct buf *out)
{
	struct json_member error = {.name = "error"}, message = {.name = "message"};
	char sentence[1024];
	bool is_object;
	long len = -1;

	if (json_check(answer->data ? answer->data : "", answer->len, MESSAGE_DEPTH_MAX, &error, 1,
		    &is_object) == 0 &&
		json_is_object(error.value) &&
		json_check(error.value.data, error.value.len, MESSAGE_DEPTH_MAX, &message, 1, &is_object) ==
			0 &&
		json_is_string(message.value))
		len = json_unescape(message.value, sentence, sizeof(sentence));
	if (len < 0)
		buf_append_str(out, "the gateway refused");
	else
		buf_append(out, sentence, (size_t)len);
}

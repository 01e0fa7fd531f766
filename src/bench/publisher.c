/*
 * Publisher: one queue of bytes and a socket; see the header.
 *
 * hiredis connects and greets; from there on PUBLISH is written by hand and its answers, one line each,
 * are only looked at by their first byte. A sample of the queue's form, for Redis:
 *
 *   *3\r\n$7\r\nPUBLISH\r\n$5\r\ncards\r\n$150\r\n{…}\r\n
 *
 * Of the longer answers to entries of logs no line but an error begins with a minus, either.
 */

#include "bench/publisher.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <hiredis.h>

#include "bench/limit.h"
#include "bench/log_call.h"
#include "bench/plan.h"
#include "cli/redis_once.h"
#include "core/buf.h"
#include "core/clock.h"
#include "protocol/frame.h"

enum {
	ANSWERS_MAX = 16384, /* bytes a read */
	ERROR_LINE_MAX = 120,
};

struct publisher {
	const struct plan *plan;
	redisContext *redis; /* NULL: to the limit server */
	int fd;
	struct buf queue;
	size_t written; /* of the queue's front */
	struct log_call
		call; /* behind the queue: grows until it is written, or another channel's turn comes */
	char line[ERROR_LINE_MAX];
	size_t line_len; /* of an answer that has not ended */
};

static struct publisher *publisher_new(const struct plan *plan, int fd)
{
	struct publisher *publisher = calloc(1, sizeof(*publisher));

	if (!publisher)
		return NULL;
	publisher->plan = plan;
	publisher->fd = fd;
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	return publisher;
}

struct publisher *publisher_redis(const struct plan *plan, struct buf *error)
{
	redisContext *redis = redis_once_connect(plan->redis, error);
	struct publisher *publisher;

	if (!redis)
		return NULL;
	publisher = publisher_new(plan, redis->fd);
	if (!publisher) {
		buf_append_str(error, "out of memory");
		redisFree(redis);
		return NULL;
	}
	publisher->redis = redis;
	return publisher;
}

struct publisher *publisher_limit(const struct plan *plan, int fd)
{
	struct publisher *publisher = publisher_new(plan, fd);

	if (!publisher)
		close(fd);
	return publisher;
}

void publisher_free(struct publisher *publisher)
{
	if (!publisher)
		return;
	if (publisher->redis)
		redisFree(publisher->redis);
	else
		close(publisher->fd);
	buf_deinit(&publisher->queue);
	log_call_deinit(&publisher->call);
	free(publisher);
}

int publisher_fd(const struct publisher *publisher)
{
	return publisher->fd;
}

static void add_publish(
	struct buf *queue, const char *channel, size_t channel_len, const char *text, size_t len)
{
	buf_printf(queue, "*3\r\n$7\r\nPUBLISH\r\n$%zu\r\n%s\r\n$%zu\r\n", channel_len, channel, len);
	buf_append(queue, text, len);
	buf_append(queue, "\r\n", 2);
}

static void end_call(struct publisher *publisher)
{
	char channel[PLAN_NAME_MAX];

	if (!publisher->call.n_payloads)
		return;
	plan_expand(publisher->plan->channel, publisher->call.n, channel);
	log_call_write(&publisher->call, channel, &publisher->queue);
}

static void add_entry(struct publisher *publisher, uint32_t n, const char *text, size_t len)
{
	if (!log_call_takes(&publisher->call, n))
		end_call(publisher);
	log_call_add(&publisher->call, n, text, len);
}

/* What Tidegate adds before the event's last brace (message_from_event()). */
static size_t write_members(const char *channel, char out[PLAN_NAME_MAX + 64])
{
	char stamp[CLOCK_TIMESTAMP_LEN + 1] = "";

	clock_format(clock_wall_ms(), stamp);
	return (size_t)snprintf(
		out, PLAN_NAME_MAX + 64, ",\"timestamp\":\"%s\",\"channel\":\"%s\"}", stamp, channel);
}

static void add_frame(struct buf *queue, uint32_t n, const char *channel, const char *text, size_t len)
{
	unsigned char header[FRAME_HEADER_MAX];
	char members[PLAN_NAME_MAX + 64];
	size_t members_len = write_members(channel, members);
	size_t header_len = frame_header_write(header, FRAME_TEXT, false, len - 1 + members_len);
	struct limit_order order = {n, (uint32_t)(header_len + len - 1 + members_len)};

	buf_append(queue, &order, sizeof(order));
	buf_append(queue, header, header_len);
	buf_append(queue, text, len - 1);
	buf_append(queue, members, members_len);
}

void publisher_add(struct publisher *publisher, uint32_t n, const char *text, size_t len)
{
	char channel[PLAN_NAME_MAX];
	size_t channel_len = plan_expand(publisher->plan->channel, n, channel);

	if (publisher->redis && (publisher->plan->storm || publisher->plan->history))
		add_entry(publisher, n, text, len);
	else if (publisher->redis)
		add_publish(&publisher->queue, channel, channel_len, text, len);
	else
		add_frame(&publisher->queue, n, channel, text, len);
}

static int publisher_write(struct publisher *publisher, struct buf *error)
{
	end_call(publisher);
	while (publisher_backlog(publisher)) {
		ssize_t n = send(publisher->fd, publisher->queue.data + publisher->written,
			publisher_backlog(publisher), MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN)
			return 0;
		if (n < 0) {
			buf_printf(error, "publishing: %s", strerror(errno));
			return -errno;
		}
		publisher->written += (size_t)n;
	}
	buf_reset(&publisher->queue);
	publisher->written = 0;
	return 0;
}

/* Answers are lines; only one that starts with '-' has something to say. */
static int publisher_answers(struct publisher *publisher, const char *data, size_t len, struct buf *error)
{
	for (size_t i = 0; i < len; i++) {
		if (data[i] != '\n') {
			if (publisher->line_len < ERROR_LINE_MAX)
				publisher->line[publisher->line_len++] = data[i];
			continue;
		}
		if (publisher->line[0] == '-') {
			buf_printf(error, "Redis refused to publish: %.*s", (int)publisher->line_len - 2,
				publisher->line + 1);
			return -EPROTO;
		}
		publisher->line_len = 0;
	}
	return 0;
}

int publisher_service(struct publisher *publisher, struct buf *error)
{
	char answers[ANSWERS_MAX];
	ssize_t n;
	int r;

	if (publisher->queue.failed || publisher->call.payloads.failed) {
		buf_append_str(error, "publishing: out of memory");
		return -ENOMEM;
	}
	do {
		n = recv(publisher->fd, answers, sizeof(answers), MSG_DONTWAIT);
		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
			buf_printf(error, "the connection for publishing broke: %s",
				n ? strerror(errno) : "end of stream");
			return -ECONNRESET;
		}
		r = n > 0 ? publisher_answers(publisher, answers, (size_t)n, error) : 0;
	} while (r == 0 && n == (ssize_t)sizeof(answers));
	return r < 0 ? r : publisher_write(publisher, error);
}

size_t publisher_backlog(const struct publisher *publisher)
{
	return publisher->queue.len - publisher->written + publisher->call.payloads.len;
}

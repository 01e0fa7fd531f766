/*
 * Redis reply: bytes in, replies out. See reply.h.
 *
 *     feed() ── slices of 8 KiB ──► redisReader ── create…() ──► values[] and text ── a reply is whole ──►
 * fn()
 *
 * Nearly all that a gateway hears are messages of pub/sub, and nearly all of them come whole. Those are read
 * where they lie, in a fifth of the reader's instructions; whatever is not exactly so is the reader's.
 */

#include "broker/redis/reply.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <hiredis/read.h>
#include <hiredis/sds.h>

enum {
	/* The reader moves what is left of its buffer after each KiB that it consumed: small slices, small
	 * moves. */
	SLICE_BYTES = 8 * 1024,
	DEPTH_MAX = 4, /* arrays open at once; tidegate_read's answer has four */
	/*
	 * In one reply. The largest that we ask for is a cluster's CLUSTER SLOTS, when each of its 16,384
	 * slots is a range of its own: 3 values, and 5 to 9 a server. So 32 values a slot are enough for a
	 * primary with two replicas, whatever they say, or with four that have no other names. They take
	 * 16 MiB.
	 */
	VALUES_MAX = 16 * 1024 * 32,
	REPLY_BYTES_MAX = 64 * 1024 * 1024, /* of text in one reply */
	LINE_MAX_BYTES = 64 * 1024,         /* a status, an error, a number; Redis' own are below 1 KiB */
	HEADER_MAX = 20,                    /* digits of the longest number */
	KEEP_BYTES = 1024 * 1024,           /* of text: a reply that needed more gives its memory back */
	KEEP_VALUES = 32 * 1024,            /* the same of its values; also 1 MiB */
	MESSAGE_VALUES = 4,                 /* the array, "message", the channel, the payload */
	LENGTH_DIGITS = 9,                  /* of a string in a message; the reader knows longer ones */
};

/* How a message of pub/sub begins, up to the length of its channel. */
static const char message_head[] = "*3\r\n$7\r\nmessage\r\n$";

struct redis_parser {
	redisReader *reader;
	struct redis_reply reply;
	size_t bulk_bytes_max;
	size_t skip;           /* bytes of input that belong to a string past its bound */
	long long too_large;   /* the length of the string whose place the next nil takes; 0: none */
	const char *complaint; /* ours, when the reader could only be told "out of memory" */
	bool is_out_of_memory;
};

static struct redis_value *reply_push(struct redis_reply *reply)
{
	if (reply->n_values == reply->cap) {
		size_t cap = reply->cap ? reply->cap * 2 : 16;
		struct redis_value *values = realloc(reply->values, cap * sizeof(*values));

		if (!values)
			return NULL;
		reply->values = values;
		reply->cap = cap;
	}
	return &reply->values[reply->n_values++];
}

static void reply_start(struct redis_reply *reply)
{
	reply->n_values = 0;
	if (reply->cap > KEEP_VALUES) {
		free(reply->values);
		reply->values = NULL;
		reply->cap = 0;
	}
	if (reply->text.cap > KEEP_BYTES)
		buf_deinit(&reply->text);
	buf_reset(&reply->text);
}

/* Arrays above this value. At most DEPTH_MAX steps, because no deeper one was let in. */
static unsigned int task_depth(const redisReadTask *task)
{
	unsigned int depth = 0;

	for (; task->parent; task = task->parent)
		depth++;
	return depth;
}

static void *parser_refuse(struct redis_parser *parser, const char *complaint)
{
	parser->complaint = complaint;
	return NULL;
}

/* Adds one value. The reader wants something that is not NULL; what it is does not matter, so it gets the
 * parser. */
static void *parser_add(
	const redisReadTask *task, enum redis_kind kind, long long integer, const char *text, size_t len)
{
	struct redis_parser *parser = task->privdata;
	struct redis_reply *reply = &parser->reply;
	struct redis_value *value;

	if (!task->parent)
		reply_start(reply);
	if (reply->n_values == VALUES_MAX)
		return parser_refuse(parser, "a reply has more values than are allowed");
	if (len > REPLY_BYTES_MAX - reply->text.len)
		return parser_refuse(parser, "a reply is larger than is allowed");
	value = reply_push(reply);
	if (value && len)
		buf_append(&reply->text, text, len);
	if (!value || reply->text.failed) {
		parser->is_out_of_memory = true;
		return NULL;
	}
	*value = (struct redis_value){kind, integer, reply->text.len - len, len};
	return parser;
}

static void *create_string(const redisReadTask *task, char *text, size_t len)
{
	const struct redis_parser *parser = task->privdata;
	enum redis_kind kind = REDIS_STRING;

	if (task->type == REDIS_REPLY_STATUS)
		kind = REDIS_STATUS;
	else if (task->type == REDIS_REPLY_ERROR)
		kind = REDIS_ERROR;
	if (len > parser->bulk_bytes_max)
		return parser_add(task, REDIS_TOO_LARGE, (long long)len, NULL, 0);
	return parser_add(task, kind, 0, text, len);
}

static void *create_array(const redisReadTask *task, size_t n)
{
	if (task_depth(task) >= DEPTH_MAX)
		return parser_refuse(task->privdata, "a reply is nested deeper than is allowed");
	return parser_add(task, REDIS_ARRAY, (long long)n, NULL, 0);
}

static void *create_integer(const redisReadTask *task, long long integer)
{
	return parser_add(task, REDIS_INTEGER, integer, NULL, 0);
}

static void *create_double(const redisReadTask *task, double number, char *text, size_t len)
{
	(void)number; /* who needs it reads the text */
	return parser_add(task, REDIS_STRING, 0, text, len);
}

static void *create_nil(const redisReadTask *task)
{
	struct redis_parser *parser = task->privdata;
	long long len = parser->too_large;

	parser->too_large = 0;
	return parser_add(task, len ? REDIS_TOO_LARGE : REDIS_NIL, len, NULL, 0);
}

static void *create_bool(const redisReadTask *task, int value)
{
	return parser_add(task, REDIS_INTEGER, value, NULL, 0);
}

static const redisReplyObjectFunctions reply_functions = {
	.createString = create_string,
	.createArray = create_array,
	.createInteger = create_integer,
	.createDouble = create_double,
	.createNil = create_nil,
	.createBool = create_bool,
	.freeObject = NULL, /* nothing of a reply is the reader's */
};

void redis_parser_set_bulk_max(struct redis_parser *parser, size_t bulk_bytes_max)
{
	parser->bulk_bytes_max = bulk_bytes_max;
}

int redis_parser_new(size_t bulk_bytes_max, struct redis_parser **parserp)
{
	struct redis_parser *parser = calloc(1, sizeof(*parser));

	if (!parser)
		return -ENOMEM;
	parser->bulk_bytes_max = bulk_bytes_max;
	/* It takes the table as not const, and never writes to it. */
	parser->reader = redisReaderCreateWithFunctions((redisReplyObjectFunctions *)&reply_functions);
	if (!parser->reader) {
		redis_parser_free(parser);
		return -ENOMEM;
	}
	parser->reader->privdata = parser;
	parser->reader->maxelements = VALUES_MAX;
	*parserp = parser;
	return 0;
}

void redis_parser_free(struct redis_parser *parser)
{
	if (!parser)
		return;
	redisReaderFree(parser->reader);
	free(parser->reply.values);
	buf_deinit(&parser->reply.text);
	free(parser);
}

const char *redis_parser_error(const struct redis_parser *parser)
{
	if (parser->complaint)
		return parser->complaint;
	return parser->reader->err ? parser->reader->errstr : "no error";
}

static int parser_fail(const struct redis_parser *parser)
{
	if (parser->complaint)
		return -EPROTO;
	return parser->is_out_of_memory || parser->reader->err == REDIS_ERR_OOM ? -ENOMEM : -EPROTO;
}

/* The length of the string that the reader waits for, from its header in the reader's buffer; -1: it waits
 * for no string. */
static long long parser_awaited(const redisReader *reader, size_t *header_lenp)
{
	size_t n;

	if (reader->ridx < 0 || reader->task[reader->ridx]->type != REDIS_REPLY_STRING)
		return -1;
	for (n = reader->pos; n + 1 < reader->len && n - reader->pos < HEADER_MAX; n++)
		if (reader->buf[n] == '\r' && reader->buf[n + 1] == '\n') {
			*header_lenp = n + 2 - reader->pos;
			return strtoll(reader->buf + reader->pos, NULL, 10); /* the reader has checked it */
		}
	return -1;
}

/*
 * The reader has stopped inside an item, for want of bytes. If that is a string past the bound, its header
 * becomes that of a nil and its bytes will be skipped: so the reader never stores it and finds its way in
 * what follows. Anything else that is not whole by its bound never will be.
 */
static int parser_bound(struct redis_parser *parser)
{
	redisReader *reader = parser->reader;
	size_t header_len = 0;
	long long len = parser_awaited(reader, &header_len);

	if (len < 0) {
		if (reader->len - reader->pos <= LINE_MAX_BYTES)
			return 0;
		parser->complaint = "a line of the protocol is longer than is allowed";
		return -EPROTO;
	}
	if ((unsigned long long)len <= parser->bulk_bytes_max)
		return 0;
	parser->skip = (size_t)len + 2 - (reader->len - reader->pos - header_len); /* 2: CR LF */
	parser->too_large = len;
	sdssetlen(reader->buf, reader->pos);
	reader->buf[reader->pos] = '\0';
	reader->len = reader->pos;
	if (redisReaderFeed(reader, "-1\r\n", 4) != REDIS_OK)
		return parser_fail(parser);
	return 0;
}

static int parser_drain(struct redis_parser *parser, redis_reply_fn fn, void *arg)
{
	void *whole;
	int r;

	for (;;) {
		if (redisReaderGetReply(parser->reader, &whole) != REDIS_OK)
			return parser_fail(parser);
		if (whole) {
			r = fn(arg, &parser->reply);
			if (r)
				return r;
			continue;
		}
		r = parser_bound(parser);
		if (r < 0 || !parser->too_large)
			return r;
	}
}

/* --- messages of pub/sub that came whole --- */

/* The string whose length begins here, if it is there with its end. Returns what follows it, or NULL. */
static const char *whole_string(const char *p, const char *end, size_t bytes_max, struct slice *textp)
{
	const char *digits = p;
	size_t len = 0;

	for (; p < end && *p >= '0' && *p <= '9' && p - digits < LENGTH_DIGITS; p++)
		len = len * 10 + (size_t)(*p - '0');
	if (p == digits || (*digits == '0' && p - digits > 1))
		return NULL;
	if (end - p < 2 || memcmp(p, "\r\n", 2) != 0)
		return NULL;
	p += 2;
	if (len > bytes_max || (size_t)(end - p) < len + 2 || memcmp(p + len, "\r\n", 2) != 0)
		return NULL;
	*textp = (struct slice){p, len};
	return p + len + 2;
}

/* The length of the message that lies here, whole and within its bounds; 0: it is something else. */
static size_t whole_message(const struct redis_parser *parser, const char *data, size_t len,
	struct redis_value values[MESSAGE_VALUES])
{
	const char *end = data + len;
	const char *p = data + sizeof(message_head) - 1;
	struct slice channel, payload;

	if (len <= sizeof(message_head) || memcmp(data, message_head, sizeof(message_head) - 1) != 0)
		return 0;
	p = whole_string(p, end, parser->bulk_bytes_max, &channel);
	if (!p || p == end || *p++ != '$')
		return 0;
	p = whole_string(p, end, parser->bulk_bytes_max, &payload);
	if (!p)
		return 0;
	values[0] = (struct redis_value){REDIS_ARRAY, MESSAGE_VALUES - 1, 0, 0};
	values[1] = (struct redis_value){REDIS_STRING, 0, sizeof("*3\r\n$7\r\n") - 1, 7};
	values[2] = (struct redis_value){REDIS_STRING, 0, (size_t)(channel.data - data), channel.len};
	values[3] = (struct redis_value){REDIS_STRING, 0, (size_t)(payload.data - data), payload.len};
	return (size_t)(p - data);
}

/* Hands out the messages that lie at the front. How many bytes they have. */
static size_t hear_messages(const struct redis_parser *parser, const char *data, size_t len,
	redis_reply_fn fn, void *arg, int *rp)
{
	struct redis_value values[MESSAGE_VALUES];
	struct redis_reply reply = {.values = values, .n_values = MESSAGE_VALUES, .cap = MESSAGE_VALUES};
	size_t at = 0, n;

	while (*rp == 0 && (n = whole_message(parser, data + at, len - at, values)) > 0) {
		reply.text = (struct buf){.data = (char *)data + at, .len = n}; /* nobody writes to it */
		*rp = fn(arg, &reply);
		at += n;
	}
	return at;
}

/* Is the reader well, and between two replies? */
static bool is_between(const struct redis_parser *parser)
{
	return !parser->reader->err && parser->reader->ridx < 0 && parser->reader->pos == parser->reader->len;
}

/* How much of the input the reader gets at once: what is left of a reply, where a message follows it, so that
 * the message is then at the front. */
static size_t slice_for_reader(const struct redis_parser *parser, const char *data, size_t len)
{
	size_t n = len < SLICE_BYTES ? len : SLICE_BYTES;
	const char *next =
		is_between(parser) ? NULL : memmem(data, n, message_head, sizeof(message_head) - 1);

	return next && next > data ? (size_t)(next - data) : n;
}

static int feed_reader(
	struct redis_parser *parser, const char *data, size_t len, redis_reply_fn fn, void *arg)
{
	if (redisReaderFeed(parser->reader, data, len) != REDIS_OK)
		return parser_fail(parser);
	return parser_drain(parser, fn, arg);
}

int redis_parser_feed(struct redis_parser *parser, const char *data, size_t len, redis_reply_fn fn, void *arg)
{
	size_t n;
	int r = 0;

	if (parser->complaint)
		return -EPROTO; /* the reader does not know of it and would go on */
	while (len && r == 0) {
		if (parser->skip) {
			n = len < parser->skip ? len : parser->skip;
			parser->skip -= n;
		} else {
			n = is_between(parser) ? hear_messages(parser, data, len, fn, arg, &r) : 0;
			if (n == 0) {
				n = slice_for_reader(parser, data, len);
				r = feed_reader(parser, data, n, fn, arg);
			}
		}
		data += n;
		len -= n;
	}
	return r;
}

/*
 * Fuzz the RESP parser: what it hands out is sound and within its bounds, and however the same bytes are cut,
 * the same replies come out. The first byte chooses the cut, the rest is the stream. A cut of 255 takes the
 * stream up to its first 0xff as it is, and repeats what follows it until there is more than a line may
 * have.
 */

#include "fuzz.h"

#include <errno.h>

#include <string.h>

#include "broker/redis/reply.h"
#include "core/buf.h"

enum {
	BULK_MAX = 40,
	REPEATED_BYTES = 300000, /* more values than are kept; a line of 64 KiB */
	REPEAT = 0xff,
};

/* What was heard, summed up. */
struct heard {
	uint64_t hash;
	uint64_t n;
	uint64_t n_max; /* the listener wants no more then */
};

static void mix(struct heard *heard, const void *data, size_t len)
{
	const unsigned char *bytes = data;

	for (size_t i = 0; i < len; i++)
		heard->hash = (heard->hash ^ bytes[i]) * 0x100000001b3u; /* FNV-1a */
}

/* Returns the value after this one and all its elements. */
static size_t check_value(struct heard *heard, const struct redis_reply *reply, size_t i, unsigned int depth)
{
	const struct redis_value *value;
	struct slice text;

	PROMISE(i < reply->n_values);
	PROMISE(depth <= 4);
	value = &reply->values[i];
	text = redis_reply_text(reply, i);
	PROMISE(value->at + value->len <= reply->text.len);
	PROMISE(value->kind != REDIS_TOO_LARGE || value->integer > BULK_MAX);
	PROMISE(value->len == 0 || (value->kind >= REDIS_STRING && value->kind <= REDIS_ERROR));
	mix(heard, &value->kind, sizeof(value->kind));
	mix(heard, &value->integer, sizeof(value->integer));
	mix(heard, text.data, text.len);
	i++;
	if (value->kind == REDIS_ARRAY)
		for (long long n = 0; n < value->integer; n++)
			i = check_value(heard, reply, i, depth + 1);
	return i;
}

static int on_reply(void *arg, const struct redis_reply *reply)
{
	struct heard *heard = arg;

	PROMISE(check_value(heard, reply, 0, 0) == reply->n_values);
	heard->n++;
	return heard->n == heard->n_max ? -ECANCELED : 0;
}

static int hear(const char *data, size_t size, size_t portion, uint64_t n_max, struct heard *heard)
{
	struct redis_parser *parser;
	int r = 0;

	PROMISE(redis_parser_new(1, &parser) == 0);
	redis_parser_set_bulk_max(parser, BULK_MAX);
	redis_parser_free(NULL); /* is harmless */
	*heard = (struct heard){.n_max = n_max};
	for (size_t i = 0; i < size && r == 0; i += portion)
		r = redis_parser_feed(
			parser, data + i, size - i < portion ? size - i : portion, on_reply, heard);
	PROMISE(r == 0 || r == -EPROTO || r == -ECANCELED);
	if (r == -EPROTO) /* and so it stays */
		PROMISE(redis_parser_feed(parser, "+OK\r\n", 5, on_reply, heard) == -EPROTO);
	PROMISE(redis_parser_error(parser)[0]);
	redis_parser_free(parser);
	return r;
}

/* As a whole and in pieces. Returns how many replies there are. */
static uint64_t look_twice(const char *data, size_t size, size_t portion)
{
	struct heard whole, cut;
	int r = hear(data, size, size, 1000000, &whole);

	PROMISE(hear(data, size, portion, 1000000, &cut) == r);
	PROMISE(whole.n == cut.n && whole.hash == cut.hash);
	return whole.n;
}

static void look(const char *data, size_t size, size_t portion)
{
	uint64_t n = look_twice(data, size, portion);
	struct heard some;

	if (n > 1)
		PROMISE(hear(data, size, size, n - 1, &some) == -ECANCELED && some.n == n - 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data + 1, *mark;
	struct buf all = {0};

	if (size < 2)
		return 0;
	mark = *data == REPEAT ? memchr(text, REPEAT, size - 1) : NULL;
	if (mark && mark + 1 < text + size - 1) {
		buf_append(&all, text, (size_t)(mark - text));
		while (all.len < REPEATED_BYTES)
			buf_append(&all, mark + 1, (size_t)(text + size - 1 - mark - 1));
		PROMISE(!all.failed);
		look_twice(all.data, all.len, 10007);
		buf_deinit(&all);
		return 0;
	}
	look(text, size - 1, (size_t)data[0] + 1);
	return 0;
}

/* Fuzz the RESP parser: what it hands out is sound and within its bounds, and however the same bytes are cut,
 * the same replies come out. The first byte chooses the cut, the rest is the stream. */

#include "fuzz.h"

#include <errno.h>

#include "broker/redis/reply.h"

enum {
	BULK_MAX = 40,
};

/* What was heard, summed up. */
struct heard {
	uint64_t hash;
	uint64_t n;
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
	return 0;
}

static int hear(const char *data, size_t size, size_t portion, struct heard *heard)
{
	struct redis_parser *parser;
	int r = 0;

	PROMISE(redis_parser_new(1, &parser) == 0);
	redis_parser_set_bulk_max(parser, BULK_MAX);
	redis_parser_free(NULL); /* is harmless */
	*heard = (struct heard){0};
	for (size_t i = 0; i < size && r == 0; i += portion)
		r = redis_parser_feed(
			parser, data + i, size - i < portion ? size - i : portion, on_reply, heard);
	PROMISE(r == 0 || r == -EPROTO);
	PROMISE(redis_parser_error(parser)[0]);
	redis_parser_free(parser);
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct heard whole, cut;
	int r;

	if (size < 2)
		return 0;
	r = hear((const char *)data + 1, size - 1, size, &whole);
	PROMISE(hear((const char *)data + 1, size - 1, (size_t)data[0] + 1, &cut) == r);
	PROMISE(whole.n == cut.n && whole.hash == cut.hash);
	return 0;
}

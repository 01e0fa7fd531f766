/* Ws inflate: what src/ws/ws_inflate.h promises, with messages that zlib deflated as a client would. */

#include "ws/ws_inflate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <zlib.h>

enum {
	TEXT_MAX = 16384,
	PAYLOAD_MAX = 1 << 20,
};

/* Room for a payload of exactly its size is made of it, so that the sanitizer sees a byte too many. */
static unsigned char *pack(const char *text, size_t len, int strategy, int flush, size_t *lenp)
{
	unsigned char *payload = malloc(PAYLOAD_MAX);
	z_stream z = {0};

	assert_non_null(payload);
	assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, -MAX_WBITS, 8, strategy), Z_OK);
	z.next_in = (unsigned char *)text;
	z.avail_in = (uInt)len;
	z.next_out = payload;
	z.avail_out = PAYLOAD_MAX;
	deflate(&z, flush);
	*lenp = PAYLOAD_MAX - z.avail_out;
	if (flush == Z_FINISH)
		payload[(*lenp)++] = 0; /* RFC 7692 section 7.2.3.5 */
	else
		*lenp -= 4;
	deflateEnd(&z);
	payload = realloc(payload, *lenp);
	assert_non_null(payload);
	return payload;
}

static int run(struct ws_inflate *inflate, const char *text, size_t len, struct slice *outp)
{
	size_t payload_len;
	unsigned char *payload = pack(text, len, Z_DEFAULT_STRATEGY, Z_SYNC_FLUSH, &payload_len);
	int r = ws_inflate_message(inflate, payload, payload_len, outp);

	free(payload);
	return r;
}

static struct ws_inflate *make(void)
{
	struct ws_inflate *inflate = ws_inflate_new(TEXT_MAX);

	assert_non_null(inflate);
	return inflate;
}

static void gives_back_the_text_each_time(void **state)
{
	static const size_t lengths[] = {0, 1, 100, 4095, 4096, 4097, 8192, TEXT_MAX - 1, TEXT_MAX};
	struct ws_inflate *inflate = make();
	char *text = malloc(TEXT_MAX);
	struct slice out;

	(void)state;
	assert_non_null(text);
	for (size_t i = 0; i < TEXT_MAX; i++)
		text[i] = (char)('a' + i * i % 23);
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
			assert_int_equal(run(inflate, text, lengths[i], &out), 0);
			assert_int_equal(out.len, lengths[i]);
			assert_memory_equal(out.data, text, out.len);
		}
	}
	free(text);
	ws_inflate_free(inflate);
}

static void takes_any_kind_of_block(void **state)
{
	static const char text[] = "{\"type\":\"ping\",\"data\":{\"word\":\"\xc3\xa9\xe2\x82\xac\"}}";
	static const int strategies[] = {Z_DEFAULT_STRATEGY, Z_HUFFMAN_ONLY, Z_RLE, Z_FIXED};
	static const int flushes[] = {Z_SYNC_FLUSH, Z_FULL_FLUSH, Z_FINISH};
	struct ws_inflate *inflate = make();
	struct slice out;

	(void)state;
	for (int i = 0; i < 12; i++) {
		size_t len;
		unsigned char *payload = pack(text, strlen(text), strategies[i / 3], flushes[i % 3], &len);

		assert_int_equal(ws_inflate_message(inflate, payload, len, &out), 0);
		assert_int_equal(out.len, strlen(text));
		assert_memory_equal(out.data, text, out.len);
		free(payload);
	}
	ws_inflate_free(inflate);
}

static void an_empty_payload_is_an_empty_text(void **state)
{
	struct ws_inflate *inflate = make();
	struct slice out;

	(void)state;
	for (int round = 0; round < 2; round++) {
		assert_int_equal(ws_inflate_message(inflate, "", 0, &out), 0);
		assert_int_equal(out.len, 0);
		assert_int_equal(ws_inflate_message(inflate, "\0", 1, &out), 0);
		assert_int_equal(out.len, 0);
		assert_non_null(out.data);
		assert_int_equal(run(inflate, "{}", 2, &out), 0);
	}
	ws_inflate_free(inflate);
}

/* Empty blocks, stored and of fixed codes, with what a sender takes off and what it leaves. */
static void takes_empty_blocks_before_and_behind(void **state)
{
#define BLOCK(bytes)                                                                                         \
	{                                                                                                    \
		(bytes), sizeof(bytes) - 1                                                                   \
	}
	static const struct slice before[] = {BLOCK(""), BLOCK("\0\0\0\xff\xff"), BLOCK("\x01\0\0\xff\xff"),
		BLOCK("\x03\0"), BLOCK("\0\0\0\xff\xff\0\0\0\xff\xff")};
	static const struct slice behind[] = {BLOCK(""), BLOCK("\0\0\xff\xff"), BLOCK("\0\0\xff\xff\0"),
		BLOCK("\0\0\xff\xff\x03\0"), BLOCK("\0\0\xff\xff\x02\0"),
		BLOCK("\0\0\xff\xff\x01\0\0\xff\xff"), BLOCK("\0\0\xff\xff\x01\0\0\xff\xff\0")};
#undef BLOCK
	struct ws_inflate *inflate = make();
	unsigned char payload[64];
	struct slice out;
	size_t len;
	unsigned char *block = pack("{\"a\":1}", 7, Z_DEFAULT_STRATEGY, Z_SYNC_FLUSH, &len);

	(void)state;
	for (size_t i = 0; i < sizeof(before) / sizeof(*before); i++) {
		for (size_t j = 0; j < sizeof(behind) / sizeof(*behind); j++) {
			memcpy(payload, before[i].data, before[i].len);
			memcpy(payload + before[i].len, block, len);
			memcpy(payload + before[i].len + len, behind[j].data, behind[j].len);
			assert_int_equal(ws_inflate_message(
						 inflate, payload, before[i].len + len + behind[j].len, &out),
				0);
			assert_int_equal(out.len, 7);
			assert_memory_equal(out.data, "{\"a\":1}", 7);
		}
	}
	free(block);
	ws_inflate_free(inflate);
}

static void stops_at_its_bound_and_goes_on_with_the_next(void **state)
{
	struct ws_inflate *inflate = make();
	char *zeros = calloc(1, PAYLOAD_MAX);
	struct slice out;

	(void)state;
	assert_non_null(zeros);
	assert_int_equal(run(inflate, zeros, TEXT_MAX, &out), 0);
	assert_int_equal(run(inflate, zeros, TEXT_MAX + 1, &out), WS_INFLATE_TOO_BIG);
	assert_int_equal(run(inflate, zeros, PAYLOAD_MAX, &out), WS_INFLATE_TOO_BIG);
	assert_int_equal(run(inflate, "{}", 2, &out), 0);
	assert_memory_equal(out.data, "{}", 2);
	free(zeros);
	ws_inflate_free(inflate);
}

static void a_text_of_any_bytes_at_the_bound_has_a_payload_below_its_own(void **state)
{
	char *text = malloc(TEXT_MAX);
	size_t len;
	unsigned char *payload;

	(void)state;
	assert_non_null(text);
	for (size_t i = 0; i < TEXT_MAX; i++)
		text[i] = (char)(0xc0 + i * 31 % 61);
	payload = pack(text, TEXT_MAX, Z_FIXED, Z_SYNC_FLUSH, &len);
	assert_true(len <= ws_inflate_payload_max(TEXT_MAX));
	free(payload);
	free(text);
}

static void refuses_what_is_cut_or_changed(void **state)
{
	char text[600];
	struct ws_inflate *inflate = make();
	size_t len;
	unsigned char *payload;
	struct slice out;

	(void)state;
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)('a' + i * i % 23);
	payload = pack(text, sizeof(text), Z_DEFAULT_STRATEGY, Z_SYNC_FLUSH, &len);
	for (size_t cut = 1; cut < len; cut++) {
		unsigned char *part = malloc(cut);

		assert_non_null(part);
		memcpy(part, payload, cut);
		assert_int_equal(ws_inflate_message(inflate, part, cut, &out), WS_INFLATE_BROKEN);
		free(part);
	}
	payload[0] |= 6; /* a kind of block that there is not */
	assert_int_equal(ws_inflate_message(inflate, payload, len, &out), WS_INFLATE_BROKEN);
	free(payload);
	ws_inflate_free(inflate);
}

/* Every outcome is one of those that are named, and the state is good for the next message. */
static void survives_noise(void **state)
{
	struct ws_inflate *inflate = make();
	uint64_t seed = 88172645463325252;
	struct slice out;

	(void)state;
	for (int round = 0; round < 20000; round++) {
		unsigned char noise[32];
		int r;

		for (size_t i = 0; i < sizeof(noise); i++) {
			seed ^= seed << 13;
			seed ^= seed >> 7;
			seed ^= seed << 17;
			noise[i] = (unsigned char)(seed >> 24);
		}
		r = ws_inflate_message(inflate, noise, 1 + seed % sizeof(noise), &out);
		assert_true(r >= 0 && r <= WS_INFLATE_BROKEN);
	}
	assert_int_equal(run(inflate, "{}", 2, &out), 0);
	ws_inflate_free(inflate);
}

static void refuses_what_is_not_utf_8(void **state)
{
	static const char *const texts[] = {
		"\x80", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "a\xff", "\xe2\x82"};
	struct ws_inflate *inflate = make();
	struct slice out;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_int_equal(run(inflate, texts[i], strlen(texts[i]), &out), WS_INFLATE_BROKEN);
	assert_int_equal(run(inflate, "\xf4\x8f\xbf\xbf", 4, &out), 0);
	ws_inflate_free(inflate);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gives_back_the_text_each_time),
		cmocka_unit_test(takes_any_kind_of_block),
		cmocka_unit_test(an_empty_payload_is_an_empty_text),
		cmocka_unit_test(takes_empty_blocks_before_and_behind),
		cmocka_unit_test(stops_at_its_bound_and_goes_on_with_the_next),
		cmocka_unit_test(a_text_of_any_bytes_at_the_bound_has_a_payload_below_its_own),
		cmocka_unit_test(refuses_what_is_cut_or_changed),
		cmocka_unit_test(survives_noise),
		cmocka_unit_test(refuses_what_is_not_utf_8),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

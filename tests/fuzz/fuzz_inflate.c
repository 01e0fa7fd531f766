/*
 * Fuzz a client's deflated messages: what comes out is UTF-8 and within the bound, nothing of one message is
 * left for the next, and the text deflated anew comes back.
 */

#include "fuzz.h"

#include <string.h>

#include <zlib.h>

#include "core/text.h"
#include "ws/ws_inflate.h"

enum {
	TEXT_MAX = 20000,
	DEFLATED_MAX = 2 * TEXT_MAX,
};

static int inflate_anew(const uint8_t *data, size_t size, size_t max, char *text, size_t *lenp)
{
	struct ws_inflate *state = ws_inflate_new(max);
	struct slice slice = {0};
	int r;

	PROMISE(state);
	r = ws_inflate_message(state, data, size, &slice);
	if (r == 0 && slice.len)
		memcpy(text, slice.data, slice.len);
	*lenp = slice.len;
	ws_inflate_free(state);
	return r;
}

static void check_utf8(const char *text, size_t len)
{
	size_t n;

	for (size_t i = 0; i < len; i += n) {
		n = text_utf8_sequence((const unsigned char *)text + i, len - i);
		PROMISE(n);
	}
}

/* As a client does it that knows RFC 7692: without the four bytes at its end. */
static size_t deflate_text(const char *text, size_t len, unsigned char *out)
{
	z_stream z = {.next_in = (unsigned char *)text, .avail_in = (uInt)len};

	PROMISE(deflateInit2(&z, 1, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY) == Z_OK);
	z.next_out = out;
	z.avail_out = DEFLATED_MAX;
	PROMISE(deflate(&z, Z_SYNC_FLUSH) == Z_OK && z.avail_out && z.total_out >= 4);
	(void)deflateEnd(&z);
	return z.total_out - 4;
}

static void check_again(struct ws_inflate *state, const char *text, size_t len)
{
	static unsigned char deflated[DEFLATED_MAX];
	struct slice again;
	size_t n = deflate_text(text, len, deflated);

	PROMISE(n <= ws_inflate_payload_max(len));
	PROMISE(ws_inflate_message(state, deflated, n, &again) == 0);
	PROMISE(again.len == len && !memcmp(again.data, text, len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct ws_inflate *old; /* it has seen all inputs */
	static char text[TEXT_MAX], once_more[TEXT_MAX];
	struct slice slice = {0};
	size_t len, n;
	int r = inflate_anew(data, size, TEXT_MAX, text, &len);

	PROMISE(r == 0 || r == WS_INFLATE_TOO_BIG || r == WS_INFLATE_BROKEN);
	ws_inflate_free(NULL); /* is harmless */
	if (!old)
		old = ws_inflate_new(TEXT_MAX);
	PROMISE(old && ws_inflate_message(old, data, size, &slice) == r);
	if (r)
		return 0;
	PROMISE(slice.len == len && !memcmp(slice.data, text, len) && len <= TEXT_MAX);
	check_utf8(text, len);
	check_again(old, text, len);
	if (len)
		PROMISE(inflate_anew(data, size, len - 1, once_more, &n) == WS_INFLATE_TOO_BIG);
	ws_inflate_set_max(old, len);
	PROMISE(ws_inflate_message(old, data, size, &slice) == 0);
	ws_inflate_set_max(old, TEXT_MAX);
	return 0;
}

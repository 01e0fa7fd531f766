/*
 * Fuzz json_check(): what it takes, jsmn takes; what it notes is JSON itself and stands in the text; and
 * strings come back the same after unescaping and quoting.
 */

#include "fuzz.h"

#include <stdbool.h>
#include <string.h>

#define JSMN_STATIC
#define JSMN_STRICT
#include <jsmn.h>

#include "core/text.h"
#include "protocol/json.h"

enum {
	N_TOKENS = 512,
	STRING_MAX = 4096,
};

static bool is_utf8(const char *data, size_t len)
{
	size_t n;

	for (size_t i = 0; i < len; i += n) {
		n = text_utf8_sequence((const unsigned char *)data + i, len - i);
		if (n == 0)
			return false;
	}
	return true;
}

/* Three bytes that no UTF-8 has: what half a surrogate pair, \ud83d, is unescaped to. */
static bool is_half(const char *data, size_t len)
{
	const unsigned char *s = (const unsigned char *)data;

	return len >= 3 && s[0] == 0xed && s[1] >= 0xa0 && s[1] <= 0xbf && s[2] >= 0x80 && s[2] <= 0xbf;
}

/* Also with halves in it; *has_halvesp says whether there are. */
static bool is_unescaped(const char *data, size_t len, bool *has_halvesp)
{
	size_t begin = 0;

	*has_halvesp = false;
	for (size_t i = 0; i < len; i++) {
		if (!is_half(data + i, len - i))
			continue;
		if (!is_utf8(data + begin, i - begin))
			return false;
		*has_halvesp = true;
		begin = i + 3;
		i += 2;
	}
	return is_utf8(data + begin, len - begin);
}

static void check_jsmn_agrees(const char *text, size_t len)
{
	static jsmntok_t tokens[N_TOKENS];
	jsmn_parser parser;
	int r;

	jsmn_init(&parser);
	r = jsmn_parse(&parser, text, len, tokens, N_TOKENS);
	PROMISE(r > 0 || r == JSMN_ERROR_NOMEM);
}

static void check_string(struct slice value)
{
	static char plain[STRING_MAX], quoted[6 * STRING_MAX + 2], again[STRING_MAX];
	long n = json_unescape(value, plain, sizeof(plain));
	struct slice copy = {quoted, 0};
	bool is_object, has_halves;

	if (n < 0)
		return;
	PROMISE(is_unescaped(plain, (size_t)n, &has_halves));
	PROMISE(json_string_is(value, plain, (size_t)n));
	if (has_halves) {
		PROMISE(memmem(value.data, value.len, "\\u", 2));
		return; /* quoted, they become U+FFFD */
	}
	copy.len = text_json_quote(quoted, plain, (size_t)n);
	PROMISE(copy.len == text_json_quote(NULL, plain, (size_t)n));
	PROMISE(json_check(copy.data, copy.len, 0, NULL, 0, &is_object) == 0);
	PROMISE(json_unescape(copy, again, sizeof(again)) == n && memcmp(plain, again, (size_t)n) == 0);
	PROMISE(json_string_equal(value, copy));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct json_member members[] = {{.name = "type"}, {.name = "a"}, {.name = ""}};
	const char *text = (const char *)data;
	bool is_object;

	if (json_check(text, size, 128, members, 3, &is_object) != 0) {
		PROMISE(json_fault(text, size, 128) <= size);
		return 0;
	}
	PROMISE(json_fault(text, size, 128) == size);
	PROMISE(is_utf8(text, size));
	/* Of one scalar alone jsmn wants to see what comes behind. */
	if (is_object || text[0] == '[')
		check_jsmn_agrees(text, size);
	for (size_t i = 0; i < 3; i++) {
		struct slice value = members[i].value;

		if (!value.data)
			continue;
		PROMISE(is_object && value.data > text && value.data + value.len < text + size);
		PROMISE(json_check(value.data, value.len, 127, NULL, 0, &is_object) == 0);
		PROMISE(is_object == json_is_object(value));
		if (json_is_string(value))
			check_string(value);
		is_object = true;
	}
	return 0;
}

/* Base64: one form for each bytes, as auth/base64.h promises. */

#include "auth/base64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/buf.h"

static bool decodes(
	bool (*decode)(struct slice text, char *out, size_t *lenp), const char *text, const char *bytes)
{
	char out[64];
	size_t len = 99;

	if (!decode(slice_of(text), out, &len))
		return false;
	assert_int_equal(len, strlen(bytes));
	assert_memory_equal(out, bytes, len);
	return true;
}

static void each_bytes_have_one_form(void **state)
{
	static const char *const rows[][2] = {{"", ""}, {"f", "Zg"}, {"fo", "Zm8"}, {"foo", "Zm9v"},
		{"foob", "Zm9vYg"}, {"\xfb\xff\xbf", "-_-_"}};
	struct buf text = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		buf_reset(&text);
		base64url_append(&text, rows[i][0], strlen(rows[i][0]));
		assert_string_equal(buf_text(&text), rows[i][1]);
		assert_true(decodes(base64url_decode, rows[i][1], rows[i][0]));
	}
	buf_deinit(&text);
}

static void another_form_is_refused(void **state)
{
	static const char *const texts[] = {"Z", "Zg=", "Zg==", "Zh", "Zm9", "Zm8=", "Zm9v\n", " Zm9v",
		"Zm 9v", "+/+/", "Zm9vY", "Zm9v=", "=", "\xc3\xa9Zg", "Zm9v."};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (decodes(base64url_decode, texts[i], ""))
			fail_msg("%s was taken", texts[i]);
}

static void what_people_paste_may_have_either_form(void **state)
{
	(void)state;
	assert_true(decodes(base64_decode_any, "Zg==", "f"));
	assert_true(decodes(base64_decode_any, "Zg", "f"));
	assert_true(decodes(base64_decode_any, "Zm8=", "fo"));
	assert_true(decodes(base64_decode_any, "+/-_", "\xfb\xff\xbf"));
	assert_false(decodes(base64_decode_any, "Zg=", ""));
	assert_false(decodes(base64_decode_any, "Z===", ""));
	assert_false(decodes(base64_decode_any, "Zm9v\n", ""));
}

static void all_bytes_come_back(void **state)
{
	char bytes[256], back[400];
	struct buf text = {0};
	size_t len;

	(void)state;
	for (size_t n = 0; n <= sizeof(bytes); n++) {
		for (size_t i = 0; i < n; i++)
			bytes[i] = (char)(i * 7 + n);
		buf_reset(&text);
		base64url_append(&text, bytes, n);
		assert_true(base64url_decode(buf_slice(&text), back, &len));
		assert_int_equal(len, n);
		assert_memory_equal(bytes, back, n);
	}
	buf_deinit(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_bytes_have_one_form),
		cmocka_unit_test(another_form_is_refused),
		cmocka_unit_test(what_people_paste_may_have_either_form),
		cmocka_unit_test(all_bytes_come_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

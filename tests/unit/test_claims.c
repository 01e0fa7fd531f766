/* Claims: what auth/claims.h lets in, row by row. */

#include "auth/claims.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "auth/claims_object.h"
#include "core/buf.h"

#define NOW_MS INT64_C(1000000) /* second 1000 */

static const char *const claim_names[] = {"tenant", "n", NULL};
static const struct claims_rules plain = {
	.identity = {.user = "sub", .channels = "channels", .claims = claim_names},
};

struct row {
	const char *json;
	int outcome;
};

/* In memory of its own length, so that a byte too far is seen. */
static int read(struct slice json, const struct claims_rules *rules, struct identity **identityp)
{
	char *exact = malloc(json.len ? json.len : 1);
	int r;

	assert_non_null(exact);
	memcpy(exact, json.data, json.len);
	*identityp = NULL;
	r = claims_read((struct slice){exact, json.len}, rules, NOW_MS, identityp);
	assert_true(r == 0 ? *identityp != NULL : *identityp == NULL);
	free(exact);
	return r;
}

static struct identity *identity_of(const char *json, const struct claims_rules *rules)
{
	struct identity *identity;

	assert_int_equal(read(slice_of(json), rules, &identity), 0);
	return identity;
}

static void look_at(const struct row *rows, size_t n, const struct claims_rules *rules)
{
	for (size_t i = 0; i < n; i++) {
		struct identity *identity;
		int r = read(slice_of(rows[i].json), rules, &identity);

		if (r != rows[i].outcome)
			fail_msg("%s: %s, not %s", rows[i].json, token_fault_name((enum token_fault)r),
				token_fault_name((enum token_fault)rows[i].outcome));
		identity_free(identity);
	}
}

#define LOOK_AT(rows, rules) look_at(rows, sizeof(rows) / sizeof((rows)[0]), rules)

static void a_token_ends(void **state)
{
	static const struct row rows[] = {
		{"{\"sub\":\"u\"}", TOKEN_NO_EXP},
		{"{\"sub\":\"u\",\"exp\":null}", TOKEN_NO_EXP},
		{"{\"sub\":\"u\",\"exp\":\"1001\"}", TOKEN_NO_EXP},
		{"{\"sub\":\"u\",\"exp\":true}", TOKEN_NO_EXP},
		{"{\"sub\":\"u\",\"exp\":[1001]}", TOKEN_NO_EXP},
		{"{\"sub\":\"u\",\"exp\":{}}", TOKEN_NO_EXP},
		{"{\"sub\":\"u\",\"EXP\":1001}", TOKEN_NO_EXP},
		{"{\"sub\":\"u\",\"exp\":-1}", TOKEN_EXPIRED},
		{"{\"sub\":\"u\",\"exp\":-9223372036854775808}", TOKEN_EXPIRED},
		{"{\"sub\":\"u\",\"exp\":-1e30}", TOKEN_EXPIRED},
		{"{\"sub\":\"u\",\"exp\":0}", TOKEN_EXPIRED},
		{"{\"sub\":\"u\",\"exp\":1e-30}", TOKEN_EXPIRED},
		{"{\"sub\":\"u\",\"exp\":1000}", TOKEN_EXPIRED},
		{"{\"sub\":\"u\",\"exp\":1000.0001}", TOKEN_EXPIRED}, /* of the millisecond that is now */
		{"{\"sub\":\"u\",\"exp\":1000.5}", TOKEN_GOOD},
		{"{\"sub\":\"u\",\"exp\":1001}", TOKEN_GOOD},
		{"{\"sub\":\"u\",\"exp\":1001.0}", TOKEN_GOOD},
		{"{\"sub\":\"u\",\"exp\":1.001e3}", TOKEN_GOOD},
		{"{\"sub\":\"u\",\"exp\":9223372036854775807}", TOKEN_GOOD},
		{"{\"sub\":\"u\",\"exp\":1e30}", TOKEN_GOOD},
		{"{\"sub\":\"u\",\"exp\":9223372036854775808}", TOKEN_MALFORMED},
		{"{\"sub\":\"u\",\"exp\":1e999}", TOKEN_MALFORMED},
		{"{\"sub\":\"u\",\"exp\":NaN}", TOKEN_MALFORMED},
		{"{\"sub\":\"u\",\"exp\":0x7fffffff}", TOKEN_MALFORMED},
	};

	(void)state;
	LOOK_AT(rows, &plain);
}

static void a_deadline_is_exp_in_milliseconds_and_never_overflows(void **state)
{
	static const struct {
		const char *exp;
		int64_t deadline_ms;
	} rows[] = {
		{"1001", 1001000},
		{"1000.25", 1000250},
		{"1e30", INT64_MAX},
		{"9223372036854775807", INT64_MAX},
		{"9223372036854775", INT64_MAX},
		{"9223372036854774", INT64_C(9223372036854774000)},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char json[128];
		struct identity *identity;

		snprintf(json, sizeof(json), "{\"sub\":\"u\",\"exp\":%s}", rows[i].exp);
		identity = identity_of(json, &plain);
		assert_true(identity_deadline_ms(identity) == rows[i].deadline_ms);
		identity_free(identity);
	}
}

static void clocks_may_differ_by_the_leeway(void **state)
{
	static const struct row rows[] = {
		{"{\"sub\":\"u\",\"exp\":990}", TOKEN_EXPIRED},
		{"{\"sub\":\"u\",\"exp\":990.5}", TOKEN_GOOD},
		{"{\"sub\":\"u\",\"exp\":1e30,\"nbf\":1010}", TOKEN_GOOD},
		{"{\"sub\":\"u\",\"exp\":1e30,\"nbf\":1010.5}", TOKEN_NOT_YET},
		{"{\"sub\":\"u\",\"exp\":9223372036854775807,\"nbf\":-9223372036854775808}", TOKEN_GOOD},
	};
	struct claims_rules rules = plain;

	(void)state;
	rules.leeway_ms = 10000;
	LOOK_AT(rows, &rules);
}

static void a_token_begins(void **state)
{
	static const struct row rows[] = {
		{"{\"sub\":\"u\",\"exp\":2000,\"nbf\":1000}", TOKEN_GOOD},
		{"{\"sub\":\"u\",\"exp\":2000,\"nbf\":-5}", TOKEN_GOOD},
		{"{\"sub\":\"u\",\"exp\":2000,\"nbf\":1000.001}", TOKEN_NOT_YET},
		{"{\"sub\":\"u\",\"exp\":2000,\"nbf\":1001}", TOKEN_NOT_YET},
		{"{\"sub\":\"u\",\"exp\":2000,\"nbf\":1e30}", TOKEN_NOT_YET},
		{"{\"sub\":\"u\",\"exp\":2000,\"nbf\":null}", TOKEN_MALFORMED},
		{"{\"sub\":\"u\",\"exp\":2000,\"nbf\":\"1\"}", TOKEN_MALFORMED},
		{"{\"sub\":\"u\",\"exp\":2000,\"iat\":9999999}",
			TOKEN_GOOD}, /* iat decides nothing, RFC 7519 */
	};

	(void)state;
	LOOK_AT(rows, &plain);
}

static void a_token_says_who(void **state)
{
	static const struct row rows[] = {
		{"{\"exp\":2000}", TOKEN_USER},
		{"{\"exp\":2000,\"sub\":null}", TOKEN_USER},
		{"{\"exp\":2000,\"sub\":\"\"}", TOKEN_USER},
		{"{\"exp\":2000,\"sub\":true}", TOKEN_USER},
		{"{\"exp\":2000,\"sub\":1.5}", TOKEN_USER},
		{"{\"exp\":2000,\"sub\":1e3}", TOKEN_USER},
		{"{\"exp\":2000,\"sub\":[\"u\"]}", TOKEN_USER},
		{"{\"exp\":2000,\"sub\":{\"a\":1}}", TOKEN_USER},
		{"{\"exp\":2000,\"sub\":\"a\\u0000b\"}", TOKEN_MALFORMED},
		{"{\"exp\":2000,\"sub\":\"\\ud800\"}", TOKEN_MALFORMED},
		{"{\"exp\":2000,\"sub\":\"\xff\"}", TOKEN_MALFORMED},
		{"{\"exp\":2000,\"sub\":\"a\nb\"}", TOKEN_MALFORMED},
		{"{\"exp\":2000,\"sub\":9223372036854775808}", TOKEN_MALFORMED},
		{"{\"exp\":2000,\"sub\":\"a\\nb\"}", TOKEN_GOOD},
	};

	(void)state;
	LOOK_AT(rows, &plain);
}

static void a_user_is_a_string_or_an_integer(void **state)
{
	static const char *const rows[][2] = {
		{"\"42\"", "42"},
		{"42", "42"},
		{"0", "0"},
		{"-0", "0"},
		{"9223372036854775807", "9223372036854775807"},
		{"-9223372036854775808", "-9223372036854775808"},
		{"\"a\\u001b[31m\"", "a\x1b[31m"},
		{"\"\\u00e9\"", "\xc3\xa9"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char json[128];
		struct identity *identity;

		snprintf(json, sizeof(json), "{\"exp\":2000,\"sub\":%s}", rows[i][0]);
		identity = identity_of(json, &plain);
		assert_string_equal(identity_user(identity), rows[i][1]);
		identity_free(identity);
	}
}

static void bounds_the_user_and_the_text(void **state)
{
	struct buf json = {0};
	struct identity *identity;

	(void)state;
	for (size_t n = IDENTITY_USER_MAX; n <= IDENTITY_USER_MAX + 1; n++) {
		buf_reset(&json);
		buf_printf(&json, "{\"exp\":2000,\"sub\":\"%0*d\"}", (int)n, 0);
		assert_int_equal(read(buf_slice(&json), &plain, &identity),
			n == IDENTITY_USER_MAX ? TOKEN_GOOD : TOKEN_USER);
		identity_free(identity);
	}
	for (size_t n = CLAIMS_BYTES_MAX; n <= CLAIMS_BYTES_MAX + 1; n++) {
		buf_reset(&json);
		buf_printf(&json, "{\"exp\":2000,\"sub\":\"u\"%*s}", (int)(n - 22), "");
		assert_int_equal(json.len, n);
		assert_int_equal(read(buf_slice(&json), &plain, &identity),
			n == CLAIMS_BYTES_MAX ? TOKEN_GOOD : TOKEN_MALFORMED);
		identity_free(identity);
	}
	buf_deinit(&json);
}

static void the_claim_of_the_user_has_a_name(void **state)
{
	struct claims_rules rules = plain;
	struct identity *identity;

	(void)state;
	rules.identity.user = "uid";
	identity = identity_of("{\"exp\":2000,\"sub\":\"no\",\"uid\":7}", &rules);
	assert_string_equal(identity_user(identity), "7");
	assert_true(slice_is(identity_claim(identity, "uid"), "7"));
	assert_null(identity_claim(identity, "sub").data);
	identity_free(identity);
}

static void text_that_two_readers_could_take_for_two_things_is_refused(void **state)
{
	static const struct row rows[] = {
		{"{\"exp\":2000,\"sub\":\"u\",\"sub\":\"v\"}", TOKEN_MALFORMED},
		{"{\"exp\":2000,\"sub\":\"u\",\"s\\u0075b\":\"v\"}", TOKEN_MALFORMED},
		{"{\"exp\":2000,\"exp\":3000,\"sub\":\"u\"}", TOKEN_MALFORMED},
		{"{\"exp\":2000,\"sub\":\"u\",\"x\":{\"a\":1,\"a\":2}}", TOKEN_MALFORMED},
		{"{\"exp\":2000,\"sub\":\"u\"}x", TOKEN_MALFORMED},
		{"{\"exp\":2000,\"sub\":\"u\"}{}", TOKEN_MALFORMED},
		{"{\"exp\":2000,\"sub\":\"u\",}", TOKEN_MALFORMED},
		{"{'exp':2000,'sub':'u'}", TOKEN_MALFORMED},
		{"\xef\xbb\xbf{\"exp\":2000,\"sub\":\"u\"}", TOKEN_MALFORMED},
		{"[1]", TOKEN_MALFORMED},
		{"[{\"exp\":2000,\"sub\":\"u\"}]", TOKEN_MALFORMED},
		{"\"u\"", TOKEN_MALFORMED},
		{"null", TOKEN_MALFORMED},
		{"1", TOKEN_MALFORMED},
		{"", TOKEN_MALFORMED},
		{" {\"exp\" : 2000 ,\r\n\t\"sub\" : \"u\"} \n", TOKEN_GOOD},
		{"{}", TOKEN_NO_EXP},
	};
	static const char nul[] = "{\"exp\":2000,\"sub\":\"u\"}\0{}";
	struct identity *identity;

	(void)state;
	LOOK_AT(rows, &plain);
	assert_int_equal(read((struct slice){nul, sizeof(nul) - 1}, &plain, &identity), TOKEN_MALFORMED);
	assert_int_equal(read((struct slice){nul, sizeof(nul) - 3}, &plain, &identity), TOKEN_MALFORMED);
}

/* A value that nobody asks for, in several places. */
static void look_around(const char *value, int outcome)
{
	static const char *const around[][2] = {{"{\"sub\":\"u\",\"exp\":2000,\"x\":", "}"},
		{"{\"x\" : ", " , \"sub\":\"u\",\"exp\":2000}"},
		{"{\"sub\":\"u\",\"exp\":2000,\"x\":[1,[", "]]}"},
		{"{\"x\":{\"y\":", ",\"sub\":\"v\"},\"sub\":\"u\",\"exp\":2000}"}};
	struct buf json = {0};

	for (size_t i = 0; i < sizeof(around) / sizeof(around[0]); i++) {
		struct row row = {.outcome = outcome};

		buf_reset(&json);
		buf_append_str(&json, around[i][0]);
		buf_append_str(&json, value);
		buf_append_str(&json, around[i][1]);
		row.json = buf_text(&json);
		look_at(&row, 1, &plain);
	}
	buf_deinit(&json);
}

static void what_readers_differ_about_is_refused_wherever_it_stands(void **state)
{
	static const char *const good[] = {"\"x\\/y\"", "\"\\ud83d\\ude00\"", "1e-999", "-0.5e+3",
		"999999999999999999", "[[],{},\"\",null,true,false]",
		"{\"a\":{\"a\":1},\"b\":[{\"a\":1},{\"a\":1}]}", "\"{\\\"a\\\":1,\"", "{ }"};
	static const char *const bad[] = {"\"\\u0000\"", "\"\\ud83d\"", "\"\\ude00\"", "\"\\ud83d\\u0041\"",
		"\"\\ud83dx\"", "1e999", "-1e999", "9223372036854775808", "-9223372036854775809",
		"{\"a\":1,\"\\u0061\":1}", "{\"\\u0000\":1}", "{\"\":1,\"\":1}",
		"[{\"b\":{},\"a\":1,\"b\":2}]"};
	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		look_around(good[i], TOKEN_GOOD);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		look_around(bad[i], TOKEN_MALFORMED);
}

static void names_and_texts_may_have_escapes(void **state)
{
	struct identity *identity = identity_of("{\"e\\u0078p\":2000,\"\\u0073ub\":\"a\\/"
						"b\",\"tenant\":\"\\u00e9\",\"channels\":[\"t\\u003a1\"]}",
		&plain);

	(void)state;
	assert_string_equal(identity_user(identity), "a/b");
	assert_true(slice_is(identity_claim(identity, "tenant"), "~C3~A9"));
	assert_true(identity_lists(identity, slice_of("t:1")));
	identity_free(identity);
}

static void a_value_is_read_where_it_stands(void **state)
{
	char text[] = "{\"\\u0061\":[{\"\\u0062\":1,\"c\":\"\\u0064\"}]}";
	struct claims_object object;

	(void)state;
	assert_int_equal(claims_parse(text, strlen(text), &object), 0);
	assert_true(slice_is(claims_value(&object, "a"), "[{\"\\u0062\":1,\"c\":\"\\u0064\"}]"));
}

static void members_are_counted_while_their_object_is_open(void **state)
{
	struct identity *identity;

	(void)state;
	for (int n = 254; n <= 255; n++) { /* with exp and sub */
		struct buf json = {0};

		buf_append_str(&json, "{\"exp\":2000,\"sub\":\"u\"");
		for (int i = 0; i < n; i++)
			buf_printf(&json, ",\"%d\":%d", i, i);
		buf_append_char(&json, '}');
		assert_int_equal(
			read(buf_slice(&json), &plain, &identity), n == 254 ? TOKEN_GOOD : TOKEN_MALFORMED);
		identity_free(identity);
		buf_reset(&json);
		buf_append_str(&json, "{\"exp\":2000,\"sub\":\"u\",\"x\":[{}");
		for (int i = 0; i < n; i++)
			buf_append_str(&json, ",{\"a\":1,\"b\":2}");
		buf_append_str(&json, "]}");
		assert_int_equal(read(buf_slice(&json), &plain, &identity), TOKEN_GOOD);
		identity_free(identity);
		buf_deinit(&json);
	}
}

static void deep_nesting_ends(void **state)
{
	struct buf json = {0};
	struct identity *identity;

	(void)state;
	buf_append_str(&json, "{\"exp\":2000,\"sub\":\"u\",\"x\":");
	for (int i = 0; i < 7000; i++)
		buf_append_char(&json, '[');
	assert_int_equal(read(buf_slice(&json), &plain, &identity), TOKEN_MALFORMED);
	for (int n = 15; n <= 16; n++) { /* inside the outermost */
		buf_reset(&json);
		buf_printf(&json, "{\"exp\":2000,\"sub\":\"u\",\"x\":%.*s%.*s}", n, "[[[[[[[[[[[[[[[[", n,
			"]]]]]]]]]]]]]]]]");
		assert_int_equal(
			read(buf_slice(&json), &plain, &identity), n == 15 ? TOKEN_GOOD : TOKEN_MALFORMED);
		identity_free(identity);
	}
	buf_deinit(&json);
}

static void issuer_and_audience_are_as_configured(void **state)
{
#define CLAIMS "{\"exp\":2000,\"sub\":\"u\","
	static const struct row issuer[] = {
		{CLAIMS "\"iss\":\"https://id\"}", TOKEN_GOOD},
		{CLAIMS "\"iss\":\"https://id/\"}", TOKEN_ISSUER},
		{CLAIMS "\"iss\":\"HTTPS://ID\"}", TOKEN_ISSUER},
		{CLAIMS "\"iss\":[\"https://id\"]}", TOKEN_ISSUER},
		{CLAIMS "\"iss\":null}", TOKEN_ISSUER},
		{CLAIMS "\"aud\":\"https://id\"}", TOKEN_ISSUER},
	};
	static const struct row audience[] = {
		{CLAIMS "\"aud\":\"live\"}", TOKEN_GOOD},
		{CLAIMS "\"aud\":[\"live\"]}", TOKEN_GOOD},
		{CLAIMS "\"aud\":[\"a\",\"live\",\"b\"]}", TOKEN_GOOD},
		{CLAIMS "\"aud\":[1,null,\"live\"]}", TOKEN_GOOD},
		{CLAIMS "\"aud\":\"live \"}", TOKEN_AUDIENCE},
		{CLAIMS "\"aud\":\"live other\"}", TOKEN_AUDIENCE},
		{CLAIMS "\"aud\":\"liv\"}", TOKEN_AUDIENCE},
		{CLAIMS "\"aud\":[]}", TOKEN_AUDIENCE},
		{CLAIMS "\"aud\":[\"liv\",\"e\"]}", TOKEN_AUDIENCE},
		{CLAIMS "\"aud\":[[\"live\"]]}", TOKEN_AUDIENCE},
		{CLAIMS "\"aud\":{\"live\":\"live\"}}", TOKEN_AUDIENCE},
		{CLAIMS "\"aud\":null}", TOKEN_AUDIENCE},
		{CLAIMS "\"aud\":\"\"}", TOKEN_AUDIENCE},
		{CLAIMS "\"x\":0}", TOKEN_AUDIENCE},
	};
	struct claims_rules rules = plain;

	(void)state;
	rules.issuer = "https://id";
	LOOK_AT(issuer, &rules);
	rules.issuer = NULL;
	rules.audience = "live";
	LOOK_AT(audience, &rules);
}

static void channels_are_a_list_of_patterns(void **state)
{
	static const struct row rows[] = {
		{CLAIMS "\"channels\":[\"cards\",\"user:{sub}\",\"team:*\"]}", TOKEN_GOOD},
		{CLAIMS "\"channels\":[]}", TOKEN_GOOD},
		{CLAIMS "\"channels\":null}", TOKEN_GOOD},
		{CLAIMS "\"channels\":\"cards\"}", TOKEN_CHANNELS},
		{CLAIMS "\"channels\":{\"cards\":{}}}", TOKEN_CHANNELS},
		{CLAIMS "\"channels\":[1]}", TOKEN_CHANNELS},
		{CLAIMS "\"channels\":[null]}", TOKEN_CHANNELS},
		{CLAIMS "\"channels\":[{\"\\u0061\":1}]}", TOKEN_CHANNELS},
		{CLAIMS "\"channels\":[{\"\\u0061\":1,\"a\":1}]}", TOKEN_MALFORMED},
		{CLAIMS "\"channels\":[\"\"]}", TOKEN_CHANNELS},
		{CLAIMS "\"channels\":[\"user:4*\"]}", TOKEN_CHANNELS},
	};
	struct identity *identity;

	(void)state;
	LOOK_AT(rows, &plain);
	identity = identity_of(rows[0].json, &plain);
	assert_true(identity_lists(identity, slice_of("cards")));
	assert_true(identity_lists(identity, slice_of("user:u")));
	assert_true(identity_lists(identity, slice_of("team:7")));
	assert_false(identity_lists(identity, slice_of("user:v")));
	identity_free(identity);
}

static void claims_are_strings_and_integers(void **state)
{
	struct identity *identity =
		identity_of(CLAIMS "\"tenant\":\"a|b\",\"n\":-9223372036854775808}", &plain);

	(void)state;
	assert_true(slice_is(identity_claim(identity, "tenant"), "a~7Cb"));
	assert_true(slice_is(identity_claim(identity, "n"), "-9223372036854775808"));
	identity_free(identity);
	identity = identity_of(CLAIMS "\"tenant\":null,\"n\":1.5,\"other\":\"x\"}", &plain);
	assert_null(identity_claim(identity, "tenant").data);
	assert_null(identity_claim(identity, "n").data);
	assert_null(identity_claim(identity, "other").data); /* no route asked for it */
	identity_free(identity);
}

static void a_ticket_ends_when_redis_says(void **state)
{
	static const struct row rows[] = {
		{"{\"sub\":\"u\"}", TOKEN_GOOD},
		{"{\"sub\":\"u\",\"exp\":null}", TOKEN_NO_EXP},
		{"{\"sub\":\"u\",\"exp\":999}", TOKEN_EXPIRED},
		{"{\"sub\":\"u\",\"exp\":1001}", TOKEN_GOOD},
	};
	struct claims_rules rules = plain;
	struct identity *identity;

	(void)state;
	rules.exp_optional = true;
	LOOK_AT(rows, &rules);
	identity = identity_of(rows[0].json, &rules);
	assert_true(identity_deadline_ms(identity) == INT64_MAX);
	identity_free(identity);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_token_ends),
		cmocka_unit_test(a_deadline_is_exp_in_milliseconds_and_never_overflows),
		cmocka_unit_test(clocks_may_differ_by_the_leeway),
		cmocka_unit_test(a_token_begins),
		cmocka_unit_test(a_token_says_who),
		cmocka_unit_test(a_user_is_a_string_or_an_integer),
		cmocka_unit_test(bounds_the_user_and_the_text),
		cmocka_unit_test(the_claim_of_the_user_has_a_name),
		cmocka_unit_test(text_that_two_readers_could_take_for_two_things_is_refused),
		cmocka_unit_test(what_readers_differ_about_is_refused_wherever_it_stands),
		cmocka_unit_test(names_and_texts_may_have_escapes),
		cmocka_unit_test(a_value_is_read_where_it_stands),
		cmocka_unit_test(members_are_counted_while_their_object_is_open),
		cmocka_unit_test(deep_nesting_ends),
		cmocka_unit_test(issuer_and_audience_are_as_configured),
		cmocka_unit_test(channels_are_a_list_of_patterns),
		cmocka_unit_test(claims_are_strings_and_integers),
		cmocka_unit_test(a_ticket_ends_when_redis_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

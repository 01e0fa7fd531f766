/* Command: what protocol/command.h promises. */

#include "protocol/command.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Parsed from memory of exactly its size; the slices of the result are good until the next one. */
static int parse_bytes(const char *text, size_t len, struct command *command)
{
	static char *exact;

	free(exact);
	exact = len ? malloc(len) : NULL;
	assert_true(exact || !len);
	if (len)
		memcpy(exact, text, len);
	memset(command, 0xa5, sizeof(*command));
	return command_parse(len ? exact : "", len, command);
}

static int parse(const char *text, struct command *command)
{
	return parse_bytes(text, strlen(text), command);
}

static void assert_outcome(const char *text, int expected)
{
	struct command command;
	int r = parse(text, &command);

	if (r != expected)
		fail_msg("%s: %d, not %d", text, r, expected);
}

static void assert_slice(struct slice slice, const char *expected)
{
	assert_non_null(slice.data);
	assert_int_equal(slice.len, strlen(expected));
	assert_memory_equal(slice.data, expected, slice.len);
}

static void takes_a_command_apart(void **state)
{
	struct command command;

	(void)state;
	assert_int_equal(
		parse("{\"type\":\"subscribe\",\"id\":17,\"data\":{\"channel\":\"execution:7\",\"x\":[1]}}",
			&command),
		0);
	assert_int_equal(command.type, COMMAND_SUBSCRIBE);
	assert_slice(command.id, "17");
	assert_slice(command.data, "{\"channel\":\"execution:7\",\"x\":[1]}");
	assert_string_equal(command.channel, "execution:7");
	assert_int_equal(command.channel_len, 11);
}

static void leaves_out_what_is_not_there(void **state)
{
	struct command command;

	(void)state;
	assert_int_equal(parse(" { \"type\" : \"ping\" } ", &command), 0);
	assert_int_equal(command.type, COMMAND_PING);
	assert_null(command.id.data);
	assert_null(command.data.data);
	assert_string_equal(command.channel, "");
	assert_int_equal(command.channel_len, 0);
}

static void knows_every_verb(void **state)
{
	struct command command;

	(void)state;
	assert_int_equal(parse("{\"type\":\"unsubscribe\",\"data\":{\"channel\":\"a\"}}", &command), 0);
	assert_int_equal(command.type, COMMAND_UNSUBSCRIBE);
	assert_int_equal(parse("{\"type\":\"action\",\"data\":{\"name\":\"move\"}}", &command), 0);
	assert_int_equal(command.type, COMMAND_ACTION);
	assert_int_equal(
		parse("{\"type\":\"auth\",\"data\":{\"token\":\"a.b.c\",\"channel\":5}}", &command), 0);
	assert_int_equal(command.type, COMMAND_AUTH);
	assert_true(slice_is(command.token, "\"a.b.c\""));
	assert_outcome("{\"type\":\"auth\"}", COMMAND_MISSING_TOKEN);
	assert_outcome("{\"type\":\"auth\",\"data\":{}}", COMMAND_MISSING_TOKEN);
	assert_outcome("{\"type\":\"auth\",\"data\":{\"token\":7}}", COMMAND_MISSING_TOKEN);
	assert_outcome("{\"type\":\"auth\",\"data\":{\"token\":null}}", COMMAND_MISSING_TOKEN);
	assert_int_equal(parse("{\"\\u0074ype\":\"pin\\u0067\"}", &command), 0);
	assert_int_equal(command.type, COMMAND_PING);
}

static void ignores_members_it_does_not_know(void **state)
{
	(void)state;
	assert_outcome("{\"type\":\"ping\",\"x\":[{\"type\":1,\"id\":{}}],\"y\":{\"data\":2},\"\":null}", 0);
	/* A value is no name, wherever it stands. */
	assert_outcome("{\"x\":\"type\",\"y\":[\"type\",\"ping\"]}", COMMAND_MISSING_TYPE);
	assert_outcome("{\"data\":{\"type\":\"ping\"}}", COMMAND_MISSING_TYPE);
	assert_outcome("{\"type\":\"unsubscribe\",\"channel\":\"a\",\"data\":{\"x\":{\"channel\":\"a\"}}}",
		COMMAND_MISSING_CHANNEL);
}

/* All that jsmn lets through, even strict:
 * docs/decisions/0003-json-is-checked-by-us-and-tokenized-by-jsmn.md. */
static void refuses_what_jsmn_takes(void **state)
{
	const char *texts[] = {"{\"a\"}", "{,}", "{\"a\"::::\"b\"}", "{\"a\":1}{\"b\":2}", ":,:{}", "[1,]",
		"{\"a\":tru}", "{\"a\":nul\"b\"}", "{\"a\":-}", "{\"a\":\"x\ny\"}", "{\"a\":\"\xff\"}",
		"{\"type\":\"ping\",\"type\":\"ping\"}", "{\"type\":\"ping\",}",
		"{\"type\":\"ping\"}{\"type\":\"ping\"}", "{\"type\":\"ping\",\"a\":tru}",
		"{\"type\":\"ping\"}x"};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		assert_outcome(texts[i], COMMAND_BAD_JSON);
	/* This one is in that list, too, but it is JSON: a number has no bound in the grammar, and nobody
	 * here reads it. */
	assert_outcome("{\"type\":\"ping\",\"a\":1e999999}", 0);
}

static void refuses_what_is_not_one_object(void **state)
{
	struct command command;

	(void)state;
	assert_outcome("", COMMAND_BAD_JSON);
	assert_outcome("null", COMMAND_BAD_JSON);
	assert_outcome("\"ping\"", COMMAND_BAD_JSON);
	assert_outcome("[{\"type\":\"ping\"}]", COMMAND_BAD_JSON);
	assert_int_equal(parse_bytes("{\"type\":\"ping\"}\0", 16, &command), COMMAND_BAD_JSON);
	assert_int_equal(parse_bytes("{\"type\":\"pi\0ng\"}", 16, &command), COMMAND_BAD_JSON);
	assert_int_equal(parse_bytes("\xef\xbb\xbf{\"type\":\"ping\"}", 18, &command), COMMAND_BAD_JSON);
}

static void refuses_duplicate_names_at_any_level(void **state)
{
	(void)state;
	assert_outcome("{\"type\":\"ping\",\"a\":1,\"a\":2}", COMMAND_BAD_JSON);
	assert_outcome("{\"type\":\"ping\",\"\\u0074ype\":\"action\"}", COMMAND_BAD_JSON);
	assert_outcome("{\"type\":\"ping\",\"data\":{\"a\":{\"b\":1,\"c\":[],\"b\":2}}}", COMMAND_BAD_JSON);
	assert_outcome("{\"type\":\"ping\",\"x\":[{\"a\":1},{\"a\":1,\"a\":1}]}", COMMAND_BAD_JSON);
	assert_outcome("{\"type\":\"ping\",\"\":1,\"\":2}", COMMAND_BAD_JSON);
	/* The same name in two objects is none. */
	assert_outcome("{\"type\":\"ping\",\"x\":[{\"a\":1},{\"a\":1}],\"a\":{\"a\":{\"a\":\"a\"}}}", 0);
}

static void refuses_a_command_past_its_tokens(void **state)
{
	char text[1024];
	size_t len;

	(void)state;
	/* {, "type", "ping", "x", [ are five. */
	for (unsigned int n = COMMAND_TOKENS_MAX - 6; n <= COMMAND_TOKENS_MAX; n++) {
		len = (size_t)sprintf(text, "{\"type\":\"ping\",\"x\":[0");
		for (unsigned int i = 1; i < n; i++)
			len += (size_t)sprintf(text + len, ",0");
		sprintf(text + len, "]}");
		assert_outcome(text, n + 5 <= COMMAND_TOKENS_MAX ? 0 : COMMAND_BAD_JSON);
	}
}

static void refuses_a_command_past_its_depth(void **state)
{
	(void)state;
	assert_outcome("{\"type\":\"ping\",\"x\":[[[[[[[]]]]]]]}", 0);
	assert_outcome("{\"type\":\"ping\",\"x\":[[[[[[[[]]]]]]]]}", COMMAND_BAD_JSON);
}

static void tells_missing_from_unknown_types(void **state)
{
	(void)state;
	assert_outcome("{}", COMMAND_MISSING_TYPE);
	assert_outcome("{\"type\":null}", COMMAND_MISSING_TYPE);
	assert_outcome("{\"type\":1}", COMMAND_MISSING_TYPE);
	assert_outcome("{\"type\":[\"ping\"]}", COMMAND_MISSING_TYPE);
	assert_outcome("{\"Type\":\"ping\"}", COMMAND_MISSING_TYPE);
	assert_outcome("{\"type\":\"\"}", COMMAND_UNKNOWN_TYPE);
	assert_outcome("{\"type\":\"Ping\"}", COMMAND_UNKNOWN_TYPE);
	assert_outcome("{\"type\":\"pingx\"}", COMMAND_UNKNOWN_TYPE);
	assert_outcome("{\"type\":\"pin\"}", COMMAND_UNKNOWN_TYPE);
	assert_outcome("{\"type\":\"ping\\u0000\"}", COMMAND_UNKNOWN_TYPE);
}

static void echoes_strings_and_integers_as_id(void **state)
{
	struct command command;

	(void)state;
	assert_int_equal(parse("{\"type\":\"ping\",\"id\":\"a\\u0062\"}", &command), 0);
	assert_slice(command.id, "\"a\\u0062\"");
	assert_int_equal(parse("{\"type\":\"ping\",\"id\":\"\"}", &command), 0);
	assert_slice(command.id, "\"\"");
	assert_int_equal(parse("{\"type\":\"ping\",\"id\":-9007199254740993}", &command), 0);
	assert_slice(command.id, "-9007199254740993");
}

static void refuses_any_other_id(void **state)
{
	const char *ids[] = {"1.5", "1e3", "true", "{}", "[1]"};
	struct command command;
	char text[256];

	(void)state;
	for (size_t i = 0; i < sizeof(ids) / sizeof(*ids); i++) {
		snprintf(text, sizeof(text), "{\"type\":\"ping\",\"id\":%s}", ids[i]);
		assert_int_equal(parse(text, &command), COMMAND_BAD_ID);
		assert_null(command.id.data);
	}
	for (int len = COMMAND_ID_MAX - 1; len <= COMMAND_ID_MAX + 1; len++) {
		snprintf(text, sizeof(text), "{\"type\":\"ping\",\"id\":\"%0*d\"}", len - 2, 0);
		assert_outcome(text, len <= COMMAND_ID_MAX ? 0 : COMMAND_BAD_ID);
	}
}

static void keeps_the_id_for_the_answer_to_a_wrong_command(void **state)
{
	const char *texts[] = {"{\"id\":7}", "{\"type\":\"x\",\"id\":7}",
		"{\"id\":7,\"type\":\"ping\",\"data\":1}", "{\"type\":\"unsubscribe\",\"id\":7}"};
	const int outcomes[] = {
		COMMAND_MISSING_TYPE, COMMAND_UNKNOWN_TYPE, COMMAND_BAD_DATA, COMMAND_MISSING_CHANNEL};
	struct command command;

	(void)state;
	for (unsigned int i = 0; i < 4; i++) {
		assert_int_equal(parse(texts[i], &command), outcomes[i]);
		assert_slice(command.id, "7");
	}
	assert_int_equal(parse("{\"id\":7", &command), COMMAND_BAD_JSON);
	assert_null(command.id.data);
}

static void says_what_the_data_wants_of_a_history(void **state)
{
	static const struct {
		const char *data, *since;
		bool recover;
	} rows[] = {
		{"{}", NULL, false},
		{"{\"since\":\"a.1.2\"}", "\"a.1.2\"", false},
		{"{\"since\":7,\"channel\":\"a\"}", "7", false},
		{"{\"since\":null}", "null", false},
		{"{\"x\":{\"since\":\"a\",\"recover\":true}}", NULL, false},
		{"{\"channel\":\"a\",\"recover\":true}", NULL, true},
		{"{\"r\\u0065cover\":true,\"sinc\\u0065\":\"b\"}", "\"b\"", true},
		{"{\"recover\":1}", NULL, false},
		{"{\"recover\":\"true\"}", NULL, false},
		{"{\"recover\":null}", NULL, false},
	};
	char text[128];
	struct command command;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		snprintf(text, sizeof(text), "{\"type\":\"subscribe\",\"data\":%s}", rows[i].data);
		assert_int_equal(parse(text, &command), 0);
		assert_int_equal(command.recover, rows[i].recover);
		if (rows[i].since)
			assert_slice(command.since, rows[i].since);
		else
			assert_null(command.since.data);
	}
}

static void refuses_data_that_is_no_object(void **state)
{
	(void)state;
	assert_outcome("{\"type\":\"ping\",\"data\":{}}", 0);
	assert_outcome("{\"type\":\"ping\",\"data\":null}", 0);
	assert_outcome("{\"type\":\"ping\",\"data\":false}", COMMAND_BAD_DATA);
	assert_outcome("{\"type\":\"subscribe\",\"data\":[\"channel\",\"a\"]}", COMMAND_BAD_DATA);
}

static struct command action_of(const char *text)
{
	struct command command;

	assert_int_equal(command_parse(text, strlen(text), &command), 0);
	assert_int_equal(command.type, COMMAND_ACTION);
	return command;
}

static void hands_on_whatever_data_an_action_has(void **state)
{
	struct command command = action_of("{\"type\":\"action\",\"id\":7,\"data\": [1, {\"a\" : 2}] }");
	char text[4096] = "{\"type\":\"action\",\"data\":[0";
	const char *more = "{\"data\":{\"a\":1,\"a\":2},\"type\":\"\\u0061ction\",\"channel\":5}";

	(void)state;
	assert_true(slice_is(command.data, "[1, {\"a\" : 2}]"));
	assert_true(slice_is(command.id, "7"));
	for (int i = 0; i < 1000; i++)
		strcat(text, ",0");
	strcat(text, "]}");
	assert_int_equal(action_of(text).data.len, 2003);
	assert_true(slice_is(action_of(more).data, "{\"a\":1,\"a\":2}"));
	assert_true(slice_is(action_of("{\"type\":\"action\",\"data\":null}").data, "null"));
	assert_null(action_of("{\"type\":\"action\"}").data.data);
	assert_outcome("{\"type\":\"action\",\"data\":1,\"data\":2}", COMMAND_BAD_JSON);
	assert_outcome("{\"type\":\"action\",\"data\":1,}", COMMAND_BAD_JSON);
	assert_outcome("{\"type\":\"action\",\"id\":1.5}", COMMAND_BAD_ID);
}

/* As deep as 32 levels of its data. */
static void bounds_the_depth_of_an_action(void **state)
{
	char text[256];
	const char *open = "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", *close = "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]";

	(void)state;
	snprintf(text, sizeof(text), "{\"type\":\"action\",\"data\":%s%s}", open, close);
	assert_outcome(text, 0);
	snprintf(text, sizeof(text), "{\"type\":\"action\",\"data\":[%s%s]}", open, close);
	assert_outcome(text, COMMAND_BAD_JSON);
}

static void takes_a_key_of_64_bytes(void **state)
{
	const char *letters = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
	struct command command = action_of("{\"type\":\"action\",\"key\":\"a\\u00e9\"}");
	char text[256];

	(void)state;
	assert_int_equal(command.key_len, 3);
	assert_memory_equal(command.key, "a\303\251", 3);
	snprintf(text, sizeof(text), "{\"type\":\"action\",\"key\":\"%s\"}", letters);
	assert_int_equal(action_of(text).key_len, 64);
	snprintf(text, sizeof(text), "{\"type\":\"action\",\"key\":\"%sx\"}", letters);
	assert_outcome(text, COMMAND_BAD_KEY);
	assert_outcome("{\"type\":\"action\",\"key\":\"\"}", COMMAND_BAD_KEY);
	assert_outcome("{\"type\":\"action\",\"key\":7}", COMMAND_BAD_KEY);
	assert_int_equal(action_of("{\"type\":\"action\",\"key\":null}").key_len, 0);
}

static void needs_a_channel_to_subscribe(void **state)
{
	(void)state;
	assert_outcome("{\"type\":\"subscribe\"}", 0);
	assert_outcome("{\"type\":\"subscribe\",\"id\":null,\"data\":null}", 0);
	assert_outcome("{\"type\":\"unsubscribe\"}", COMMAND_MISSING_CHANNEL);
	assert_outcome("{\"type\":\"unsubscribe\",\"data\":{\"channel\":null}}", COMMAND_MISSING_CHANNEL);
	assert_outcome("{\"type\":\"unsubscribe\",\"data\":{\"channel\":5}}", COMMAND_MISSING_CHANNEL);
	assert_outcome("{\"type\":\"subscribe\",\"data\":{\"channel\":\"\"}}", COMMAND_MISSING_CHANNEL);
}

static void a_channel_with_a_nul_is_never_its_first_half(void **state)
{
	static const char text[] = "{\"type\":\"subscribe\",\"data\":{\"channel\":\"cards\\u0000x\"}}";
	struct command command;

	(void)state;
	assert_int_equal(parse(text, &command), 0);
	assert_string_equal(command.channel, "?");
}

static void never_hands_out_half_a_channel(void **state)
{
	struct command command;
	char name[COMMAND_CHANNEL_MAX + 2];
	char text[512];

	(void)state;
	memset(name, 'a', sizeof(name));
	snprintf(text, sizeof(text), "{\"type\":\"subscribe\",\"data\":{\"channel\":\"%.*s\"}}",
		COMMAND_CHANNEL_MAX, name);
	assert_int_equal(parse(text, &command), 0);
	assert_int_equal(command.channel_len, COMMAND_CHANNEL_MAX);
	assert_int_equal(strlen(command.channel), COMMAND_CHANNEL_MAX);
	snprintf(text, sizeof(text), "{\"type\":\"subscribe\",\"data\":{\"channel\":\"%.*s\"}}",
		COMMAND_CHANNEL_MAX + 1, name);
	assert_int_equal(parse(text, &command), 0);
	assert_string_equal(command.channel, "?");
}

static void hands_out_a_channel_unescaped(void **state)
{
	struct command command;

	(void)state;
	assert_int_equal(
		parse("{\"type\":\"subscribe\",\"data\":{\"channel\":\"c\\u0061r\\/ds\"}}", &command), 0);
	assert_string_equal(command.channel, "car/ds");
	assert_int_equal(command.channel_len, 6);
}

static void has_a_code_and_a_sentence_for_every_outcome(void **state)
{
	const char *codes[] = {"", "bad_json", "missing_type", "unknown_type", "bad_id", "bad_data",
		"missing_channel", "missing_token"};

	(void)state;
	for (int r = COMMAND_BAD_JSON; r <= COMMAND_MISSING_TOKEN; r++) {
		assert_string_equal(command_error_code(r), codes[r]);
		assert_true(strlen(command_error_message(r)) > 10);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_a_command_apart),
		cmocka_unit_test(leaves_out_what_is_not_there),
		cmocka_unit_test(knows_every_verb),
		cmocka_unit_test(ignores_members_it_does_not_know),
		cmocka_unit_test(refuses_what_jsmn_takes),
		cmocka_unit_test(refuses_what_is_not_one_object),
		cmocka_unit_test(refuses_duplicate_names_at_any_level),
		cmocka_unit_test(refuses_a_command_past_its_tokens),
		cmocka_unit_test(refuses_a_command_past_its_depth),
		cmocka_unit_test(tells_missing_from_unknown_types),
		cmocka_unit_test(echoes_strings_and_integers_as_id),
		cmocka_unit_test(refuses_any_other_id),
		cmocka_unit_test(keeps_the_id_for_the_answer_to_a_wrong_command),
		cmocka_unit_test(says_what_the_data_wants_of_a_history),
		cmocka_unit_test(refuses_data_that_is_no_object),
		cmocka_unit_test(hands_on_whatever_data_an_action_has),
		cmocka_unit_test(bounds_the_depth_of_an_action),
		cmocka_unit_test(takes_a_key_of_64_bytes),
		cmocka_unit_test(needs_a_channel_to_subscribe),
		cmocka_unit_test(a_channel_with_a_nul_is_never_its_first_half),
		cmocka_unit_test(never_hands_out_half_a_channel),
		cmocka_unit_test(hands_out_a_channel_unescaped),
		cmocka_unit_test(has_a_code_and_a_sentence_for_every_outcome),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Reply: what protocol/reply.h promises. */

#include "protocol/reply.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/json.h"
#include "protocol/message.h"

#define WALL_MS UINT64_C(1767225600000)
#define STAMP   "\"timestamp\":\"2026-01-01T00:00:00.000Z\"}"

static const struct slice none;

static void assert_reply(struct message *reply, const char *expected)
{
	bool is_object = false;

	assert_non_null(reply);
	assert_int_equal(message_text(reply).len, strlen(expected));
	assert_memory_equal(message_text(reply).data, expected, strlen(expected));
	assert_int_equal(json_check(expected, strlen(expected), 8, NULL, 0, &is_object), 0);
	assert_true(is_object);
	assert_int_equal(reply->channel_len, 0);
	message_unref(reply);
}

static void answers_a_ping(void **state)
{
	(void)state;
	assert_reply(reply_pong(none, WALL_MS), "{\"type\":\"pong\"," STAMP);
	assert_reply(reply_pong(slice_of("\"a\\u0062\""), WALL_MS),
		"{\"type\":\"pong\",\"id\":\"a\\u0062\"," STAMP);
}

static void answers_subscriptions(void **state)
{
	(void)state;
	assert_reply(reply_subscribed(slice_of("7"), slice_of("cards"), WALL_MS),
		"{\"type\":\"subscribed\",\"id\":7,\"data\":{\"channel\":\"cards\"}," STAMP);
	assert_reply(reply_revoked(slice_of("a"), WALL_MS),
		"{\"type\":\"unsubscribed\",\"data\":{\"channel\":\"a\",\"reason\":\"forbidden\"}," STAMP);
	assert_reply(reply_authenticated(slice_of("7"), 3600000, WALL_MS),
		"{\"type\":\"authenticated\",\"id\":7,\"data\":{\"expires_in_ms\":3600000}," STAMP);
	assert_reply(reply_authenticated(none, UINT64_MAX, WALL_MS), "{\"type\":\"authenticated\"," STAMP);
	assert_reply(reply_token_expiring(59000, WALL_MS),
		"{\"type\":\"token_expiring\",\"data\":{\"expires_in_ms\":59000}," STAMP);
	assert_reply(reply_unsubscribed(none, slice_of("execution:1"), WALL_MS),
		"{\"type\":\"unsubscribed\",\"data\":{\"channel\":\"execution:1\"}," STAMP);
}

static void tells_errors(void **state)
{
	(void)state;
	assert_reply(reply_error(none, "unknown_type", "No such type.", none, 0, WALL_MS),
		"{\"type\":\"error\",\"data\":{\"code\":\"unknown_type\",\"message\":\"No such "
		"type.\"}," STAMP);
	assert_reply(reply_error(slice_of("1"), "unavailable", "Later.", slice_of("cards"), 1700, WALL_MS),
		"{\"type\":\"error\",\"id\":1,\"data\":{\"code\":\"unavailable\",\"message\":\"Later.\","
		"\"channel\":\"cards\",\"retry_after_ms\":1700}," STAMP);
}

static void tells_when_to_come_back(void **state)
{
	(void)state;
	assert_reply(reply_reconnect("drain", 4200, WALL_MS),
		"{\"type\":\"reconnect\",\"data\":{\"reason\":\"drain\",\"after_ms\":4200}," STAMP);
}

/* A refused name is repeated to who sent it, whatever it is made of. */
static void escapes_what_a_client_sent(void **state)
{
	(void)state;
	assert_reply(reply_error(none, "forbidden", "a \"b\"", slice_of("\"},\n\xff"), 0, WALL_MS),
		"{\"type\":\"error\",\"data\":{\"code\":\"forbidden\",\"message\":\"a \\\"b\\\"\","
		"\"channel\":\"\\\"},\\n\xef\xbf\xbd\"}," STAMP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_a_ping),
		cmocka_unit_test(answers_subscriptions),
		cmocka_unit_test(tells_errors),
		cmocka_unit_test(tells_when_to_come_back),
		cmocka_unit_test(escapes_what_a_client_sent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

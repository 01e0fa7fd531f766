/* Control command: what protocol/control_command.h promises: it reads what makes sense and nothing else. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/buf.h"
#include "protocol/control_command.h"

/* Texts are written with ' in place of ". */
static const char *parse(const char *text, struct control_command *command)
{
	char json[CONTROL_COMMAND_MAX];
	size_t len = strlen(text);

	assert_true(len < sizeof(json));
	for (size_t i = 0; i <= len; i++)
		json[i] = text[i] == '\'' ? '"' : text[i];
	return control_command_parse((struct slice){json, len}, command);
}

static struct control_command good(const char *text)
{
	struct control_command command;
	const char *wrong = parse(text, &command);

	if (wrong)
		fail_msg("%s: %s", text, wrong);
	return command;
}

static void bad(const char *text, const char *sentence)
{
	struct control_command command;
	const char *wrong = parse(text, &command);

	if (!wrong || !strstr(wrong, sentence))
		fail_msg("%s: %s", text, wrong ? wrong : "taken");
}

static void reads_who_is_meant(void **state)
{
	struct control_command command = good("{'do':'disconnect','conn':'30cd5fa6112a81c4.17'}");

	(void)state;
	assert_int_equal(command.what, CONTROL_DISCONNECT);
	assert_int_equal(command.who, CONTROL_CONN);
	assert_string_equal(command.name.bytes, "30cd5fa6112a81c4");
	assert_int_equal(command.conn, 17);
	command = good("{ 'user' : '4\\u00e92' , 'do':'disconnect', 'code':4242, 'reason':'pay \\u0022' }");
	assert_int_equal(command.who, CONTROL_USER);
	assert_string_equal(command.name.bytes, "4\xc3\xa9"
						"2");
	assert_int_equal(command.code, 4242);
	assert_string_equal(command.reason.bytes, "pay \"");
	assert_int_equal(good("{'do':'disconnect','token':'a'}").who, CONTROL_TOKEN);
	assert_int_equal(good("{'do':'disconnect','channel':'a'}").who, CONTROL_CHANNEL);
	assert_int_equal(good("{'do':'disconnect','route':'/ws/{a}'}").who, CONTROL_ROUTE);
	assert_int_equal(good("{'do':'disconnect','route':'/ws/{a}'}").code, 0);
	assert_int_equal(good("{'do':'disconnect','route':'/ws/{a}'}").reason.len, 0);
}

static void reads_the_channel_to_give_and_to_take(void **state)
{
	struct control_command command = good("{'do':'subscribe','user':'42','channel':'cards'}");

	(void)state;
	assert_int_equal(command.what, CONTROL_SUBSCRIBE);
	assert_int_equal(command.who, CONTROL_USER);
	assert_string_equal(command.channel.bytes, "cards");
	command = good("{'do':'unsubscribe','conn':'a.1','channel':'cards'}");
	assert_int_equal(command.what, CONTROL_UNSUBSCRIBE);
	assert_int_equal(command.who, CONTROL_CONN);
	bad("{'do':'subscribe','user':'42'}", "subscribe takes");
	bad("{'do':'subscribe','channel':'cards'}", "subscribe takes");
	bad("{'do':'subscribe','token':'a','channel':'cards'}", "subscribe takes");
	bad("{'do':'subscribe','user':'42','channel':7}", "channel is");
	bad("{'do':'refresh','user':'42','channel':'cards'}", "refresh takes");
	bad("{'do':'refresh','conn':'a.1'}", "refresh takes");
	assert_int_equal(good("{'do':'refresh','user':'42'}").what, CONTROL_REFRESH);
}

static void reads_times_in_seconds(void **state)
{
	struct control_command command =
		good("{'do':'revoke','user':'42','issued_before':1767225600.25,'until':1767229200}");

	(void)state;
	assert_true(command.issued_before_ms == INT64_C(1767225600250));
	assert_true(command.until_ms == INT64_C(1767229200000));
	assert_int_equal(good("{'do':'revoke','token':'a','until':0}").until_ms, 0);
	bad("{'do':'revoke','user':'42','until':1767229200}", "revoke takes");
	bad("{'do':'revoke','user':'42','issued_before':1}", "revoke takes");
	bad("{'do':'revoke','token':'a','issued_before':1,'until':2}", "revoke takes");
	bad("{'do':'revoke','user':'42','issued_before':'1','until':2}", "issued_before is in seconds");
	bad("{'do':'revoke','user':'42','issued_before':1767225600000,'until':2}",
		"issued_before is in seconds");
	bad("{'do':'revoke','token':'a','until':-1}", "until is in seconds");
	bad("{'do':'revoke','token':'a','until':1e400}", "until is in seconds");
	bad("{'do':'revoke','token':'a','until':null}", "until is in seconds");
	bad("{'do':'revoke','token':'a','until':0.0000000000000000000000000000000001}",
		"until is in seconds");
}

static void refuses_what_is_no_command(void **state)
{
	(void)state;
	bad("", "a JSON object");
	bad("null", "a JSON object");
	bad("['disconnect']", "a JSON object");
	bad("{'do':'disconnect','user':'42'}}", "a JSON object");
	bad("{'do':'disconnect','user':{}}", "a JSON object");
	bad("{}", "do is one of");
	bad("{'do':1,'user':'42'}", "do is one of");
	bad("{'do':'Disconnect','user':'42'}", "do is one of");
	bad("{'do':'disconnect'}", "disconnect takes one of");
	bad("{'do':'disconnect','user':'42','conn':'a.1'}", "disconnect takes one of");
	bad("{'do':'disconnect','user':'42','until':1}", "disconnect takes one of");
	bad("{'do':'disconnect','user':'42','user':'42'}", "twice");
	bad("{'do':'disconnect','user':'42','node':'a'}", "not known");
	bad("{'do':'disconnect','user':'42','us\\u0065r ':'a'}", "not known");
}

static void refuses_names_that_nobody_has(void **state)
{
	static const char *const conns[] = {"'17'", "'.17'", "'a.'", "'a.0'", "'a.1x'", "'a.-1'", "17",
		"'a.18446744073709551616'", "'a.b.'"};
	struct buf text = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(conns) / sizeof(*conns); i++) {
		buf_reset(&text);
		buf_printf(&text, "{'do':'disconnect','conn':%s}", conns[i]);
		bad(buf_text(&text), "NODE.NUMBER");
	}
	buf_deinit(&text);
	assert_string_equal(good("{'do':'disconnect','conn':'a.b.7'}").name.bytes, "a.b");
	bad("{'do':'disconnect','user':''}", "user is");
	bad("{'do':'disconnect','user':42}", "user is");
	bad("{'do':'disconnect','user':'4\\u00002'}", "user is");
	bad("{'do':'disconnect','user':'4\\n2'}", "user is");
	bad("{'do':'disconnect','user':'\\ud83d'}", "user is");
	bad("{'do':'disconnect','token':null}", "token is");
	bad("{'do':'disconnect','channel':[]}", "a JSON object");
	bad("{'do':'disconnect','route':''}", "route is");
}

static void bounds_what_the_peer_hears(void **state)
{
	char text[600], reason[200];

	(void)state;
	memset(reason, 'x', sizeof(reason));
	reason[CONTROL_REASON_MAX] = '\0';
	snprintf(text, sizeof(text), "{'do':'disconnect','user':'42','reason':'%s'}", reason);
	assert_int_equal(good(text).reason.len, CONTROL_REASON_MAX);
	reason[CONTROL_REASON_MAX] = 'x';
	reason[CONTROL_REASON_MAX + 1] = '\0';
	snprintf(text, sizeof(text), "{'do':'disconnect','user':'42','reason':'%s'}", reason);
	bad(text, "1 to 123 bytes");
	bad("{'do':'disconnect','user':'42','reason':''}", "reason is");
	bad("{'do':'disconnect','user':'42','code':1000}", "4000 to 4999");
	bad("{'do':'disconnect','user':'42','code':5000}", "4000 to 4999");
	bad("{'do':'disconnect','user':'42','code':4000.5}", "4000 to 4999");
	bad("{'do':'disconnect','user':'42','code':'4000'}", "4000 to 4999");
	bad("{'do':'disconnect','user':'42','code':99999999999999999999999999999999999999}", "4000 to 4999");
	assert_int_equal(good("{'do':'disconnect','user':'42','code':4999}").code, 4999);
}

static void answers_to_no_channel_of_ours(void **state)
{
	struct control_command command;

	(void)state;
	assert_string_equal(good("\n\n {'do':'refresh','user':'42'}\n").name.bytes, "42");
	assert_string_equal(good("{'do':'refresh','user':'42','reply':'tg:c:x'}").reply.bytes, "tg:c:x");
	assert_string_equal(good("{'do':'refresh','user':'42','reply':'answers'}").reply.bytes, "answers");
	bad("{'do':'refresh','user':'42','reply':'tg:control'}", "reply is");
	bad("{'do':'refresh','user':'42','reply':7}", "reply is");
	assert_non_null(parse("{'do':'dance','reply':'answers'}", &command));
	assert_string_equal(command.reply.bytes, "answers");
	assert_non_null(parse("{'do':'refresh','reply':'tg:control'}", &command));
	assert_int_equal(command.reply.len, 0);
	assert_string_equal(command.reply.bytes, "");
	assert_non_null(parse("{'do':'refresh','reply':'a\\u0000b'}", &command));
	assert_string_equal(command.reply.bytes, "");
}

static void refuses_a_long_one_unread(void **state)
{
	static char text[CONTROL_COMMAND_MAX + 1];
	struct control_command command;

	(void)state;
	memset(text, ' ', sizeof(text));
	memcpy(text, "{\"do\":\"refresh\",\"user\":\"42\"}", 28);
	assert_null(control_command_parse((struct slice){text, sizeof(text) - 1}, &command));
	assert_non_null(control_command_parse((struct slice){text, sizeof(text)}, &command));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_who_is_meant),
		cmocka_unit_test(reads_the_channel_to_give_and_to_take),
		cmocka_unit_test(reads_times_in_seconds),
		cmocka_unit_test(refuses_what_is_no_command),
		cmocka_unit_test(refuses_names_that_nobody_has),
		cmocka_unit_test(bounds_what_the_peer_hears),
		cmocka_unit_test(answers_to_no_channel_of_ours),
		cmocka_unit_test(refuses_a_long_one_unread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

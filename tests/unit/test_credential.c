/* Where in a request the token is: the first place counts, and what stands there twice is bad. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "auth/credential.h"
#include "http/request_head.h"

static const struct credential_rules closed = {0};
static const struct credential_rules open = {.cookie = "tg", .query = "token", .tickets = true};

/* fields: whole lines, or "". */
static int find(const char *query, const char *fields, const struct credential_rules *rules,
	struct credential *credential)
{
	static char text[REQUEST_HEAD_MAX];
	struct request_head head;
	size_t used;
	int len =
		snprintf(text, sizeof(text), "GET /ws/cards%s HTTP/1.1\r\nHost: a\r\n%s\r\n", query, fields);

	assert_int_equal(request_head_parse(&head, text, (size_t)len, REQUEST_HEAD_BYTES, &used), 0);
	return credential_find(&head, rules, credential);
}

static void assert_found(
	enum credential_place place, const char *token, const char *query, const char *fields)
{
	struct credential credential;
	int r = find(query, fields, &open, &credential);

	if (r != 0)
		fail_msg("%d: '%s' '%s'", r, query, fields);
	if (credential.place != place || !slice_is(credential.token, token))
		fail_msg("'%.*s' in %s instead of '%s' in %s: '%s' '%s'", (int)credential.token.len,
			credential.token.data, credential_place_name(credential.place), token,
			credential_place_name(place), query, fields);
}

static void assert_outcome(int expected, const char *query, const char *fields)
{
	struct credential credential;
	int r = find(query, fields, &open, &credential);

	if (r != expected)
		fail_msg("%d instead of %d: '%s' '%s'", r, expected, query, fields);
}

static void reads_a_bearer_whatever_the_case_of_its_scheme(void **state)
{
	(void)state;
	assert_found(CREDENTIAL_BEARER, "a.b.c", "", "Authorization: Bearer a.b.c\r\n");
	assert_found(CREDENTIAL_BEARER, "a.b.c", "", "authorization:bEARER  \ta.b.c \r\n");
	assert_found(CREDENTIAL_BEARER, "a.b.c", "", "Authorization: Bearer\ta.b.c\r\n");
	assert_found(CREDENTIAL_BEARER, "", "", "Authorization: Bearer\r\n");
	assert_found(CREDENTIAL_BEARER, "", "", "Authorization: Bearer  \r\n");
	assert_found(CREDENTIAL_BEARER, "a b", "", "Authorization: Bearer a b\r\n");
}

static void leaves_other_schemes_to_whom_they_are_for(void **state)
{
	(void)state;
	assert_outcome(CREDENTIAL_NONE, "", "Authorization: Basic dTpw\r\n");
	assert_outcome(CREDENTIAL_NONE, "", "Authorization: Bearertoken\r\n");
	assert_outcome(CREDENTIAL_NONE, "", "Authorization:\r\n");
	assert_found(CREDENTIAL_SUBPROTOCOL, "a.b.c", "",
		"Authorization: Basic dTpw\r\nSec-WebSocket-Protocol: tidegate.v1, "
		"tidegate.bearer.a.b.c\r\n");
}

static void reads_a_subprotocol_in_any_order_and_with_any_spacing(void **state)
{
	(void)state;
	assert_found(CREDENTIAL_SUBPROTOCOL, "a.b.c", "",
		"Sec-WebSocket-Protocol: tidegate.v1,tidegate.bearer.a.b.c\r\n");
	assert_found(CREDENTIAL_SUBPROTOCOL, "a.b.c", "",
		"Sec-WebSocket-Protocol:  ,tidegate.bearer.a.b.c ,\ttidegate.v1\r\n");
	assert_found(CREDENTIAL_SUBPROTOCOL, "a.b.c", "",
		"Sec-WebSocket-Protocol: tidegate.v1\r\nX: y\r\nsec-websocket-protocol: "
		"tidegate.bearer.a.b.c\r\n");
	assert_found(CREDENTIAL_SUBPROTOCOL, "", "", "Sec-WebSocket-Protocol: tidegate.bearer.\r\n");
	assert_outcome(CREDENTIAL_NONE, "",
		"Sec-WebSocket-Protocol: tidegate.v1, tidegate.bearer, Tidegate.bearer.a\r\n");
}

static void reads_a_cookie_among_others(void **state)
{
	(void)state;
	assert_found(CREDENTIAL_COOKIE, "a.b.c", "", "Cookie: tg=a.b.c\r\n");
	assert_found(CREDENTIAL_COOKIE, "a.b.c", "", "Cookie: xtg=1; tg=a.b.c;tgx=2; TG=3; tg\r\n");
	assert_found(CREDENTIAL_COOKIE, "a.b.c", "", "Cookie: a=1\r\nCookie: tg=\"a.b.c\"\r\n");
	assert_found(CREDENTIAL_COOKIE, "", "", "Cookie: tg=\r\n");
	assert_found(CREDENTIAL_COOKIE, "a=b", "", "Cookie: tg=a=b\r\n");
	assert_outcome(CREDENTIAL_NONE, "", "Cookie: tg; a=tg=1; =tg\r\n");
}

static void decodes_a_member_of_the_query_once(void **state)
{
	(void)state;
	assert_found(CREDENTIAL_QUERY, "a.b.c", "?since=x&token=a.b.c&y", "");
	assert_found(CREDENTIAL_QUERY, "a.b%2Ec+", "?token=a%2Eb%252Ec+", "");
	assert_found(CREDENTIAL_QUERY, "", "?token=", "");
	assert_outcome(CREDENTIAL_NONE, "?token&Token=a&xtoken=b", "");
	assert_found(CREDENTIAL_TICKET, "t", "?token=a&ticket=t", "");
}

static void what_stands_twice_in_a_place_is_bad(void **state)
{
	(void)state;
	assert_outcome(CREDENTIAL_BAD, "", "Authorization: Bearer a\r\nAuthorization: Bearer a\r\n");
	assert_outcome(CREDENTIAL_BAD, "", "Authorization: Basic a\r\nAuthorization: Bearer a\r\n");
	assert_outcome(
		CREDENTIAL_BAD, "", "Sec-WebSocket-Protocol: tidegate.bearer.a, tidegate.bearer.a\r\n");
	assert_outcome(CREDENTIAL_BAD, "",
		"Sec-WebSocket-Protocol: tidegate.bearer.a\r\nSec-WebSocket-Protocol: tidegate.bearer.b\r\n");
	assert_outcome(CREDENTIAL_BAD, "", "Cookie: tg=a; tg=a\r\n");
	assert_outcome(CREDENTIAL_BAD, "", "Cookie: tg=a\r\nCookie: tg=b\r\n");
	assert_outcome(CREDENTIAL_BAD, "?token=a&token=a", "");
	assert_outcome(CREDENTIAL_BAD, "?ticket=a&ticket=", "");
	assert_outcome(CREDENTIAL_BAD, "?ticket=a&ticket=a", "Cookie: tg=a\r\n");
}

static void the_first_place_counts_and_no_other_is_looked_at(void **state)
{
	static const char all[] = "Authorization: Bearer 1\r\nSec-WebSocket-Protocol: tidegate.bearer.2\r\n"
				  "Cookie: tg=4\r\n";
	const char *fields = all;

	(void)state;
	assert_found(CREDENTIAL_BEARER, "1", "?token=5&ticket=3", fields);
	fields = strchr(fields, '\n') + 1;
	assert_found(CREDENTIAL_SUBPROTOCOL, "2", "?token=5&ticket=3", fields);
	fields = strchr(fields, '\n') + 1;
	assert_found(CREDENTIAL_TICKET, "3", "?token=5&ticket=3", fields);
	assert_found(CREDENTIAL_COOKIE, "4", "?token=5", fields);
	assert_found(CREDENTIAL_QUERY, "5", "?token=5", "");
	assert_outcome(CREDENTIAL_NONE, "", "");
	/* Bad is bad, however good the next one may be. */
	assert_found(CREDENTIAL_BEARER, "", "?token=5", "Authorization: Bearer\r\nCookie: tg=4\r\n");
	assert_outcome(CREDENTIAL_BAD, "?token=5", "Cookie: tg=4; tg=4\r\n");
}

static void places_that_nobody_opened_are_closed(void **state)
{
	struct credential credential;

	(void)state;
	assert_int_equal(
		find("?token=5&ticket=3", "Cookie: tg=4; =5\r\n", &closed, &credential), CREDENTIAL_NONE);
	assert_int_equal(find("?token=5", "Authorization: bearer x\r\n", &closed, &credential), 0);
}

static void tells_when_a_subprotocol_has_to_be_answered(void **state)
{
	static const char text[] =
		"GET / HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Protocol: tidegate.bearer.x\r\n\r\n";
	struct request_head head;
	size_t used;

	(void)state;
	assert_int_equal(request_head_parse(&head, text, sizeof(text) - 1, REQUEST_HEAD_BYTES, &used), 0);
	assert_true(credential_in_subprotocols(&head));
	head.n[HTTP_WEBSOCKET_PROTOCOL] = 0;
	assert_false(credential_in_subprotocols(&head));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_a_bearer_whatever_the_case_of_its_scheme),
		cmocka_unit_test(leaves_other_schemes_to_whom_they_are_for),
		cmocka_unit_test(reads_a_subprotocol_in_any_order_and_with_any_spacing),
		cmocka_unit_test(reads_a_cookie_among_others),
		cmocka_unit_test(decodes_a_member_of_the_query_once),
		cmocka_unit_test(what_stands_twice_in_a_place_is_bad),
		cmocka_unit_test(the_first_place_counts_and_no_other_is_looked_at),
		cmocka_unit_test(places_that_nobody_opened_are_closed),
		cmocka_unit_test(tells_when_a_subprotocol_has_to_be_answered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

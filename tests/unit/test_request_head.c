/* What a request's head promises: RFC 9112 read to the letter, and nothing taken for what it is not. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "http/request_head.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define LINE         "GET /ws/cards HTTP/1.1\r\n"
#define HOST         "Host: a\r\n"

static int parse(struct request_head *head, const char *text)
{
	size_t used;

	return request_head_parse(head, text, strlen(text), REQUEST_HEAD_BYTES, &used);
}

static void assert_outcome(int expected, const char *text)
{
	struct request_head head;
	int r = parse(&head, text);

	if (r != expected)
		fail_msg("%d instead of %d: %s", r, expected, text);
}

static void assert_slice(struct slice slice, const char *expected)
{
	if (slice.len != strlen(expected) || (slice.len && memcmp(slice.data, expected, slice.len) != 0))
		fail_msg("'%.*s' instead of '%s'", (int)slice.len, slice.data, expected);
}

static void takes_a_request_apart(void **state)
{
	static const char text[] = "GET /ws/cards?since=a%20b&x HTTP/1.1\r\nHost: a:80\r\nORIGIN:http://b\r\n"
				   "Unknown: x\r\nUpgrade: \t websocket \t\r\nContent-Length: 7\r\n\r\nbody";
	struct request_head head;
	size_t used;

	(void)state;
	assert_int_equal(request_head_parse(&head, text, sizeof(text) - 1, REQUEST_HEAD_BYTES, &used), 0);
	assert_int_equal(used, sizeof(text) - 1 - 4);
	assert_true(request_head_method_is(&head, "GET"));
	assert_false(request_head_method_is(&head, "get"));
	assert_slice(head.path, "/ws/cards");
	assert_slice(head.query, "since=a%20b&x");
	assert_slice(head.host, "a:80");
	assert_slice(head.value[HTTP_ORIGIN], "http://b");
	assert_slice(head.value[HTTP_UPGRADE], "websocket");
	assert_int_equal(head.version, 11);
	assert_int_equal(head.content_length, 7);
	assert_true(request_head_has_body(&head));
	assert_int_equal(head.n[HTTP_AUTHORIZATION], 0);
}

/* "X-Auth" begins like "X-Forwarded-For", "Hos" like "Host". */
static void takes_no_name_for_a_known_one_that_it_begins_like(void **state)
{
	static const char *const begins[] = {"X-A", "X", "User", "If", "Proxy", "Content", "Cache", "Access",
		"Set", "Last", "Post", "Connect", "Hos", "Hosts", "Sec-WebSocket",
		"Upgrade-Insecure-Requests", "Forwarded-For"};
	struct request_head head;
	char text[256];

	(void)state;
	for (size_t i = 0; i < COUNT(begins); i++) {
		snprintf(text, sizeof(text), LINE "%s: y\r\n" HOST "%s: z\r\nOrigin: o\r\n\r\n", begins[i],
			begins[i]);
		assert_int_equal(parse(&head, text), 0);
		assert_slice(head.host, "a");
		assert_slice(head.value[HTTP_ORIGIN], "o");
		assert_int_equal(head.n[HTTP_FORWARDED] + head.n[HTTP_UPGRADE] + head.n[HTTP_CONNECTION], 0);
	}
}

static void waits_for_the_end_and_for_no_more(void **state)
{
	static const char text[] = "\r\n\r\n" LINE HOST "\r\n";
	struct request_head head;
	size_t used;

	(void)state;
	for (size_t len = 0; len < sizeof(text) - 1; len++)
		assert_int_equal(
			request_head_parse(&head, text, len, REQUEST_HEAD_BYTES, &used), REQUEST_HEAD_MORE);
	assert_int_equal(request_head_parse(&head, text, sizeof(text) - 1, REQUEST_HEAD_BYTES, &used), 0);
	assert_int_equal(used, sizeof(text) - 1);
	assert_outcome(REQUEST_HEAD_BAD, "\x16\x03\x01");
	assert_outcome(REQUEST_HEAD_MORE, LINE "X: \x01");
}

static void refuses_what_can_mean_two_things(void **state)
{
	static const char *const bad[] = {
		/* the request line */
		"GET\r\n\r\n",
		"GET /\r\n\r\n",
		"GET / \r\n\r\n",
		"GET / HTTP\r\n\r\n",
		"GET / HTTP/1\r\n\r\n",
		"GET / HTTP/1.1.1\r\n\r\n",
		"GET / http/1.1\r\n" HOST "\r\n",
		"GET  / HTTP/1.1\r\n" HOST "\r\n",
		"GET /  HTTP/1.1\r\n" HOST "\r\n",
		" GET / HTTP/1.1\r\n" HOST "\r\n",
		"GET /a b HTTP/1.1\r\n" HOST "\r\n",
		"GET\t/ HTTP/1.1\r\n" HOST "\r\n",
		"G(T / HTTP/1.1\r\n" HOST "\r\n",
		"GET a/b HTTP/1.1\r\n" HOST "\r\n",
		"GET http:///a HTTP/1.1\r\n" HOST "\r\n",
		"GET http://u@a/ HTTP/1.1\r\n" HOST "\r\n",
		"GET /\x7f HTTP/1.1\r\n" HOST "\r\n",
		"GET / HTTP/1.1 \r\n" HOST "\r\n",
		/* field lines */
		LINE HOST "X: a\r\n b\r\n\r\n",
		LINE HOST "X: a\r\n\tb\r\n\r\n",
		LINE " X: a\r\n" HOST "\r\n",
		LINE HOST "X\r\n\r\n",
		LINE HOST ": x\r\n\r\n",
		LINE HOST "X : a\r\n\r\n",
		LINE HOST "X y: a\r\n\r\n",
		LINE HOST "X: a\rb\r\n\r\n",
		LINE HOST "\xc3\xa9: a\r\n\r\n",
		/* Host */
		LINE "\r\n",
		LINE HOST HOST "\r\n",
		LINE "Host: a b\r\n\r\n",
		LINE "Host: a,b/\r\n\r\n",
		LINE "Host: u@b\r\n\r\n",
		"GET / HTTP/1.0\r\n" HOST HOST "\r\n",
		/* the body's end */
		LINE HOST "Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
		LINE HOST "Content-Length: 1, 1\r\n\r\n",
		LINE HOST "Content-Length: +1\r\n\r\n",
		LINE HOST "Content-Length: -1\r\n\r\n",
		LINE HOST "Content-Length:\r\n\r\n",
		LINE HOST "Content-Length: 0x1\r\n\r\n",
		LINE HOST "Content-Length: 9999999999999999999999\r\n\r\n",
		LINE HOST "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
		LINE HOST "Transfer-Encoding: xchunked\r\n\r\n",
		LINE HOST "Transfer-Encoding: chunked, identity\r\n\r\n",
		"GET / HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n",
	};
	static const char nul[] = LINE HOST "X: a\0b\r\n\r\n";
	struct request_head head;
	size_t used;

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_outcome(REQUEST_HEAD_BAD, bad[i]);
	assert_int_equal(
		request_head_parse(&head, nul, sizeof(nul) - 1, REQUEST_HEAD_BYTES, &used), REQUEST_HEAD_BAD);
}

static void forgives_what_can_only_mean_one(void **state)
{
	static const char *const good[] = {
		"GET /a HTTP/1.1\n"
		"Host: a\n\n",
		"\r\n\nGET /a HTTP/1.1\r\n" HOST "\r\n",
		"GET /a HTTP/1.1\r\nHost:\r\n\r\n",
		"GET /a HTTP/1.0\r\n\r\n",
		"GET /a HTTP/1.2\r\n" HOST "\r\n",
		"GET /a HTTP/1.1\r\nHOST:a\r\nX:\r\n\r\n",
		"GET /a?100% HTTP/1.1\r\n" HOST "X: \x80\xff\r\n\r\n",
		"XYZZY /a HTTP/1.1\r\n" HOST "\r\n",
		"GET http://b:80/a HTTP/1.1\r\n" HOST "\r\n",
		"GET WSS://b/a?x HTTP/1.1\r\n" HOST "\r\n",
		"GET /a HTTP/1.1\r\nHost: [::1]:80\r\nTransfer-Encoding: Chunked\r\n\r\n",
	};
	struct request_head head;

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		assert_outcome(0, good[i]);
		assert_int_equal(parse(&head, good[i]), 0);
		assert_slice(head.path, "/a");
	}
	assert_int_equal(parse(&head, LINE HOST "X: \x1b\x7f\r\n\r\n"), 0);
	assert_int_equal(parse(&head, "PRI * HTTP/2.0\r\n\r\n"), 0);
	assert_int_equal(head.version, 20);
	assert_int_equal(parse(&head, "OPTIONS * HTTP/1.1\r\n" HOST "\r\n"), 0);
	assert_slice(head.path, "*");
	assert_int_equal(parse(&head, "CONNECT b:443 HTTP/1.1\r\n" HOST "\r\n"), 0);
	assert_int_equal(parse(&head, "GET http://b:80?q HTTP/1.1\r\n" HOST "\r\n"), 0);
	assert_slice(head.path, "/");
	assert_slice(head.query, "q");
	assert_slice(head.host, "b:80");
}

/* Makes a text of `n` bytes: what stands around, and as much filling as it takes. */
static char *filled(const char *before, const char *after, size_t n)
{
	char *text = malloc(n + 1);
	size_t len = strlen(before), end = strlen(after);

	assert_non_null(text);
	memset(text, 'x', n);
	memcpy(text, before, len);
	memcpy(text + n - end, after, end);
	text[n] = '\0';
	return text;
}

static void takes_as_much_as_its_bound_and_not_a_byte_more(void **state)
{
	static const struct {
		const char *before, *after;
		size_t n;
		int outcome;
	} table[] = {
		{LINE HOST "X: ", "\r\n\r\n", REQUEST_HEAD_BYTES, 0},
		{LINE HOST "X: ", "\r\n\r\n", REQUEST_HEAD_BYTES + 1, REQUEST_HEAD_LARGE},
		{LINE HOST "X: ", "", REQUEST_HEAD_BYTES - 1, REQUEST_HEAD_MORE},
		{LINE HOST "X: ", "", REQUEST_HEAD_BYTES, REQUEST_HEAD_LARGE},
		{"GET /", " HTTP/1.1\r\n" HOST "\r\n", REQUEST_HEAD_BYTES, 0},
		{"GET /", " HTTP/1.1\r\n" HOST "\r\n", REQUEST_HEAD_BYTES + 100, REQUEST_HEAD_LONG_TARGET},
		{"GET /", "", REQUEST_HEAD_BYTES, REQUEST_HEAD_LONG_TARGET},
	};
	char empty[2 * REQUEST_HEAD_BYTES + 1];
	struct request_head head;
	size_t used;

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		char *text = filled(table[i].before, table[i].after, table[i].n);

		assert_int_equal(request_head_parse(&head, text, table[i].n, REQUEST_HEAD_BYTES, &used),
			table[i].outcome);
		free(text);
	}
	for (size_t max = 1024; max <= REQUEST_HEAD_MAX; max *= 8) {
		char *text = filled(LINE HOST "X: ", "\r\n\r\n", max);

		assert_int_equal(request_head_parse(&head, text, max, max, &used), 0);
		assert_int_equal(request_head_parse(&head, text, max, max - 1, &used), REQUEST_HEAD_LARGE);
		free(text);
	}
	memset(empty, '\n', sizeof(empty));
	assert_int_equal(
		request_head_parse(&head, empty, sizeof(empty), REQUEST_HEAD_BYTES, &used), REQUEST_HEAD_BAD);
}

static void finds_an_element_in_any_line_of_a_list(void **state)
{
	char scratch[REQUEST_HEAD_MAX];
	struct request_head head;

	(void)state;
	assert_int_equal(parse(&head, LINE HOST "Connection: keep-alive\r\nConnection:\r\nX: y\r\n"
						"connection: a , Upgrade\t,\r\n\r\n"),
		0);
	assert_true(request_head_lists(&head, HTTP_CONNECTION, "upgrade"));
	assert_true(request_head_lists(&head, HTTP_CONNECTION, "keep-alive"));
	assert_false(request_head_lists(&head, HTTP_CONNECTION, "up"));
	assert_false(request_head_lists(&head, HTTP_CONNECTION, "upgradex"));
	assert_false(request_head_lists(&head, HTTP_UPGRADE, "websocket"));
	assert_false(request_head_is(&head, HTTP_CONNECTION, "keep-alive"));
	assert_slice(request_head_list(&head, HTTP_CONNECTION, scratch), "keep-alive,,a , Upgrade\t,");
	assert_slice(request_head_list(&head, HTTP_UPGRADE, scratch), "");
}

static void joins_as_many_lines_as_a_head_can_hold(void **state)
{
	char *text = malloc(REQUEST_HEAD_MAX + 1);
	char scratch[REQUEST_HEAD_MAX];
	struct request_head head;
	size_t n = 0;

	(void)state;
	assert_non_null(text);
	n += (size_t)sprintf(text, LINE HOST);
	while (n + 20 < REQUEST_HEAD_BYTES)
		n += (size_t)sprintf(text + n, "Upgrade:%d\n", (int)(n % 10));
	sprintf(text + n, "\n");
	assert_int_equal(parse(&head, text), 0);
	assert_int_equal(request_head_list(&head, HTTP_UPGRADE, scratch).len, 2 * head.n[HTTP_UPGRADE] - 1);
	assert_false(request_head_lists(&head, HTTP_UPGRADE, "websocket"));
	free(text);
}

/* Whether or not the bytes end as a head does, which is looked at first. */
static void a_body_is_no_part_of_the_head(void **state)
{
	static const char text[] = LINE HOST "Upgrade: a\r\nUpgrade: b\r\n\r\nUpgrade: c\0\r\n\r\n";
	struct request_head head;
	struct slice lines, value;
	size_t used, n = 0;

	(void)state;
	for (size_t cut = 0; cut < 3; cut++) {
		assert_int_equal(
			request_head_parse(&head, text, sizeof(text) - 1 - cut, REQUEST_HEAD_BYTES, &used),
			0);
		assert_int_equal(used, strlen(LINE HOST "Upgrade: a\r\nUpgrade: b\r\n\r\n"));
		assert_false(request_head_lists(&head, HTTP_UPGRADE, "c"));
		assert_true(request_head_lists(&head, HTTP_UPGRADE, "b"));
		lines = head.lines;
		for (n = 0; request_head_next(&lines, HTTP_UPGRADE, &value); n++)
			;
		assert_int_equal(n, 2);
	}
}

static void refuses_nul_wherever_it_stands(void **state)
{
	static const char *const before[] = {
		"GE", "GET /ws", LINE "Ho", LINE "Host: a", LINE HOST "X-Other: a", LINE HOST "X-Ot"};
	struct request_head head;
	size_t used;

	(void)state;
	for (size_t i = 0; i < COUNT(before); i++) {
		char text[200];
		size_t len = strlen(before[i]);

		memcpy(text, before[i], len);
		memcpy(text + len, "\0: x HTTP/1.1\r\n" HOST "\r\n", 26);
		assert_int_equal(request_head_parse(&head, text, len + 26, REQUEST_HEAD_BYTES, &used),
			REQUEST_HEAD_BAD);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_body_is_no_part_of_the_head),
		cmocka_unit_test(refuses_nul_wherever_it_stands),
		cmocka_unit_test(takes_a_request_apart),
		cmocka_unit_test(takes_no_name_for_a_known_one_that_it_begins_like),
		cmocka_unit_test(waits_for_the_end_and_for_no_more),
		cmocka_unit_test(refuses_what_can_mean_two_things),
		cmocka_unit_test(forgives_what_can_only_mean_one),
		cmocka_unit_test(takes_as_much_as_its_bound_and_not_a_byte_more),
		cmocka_unit_test(finds_an_element_in_any_line_of_a_list),
		cmocka_unit_test(joins_as_many_lines_as_a_head_can_hold),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

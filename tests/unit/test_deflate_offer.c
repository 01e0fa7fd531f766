/* Deflate offer: what src/ws/deflate_offer.h promises. */

#include "ws/deflate_offer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PLAIN "permessage-deflate; server_no_context_takeover; client_no_context_takeover"

/* From memory of exactly its size, so that the sanitizer sees a byte too many. */
static void assert_answer(const char *offers, const char *expected)
{
	size_t len = strlen(offers);
	char *exact = malloc(len + 1);
	const char *answer;

	assert_non_null(exact);
	memcpy(exact, offers, len);
	exact = realloc(exact, len ? len : 1);
	assert_non_null(exact);
	answer = deflate_offer_answer(exact, len);
	if (!answer != !expected || (answer && strcmp(answer, expected) != 0))
		fail_msg("'%s' was answered with '%s'", offers, answer ? answer : "nothing");
	free(exact);
}

static void takes_what_clients_offer(void **state)
{
	static const char *const offers[] = {
		"permessage-deflate",
		"permessage-deflate; client_max_window_bits", /* browsers, ws, websockets */
		"permessage-deflate;client_max_window_bits=15",
		"permessage-deflate; client_max_window_bits=8",
		"permessage-deflate; client_max_window_bits=\"10\"",
		"  permessage-deflate ;\tserver_no_context_takeover  ; client_no_context_takeover ",
		"x-webkit-deflate-frame, permessage-deflate",
		",, permessage-deflate",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(offers) / sizeof(offers[0]); i++)
		assert_answer(offers[i], PLAIN);
}

static void says_the_window_when_asked(void **state)
{
	(void)state;
	assert_answer("permessage-deflate; server_max_window_bits=15", PLAIN "; server_max_window_bits=15");
	assert_answer("permessage-deflate; server_max_window_bits = \"15\"; client_max_window_bits",
		PLAIN "; server_max_window_bits=15");
}

static void declines_a_smaller_window_of_ours(void **state)
{
	(void)state;
	for (int bits = 8; bits < 15; bits++) {
		char offer[] = "permessage-deflate; server_max_window_bits=\0\0";
		size_t len = strlen(offer);

		if (bits >= 10)
			offer[len++] = '1';
		offer[len] = (char)('0' + bits % 10);
		assert_answer(offer, NULL);
	}
}

static void takes_the_first_that_it_can(void **state)
{
	(void)state;
	assert_answer("permessage-deflate; server_max_window_bits=10, permessage-deflate", PLAIN);
	assert_answer("permessage-deflate; server_max_window_bits=10, permessage-deflate; "
		      "server_max_window_bits=15",
		PLAIN "; server_max_window_bits=15");
	assert_answer(
		"permessage-deflate; new_thing=\"a\", permessage-deflate; client_max_window_bits", PLAIN);
}

static void declines_what_rfc_7692_does_not_know(void **state)
{
	static const char *const offers[] = {
		"",
		" ",
		",",
		"permessage-deflat",
		"permessage-deflatee",
		"permessage-bzip2",
		"x; permessage-deflate",
		"permessage-deflate x",
		"permessage-deflate;",
		"permessage-deflate; unknown",
		"permessage-deflate; server_no_context_takeover=1",
		"permessage-deflate; server_no_context_takeover=",
		"permessage-deflate; client_no_context_takeover; client_no_context_takeover",
		"permessage-deflate; server_max_window_bits",
		"permessage-deflate; server_max_window_bits=",
		"permessage-deflate; server_max_window_bits=7",
		"permessage-deflate; server_max_window_bits=16",
		"permessage-deflate; server_max_window_bits=015",
		"permessage-deflate; server_max_window_bits=1x",
		"permessage-deflate; server_max_window_bits=4294967311",
		"permessage-deflate; client_max_window_bits=7",
		"permessage-deflate; client_max_window_bits=16",
		"permessage-deflate; client_max_window_bits=\"15",
		"permessage-deflate; client_max_window_bits=\"\"",
		"permessage-deflate; client_max_window_bits=\"15\"x",
		"permessage-deflate=1",
		"\"permessage-deflate\"",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(offers) / sizeof(offers[0]); i++)
		assert_answer(offers[i], NULL);
}

/* Any bytes end in an answer: short ones of the alphabet that matters, all of them. */
static void reads_anything_to_its_end(void **state)
{
	static const char *const words[] = {
		"permessage-deflate", ";", ",", "=", "\"", " ", "client_max_window_bits", "15"};
	enum {
		WORDS = 8,
		DEEP = 6
	};
	uint32_t n = 1;

	(void)state;
	for (int i = 0; i < DEEP; i++)
		n *= WORDS;
	for (uint32_t code = 0; code < n; code++) {
		char *offer = calloc(1, DEEP * 24);
		size_t len = 0;

		assert_non_null(offer);
		for (uint32_t rest = code, i = 0; i < DEEP; i++, rest /= WORDS) {
			strcpy(offer + len, words[rest % WORDS]);
			len += strlen(words[rest % WORDS]);
		}
		offer = realloc(offer, len);
		assert_non_null(offer);
		(void)deflate_offer_answer(offer, len);
		free(offer);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_what_clients_offer),
		cmocka_unit_test(says_the_window_when_asked),
		cmocka_unit_test(declines_a_smaller_window_of_ours),
		cmocka_unit_test(takes_the_first_that_it_can),
		cmocka_unit_test(declines_what_rfc_7692_does_not_know),
		cmocka_unit_test(reads_anything_to_its_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Deflate offer: reads Sec-WebSocket-Extensions of a request; see the header. */

#include "ws/deflate_offer.h"

#include <stdbool.h>
#include <string.h>

#include "core/slice.h"

#define ANSWER "permessage-deflate; server_no_context_takeover; client_no_context_takeover"

enum {
	WINDOW_BITS_MIN = 8,
	WINDOW_BITS_MAX = 15, /* the window that our frames need */
};

enum parameter {
	SERVER_NO_CONTEXT_TAKEOVER,
	CLIENT_NO_CONTEXT_TAKEOVER,
	SERVER_MAX_WINDOW_BITS,
	CLIENT_MAX_WINDOW_BITS,
	N_PARAMETERS,
};

/* The text that is left to read. */
struct reader {
	const char *at;
	const char *end;
};

struct offer {
	bool ours; /* permessage-deflate */
	bool good; /* nothing in it that we cannot do */
	bool seen[N_PARAMETERS];
};

static void skip_space(struct reader *reader)
{
	while (reader->at < reader->end && (*reader->at == ' ' || *reader->at == '\t'))
		reader->at++;
}

/* Takes the character, with the space around it, if it comes next. */
static bool take(struct reader *reader, char c)
{
	skip_space(reader);
	if (reader->at == reader->end || *reader->at != c)
		return false;
	reader->at++;
	skip_space(reader);
	return true;
}

/* Takes the word before a separator; empty if there is no word. */
static struct slice take_word(struct reader *reader)
{
	const char *start = reader->at;

	while (reader->at < reader->end && !strchr(" \t,;=\"", *reader->at))
		reader->at++;
	return (struct slice){start, (size_t)(reader->at - start)};
}

/* Takes a string behind its first quote. Commas in it separate no offers. Empty if it has no end. */
static struct slice take_quoted(struct reader *reader)
{
	struct slice text = {reader->at, 0};

	while (reader->at < reader->end && *reader->at != '"')
		reader->at += *reader->at == '\\' && reader->end - reader->at > 1 ? 2 : 1;
	text.len = (size_t)(reader->at - text.data);
	return take(reader, '"') ? text : (struct slice){"", 0};
}

/* Takes the value behind '=', a word or a quoted string. Absent without '='; empty if it is not valid. */
static struct slice take_value(struct reader *reader)
{
	if (!take(reader, '='))
		return (struct slice){0};
	if (reader->at < reader->end && *reader->at == '"') {
		reader->at++;
		return take_quoted(reader);
	}
	return take_word(reader);
}

/* 8 to 15, without a leading zero; 0 for any other value. */
static int window_bits(struct slice value)
{
	int bits = 0;

	if (value.len == 0 || value.len > 2 || value.data[0] == '0')
		return 0;
	for (size_t i = 0; i < value.len; i++) {
		if (value.data[i] < '0' || value.data[i] > '9')
			return 0;
		bits = bits * 10 + value.data[i] - '0';
	}
	return bits >= WINDOW_BITS_MIN && bits <= WINDOW_BITS_MAX ? bits : 0;
}

static bool value_good(enum parameter parameter, struct slice value)
{
	switch (parameter) {
	case SERVER_MAX_WINDOW_BITS:
		return window_bits(value) == WINDOW_BITS_MAX;
	case CLIENT_MAX_WINDOW_BITS:
		return !value.data || window_bits(value); /* a smaller window of theirs is good for ours */
	default:
		return !value.data;
	}
}

static void take_parameter(struct reader *reader, struct offer *offer)
{
	static const char *const names[N_PARAMETERS] = {
		[SERVER_NO_CONTEXT_TAKEOVER] = "server_no_context_takeover",
		[CLIENT_NO_CONTEXT_TAKEOVER] = "client_no_context_takeover",
		[SERVER_MAX_WINDOW_BITS] = "server_max_window_bits",
		[CLIENT_MAX_WINDOW_BITS] = "client_max_window_bits",
	};
	struct slice name = take_word(reader);
	struct slice value = take_value(reader);
	int i = 0;

	while (i < N_PARAMETERS && !slice_is(name, names[i]))
		i++;
	if (i == N_PARAMETERS || offer->seen[i] || !value_good((enum parameter)i, value)) {
		offer->good = false;
		return;
	}
	offer->seen[i] = true;
}

/* Text that is not understood, up to the next comma, is part of the offer and makes it unacceptable. */
static struct offer take_offer(struct reader *reader)
{
	struct offer offer = {.good = true};

	skip_space(reader);
	offer.ours = slice_is(take_word(reader), "permessage-deflate");
	while (take(reader, ';'))
		take_parameter(reader, &offer);
	skip_space(reader);
	while (reader->at < reader->end && *reader->at != ',') {
		offer.good = false;
		if (*reader->at++ == '"')
			(void)take_quoted(reader);
	}
	return offer;
}

const char *deflate_offer_answer(const char *offers, size_t len)
{
	struct reader reader = {offers, offers + len};

	do {
		struct offer offer = take_offer(&reader);

		if (offer.ours && offer.good)
			return offer.seen[SERVER_MAX_WINDOW_BITS] ? ANSWER "; server_max_window_bits=15"
								  : ANSWER;
	} while (take(&reader, ','));
	return NULL;
}

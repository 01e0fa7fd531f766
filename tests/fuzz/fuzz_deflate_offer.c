/* Fuzz offers of permessage-deflate: the answer is one of two, and other offers around it change nothing. */

#include "fuzz.h"

#include <string.h>

#include "ws/deflate_offer.h"

enum {
	OFFERS_MAX = 8192,
};

/* The answer to these offers with other text around them. */
static const char *answer_within(const char *before, const char *data, size_t len, const char *after)
{
	static char text[OFFERS_MAX + 64];
	size_t n = strlen(before);

	memcpy(text, before, n);
	memcpy(text + n, data, len);
	memcpy(text + n + len, after, strlen(after));
	return deflate_offer_answer(text, n + len + strlen(after));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char plain[] =
		"permessage-deflate; server_no_context_takeover; client_no_context_takeover";
	const char *text = (const char *)data;
	const char *answer = deflate_offer_answer(text, size);

	PROMISE(!answer || !strncmp(answer, plain, sizeof(plain) - 1));
	PROMISE(!answer || memmem(text, size, "permessage-deflate", 18));
	PROMISE(!answer || !answer[sizeof(plain) - 1] || memmem(text, size, "server_max_window_bits", 22));
	if (size > OFFERS_MAX)
		return 0;
	PROMISE(answer_within("permessage-bzip2; x=1, ", text, size, "") == answer);
	PROMISE(!answer || answer_within("", text, size, ", permessage-deflate; x") == answer);
	PROMISE(answer_within("permessage-deflate,", text, size, ""));
	if (!memchr(text, '"', size) && !memchr(text, '\\', size)) /* they are all one word then */
		PROMISE(!answer_within("x; y=\",", text, size, ",\""));
	return 0;
}

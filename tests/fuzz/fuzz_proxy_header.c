/*
 * Fuzz proxy_header_parse(): what is a header is one however much follows it, no beginning of it is one, and
 * none of what follows would be taken for a part of it.
 */

#include "fuzz.h"

#include <string.h>

#include "ws/proxy_header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct proxy_header header, again;
	size_t used = 0, used_again = 0;
	int r = proxy_header_parse(&header, text, size, &used);

	PROMISE(r >= 0 && r <= PROXY_HEADER_BAD);
	if (r == PROXY_HEADER_MORE)
		PROMISE(size < PROXY_HEADER_MAX);
	if (r)
		return 0;
	PROMISE(used && used <= size && used <= PROXY_HEADER_MAX);
	PROMISE(text[0] == 'P' || text[0] == '\r');
	PROMISE(text[0] == '\r' || (used <= PROXY_HEADER_V1_MAX && text[used - 1] == '\n'));
	PROMISE(proxy_header_parse(&again, text, used, &used_again) == 0 && used_again == used);
	PROMISE(header.named == again.named && !memcmp(&header.client, &again.client, sizeof(again.client)));
	for (size_t i = 0; i < used; i++)
		PROMISE(proxy_header_parse(&again, text, i, &used_again) == PROXY_HEADER_MORE);
	return 0;
}

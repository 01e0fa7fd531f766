/* Transport: its words, out of the table; see the header. */

#include "protocol/transport.h"

const char *transport_name(enum transport transport)
{
	static const char *const names[] = {
#define TRANSPORT(id, word, sentence) [TRANSPORT_##id] = word,
#include "protocol/transport.def"
#undef TRANSPORT
	};

	return names[transport];
}

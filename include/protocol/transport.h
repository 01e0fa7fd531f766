#ifndef TIDEGATE_PROTOCOL_TRANSPORT_H
#define TIDEGATE_PROTOCOL_TRANSPORT_H

/* Transport: the ways in which clients are connected. */

enum transport {
#define TRANSPORT(id, word, sentence) TRANSPORT_##id,
#include "protocol/transport.def"
#undef TRANSPORT
	N_TRANSPORTS,
};

const char *transport_name(enum transport transport);

#endif

#ifndef TIDEGATE_WS_PROXY_HEADER_H
#define TIDEGATE_WS_PROXY_HEADER_H

/*
 * Proxy header: what a proxy says first on a connection, of the client that it brings (the PROXY protocol,
 * versions 1 and 2). It reads bytes, not sockets.
 */

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

enum {
	PROXY_HEADER_V1_MAX = 107, /* bytes of the text form, with its CRLF */
	PROXY_HEADER_MAX = 4096,   /* of the binary form: nginx takes no more either */
};

enum proxy_header_outcome {
	PROXY_HEADER_MORE = 1, /* nothing is wrong, and all of the bytes belong to the header */
	PROXY_HEADER_BAD,
};

struct proxy_header {
	bool named;             /* else the peer speaks for itself (LOCAL), or knows of no client (UNKNOWN) */
	struct in6_addr client; /* if it is named; an IPv4 address in its mapped form */
};

/* 0: the first *usedp bytes are the header; else an outcome. */
int proxy_header_parse(struct proxy_header *header, const char *data, size_t len, size_t *usedp);

#endif

#ifndef TIDEGATE_WS_CLIENT_WS_URL_H
#define TIDEGATE_WS_CLIENT_WS_URL_H

/* WS URL: where a gateway listens: ws://HOST[:PORT] or wss://…, looked up. */

#include <stdbool.h>
#include <sys/socket.h>

enum {
	WS_URL_HOST_MAX = 256,
};

struct ws_url {
	char host[WS_URL_HOST_MAX]; /* as in the URL, for the Host header: with port */
	char name[WS_URL_HOST_MAX]; /* without port and brackets, for certificates */
	struct sockaddr_storage server;
	socklen_t server_len;
	bool tls;
};

/* 0, or -1: it is none, or its host cannot be resolved. A path is refused, but for "/". */
int ws_url_parse(struct ws_url *url, const char *text);

#endif

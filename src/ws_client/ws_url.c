/* WS URL: taken apart, and its host looked up; see the header. */

#include "ws_client/ws_url.h"

#include <netdb.h>
#include <stdio.h>
#include <string.h>

/* host:port, [host]:port, or a bare host: *portp remains the port of its scheme. */
static int split_authority(char *authority, const char **hostp, const char **portp)
{
	char *colon = strrchr(authority, ':');

	*hostp = authority;
	if (authority[0] == '[') {
		char *end = strchr(authority, ']');

		if (!end || (end[1] && end[1] != ':'))
			return -1;
		*hostp = authority + 1;
		*end = '\0';
		colon = end[1] ? end + 1 : NULL;
	}
	if (colon) {
		*colon = '\0';
		*portp = colon + 1;
	}
	return **hostp && **portp ? 0 : -1;
}

int ws_url_parse(struct ws_url *url, const char *text)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
	const char *host, *port;
	char copy[WS_URL_HOST_MAX];
	size_t len;

	url->tls = !strncmp(text, "wss://", 6);
	if (!url->tls && strncmp(text, "ws://", 5))
		return -1;
	text += url->tls ? 6 : 5;
	len = strcspn(text, "/?#");
	if (len >= sizeof(copy) || (text[len] && strcmp(text + len, "/")))
		return -1;
	memcpy(copy, text, len);
	copy[len] = '\0';
	memcpy(url->host, copy, len + 1);
	port = url->tls ? "443" : "80";
	if (split_authority(copy, &host, &port) < 0 || getaddrinfo(host, port, &hints, &found))
		return -1;
	snprintf(url->name, sizeof(url->name), "%s", host);
	memcpy(&url->server, found->ai_addr, found->ai_addrlen);
	url->server_len = found->ai_addrlen;
	freeaddrinfo(found);
	return 0;
}

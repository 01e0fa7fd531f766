#ifndef TIDEGATE_AUTH_JWKS_URL_H
#define TIDEGATE_AUTH_JWKS_URL_H

/* JWKS URL: where keys may be fetched from. Pure. */

#include <stdbool.h>

struct buf;

enum {
	JWKS_URL_BAD = 1, /* a sentence is in the error buffer */
	JWKS_URL_MAX = 2048,
};

/* Is it meant as a URL, and not as a file? */
bool jwks_url_is_url(const char *text);

/* 0, or JWKS_URL_BAD with one sentence, without a full stop, appended to error. A password in a URL
 * would stand in the log, so none is taken. */
int jwks_url_check(const char *url, struct buf *error);

/* Of a URL that was checked: is it http? Who is on the way to the server can then make tokens. */
bool jwks_url_is_plain(const char *url);

/* Likewise: does it name this machine, by a loopback address or as localhost? */
bool jwks_url_is_local(const char *url);

#endif

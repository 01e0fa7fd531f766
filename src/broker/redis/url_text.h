#ifndef TIDEGATE_BROKER_REDIS_URL_TEXT_H
#define TIDEGATE_BROKER_REDIS_URL_TEXT_H

/*
 * Redis URL text: the pieces of a Redis URL, for those that read whole ones. A refusal is -EINVAL with one
 * sentence in `error`, which repeats nothing of the text.
 */

#include <stdint.h>

#include "core/slice.h"

struct buf;
struct redis_url;

enum {
	REDIS_PORT = 6379,
	REDIS_SENTINEL_PORT = 26379,
};

int redis_url_refuse(struct buf *error, const char *why); /* always -EINVAL */

/* The text before the first of these bytes; *restp starts at that byte or is empty. */
struct slice redis_url_until(struct slice text, const char *stops, struct slice *restp);

/* A copy, percent-decoded once, to be freed. 0, -EINVAL or -ENOMEM. */
int redis_url_decode(struct slice text, struct buf *error, char **outp);

/* Takes [user][:password]@ off the front of what stands before the path. */
int redis_url_take_login(struct redis_url *url, struct slice *authority, struct buf *error);

/* host[:port] */
int redis_url_take_host(
	struct redis_url *url, struct slice authority, uint16_t default_port, struct buf *error);

/* Digits, or nothing for database 0. */
int redis_url_take_db(struct redis_url *url, struct slice text, struct buf *error);

#endif

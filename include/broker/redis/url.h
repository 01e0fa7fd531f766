#ifndef TIDEGATE_BROKER_REDIS_URL_H
#define TIDEGATE_BROKER_REDIS_URL_H

/*
 * Redis URL: the address of a Redis server, and the user that we are there.
 */

#include <stdbool.h>
#include <stdint.h>

struct buf;

/* Strings owned by the struct; see redis_url_parse(). */
struct redis_url {
	char *host;      /* NULL with a Unix socket */
	char *unix_path; /* NULL with TCP */
	char *user;      /* NULL: the default user */
	char *password;  /* NULL: no AUTH */
	uint16_t port;
	int db;
	bool tls; /* rediss:// */
};

/*
 * redis://[[user]:password@]host[:port][/db], rediss://… over TLS, redis://[…]@[::1]:6379,
 * unix://[[user]:password@]/path[?db=n] or redis+unix://, percent-decoded once. 0, or -EINVAL with one
 * sentence (nothing of the text in it, so never the password) appended to error, or -ENOMEM.
 */
int redis_url_parse(const char *text, struct redis_url *url, struct buf *error);
int redis_url_copy(const struct redis_url *from, struct redis_url *to); /* 0 or -ENOMEM */
void redis_url_deinit(struct redis_url *url);

/* "127.0.0.1:6379/0" or the socket's path: never a secret. */
void redis_url_describe(const struct redis_url *url, struct buf *out);

#endif

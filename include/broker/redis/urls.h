#ifndef TIDEGATE_BROKER_REDIS_URLS_H
#define TIDEGATE_BROKER_REDIS_URLS_H

/*
 * Redis URLs: which servers there are, and how we come to them, from the one line that an operator wrote.
 *
 * The line names one or several elements, which share the channels. An element is a server with a fixed
 * address, or the primary that sentinels name. The order of several is their identity: it says which channel
 * is whose, so new ones go to the end.
 */

#include <stdbool.h>
#include <stddef.h>

#include "broker/redis/url.h"

struct buf;

enum {
	REDIS_ELEMENTS_MAX = 64, /* two connections each */
	REDIS_SEEDS_MAX = 32,    /* far above any number of sentinels */
};

enum redis_element_kind {
	REDIS_SINGLE,   /* one server at a fixed address */
	REDIS_SENTINEL, /* the primary that sentinels name */
	REDIS_CLUSTER,  /* the primaries of a cluster, which any of its servers knows */
};

struct redis_element {
	enum redis_element_kind kind;
	/* The server: who we are there, its database, whether it speaks TLS; and where, for a single one.
	 * Otherwise host is NULL. */
	struct redis_url server;
	char *master; /* the name by which sentinels know it; NULL for others */
	/* Sentinels, or servers of the cluster: where they are and who we are there. */
	struct redis_url *seeds;
	size_t n_seeds;
};

struct redis_urls {
	struct redis_element *elements;
	size_t n;
};

/*
 * URLs as redis/url.h says, and
 *
 *     redis+sentinel://[[user]:password@]s1[:26379][,s2…]/NAME[/db][?sentinel_user=…&sentinel_password=…]
 *
 * where user and password are those of the server, and a cluster by some of its servers, as
 *
 *     redis+cluster://[[user]:password@]h1[:6379][,h2…], or with two hosts or more redis://…
 *
 * rediss+… is TLS to all of them. A comma before a scheme separates elements; a cluster is alone. 0, or
 * -EINVAL with one sentence (nothing of the text in it, so never a password) appended to error, or -ENOMEM.
 */
int redis_urls_parse(const char *text, struct redis_urls *urls, struct buf *error);
void redis_urls_deinit(struct redis_urls *urls); /* harmless on zeroed memory */

/* Of text, sound or not: does one of them want TLS? */
bool redis_urls_want_tls(const char *text);

/* As it was written, but without percent signs, and with *** for each password. */
void redis_urls_print(const struct redis_urls *urls, struct buf *out);

/* "127.0.0.1:6379/0", a socket's path, or "mymaster by s1:26379": never a secret. */
void redis_element_describe(const struct redis_element *element, struct buf *out);

/* Differs where two nodes would look for a channel on different elements. */
unsigned int redis_urls_hash(const struct redis_urls *urls);

int redis_element_copy(const struct redis_element *from, struct redis_element *to); /* 0 or -ENOMEM */
void redis_element_deinit(struct redis_element *element);

#endif

#ifndef TIDEGATE_CLI_REDIS_ONCE_H
#define TIDEGATE_CLI_REDIS_ONCE_H

/* Redis once: a blocking connection for a command line that asks one thing and ends. */

struct buf;
struct redisContext;

/* Connected, greeted, in its database; redisFree() it. NULL with one sentence appended to error. */
struct redisContext *redis_once_connect(const char *url, struct buf *error);

#endif

#ifndef TIDEGATE_SUPPORT_TEST_REDIS_H
#define TIDEGATE_SUPPORT_TEST_REDIS_H

/*
 * Test Redis: a real redis-server of a test's own, on a Unix socket in a folder of its own, and the backend's
 * connection to it. It may be killed (by its id) and started again; it is gone with the test.
 */

#include <sys/types.h>

#include <hiredis/hiredis.h>

struct loop;

enum {
	TEST_REDIS_CONFIG_WORDS = 6,
};

struct test_redis {
	char dir[64];
	char socket[96];
	int port;                                        /* 0: the Unix socket only */
	const char *config[TEST_REDIS_CONFIG_WORDS + 1]; /* more words for its command line; NULL ends them */
	pid_t pid;                                       /* 0: it does not run */
	redisContext *context;
};

/* A folder and a socket's path; nothing runs. deinit() kills what does. */
void test_redis_init(struct test_redis *redis);
void test_redis_deinit(struct test_redis *redis);

/* Starts, and runs the loop until it answers. */
void test_redis_start(struct test_redis *redis, struct loop *loop);
void test_redis_kill(struct test_redis *redis);

/* Says something to it: its integer answer or how many elements; -1 for an error, do() fails on one. */
long long test_redis_ask(struct test_redis *redis, unsigned int n, const char *const *words);
long long test_redis_do(struct test_redis *redis, unsigned int n, const char *const *words);

/* A number out of INFO, as in test_redis_info(redis, "commandstats", "cmdstat_publish:calls="); 0 without. */
unsigned long long test_redis_info(struct test_redis *redis, const char *section, const char *before);

#define TEST_REDIS_WORDS(...)                                                                                \
	sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *), (const char *const[])             \
	{                                                                                                    \
		__VA_ARGS__                                                                                  \
	}
#define ASK(world, ...)   test_redis_ask(&(world)->redis, TEST_REDIS_WORDS(__VA_ARGS__))
#define REDIS(world, ...) test_redis_do(&(world)->redis, TEST_REDIS_WORDS(__VA_ARGS__))

#endif

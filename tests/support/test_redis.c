/* Test Redis: see the header. */

#include "support/test_redis.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/loop.h"

void test_redis_init(struct test_redis *redis)
{
	*redis = (struct test_redis){.dir = "/tmp/tidegate-test-......"};
	memset(strchr(redis->dir, '.'), 'X', 6); /* what mkdtemp() replaces */
	assert_non_null(mkdtemp(redis->dir));
	snprintf(redis->socket, sizeof(redis->socket), "%s/redis.sock", redis->dir);
}

void test_redis_deinit(struct test_redis *redis)
{
	test_redis_kill(redis);
	rmdir(redis->dir);
}

static void server_exec(const struct test_redis *redis)
{
	char port[16];
	const char *argv[18 + TEST_REDIS_CONFIG_WORDS] = {"redis-server", "--port", port, "--bind",
		"127.0.0.1", "--unixsocket", redis->socket, "--dir", redis->dir, "--save", "", "--loglevel",
		"warning"};
	int null = open("/dev/null", O_WRONLY);
	size_t n = 13;

	for (size_t i = 0; redis->config[i]; i++)
		argv[n++] = redis->config[i];
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that dies leaves nothing behind */
	dup2(null, STDOUT_FILENO);
	dup2(null, STDERR_FILENO);
	snprintf(port, sizeof(port), "%d", redis->port);
	execvp("redis-server", (char *const *)argv);
	_exit(127);
}

void test_redis_start(struct test_redis *redis, struct loop *loop)
{
	uint64_t until_ms = clock_monotonic_ms() + PATIENCE_MS;

	redis->pid = fork();
	assert_true(redis->pid >= 0);
	if (redis->pid == 0)
		server_exec(redis);
	for (;;) {
		redis->context = redisConnectUnix(redis->socket);
		if (redis->context && !redis->context->err)
			return;
		redisFree(redis->context);
		redis->context = NULL;
		if (clock_monotonic_ms() > until_ms || waitpid(redis->pid, NULL, WNOHANG) != 0)
			fail_msg("redis-server did not start");
		loop_once(loop);
	}
}

void test_redis_kill(struct test_redis *redis)
{
	redisFree(redis->context);
	redis->context = NULL;
	if (redis->pid <= 0)
		return;
	kill(redis->pid, SIGKILL);
	waitpid(redis->pid, NULL, 0);
	redis->pid = 0;
	unlink(redis->socket);
}

static redisReply *reply_to(struct test_redis *redis, unsigned int n, const char *const *words)
{
	redisReply *reply = redisCommandArgv(redis->context, (int)n, (const char **)words, NULL);

	assert_non_null(reply);
	return reply;
}

static long long number_of(redisReply *reply)
{
	long long number = reply->type == REDIS_REPLY_ARRAY ? (long long)reply->elements : reply->integer;

	if (reply->type == REDIS_REPLY_ERROR)
		number = -1;
	freeReplyObject(reply);
	return number;
}

long long test_redis_ask(struct test_redis *redis, unsigned int n, const char *const *words)
{
	return number_of(reply_to(redis, n, words));
}

long long test_redis_do(struct test_redis *redis, unsigned int n, const char *const *words)
{
	redisReply *reply = reply_to(redis, n, words);

	if (reply->type == REDIS_REPLY_ERROR)
		fail_msg("%s: %s", words[0], reply->str);
	return number_of(reply);
}

unsigned long long test_redis_info(struct test_redis *redis, const char *section, const char *before)
{
	const char *const words[] = {"INFO", section};
	redisReply *reply = reply_to(redis, 2, words);
	const char *found = reply->str ? strstr(reply->str, before) : NULL;
	unsigned long long number = found ? strtoull(found + strlen(before), NULL, 10) : 0;

	freeReplyObject(reply);
	return number;
}

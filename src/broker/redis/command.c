/* Redis command: words as bytes; see command.h. */

#include "broker/redis/command.h"

#include <stdlib.h>

#include <hiredis/hiredis.h>

#include "broker/redis/link.h"

/* words and lens: room for them. The command's length, or negative. */
static long long format(char **commandp, const struct slice *argv, size_t n, const char **words, size_t *lens)
{
	for (size_t i = 0; i < n; i++) {
		words[i] = argv[i].len ? argv[i].data : "";
		lens[i] = argv[i].len;
	}
	return redisFormatCommandArgv(commandp, (int)n, words, lens);
}

/* The same for a command of many words. */
static long long format_long(char **commandp, const struct slice *argv, size_t n)
{
	const char **words = calloc(n, sizeof(*words));
	size_t *lens = calloc(n, sizeof(*lens));
	long long len = words && lens ? format(commandp, argv, n, words, lens) : -1;

	free(words);
	free(lens);
	return len;
}

long long redis_command_format(const struct slice *argv, size_t n, char **commandp)
{
	const char *words[REDIS_ARGS_FEW];
	size_t lens[REDIS_ARGS_FEW];

	return n <= REDIS_ARGS_FEW ? format(commandp, argv, n, words, lens) : format_long(commandp, argv, n);
}

void redis_command_free(char *command)
{
	redisFreeCommand(command);
}

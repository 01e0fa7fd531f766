/*
 * Redis error: what Redis answers instead of a result, in our words. See redis_error.h.
 */

#include "broker/redis_error.h"

#include <errno.h>
#include <string.h>

static const struct {
	const char *word;
	int error;
} rows[] = {
	{"NOPERM", -EACCES}, {"LOADING", -EAGAIN},     /* reads its files after a start */
	{"BUSY", -EAGAIN},                             /* somebody's script runs too long */
	{"TRYAGAIN", -EAGAIN},                         /* the slot is on its way to another node */
	{"CLUSTERDOWN", -EAGAIN},                      /* a part of the cluster has no primary yet */
	{"MASTERDOWN", -EAGAIN}, {"READONLY", -EROFS}, /* a replica, perhaps since a moment ago */
	{"MISCONF", -EROFS},    /* its disk is full or broken, and it writes nothing that it cannot keep */
	{"NOREPLICAS", -EROFS}, /* min-replicas-to-write */
	{"OOM", -ENOSPC},       /* maxmemory */
};

bool redis_error_starts(struct slice text, const char *start)
{
	size_t len = strlen(start);

	return text.len >= len && memcmp(text.data, start, len) == 0;
}

bool redis_error_names(struct slice text, const char *word)
{
	/* Before Redis 7, what stopped a script stands at the end of the sentence about the script. */
	bool is_wrapped = redis_error_starts(text, "ERR Error running script");

	return redis_error_starts(text, word) ||
	       (is_wrapped && memmem(text.data, text.len, word, strlen(word)));
}

int redis_error_errno(struct slice text)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (redis_error_names(text, rows[i].word))
			return rows[i].error;
	return -EIO;
}

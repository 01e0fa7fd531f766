/*
 * Redis error: what Redis answers instead of a result, in our words. See error.h.
 */

#include "broker/redis/error.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

enum {
	ERROR_LOOK_MAX = 200, /* bytes of a sentence that are looked at */
};

static const struct {
	const char *word;
	int error;
} rows[] = {
	{"NOPERM", -EACCES}, {"LOADING", -EAGAIN},     /* reads its files after a start */
	{"BUSY", -EAGAIN},                             /* somebody's script runs too long */
	{"MOVED", -EAGAIN},                            /* a cluster that is changing for too long */
	{"ASK", -EAGAIN},                              /* likewise */
	{"TRYAGAIN", -EAGAIN},                         /* the slot is on its way to another node */
	{"CLUSTERDOWN", -EAGAIN},                      /* a part of the cluster has no primary yet */
	{"MASTERDOWN", -EAGAIN}, {"READONLY", -EROFS}, /* a replica, perhaps since a moment ago */
	{"MISCONF", -EROFS},    /* its disk is full or broken, and it writes nothing that it cannot keep */
	{"NOREPLICAS", -EROFS}, /* min-replicas-to-write */
	{"OOM", -ENOSPC},       /* maxmemory */
};

static const struct {
	const char *start;
	bool for_people;
} refusals[] = {
	{"NOAUTH", true},
	{"WRONGPASS", true},
	{"DENIED", true}, /* protected mode */
	{"ERR invalid password", true},
	{"ERR max number of clients", false},
	{"LOADING", false},
	{"MASTERDOWN", false},
};

bool redis_error_names(struct slice text, const char *word)
{
	/* Before Redis 7, what stopped a script stands at the end of the sentence about the script. */
	bool wrapped = slice_starts(text, "ERR Error running script");

	return slice_starts(text, word) || (wrapped && memmem(text.data, text.len, word, strlen(word)));
}

/* Redis 7.0, and later ones, of a command within a function or script, or of a key that it names. */
static bool is_script_forbidden(struct slice text)
{
	static const char *const words[] = {"The user executing the script can't", "ACL failure in script"};

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (memmem(text.data, text.len, words[i], strlen(words[i])))
			return true;
	return false;
}

int redis_error_errno(struct slice text)
{
	if (is_script_forbidden(text))
		return -EACCES;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (redis_error_names(text, rows[i].word))
			return rows[i].error;
	return -EIO;
}

bool redis_error_is_refusal(struct slice text)
{
	for (size_t i = 0; i < sizeof(refusals) / sizeof(*refusals); i++)
		if (slice_starts(text, refusals[i].start))
			return true;
	return false;
}

bool redis_error_is_for_people(struct slice text)
{
	static const char *const more[] = {
		"NOPERM", "ERR AUTH", "ERR Client sent AUTH", "ERR DB index", "ERR invalid DB", "ERR SELECT"};

	for (size_t i = 0; i < sizeof(refusals) / sizeof(*refusals); i++)
		if (slice_starts(text, refusals[i].start))
			return refusals[i].for_people;
	for (size_t i = 0; i < sizeof(more) / sizeof(*more); i++)
		if (slice_starts(text, more[i]))
			return true;
	return redis_error_is_unknown(text);
}

bool redis_error_is_unknown(struct slice text)
{
	static const char *const words[] = {"unknown", "unsupported", "not supported", "not allowed",
		"not implemented", "disabled", "syntax error", "no such command"};
	char sentence[ERROR_LOOK_MAX];
	size_t len = text.len < sizeof(sentence) - 1 ? text.len : sizeof(sentence) - 1;

	for (size_t i = 0; i < len; i++)
		sentence[i] = (char)tolower((unsigned char)text.data[i]);
	sentence[len] = '\0';
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (strstr(sentence, words[i]))
			return redis_error_errno(text) == -EIO;
	return false;
}

const char *redis_error_hint(struct slice text)
{
	static const struct {
		const char *start, *hint;
	} hints[] = {
		{"ERR SELECT is not allowed in cluster mode", "a cluster has no databases"},
		{"ERR Only HELLO messages are accepted by Sentinel",
			"this is a sentinel: write redis+sentinel://HOST:PORT/NAME"},
	};

	for (size_t i = 0; i < sizeof(hints) / sizeof(*hints); i++)
		if (slice_starts(text, hints[i].start))
			return hints[i].hint;
	return NULL;
}

bool redis_error_is_missing(struct slice text)
{
	return slice_starts(text, "ERR Function not found") || slice_starts(text, "NOSCRIPT");
}

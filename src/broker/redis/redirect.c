/*
 * Redis redirect: what a server of a cluster answers to a command that is not its. See redirect.h.
 *
 *     MOVED 10010 127.0.0.1:7003
 */

#include "broker/redis/redirect.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "broker/redis/slot.h"

static const struct {
	const char *word;
	enum redis_redirect_kind kind;
} rows[] = {
	{"MOVED ", REDIS_REDIRECT_MOVED},
	{"ASK ", REDIS_REDIRECT_ASK},
	{"TRYAGAIN", REDIS_REDIRECT_TRYAGAIN},
	{"CLUSTERDOWN", REDIS_REDIRECT_CLUSTERDOWN},
	{"READONLY", REDIS_REDIRECT_READONLY},
};

static bool number_of(struct slice text, unsigned int max, unsigned int *numberp)
{
	unsigned int number = 0;

	if (!text.len || text.len > 5)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] < '0' || text.data[i] > '9')
			return false;
		number = number * 10 + (unsigned int)(text.data[i] - '0');
	}
	*numberp = number;
	return number <= max;
}

/* "10010 127.0.0.1:7003": an address of version 6 has no brackets, so the last colon counts. */
static bool take_place(struct slice text, struct redis_redirect *redirect)
{
	const char *end = text.data + text.len;
	const char *blank = memchr(text.data, ' ', text.len);
	const char *colon = blank ? memrchr(blank, ':', (size_t)(end - blank)) : NULL;
	unsigned int port;

	if (!colon ||
		!number_of((struct slice){text.data, (size_t)(blank - text.data)}, REDIS_SLOTS - 1,
			&redirect->slot) ||
		!number_of((struct slice){colon + 1, (size_t)(end - colon - 1)}, UINT16_MAX, &port))
		return false;
	redirect->host = (struct slice){blank + 1, (size_t)(colon - blank - 1)};
	redirect->port = (uint16_t)port;
	return port > 0;
}

struct redis_redirect redis_redirect_parse(struct slice error)
{
	struct redis_redirect redirect = {0};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		size_t len = strlen(rows[i].word);

		if (!slice_starts(error, rows[i].word))
			continue;
		redirect.kind = rows[i].kind;
		if (redirect.kind <= REDIS_REDIRECT_ASK &&
			!take_place((struct slice){error.data + len, error.len - len}, &redirect))
			redirect = (struct redis_redirect){.kind = REDIS_REDIRECT_CLUSTERDOWN};
		break;
	}
	return redirect;
}

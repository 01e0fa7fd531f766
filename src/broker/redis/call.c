/*
 * Redis call: a call of one of our functions, and the line in which calls wait. See call.h.
 */

#include "broker/redis/call.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *copy_word(struct redis_call *call, char *at, struct slice word)
{
	if (word.len)
		memcpy(at, word.data, word.len);
	call->words[call->n_words++] = (struct slice){at, word.len};
	return at + word.len;
}

static size_t count_bytes(const struct slice *words, size_t n)
{
	size_t n_bytes = 0;

	for (size_t i = 0; i < n; i++)
		n_bytes += words[i].len;
	return n_bytes;
}

static char *copy_words(struct redis_call *call, char *at, const struct slice *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		at = copy_word(call, at, words[i]);
	return at;
}

struct redis_call *redis_call_new(const struct redis_call_words *words)
{
	size_t n_words = REDIS_CALL_ADDRESS + 1 + words->n_keys + words->n_args + words->n_more;
	size_t n_bytes = sizeof(struct redis_call) + n_words * sizeof(struct slice) +
			 count_bytes(words->keys, words->n_keys) + count_bytes(words->args, words->n_args) +
			 count_bytes(words->more, words->n_more);
	struct redis_call *call;
	char *at;

	assert(words->n_keys <= REDIS_CALL_KEYS_MAX && words->n_args <= REDIS_CALL_ARGS_MAX);
	call = malloc(n_bytes);
	if (!call)
		return NULL;
	*call = (struct redis_call){.n_bytes = n_bytes, .n_words = REDIS_CALL_ADDRESS};
	snprintf(call->numkeys, sizeof(call->numkeys), "%u", (unsigned int)words->n_keys);
	call->words[call->n_words++] = slice_of(call->numkeys);
	at = (char *)(call->words + n_words);
	at = copy_words(call, at, words->keys, words->n_keys);
	at = copy_words(call, at, words->args, words->n_args);
	copy_words(call, at, words->more, words->n_more);
	return call;
}

void redis_call_end(struct redis_call *call, int r, const struct redis_reply *reply)
{
	call->fn(call->arg, r, reply);
	free(call);
}

void redis_calls_init(struct redis_calls *calls)
{
	*calls = (struct redis_calls){0};
	list_init(&calls->line);
}

void redis_calls_wait(struct redis_calls *calls, struct redis_call *call)
{
	struct list *before = calls->line.prev;

	while (before != &calls->line && list_entry(before, struct redis_call, link)->number > call->number)
		before = before->prev;
	list_push_back(before->next, &call->link);
	calls->n_bytes += call->n_bytes;
}

struct redis_call *redis_calls_take(struct redis_calls *calls)
{
	struct redis_call *call;

	if (list_empty(&calls->line))
		return NULL;
	call = list_entry(calls->line.next, struct redis_call, link);
	list_remove(&call->link);
	calls->n_bytes -= call->n_bytes;
	return call;
}

void redis_calls_refuse(struct redis_calls *calls, int r)
{
	struct redis_call *call;
	struct list refused;

	list_init(&refused);
	while ((call = redis_calls_take(calls)))
		list_push_back(&refused, &call->link);
	while (!list_empty(&refused)) {
		call = list_entry(refused.next, struct redis_call, link);
		list_remove(&call->link);
		redis_call_end(call, r, NULL);
	}
}

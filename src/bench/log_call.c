/*
 * Log call: events of one channel that go into its log together. See log_call.h.
 */

#include "bench/log_call.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "bench/plan.h"

enum {
	EPOCH_LEN = 8,      /* letters, of a log that begins */
	PAYLOADS_MAX = 256, /* of one call, which takes Redis a millisecond then */
};

static void add_word(struct buf *queue, const char *word, size_t len)
{
	buf_printf(queue, "$%zu\r\n", len);
	buf_append(queue, word, len);
	buf_append(queue, "\r\n", 2);
}

static void add_name(struct buf *queue, const char *kind, const char *channel)
{
	char name[PLAN_NAME_MAX + 8];

	add_word(queue, name, (size_t)snprintf(name, sizeof(name), "tg:%s:{%s}", kind, channel));
}

void log_call_deinit(struct log_call *call)
{
	buf_deinit(&call->payloads);
}

bool log_call_takes(const struct log_call *call, uint32_t n)
{
	return call->n_payloads == 0 || (call->n == n && call->n_payloads < PAYLOADS_MAX);
}

void log_call_add(struct log_call *call, uint32_t n, const char *text, size_t len)
{
	add_word(&call->payloads, text, len);
	if (call->n_payloads++ == 0)
		call->first_len = call->payloads.len;
	call->n = n;
}

/* 1,000 entries, as routes keep them by default, for ten minutes without use. */
void log_call_write(struct log_call *call, const char *channel, struct buf *queue)
{
	char epoch[EPOCH_LEN] = "";

	if (getrandom(epoch, sizeof(epoch), 0) < 0)
		return; /* it does not fail for so few bytes */
	for (int i = 0; i < EPOCH_LEN; i++)
		epoch[i] = (char)('a' + (unsigned char)epoch[i] % 26);
	if (call->n_payloads == 1)
		buf_append_str(queue, "*11\r\n$5\r\nFCALL\r\n$16\r\ntidegate_publish\r\n$1\r\n2\r\n");
	else
		buf_printf(queue, "*%u\r\n$5\r\nFCALL\r\n$20\r\ntidegate_publish_all\r\n$1\r\n2\r\n",
			call->n_payloads + 11); /* and how long a key counts, of which there is none */
	add_name(queue, "s", channel);
	add_name(queue, "m", channel);
	buf_append(queue, call->payloads.data, call->first_len);
	add_word(queue, channel, strlen(channel));
	buf_append_str(queue, "$7\r\npublish\r\n$4\r\n1001\r\n$6\r\n600000\r\n");
	add_word(queue, epoch, sizeof(epoch));
	if (call->n_payloads > 1)
		buf_append_str(queue, "$1\r\n0\r\n");
	buf_append(queue, call->payloads.data + call->first_len, call->payloads.len - call->first_len);
	queue->failed |= call->payloads.failed;
	buf_reset(&call->payloads);
	call->n_payloads = 0;
}

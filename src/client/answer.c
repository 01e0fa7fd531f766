/* Answer: the replies to a client's commands; see the header. */

#include "client/answer.h"

#include "client/client.h"
#include "client/clients.h"
#include "metrics/metrics.h"
#include "protocol/reply.h"

void answer_subscribed(struct client *client, struct slice id, struct slice channel)
{
	client_push(client, reply_subscribed(id, channel, client->clients->wall_ms));
}

static void refuse(struct client *client, struct slice id, const char *code, const char *message,
	struct slice channel, uint64_t retry_ms)
{
	metrics_add(client->clients->metrics, METRIC_CLIENT_ERRORS, 1);
	client_push(client, reply_error(id, code, message, channel, retry_ms, client->clients->wall_ms));
}

void answer_error(
	struct client *client, struct slice id, const char *code, const char *message, struct slice channel)
{
	refuse(client, id, code, message, channel, 0);
}

void answer_retry(
	struct client *client, struct slice id, const char *code, const char *message, struct slice channel)
{
	refuse(client, id, code, message, channel, CLIENT_RETRY_MS);
}

/*
 * Admin publish: POST /publish, one publication or an array of them.
 *
 * A batch is checked as a whole before any of it is published: one mistake refuses all. Then the publications
 * go to the broker in their order, and the answer has the outcome of each.
 */

#include "admin/endpoints.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/admin_private.h"
#include "admin/request.h"
#include "broker/broker.h"
#include "protocol/json.h"
#include "protocol/message.h"
#include "route/route.h"

enum {
	ENVELOPE_DEPTH = 4, /* brackets that an array of {"channel":…,"payload":…} adds at most */
	BATCH_MAX = 1000,   /* publications in one request */
};

struct one {
	struct admin_publication *all;
	const struct route_history *history; /* NULL without a history */
	struct slice payload;                /* in the request's body */
	size_t channel_len;
	size_t key_len;      /* 0: no key */
	unsigned int status; /* HTTP, once it is known */
	struct buf result;   /* one JSON object */
	char channel[ROUTE_CHANNEL_MAX + 1];
	char key[BROKER_LOG_KEY_MAX];
};

struct admin_publication {
	struct admin_request *request;
	bool is_batch;
	unsigned int n;
	unsigned int n_pending;
	struct one ones[];
};

static void publication_free(struct admin_publication *all)
{
	for (unsigned int i = 0; i < all->n; i++)
		buf_deinit(&all->ones[i].result);
	free(all);
}

static void one_failed(struct one *one, unsigned int status, const char *code, const char *message)
{
	one->status = status;
	buf_printf(&one->result, "{\"error\":{\"code\":\"%s\",\"message\":\"%s\"}}", code, message);
}

/* Parses one publication. Returns what is wrong with it; NULL if nothing is. */
static const char *one_parse(struct one *one, struct slice text, const struct admin *admin)
{
	struct json_member members[] = {
		{.name = "channel"}, {.name = "payload"}, {.name = "idempotency_key"}, {.name = "history"}};
	bool is_object;
	long len;

	if (json_check(text.data, text.len, MESSAGE_DEPTH_MAX + ENVELOPE_DEPTH, members, 4, &is_object) ||
		!is_object)
		return "a publication is {\\\"channel\\\": \\\"…\\\", \\\"payload\\\": …}";
	for (size_t i = 0; i < sizeof(members) / sizeof(*members); i++)
		if (members[i].n > 1)
			return "a member is there twice: which one is meant?";
	len = json_is_string(members[0].value)
		      ? json_unescape(members[0].value, one->channel, ROUTE_CHANNEL_MAX)
		      : -1;
	if (len < 0 || !route_channel_valid(one->channel, (size_t)len))
		return "channel must be the name of a channel";
	one->channel_len = (size_t)len;
	one->payload = members[1].value;
	if (!one->payload.data)
		return "there is no payload";
	if (one->payload.len > admin->event_bytes_max)
		return "the payload is larger than event_bytes_max allows: every gateway would drop it";
	one->history = route_table_history(admin->routes, (struct slice){one->channel, one->channel_len});
	if (!one->history && json_is_true(members[3].value))
		return "the channel keeps no history";
	if (!members[2].value.data)
		return NULL;
	if (!one->history)
		return "the channel keeps no history, so a repeated idempotency_key would not be known";
	len = json_is_string(members[2].value) ? json_unescape(members[2].value, one->key, sizeof(one->key))
					       : -1;
	one->key_len = len > 0 ? (size_t)len : 0;
	return len > 0 ? NULL : "idempotency_key must be a string of 1 to 256 bytes";
}

/* The status that all publications share; 207 if they differ. */
static unsigned int overall_status(const struct admin_publication *all)
{
	for (unsigned int i = 1; i < all->n; i++)
		if (all->ones[i].status != all->ones[0].status)
			return 207;
	return all->ones[0].status;
}

static void answer(struct admin_publication *all)
{
	unsigned int status = overall_status(all);
	struct buf body = {0};

	if (all->is_batch)
		buf_append_char(&body, '[');
	for (unsigned int i = 0; i < all->n; i++) {
		if (i)
			buf_append_char(&body, ',');
		buf_append(&body, all->ones[i].result.data, all->ones[i].result.len);
	}
	buf_append_str(&body, all->is_batch ? "]\n" : "\n");
	if (status >= 400)
		admin_count_refused(all->request, status);
	admin_answer(
		all->request, status, "application/json", status == 503 ? "Retry-After: 1\r\n" : "", &body);
	buf_deinit(&body);
}

/* The outcome of one more publication is known. With the last one the request is answered. */
static void one_done(struct one *one)
{
	struct admin_publication *all = one->all;
	struct admin_request *request = all->request;

	if (--all->n_pending)
		return;
	request->publication = NULL;
	if (admin_request_resume(request) && !request->done)
		answer(all);
	publication_free(all);
}

static void one_refused(struct one *one, int r)
{
	if (r == -ETIMEDOUT)
		one_failed(one, 503, "unknown",
			one->history ? "Redis did not answer: publish again with the same idempotency_key to "
				       "be sure"
				     : "Redis did not answer: nobody knows whether it was published");
	else if (r == -EACCES || r == -EIO)
		one_failed(one, 502, "refused", "Redis refused it: the gateway's log says why");
	else if (r == -ENOMEM)
		one_failed(one, 503, "unavailable", "the gateway is out of memory: nothing was published");
	else if (r == -EAGAIN)
		one_failed(one, 503, "unavailable",
			"too much waits for Redis, which does not keep up: nothing was published");
	else
		one_failed(one, 503, "unavailable", "Redis is away: nothing was published");
}

void admin_publish_give_up(struct admin_request *request)
{
	struct admin_publication *all = request->publication;

	if (!all || request->done)
		return;
	for (unsigned int i = 0; i < all->n; i++)
		if (!all->ones[i].status)
			one_refused(&all->ones[i], -ETIMEDOUT);
	answer(all); /* the broker still calls back, for each */
}

static void on_published(void *arg, int r, uint64_t n_receivers)
{
	struct one *one = arg;

	if (r < 0) {
		one_refused(one, r);
	} else {
		one->status = 200;
		buf_printf(&one->result, "{\"receivers\":%" PRIu64 "}", n_receivers);
	}
	one_done(one);
}

static void on_log_published(void *arg, int r, const struct position *id, bool is_duplicate)
{
	struct one *one = arg;
	char pos[POSITION_TEXT_MAX];

	if (r < 0) {
		one_refused(one, r);
	} else {
		position_format(id, pos);
		one->status = 200;
		buf_printf(&one->result, "{\"pos\":\"%s\",\"duplicate\":%s}", pos,
			is_duplicate ? "true" : "false");
	}
	one_done(one);
}

/* Publishes it, also to the channel's log if its route keeps a history. */
static void one_publish(struct one *one)
{
	struct broker *broker = one->all->request->admin->broker;
	struct slice channel = {one->channel, one->channel_len};
	struct broker_log_options options;
	int r;

	if (one->history) {
		options = (struct broker_log_options){
			.size = one->history->size,
			.ttl_ms = one->history->ttl_ms,
			.key = {one->key_len ? one->key : NULL, one->key_len},
			.key_ttl_ms = BROKER_LOG_KEY_TTL_MS,
		};
		r = broker_log_publish(broker, channel, one->payload, &options, on_log_published, one);
	} else {
		r = broker_publish(broker, channel, one->payload, on_published, one);
	}
	if (r == 0)
		return;
	one_refused(one, r);
	one_done(one);
}

static void refuse_batch(struct admin_request *request, unsigned int i, const char *what)
{
	struct buf message = {0};

	buf_printf(&message, "publication %u: %s", i, what);
	admin_answer_error(
		request, 400, "", "bad_publication", buf_text(&message) ? buf_text(&message) : what);
	buf_deinit(&message);
}

/* Makes room for n publications. NULL when out of memory; the request is answered then. */
static struct admin_publication *publication_new(struct admin_request *request, bool is_batch, unsigned int n)
{
	struct admin_publication *all = calloc(1, sizeof(*all) + n * sizeof(struct one));

	if (!all) {
		admin_answer_no_memory(request);
		return NULL;
	}
	all->request = request;
	all->is_batch = is_batch;
	all->n = n;
	all->n_pending = n;
	for (unsigned int i = 0; i < n; i++)
		all->ones[i].all = all;
	return all;
}

static unsigned int count_items(struct slice array)
{
	struct slice item;
	size_t pos = 0;
	unsigned int n = 0;

	while (n <= BATCH_MAX && json_array_next(array, &pos, &item))
		n++;
	return n;
}

static void publish_all(struct admin_request *request, struct slice body, bool is_batch, unsigned int n)
{
	struct admin_publication *all = publication_new(request, is_batch, n);
	struct slice item = body;
	const char *wrong = NULL;
	size_t pos = 0;

	for (unsigned int i = 0; all && !wrong && i < n; i++) {
		if (is_batch)
			json_array_next(body, &pos, &item);
		wrong = one_parse(&all->ones[i], item, request->admin);
		if (wrong && is_batch)
			refuse_batch(request, i, wrong);
		else if (wrong)
			admin_answer_error(request, 400, "", "bad_publication", wrong);
	}
	if (!all || wrong) {
		free(all);
		return;
	}
	request->waiting = true;
	request->publication = all;
	/* The last publication may end the request and free everything, so nothing is touched after it. */
	for (unsigned int i = 0; n--; i++)
		one_publish(&all->ones[i]);
}

/* json: the rest of the body, without the space that it began with. */
static void refuse_json(struct admin_request *request, struct slice json)
{
	size_t at = json_fault(json.data, json.len, MESSAGE_DEPTH_MAX + ENVELOPE_DEPTH);
	char message[64];

	if (at >= json.len)
		strcpy(message, "the body is not JSON: it ends too early");
	else
		snprintf(message, sizeof(message), "the body is not JSON: look at byte %zu",
			request->body.len - json.len + at + 1);
	admin_answer_error(request, 400, "", "bad_json", message);
}

void admin_publish(struct admin_request *request)
{
	struct slice body = {request->body.data ? request->body.data : "", request->body.len};
	bool is_object, is_batch;
	unsigned int n = 1;

	if (request->admin->ending) {
		admin_answer_error(request, 503, "Retry-After: 1\r\n", "draining",
			"the gateway is going down: nothing was published");
		return;
	}
	while (body.len && memchr(" \t\r\n", body.data[0], 4)) {
		body.data++;
		body.len--;
	}
	is_batch = json_is_array(body);
	if (json_check(body.data, body.len, MESSAGE_DEPTH_MAX + ENVELOPE_DEPTH, NULL, 0, &is_object)) {
		refuse_json(request, body);
		return;
	}
	if (is_batch)
		n = count_items(body);
	if (n == 0 || n > BATCH_MAX)
		admin_answer_error(request, 400, "", "bad_batch", "a batch has 1 to 1,000 publications");
	else
		publish_all(request, body, is_batch, n);
}

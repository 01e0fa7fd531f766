/* Connections: GET /connections and GET /connections/ID. */

#include "admin/endpoints.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libwebsockets.h>

#include "admin/admin_private.h"
#include "admin/request.h"
#include "core/clock.h"
#include "core/top.h"
#include "protocol/json.h"
#include "protocol/message.h"

enum {
	CONNECTIONS_LIMIT = 100, /* unless told otherwise */
	ID_DIGITS_MAX = 19,      /* a number of this length always fits into 64 bits */
};

/* Without its last brace. */
static void write_connection(
	const struct census *census, const struct census_connection *row, uint64_t wall_ms, struct buf *out)
{
	struct slice route = census_route(census, row);
	char opened[CLOCK_TIMESTAMP_LEN];

	clock_format(wall_ms - row->open_ms, opened);
	buf_printf(out, "{\"id\":%" PRIu64 ",\"route\":", row->id);
	buf_append_json_string(out, route.data, route.len);
	buf_printf(out, ",\"transport\":\"%s\"", transport_name(row->transport));
	buf_append_str(out, ",\"remote\":");
	buf_append_json_string(out, row->remote, strlen(row->remote));
	buf_printf(out, ",\"state\":\"%s\",\"opened\":\"%.*s\",\"open_seconds\":%.3f", row->state,
		CLOCK_TIMESTAMP_LEN, opened, (double)row->open_ms / 1000);
	buf_printf(out,
		",\"messages_received\":%u,\"messages_sent\":%u,\"messages_dropped\":%u,\"queued_bytes\":%u",
		row->n_received, row->n_sent, row->n_dropped, row->queued_bytes);
	buf_printf(out, ",\"socket_full\":%s,\"recovers\":%s,\"compresses\":%s,\"subscriptions\":%u",
		row->blocked ? "true" : "false", row->aware ? "true" : "false",
		row->deflates ? "true" : "false", row->n_subscriptions);
}

/* A connection that was picked, with the census that its texts point into. */
struct row {
	const struct census *census;
	const struct census_connection *connection;
};

static void write_top(const struct top *top, struct buf *out)
{
	uint64_t wall_ms = clock_wall_ms();

	for (uint32_t i = 0; i < top->n; i++) {
		const struct row *row = top->picks[i].item;

		if (i)
			buf_append_char(out, ',');
		write_connection(row->census, row->connection, wall_ms, out);
		buf_append_char(out, '}');
	}
}

/* Each worker has sent its top connections; the top connections of the node are among them. */
static void write_connections(const struct survey *survey, struct row *rows, struct top *top, struct buf *out)
{
	uint64_t n = 0;

	for (unsigned int i = 0; i < survey->n_parts; i++) {
		const struct census *census = &survey->parts[i].census;

		n += census->n;
		for (uint32_t j = 0; j < census->n_connections; j++) {
			*rows = (struct row){census, &census->connections[j]};
			top_offer(top, rows->connection->rank, rows->connection->id, rows);
			rows++;
		}
	}
	top_sort(top);
	buf_printf(out, "{\"total\":%" PRIu64 ",\"connections\":[", n);
	write_top(top, out);
	buf_append_str(out, "]}");
}

static void on_connections(void *arg, const struct survey *survey)
{
	struct admin_request *request = arg;
	struct buf body = {0};
	struct top top = {0};
	struct row *rows;
	size_t n_rows = 1;

	if (!admin_asked(request, survey))
		return;
	for (unsigned int i = 0; i < survey->n_parts; i++)
		n_rows += survey->parts[i].census.n_connections;
	rows = calloc(n_rows, sizeof(*rows));
	if (!rows || top_init(&top, survey->question.limit) < 0)
		body.failed = true;
	else
		write_connections(survey, rows, &top, &body);
	top_deinit(&top);
	free(rows);
	admin_answer_json(request, &body);
}

/* "queued", the default, or "opened". 0, or -1 with the request answered. */
static int query_order(struct admin_request *request, enum census_order *orderp)
{
	char word[8];

	if (admin_query_text(request, "sort", word, sizeof(word)) < 0)
		return -1;
	if (*word && strcmp(word, "queued") != 0 && strcmp(word, "opened") != 0) {
		admin_answer_error(request, 400, "", "bad_query", "sort is queued or opened");
		return -1;
	}
	*orderp = strcmp(word, "opened") ? CENSUS_BY_QUEUED : CENSUS_BY_OPENED;
	return 0;
}

void admin_connections(struct admin_request *request)
{
	struct census_question question = {.subject = CENSUS_CONNECTIONS};
	uint64_t limit = CONNECTIONS_LIMIT;
	int len = admin_query_text(request, "channel", question.text, sizeof(question.text));

	if (len < 0 || admin_query_text(request, "route", question.route, sizeof(question.route)) < 0 ||
		admin_query_number(request, "limit", 1, CENSUS_LIMIT_MAX, &limit) < 0 ||
		query_order(request, &question.order) < 0)
		return;
	question.text_len = (size_t)len;
	question.limit = (uint32_t)limit;
	admin_ask(request, &question, on_connections);
}

/* The worker that has it, or NULL, with the request answered. */
static const struct census *owner(struct admin_request *request, const struct survey *survey)
{
	for (unsigned int i = 0; i < survey->n_parts; i++)
		if (survey->parts[i].census.n)
			return &survey->parts[i].census;
	admin_answer_error(
		request, 404, "", "no_such_connection", "there is no such connection on this node");
	return NULL;
}

static void on_connection(void *arg, const struct survey *survey)
{
	struct admin_request *request = arg;
	const struct census *census = admin_asked(request, survey) ? owner(request, survey) : NULL;
	struct buf body = {0};

	if (!census)
		return;
	write_connection(census, census->connections, clock_wall_ms(), &body);
	buf_append_str(&body, ",\"channels\":[");
	for (uint32_t i = 0; i < census->n_channels; i++) {
		struct slice name = census_channel_name(census, &census->channels[i]);

		if (i)
			buf_append_char(&body, ',');
		buf_append_json_string(&body, name.data, name.len);
	}
	buf_append_str(&body, "]}");
	admin_answer_json(request, &body);
}

/* Parses digits only. 0 is no connection's id. */
static bool parse_id(struct slice text, uint64_t *idp)
{
	uint64_t id = 0;

	if (!text.len || text.len > ID_DIGITS_MAX)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] < '0' || text.data[i] > '9')
			return false;
		id = id * 10 + (uint64_t)(text.data[i] - '0');
	}
	*idp = id;
	return id != 0;
}

void admin_connection(struct admin_request *request)
{
	struct census_question question = {.subject = CENSUS_CONNECTION, .limit = 1};

	if (parse_id(slice_of(request->argument), &question.id))
		admin_ask(request, &question, on_connection);
	else
		admin_answer_error(request, 400, "", "bad_connection", "the id of a connection is a number");
}

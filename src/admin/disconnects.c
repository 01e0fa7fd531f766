/* Disconnects: GET /disconnects, the last connections that ended, and how many ended for each reason. */

#include "admin/endpoints.h"

#include <inttypes.h>
#include <string.h>

#include "admin/request.h"
#include "core/clock.h"
#include "core/top.h"
#include "mail/disconnects.h"
#include "protocol/close_reason.h"

static void write_reasons(const struct survey *survey, struct buf *out)
{
	const char *comma = "";

	buf_append_str(out, ",\"by_reason\":[");
	for (unsigned int reason = 0; reason < N_CLOSE_REASONS; reason++) {
		uint64_t n = 0;

		for (unsigned int i = 0; i < survey->n_parts; i++)
			n += survey->parts[i].census.disconnects->by_reason[reason];
		if (!n)
			continue;
		buf_printf(out, "%s{\"code\":%u,\"reason\":\"%s\",\"count\":%" PRIu64 "}", comma,
			close_reason_code(reason), close_reason_sentence(reason), n);
		comma = ",";
	}
	buf_append_char(out, ']');
}

static void write_disconnect(const struct disconnect *disconnect, struct buf *out)
{
	char time[CLOCK_TIMESTAMP_LEN];

	clock_format(disconnect->wall_ms, time);
	buf_printf(out, "{\"time\":\"%.*s\",\"id\":%" PRIu64 ",\"route\":", CLOCK_TIMESTAMP_LEN, time,
		disconnect->id);
	buf_append_json_string(out, disconnect->route, strlen(disconnect->route));
	buf_append_str(out, ",\"remote\":");
	buf_append_json_string(out, disconnect->remote, strlen(disconnect->remote));
	buf_printf(out, ",\"duration_seconds\":%.3f,\"code\":%u,\"reason\":\"%s\"}",
		(double)disconnect->duration_ms / 1000, disconnect->code,
		close_reason_sentence(disconnect->reason));
}

static void write_last(const struct survey *survey, struct top *top, struct buf *out)
{
	for (unsigned int i = 0; i < survey->n_parts; i++) {
		const struct disconnects *disconnects = survey->parts[i].census.disconnects;

		for (uint32_t j = 0; j < disconnects_kept(disconnects); j++) {
			const struct disconnect *disconnect = disconnects_at(disconnects, j);

			top_offer(top, disconnect->wall_ms, UINT64_MAX - disconnect->id, disconnect);
		}
	}
	top_sort(top);
	buf_append_str(out, ",\"disconnects\":[");
	for (uint32_t i = 0; i < top->n; i++) {
		if (i)
			buf_append_char(out, ',');
		write_disconnect(top->picks[i].item, out);
	}
	buf_append_char(out, ']');
}

static void on_disconnects(void *arg, const struct survey *survey)
{
	struct admin_request *request = arg;
	struct buf body = {0};
	struct top top = {0};
	uint64_t n = 0;

	if (!admin_asked(request, survey))
		return;
	for (unsigned int i = 0; i < survey->n_parts; i++)
		n += survey->parts[i].census.disconnects->n;
	buf_printf(&body, "{\"total\":%" PRIu64, n);
	write_reasons(survey, &body);
	if (top_init(&top, survey->question.limit) == 0)
		write_last(survey, &top, &body);
	else
		body.failed = true;
	top_deinit(&top);
	buf_append_char(&body, '}');
	admin_answer_json(request, &body);
}

void admin_disconnects(struct admin_request *request)
{
	struct census_question question = {.subject = CENSUS_DISCONNECTS};
	uint64_t limit = DISCONNECTS_KEPT;

	if (admin_query_number(request, "limit", 1, DISCONNECTS_KEPT, &limit) < 0)
		return;
	question.limit = (uint32_t)limit;
	admin_ask(request, &question, on_disconnects);
}

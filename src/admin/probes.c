/* Probes: endpoints that the composition of the process answers: live, ready, metrics,
 * status, configuration, reload. */

#include "admin/endpoints.h"

#include "admin/admin_private.h"
#include "admin/request.h"

static void answer_probe(struct admin_request *request, bool (*ask)(void *, struct buf *))
{
	struct buf body = {0};
	bool good = ask(request->admin->source.arg, &body);

	buf_append_char(&body, '\n');
	admin_answer(request, good ? 200 : 503, "application/json", "", &body);
	buf_deinit(&body);
}

void admin_live(struct admin_request *request)
{
	answer_probe(request, request->admin->source.live);
}

void admin_ready(struct admin_request *request)
{
	answer_probe(request, request->admin->source.ready);
}

void admin_metrics(struct admin_request *request)
{
	struct buf body = {0};

	request->admin->source.metrics(request->admin->source.arg, &body);
	admin_answer(request, 200, "text/plain; version=0.0.4; charset=utf-8", "", &body);
	buf_deinit(&body);
}

void admin_reload(struct admin_request *request)
{
	struct buf body = {0};
	unsigned int status = request->admin->source.reload(request->admin->source.arg, &body);

	buf_append_char(&body, '\n');
	if (status >= 400)
		admin_count_refused(request, status);
	admin_answer(request, status, "application/json", "", &body);
	buf_deinit(&body);
}

void admin_status(struct admin_request *request)
{
	struct buf body = {0};

	request->admin->source.status(request->admin->source.arg, &body);
	admin_answer_json(request, &body);
}

void admin_config(struct admin_request *request)
{
	struct buf body = {0};

	request->admin->source.config(request->admin->source.arg, &body);
	admin_answer_json(request, &body);
}

void admin_asyncapi(struct admin_request *request)
{
	struct buf body = {0};

	request->admin->source.asyncapi(request->admin->source.arg, &body);
	admin_answer_json(request, &body);
}

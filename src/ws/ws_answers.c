/* Ws answers: handshakes that were held back, and whose answers are due; see the header. */

#include "ws/ws_answers.h"

#include <stdlib.h>

#include <event2/event.h>
#include <libwebsockets.h>

#include "core/list.h"
#include "core/priority.h"
#include "ws/lws_loop.h"
#include "ws/ws_connection.h"
#include "ws/ws_request.h"

enum {
	AT_ONCE = 16, /* a third of a millisecond */
};

struct ws_answers {
	struct lws_loop *loop;
	struct event *event;
	struct list due; /* ws_connection.due, the longest waiting first */
};

static void answer_first(struct ws_answers *answers)
{
	struct ws_connection *connection = list_entry(answers->due.next, struct ws_connection, due);

	list_remove(&connection->due);
	connection->held = false;
	ws_request_answer(connection);
	lws_loop_served(answers->loop);
}

static void on_due(evutil_socket_t fd, short events, void *arg)
{
	struct ws_answers *answers = arg;

	(void)fd;
	(void)events;
	for (int n = 0; n < AT_ONCE && !list_empty(&answers->due); n++)
		answer_first(answers);
	if (!list_empty(&answers->due))
		event_active(answers->event, EV_TIMEOUT, 0);
}

struct ws_answers *ws_answers_new(struct event_base *base, struct lws_loop *loop)
{
	struct ws_answers *answers = calloc(1, sizeof(*answers));

	if (!answers)
		return NULL;
	list_init(&answers->due);
	answers->loop = loop;
	answers->event = event_new(base, -1, 0, on_due, answers);
	if (answers->event) {
		event_priority_set(answers->event, PRIORITY_LAST);
		return answers;
	}
	free(answers);
	return NULL;
}

void ws_answers_add(struct ws_answers *answers, struct ws_connection *connection)
{
	if (list_empty(&answers->due))
		event_active(answers->event, EV_TIMEOUT, 0);
	list_push_back(&answers->due, &connection->due);
}

void ws_answers_free(struct ws_answers *answers)
{
	if (!answers)
		return;
	event_free(answers->event);
	free(answers);
}

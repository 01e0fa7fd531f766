/* What a worker's clients ask for; see the header. */

#include "worker/worker_asks.h"

#include <errno.h>

#include "client/clients.h"
#include "core/clock.h"
#include "mail/join.h"
#include "mail/presence.h"
#include "mail/ticket.h"
#include "worker/worker_mail.h"
#include "worker/worker_private.h"
#include "ws/ws_server.h"

static void on_wish(void *arg, const struct wish *wish)
{
	struct worker *worker = arg;

	worker->listener.wish(worker->listener.arg, worker->index, wish);
}

static void on_join(void *arg, struct join *join)
{
	struct worker *worker = arg;

	join->carrier = worker_mail_new(WORKER_JOINED, NULL, 0);
	if (!join->carrier) {
		join->r = -ENOMEM;
		clients_joined(&worker->clients, join);
		return;
	}
	worker->listener.join(worker->listener.arg, join);
}

static void on_spent(void *arg, struct credit *credit)
{
	struct worker *worker = arg;

	worker->listener.spent(worker->listener.arg, credit);
}

static void on_ready(void *arg, void *socket)
{
	(void)arg;
	ws_server_answer(socket);
}

static void on_act(void *arg, struct action *action)
{
	struct worker *worker = arg;

	worker->listener.act(worker->listener.arg, action);
}

static void on_presence(void *arg, struct presence_change *change)
{
	struct worker *worker = arg;

	worker->listener.presence(worker->listener.arg, change);
}

static void on_session(void *arg, struct session_change *change)
{
	struct worker *worker = arg;

	worker->listener.session(worker->listener.arg, change);
}

static int on_roll_call(void *arg, struct roll_call *call)
{
	struct worker *worker = arg;

	call->carrier = worker_mail_new(WORKER_ROLL, NULL, 0);
	if (!call->carrier)
		return -ENOMEM;
	worker->listener.roll_call(worker->listener.arg, call);
	return 0;
}

static void on_submit(void *arg)
{
	struct worker *worker = arg;

	ws_server_submit(worker->server);
}

static uint64_t on_now_us(void *arg)
{
	(void)arg;
	return clock_monotonic_us();
}

static int on_identify(
	void *arg, const struct client *client, struct slice token, struct identity **identityp)
{
	struct worker *worker = arg;

	return ws_server_identify(worker->server, client, token, identityp);
}

struct clients_listener worker_clients_listener(struct worker *worker)
{
	return (struct clients_listener){worker, on_wish, on_ready, on_join, on_spent, on_act, on_presence,
		on_session, on_roll_call, on_submit, on_now_us, on_identify};
}

int worker_ask_ticket(void *arg, struct slice name, void *owner, struct ticket **ticketp)
{
	struct worker *worker = arg;
	struct ticket *ticket = ticket_new(worker->index, name, owner);

	if (!ticket)
		return -ENOMEM;
	ticket->carrier = worker_mail_new(WORKER_TICKET, NULL, 0);
	if (!ticket->carrier) {
		ticket_free(ticket);
		return -ENOMEM;
	}
	*ticketp = ticket;
	worker->listener.ticket(worker->listener.arg, ticket);
	return 0;
}

int worker_ask_keys(void *arg)
{
	struct worker *worker = arg;

	return worker->listener.keys(worker->listener.arg);
}

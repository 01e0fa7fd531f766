/* Session: tells the bus that a client is open, and that it has ended; see the header. */

#include "client/session.h"

#include <stdlib.h>

#include "auth/identity.h"
#include "client/client.h"
#include "client/clients.h"
#include "core/buf.h"
#include "core/log.h"
#include "mail/session.h"
#include "route/route.h"

/* One end for each beginning that is told, so that the end can be told without memory. They are alike until
 * they are taken. */
static bool keep_end(struct clients *clients)
{
	struct session_change *end = session_over();

	if (!end)
		return false;
	end->mail.mail.next = clients->session_ends;
	clients->session_ends = &end->mail.mail;
	return true;
}

static struct session_change *take_end(struct clients *clients)
{
	struct mail *end = clients->session_ends;

	clients->session_ends = end->next;
	end->next = NULL;
	return (struct session_change *)end;
}

static struct session_change *begin(const struct client *client, const struct route_lifecycle *lifecycle)
{
	struct session_change *change = NULL;
	struct route_match match;
	struct buf vars = {0};

	rights_match(&client->rights, &match);
	route_variables(&match, &vars);
	if (!vars.failed)
		change = session_begun(slice_of(lifecycle->stream), rights_user(&client->rights),
			slice_of(route_path(client->rights.route)), buf_slice(&vars));
	buf_deinit(&vars);
	if (!change || !keep_end(client->clients)) {
		free(change);
		return NULL;
	}
	change->conn = client->id;
	change->events = lifecycle->events & LIFECYCLE_CONNECTIONS;
	change->size = lifecycle->size;
	return change;
}

static void say(const struct client *client, struct session_change *change)
{
	const struct clients_listener *up = &client->clients->listener;

	up->session(up->arg, change);
}

void session_opened(struct client *client)
{
	const struct route_lifecycle *lifecycle = route_lifecycle(client->rights.route);
	struct session_change *change;

	/* A POST beside a stream is a question of somebody who is there already. */
	if (!(lifecycle->events & LIFECYCLE_CONNECTIONS) || client->transport == TRANSPORT_POST)
		return;
	change = begin(client, lifecycle);
	client->in_session = change;
	if (change)
		say(client, change);
	else
		log_error(client->clients->log, "a connection's lifecycle is not told: out of memory",
			log_uint("conn", client->id));
}

void session_ended(struct client *client)
{
	struct session_change *change;

	if (!client->in_session)
		return;
	client->in_session = false;
	change = take_end(client->clients);
	change->conn = client->id;
	change->code = client->close_code;
	change->reason = client->reason;
	say(client, change);
}

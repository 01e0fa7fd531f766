/*
 * Echo: on routes whose path begins with /echo a client hears what it says, instead of an answer to it.
 *
 * It is linked into tidegate-echo, a program for tests of the wire alone, in place of client_receive(); the
 * linker (--wrap) leaves everything else as it is in the gateway, which has no byte of this.
 */

#include <stddef.h>
#include <string.h>

#include "client/client.h"
#include "protocol/message.h"
#include "route/route.h"

static const char echo_path[] = "/echo";

/* The linker's names: what everybody calls, and what they would have called. */
void __wrap_client_receive(struct client *client, const char *text, size_t len);
void __real_client_receive(struct client *client, const char *text, size_t len);

void __wrap_client_receive(struct client *client, const char *text, size_t len)
{
	if (strncmp(route_path(client->rights.route), echo_path, sizeof(echo_path) - 1) != 0)
		__real_client_receive(client, text, len);
	else if (client->state == CLIENT_OPEN)
		client_push(client, message_from_text(text, len));
}

/* Disconnects: the last connections that ended; see the header. */

#include "client/disconnects.h"

#include <string.h>

#include "client/client.h"
#include "client/clients.h"
#include "core/ip.h"
#include "mail/disconnects.h"
#include "route/route.h"

/* Copies a text, cut if it is too long, and always terminated. */
static void copy_text(char *out, size_t size, const char *text)
{
	size_t len = strnlen(text, size - 1);

	memcpy(out, text, len);
	out[len] = '\0';
}

void disconnects_note(struct disconnects *disconnects, const struct client *client)
{
	struct disconnect *disconnect = &disconnects->last[disconnects->n++ % DISCONNECTS_KEPT];

	disconnect->id = client->id;
	disconnect->wall_ms = client->clients->wall_ms;
	disconnect->duration_ms = client->clients->now_ms - client->opened_ms;
	disconnect->code = client->close_code;
	disconnect->reason = client->reason;
	disconnect->transport = client->transport;
	ip_print(&client->remote, disconnect->remote);
	copy_text(disconnect->route, sizeof(disconnect->route), route_path(client->rights.route));
	disconnects->by_reason[client->reason]++;
}

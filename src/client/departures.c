/* Departures: the last connections that ended; see the header. */

#include "client/departures.h"

#include <string.h>

#include "client/clients.h"
#include "route/route.h"

/* Cut where it is too long; always terminated. */
static void copy_text(char *out, size_t size, const char *text)
{
	size_t len = strnlen(text, size - 1);

	memcpy(out, text, len);
	out[len] = '\0';
}

void departures_note(struct departures *departures, const struct client *client)
{
	struct departure *departure = &departures->last[departures->n++ % DEPARTURES_KEPT];

	departure->id = client->id;
	departure->wall_ms = client->clients->wall_ms;
	departure->duration_ms = client->clients->now_ms - client->opened_ms;
	departure->code = client->close_code;
	departure->reason = client->reason;
	copy_text(departure->remote, sizeof(departure->remote), client->remote);
	copy_text(departure->route, sizeof(departure->route), route_path(client->route));
	departures->by_reason[client->reason]++;
}

uint32_t departures_kept(const struct departures *departures)
{
	return departures->n < DEPARTURES_KEPT ? (uint32_t)departures->n : DEPARTURES_KEPT;
}

const struct departure *departures_at(const struct departures *departures, uint32_t i)
{
	return &departures->last[(departures->n - 1 - i) % DEPARTURES_KEPT];
}

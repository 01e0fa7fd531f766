/* Places: the positions of one client in its channels; see the header. */

#include "client/places.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "channel_log/position.h"
#include "core/buf.h"
#include "protocol/message.h"
#include "route/route.h"

struct place {
	char *channel;
	char pos[POSITION_TEXT_MAX];
	size_t pos_len;
};

struct places {
	struct place all[ROUTE_CHANNELS_MAX];
	size_t n;
	bool untold;
};

struct places *places_new(void)
{
	return calloc(1, sizeof(struct places));
}

void places_free(struct places *places)
{
	for (size_t i = 0; places && i < places->n; i++)
		free(places->all[i].channel);
	free(places);
}

/* Its place in this channel; a new one if there is none. NULL when out of memory, and for a channel that is
 * none of its route's: coming back does not lead there. */
static struct place *find(struct places *places, struct slice channel)
{
	struct place *place;

	for (size_t i = 0; i < places->n; i++)
		if (slice_is(channel, places->all[i].channel))
			return &places->all[i];
	if (places->n == ROUTE_CHANNELS_MAX)
		return NULL;
	place = &places->all[places->n];
	place->channel = strndup(channel.data, channel.len);
	places->n += place->channel != NULL;
	return place->channel ? place : NULL;
}

int places_note(struct places *places, struct slice channel, struct slice pos)
{
	struct place *place;

	if (!places || !pos.len || pos.len >= POSITION_TEXT_MAX)
		return 0;
	place = find(places, channel);
	if (!place)
		return places->n == ROUTE_CHANNELS_MAX ? 0 : -ENOMEM;
	memcpy(place->pos, pos.data, pos.len);
	place->pos_len = pos.len;
	places->untold = true;
	return 0;
}

bool places_untold(const struct places *places)
{
	return places && places->untold;
}

struct message *places_tell(struct places *places)
{
	struct message *message = NULL;
	struct buf out = {0};

	buf_append_str(&out, "id: ");
	for (size_t i = 0; i < places->n; i++)
		buf_printf(&out, "%s%s=%.*s", i ? "," : "", places->all[i].channel,
			(int)places->all[i].pos_len, places->all[i].pos);
	buf_append_str(&out, "\n\n");
	if (!out.failed)
		message = message_from_bytes(out.data, out.len);
	buf_deinit(&out);
	places->untold = false;
	return message;
}

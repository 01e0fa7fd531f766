/* Positions: where one client stands in its channels; see the header. */

#include "client/positions.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "channel_log/position.h"
#include "core/buf.h"
#include "protocol/message.h"
#include "route/route.h"

struct channel_position {
	char *channel;
	char pos[POSITION_TEXT_MAX];
	size_t pos_len;
};

struct positions {
	struct channel_position all[ROUTE_CHANNELS_MAX];
	size_t n;
	bool untold;
};

struct positions *positions_new(void)
{
	return calloc(1, sizeof(struct positions));
}

void positions_free(struct positions *positions)
{
	for (size_t i = 0; positions && i < positions->n; i++)
		free(positions->all[i].channel);
	free(positions);
}

/* Its position in this channel; a new one if there is none. NULL when out of memory, and for a channel that
 * is none of its route's: coming back does not lead there. */
static struct channel_position *find(struct positions *positions, struct slice channel)
{
	struct channel_position *position;

	for (size_t i = 0; i < positions->n; i++)
		if (slice_is(channel, positions->all[i].channel))
			return &positions->all[i];
	if (positions->n == ROUTE_CHANNELS_MAX)
		return NULL;
	position = &positions->all[positions->n];
	position->channel = strndup(channel.data, channel.len);
	positions->n += position->channel != NULL;
	return position->channel ? position : NULL;
}

int positions_note(struct positions *positions, struct slice channel, struct slice pos)
{
	struct channel_position *position;

	if (!positions || !pos.len || pos.len >= POSITION_TEXT_MAX)
		return 0;
	position = find(positions, channel);
	if (!position)
		return positions->n == ROUTE_CHANNELS_MAX ? 0 : -ENOMEM;
	memcpy(position->pos, pos.data, pos.len);
	position->pos_len = pos.len;
	positions->untold = true;
	return 0;
}

bool positions_untold(const struct positions *positions)
{
	return positions && positions->untold;
}

struct message *positions_tell(struct positions *positions)
{
	struct message *message = NULL;
	struct buf out = {0};

	buf_append_str(&out, "id: ");
	for (size_t i = 0; i < positions->n; i++)
		buf_printf(&out, "%s%s=%.*s", i ? "," : "", positions->all[i].channel,
			(int)positions->all[i].pos_len, positions->all[i].pos);
	buf_append_str(&out, "\n\n");
	if (!out.failed)
		message = message_from_bytes(out.data, out.len);
	buf_deinit(&out);
	positions->untold = false;
	return message;
}

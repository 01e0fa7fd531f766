/* Answers: the channel on which a node hears answers of backends; see the header. */

#include "bus/answers.h"

#include <stdio.h>

#include "broker/broker.h"
#include "bus/bus_private.h"

void answers_init(struct answers *answers, struct bus *bus, const char *node,
	const struct route_history *history, bus_tap_fn event, void *arg)
{
	char rest[BUS_NODE_MAX + 8];

	answers->wanted = false;
	for (unsigned int i = 0; i < BUS_ANSWERS_CHANNELS; i++) {
		snprintf(rest, sizeof(rest), i ? "%s:%u" : "%s", node, i);
		own_channel_init(&answers->channels[i], bus, "tg:r:", rest, history, event, arg);
	}
}

void answers_follow(struct answers *answers, bool wanted)
{
	answers->wanted = wanted;
	own_channel_follow(&answers->channels[0], wanted);
	for (unsigned int i = 1; !wanted && i < BUS_ANSWERS_CHANNELS; i++)
		own_channel_follow(&answers->channels[i], false);
}

const struct own_channel *answers_live(const struct answers *answers)
{
	for (unsigned int i = 0; i < BUS_ANSWERS_CHANNELS; i++)
		if (own_channel_is_live(&answers->channels[i]))
			return &answers->channels[i];
	return NULL;
}

void answers_tick(struct answers *answers)
{
	const struct broker *broker = answers->channels[0].bus ? answers->channels[0].bus->broker : NULL;

	if (!answers->wanted || !broker || broker_state(broker) != BROKER_PARTIAL || answers_live(answers))
		return;
	/* One whose server is there and that is not live will be that in a moment. */
	for (unsigned int i = 0; i < BUS_ANSWERS_CHANNELS; i++) {
		struct own_channel *channel = &answers->channels[i];

		if (broker_channel_state(broker, own_channel_name(channel)) == BROKER_READY) {
			own_channel_follow(channel, true);
			return;
		}
	}
}

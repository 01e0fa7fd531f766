/* The bus' inbox; see the header. */

#include "bus/bus_inbox.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "broker/broker.h"
#include "bus/bus_channel.h"
#include "bus/bus_joins.h"
#include "bus/bus_lifecycle.h"
#include "bus/bus_presence.h"
#include "bus/bus_private.h"
#include "bus/tickets.h"
#include "core/clock.h"
#include "core/mailbox.h"
#include "core/priority.h"
#include "mail/action.h"
#include "mail/bus_mail.h"
#include "mail/join.h"
#include "mail/order.h"
#include "mail/presence.h"
#include "mail/session.h"
#include "mail/survey.h"
#include "mail/ticket.h"
#include "mail/wish.h"
#include "worker/worker.h"

/* From a worker. */
struct wish_mail {
	struct bus_mail mail;
	unsigned int worker;
	struct wish wish; /* its slice is what follows */
	char channel[];
};

static void take_wanted(struct bus *bus, const struct wish_mail *mail)
{
	const struct wish *wish = &mail->wish;
	struct bus_channel *channel = bus_channel_get(bus, wish->hash, wish->channel);

	if (!channel) {
		log_error(bus->log, "channel not subscribed: out of memory",
			log_slice("channel", wish->channel));
		return;
	}
	bus_channel_want(channel, mail->worker, wish->generation);
	if (wish->urgent && !channel->confirmed)
		broker_hurry(bus->broker, wish->channel);
}

static void take_wish(struct bus *bus, struct wish_mail *mail)
{
	const struct wish *wish = &mail->wish;
	struct bus_channel *channel;

	if (wish->wanted) {
		take_wanted(bus, mail);
	} else {
		channel = bus_channel_find(bus, wish->hash, wish->channel);
		if (channel)
			bus_channel_unwant(channel, mail->worker, wish->generation);
	}
	free(mail);
}

static void take_mail(struct bus *bus, struct bus_mail *mail)
{
	switch (mail->kind) {
	case BUS_WISH:
		take_wish(bus, (struct wish_mail *)mail);
		break;
	case BUS_JOIN:
		if (replays_admit(&bus->replays, (struct join *)mail))
			bus_joins_take(bus, (struct join *)mail);
		break;
	case BUS_SPENT:
		bus_joins_spent(bus, (struct credit *)mail);
		break;
	case BUS_SURVEY:
		survey_return((struct survey_part *)mail);
		break;
	case BUS_ORDER:
		order_return((struct order_part *)mail);
		break;
	case BUS_ACTION:
		actions_take(&bus->actions, (struct action *)mail);
		break;
	case BUS_PRESENCE:
		bus_presence_take(bus, (struct presence_change *)mail);
		break;
	case BUS_SESSION:
		bus_lifecycle_take(bus, (struct session_change *)mail);
		break;
	case BUS_ROLL_CALL:
		roll_calls_take(&bus->roll_calls, (struct roll_call *)mail);
		break;
	case BUS_KEYS:
		if (bus->keys.wanted)
			bus->keys.wanted(bus->keys.arg);
		free(mail);
		break;
	case BUS_TICKET:
		tickets_take(bus, (struct ticket *)mail);
		break;
	}
}

void bus_inbox_take(struct bus *bus)
{
	struct mail *mail = mailbox_take(bus->inbox);

	while (mail) {
		struct mail *next = mail->next;

		take_mail(bus, (struct bus_mail *)mail);
		if (bus->n_lingering > BUS_LINGERING_MAX)
			bus_channels_expire(bus, clock_monotonic_ms());
		mail = next;
	}
	actions_flush(&bus->actions);
}

static void on_mail(evutil_socket_t fd, short events, void *arg)
{
	(void)fd;
	(void)events;
	bus_inbox_take(arg);
}

static void wake(void *arg)
{
	struct bus *bus = arg;

	event_active(bus->mail_event, EV_READ, 0);
}

void bus_inbox_share_loop(struct bus *bus)
{
	mailbox_wake_by(bus->inbox, wake, bus);
	event_priority_set(bus->mail_event, PRIORITY_LAST); /* it comes from sockets */
}

static void free_mail(struct bus_mail *mail)
{
	switch (mail->kind) {
	case BUS_WISH:
	case BUS_PRESENCE:
	case BUS_SESSION:
	case BUS_ACTION:
	case BUS_KEYS:
		free(mail);
		break;
	case BUS_JOIN:
		join_free((struct join *)mail);
		break;
	case BUS_SPENT:
		credit_free((struct credit *)mail);
		break;
	case BUS_SURVEY:
		survey_lost((struct survey_part *)mail);
		break;
	case BUS_ORDER:
		order_return((struct order_part *)mail);
		break;
	case BUS_ROLL_CALL:
		roll_call_free((struct roll_call *)mail);
		break;
	case BUS_TICKET:
		ticket_free((struct ticket *)mail);
		break;
	}
}

int bus_inbox_open(struct bus *bus)
{
	bus->inbox = mailbox_new();
	if (bus->inbox)
		bus->mail_event =
			event_new(bus->base, mailbox_fd(bus->inbox), EV_READ | EV_PERSIST, on_mail, bus);
	if (!bus->mail_event || event_add(bus->mail_event, NULL) < 0)
		return -ENOMEM;
	return 0;
}

void bus_inbox_close(struct bus *bus)
{
	struct mail *mail;

	if (bus->mail_event)
		event_free(bus->mail_event);
	while (bus->inbox && (mail = mailbox_take(bus->inbox))) {
		while (mail) {
			struct mail *after = mail->next;

			free_mail((struct bus_mail *)mail);
			mail = after;
		}
	}
	mailbox_free(bus->inbox);
}

/* --- posted by workers, on their threads --- */

static void post_wish(void *arg, unsigned int worker, const struct wish *wish)
{
	struct bus *bus = arg;
	struct wish_mail *mail = malloc(sizeof(*mail) + wish->channel.len);

	if (!mail)
		return; /* a subscriber is told after its deadline; a channel that was left stays in Redis */
	mail->mail.kind = BUS_WISH;
	mail->worker = worker;
	mail->wish = *wish;
	mail->wish.channel.data = memcpy(mail->channel, wish->channel.data, wish->channel.len);
	mailbox_push(bus->inbox, &mail->mail.mail);
}

static void post_join(void *arg, struct join *join)
{
	struct bus *bus = arg;

	mailbox_push(bus->inbox, &join->mail.mail);
}

static void post_spent(void *arg, struct credit *credit)
{
	struct bus *bus = arg;

	mailbox_push(bus->inbox, &credit->mail.mail);
}

static void post_action(void *arg, struct action *action)
{
	struct bus *bus = arg;

	mailbox_push(bus->inbox, &action->mail.mail);
}

static void post_presence(void *arg, struct presence_change *change)
{
	struct bus *bus = arg;

	mailbox_push(bus->inbox, &change->mail.mail);
}

static void post_session(void *arg, struct session_change *change)
{
	struct bus *bus = arg;

	mailbox_push(bus->inbox, &change->mail.mail);
}

static void post_roll_call(void *arg, struct roll_call *call)
{
	struct bus *bus = arg;

	mailbox_push(bus->inbox, &call->mail.mail);
}

static void post_survey(void *arg, struct survey_part *part)
{
	struct bus *bus = arg;

	mailbox_push(bus->inbox, &part->mail.mail);
}

static void post_order(void *arg, struct order_part *part)
{
	struct bus *bus = arg;

	mailbox_push(bus->inbox, &part->mail.mail);
}

static void post_ticket(void *arg, struct ticket *ticket)
{
	struct bus *bus = arg;

	mailbox_push(bus->inbox, &ticket->mail.mail);
}

static int post_keys(void *arg)
{
	struct bus *bus = arg;
	struct bus_mail *mail = malloc(sizeof(*mail));

	if (!mail)
		return -ENOMEM;
	mail->kind = BUS_KEYS;
	mailbox_push(bus->inbox, &mail->mail);
	return 0;
}

/* On the bus thread, where the worker shares it. */
static bool look(void *arg)
{
	struct bus *bus = arg;

	bus_inbox_take(bus);
	return broker_look(bus->broker);
}

struct worker_listener bus_worker_listener(struct bus *bus)
{
	return (struct worker_listener){bus, post_wish, post_join, post_spent, post_action, post_presence,
		post_session, post_roll_call, post_survey, post_order, post_ticket, post_keys, look};
}

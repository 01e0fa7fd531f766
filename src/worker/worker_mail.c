/* Worker mail: the messages in a worker's inbox; see the header. */

#include "worker/worker_mail.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "auth/revocations.h"
#include "auth/verifier.h"
#include "mail/join.h"
#include "mail/order.h"
#include "mail/presence.h"
#include "mail/survey.h"
#include "mail/ticket.h"
#include "protocol/message.h"
#include "tls/tls_keys.h"
#include "worker/backlog.h"
#include "worker/worker_settings.h"

enum {
	FIRST_CAPACITY = 64,
};

struct worker_mail *worker_mail_new(enum worker_mail_kind kind, const char *channel, size_t channel_len)
{
	struct worker_mail *mail = calloc(1, sizeof(*mail) + channel_len);

	if (!mail)
		return NULL;
	mail->kind = kind;
	mail->channel_len = channel_len;
	if (channel_len)
		memcpy(mail->channel, channel, channel_len);
	return mail;
}

struct worker_mail *worker_mail_about(
	enum worker_mail_kind kind, struct slice channel, uint64_t hash, struct message *message)
{
	struct worker_mail *mail = worker_mail_new(kind, channel.data, channel.len);

	if (!mail || worker_mail_add(mail, message) < 0) {
		worker_mail_free(mail);
		return NULL;
	}
	mail->hash = hash;
	mail->bytes = sizeof(*mail) + channel.len + backlog_event_bytes(message);
	return mail;
}

int worker_mail_add(struct worker_mail *mail, struct message *event)
{
	if (mail->n_events == mail->capacity) {
		uint32_t capacity = mail->capacity                ? mail->capacity * 2
				    : mail->kind == WORKER_EVENTS ? FIRST_CAPACITY
								  : 1;
		void *grown = realloc(mail->events, capacity * sizeof(struct message *));

		if (!grown)
			return -ENOMEM;
		mail->events = grown;
		mail->capacity = capacity;
	}
	mail->events[mail->n_events++] = message_ref(event);
	return 0;
}

void worker_mail_free(struct worker_mail *mail)
{
	if (!mail)
		return;
	if (mail->join) {
		join_free(mail->join); /* and with it the mail */
		return;
	}
	if (mail->survey) {
		survey_lost(mail->survey); /* likewise */
		return;
	}
	if (mail->order) {
		order_return(mail->order); /* likewise */
		return;
	}
	if (mail->ticket) {
		ticket_free(mail->ticket); /* likewise */
		return;
	}
	if (mail->roll_call) {
		roll_call_free(mail->roll_call); /* likewise */
		return;
	}
	for (uint32_t i = mail->n_taken; i < mail->n_events; i++)
		message_unref(mail->events[i]);
	free(mail->events);
	worker_settings_free(mail->settings);
	verifier_unref(mail->verifier);
	revocations_unref(mail->revocations);
	tls_keys_unref(mail->tls_keys);
	free(mail);
}

/* Worker, as other threads see it: what they put into its inbox. See the header for which thread may. */

#include "worker/worker.h"

#include <errno.h>

#include "auth/revocations.h"
#include "auth/verifier.h"
#include "core/mailbox.h"
#include "mail/confirmation.h"
#include "mail/join.h"
#include "mail/order.h"
#include "mail/presence.h"
#include "mail/survey.h"
#include "mail/ticket.h"
#include "tls/tls_keys.h"
#include "worker/backlog.h"
#include "worker/worker_mail.h"
#include "worker/worker_private.h"
#include "worker/worker_settings.h"

static void post(struct worker *worker, struct worker_mail *mail)
{
	if (mail)
		mailbox_push(worker->inbox, &mail->mail);
}

int worker_post_event(struct worker *worker, struct message *event)
{
	if (!worker->outgoing)
		worker->outgoing = worker_mail_new(WORKER_EVENTS, NULL, 0);
	if (!worker->outgoing || worker_mail_add(worker->outgoing, event) < 0)
		return -ENOMEM;
	worker->outgoing->bytes += backlog_event_bytes(event);
	return 0;
}

static void post_counted(struct worker *worker, struct worker_mail *mail)
{
	backlog_posted(&worker->backlog, mail->bytes);
	post(worker, mail);
}

void worker_post_flush(struct worker *worker)
{
	if (worker->outgoing)
		post_counted(worker, worker->outgoing);
	worker->outgoing = NULL;
}

void worker_post_confirm(
	struct worker *worker, struct slice channel, uint64_t hash, const struct confirmation *confirmation)
{
	struct worker_mail *mail = worker_mail_new(WORKER_CONFIRM, channel.data, channel.len);

	/* Without it clients are answered after a deadline. */
	if (!mail || (confirmation->told && worker_mail_add(mail, confirmation->told) < 0)) {
		worker_mail_free(mail);
		return;
	}
	mail->hash = hash;
	mail->confirmation = *confirmation;
	post(worker, mail);
}

void worker_post_channel_lost(struct worker *worker, struct slice channel, uint64_t hash)
{
	struct worker_mail *mail = worker_mail_new(WORKER_CHANNEL_LOST, channel.data, channel.len);

	if (!mail)
		return;
	mail->hash = hash;
	post(worker, mail);
}

void worker_post_told(struct worker *worker, struct slice channel, uint64_t hash, struct message *told)
{
	struct worker_mail *mail = worker_mail_about(WORKER_TOLD, channel, hash, told);

	if (mail)
		post_counted(worker, mail);
}

void worker_post_answer(struct worker *worker, const struct action_answer *answer)
{
	struct worker_mail *mail = worker_mail_new(WORKER_ANSWER, NULL, 0);

	if (!mail || (answer->event && worker_mail_add(mail, answer->event) < 0)) {
		worker_mail_free(mail);
		return;
	}
	mail->answer = *answer;
	post(worker, mail);
}

void worker_post_joined(struct worker *worker, struct join *join)
{
	struct worker_mail *mail = join->carrier;

	mail->join = join;
	post(worker, mail);
}

void worker_post_roll(struct worker *worker, struct roll_call *call)
{
	struct worker_mail *mail = call->carrier;

	mail->roll_call = call;
	post(worker, mail);
}

void worker_post_ticket(struct worker *worker, struct ticket *ticket)
{
	struct worker_mail *mail = ticket->carrier;

	mail->ticket = ticket;
	post(worker, mail);
}

int worker_post_keys(struct worker *worker, enum worker_keys_news news, struct verifier *verifier)
{
	struct worker_mail *mail = worker_mail_new(WORKER_KEYS, NULL, 0);

	if (!mail)
		return -ENOMEM;
	mail->keys_news = news;
	mail->verifier = verifier ? verifier_ref(verifier) : NULL;
	post(worker, mail);
	return 0;
}

void worker_post_resync(
	struct worker *worker, struct slice channel, uint64_t hash, struct message *told, bool close_others)
{
	struct worker_mail *mail = worker_mail_about(WORKER_RESYNC, channel, hash, told);

	if (!mail)
		return;
	mail->close_others = close_others;
	post_counted(worker, mail);
}

int worker_post_late(
	struct worker *worker, struct slice channel, uint64_t hash, struct message *event, uint16_t era)
{
	struct worker_mail *mail = worker_mail_about(WORKER_LATE, channel, hash, event);

	if (!mail)
		return -ENOMEM;
	mail->era = era;
	post_counted(worker, mail);
	return 0;
}

int worker_post_survey(struct worker *worker, struct survey_part *part)
{
	struct worker_mail *mail = worker_mail_new(WORKER_SURVEY, NULL, 0);

	if (!mail)
		return -ENOMEM;
	mail->survey = part;
	part->carrier = mail;
	survey_send(part);
	post(worker, mail);
	return 0;
}

int worker_post_revocations(struct worker *worker, struct revocations *revocations)
{
	struct worker_mail *mail = worker_mail_new(WORKER_REVOCATIONS, NULL, 0);

	if (!mail)
		return -ENOMEM;
	mail->revocations = revocations_ref(revocations);
	post(worker, mail);
	return 0;
}

int worker_post_order(struct worker *worker, struct order_part *part)
{
	struct worker_mail *mail = worker_mail_new(WORKER_ORDER, NULL, 0);

	if (!mail)
		return -ENOMEM;
	mail->order = part;
	part->carrier = mail;
	order_send(part);
	post(worker, mail);
	return 0;
}

int worker_post_tls_keys(struct worker *worker, struct tls_keys *keys)
{
	struct worker_mail *mail = worker_mail_new(WORKER_TLS_KEYS, NULL, 0);

	if (!mail)
		return -ENOMEM;
	mail->tls_keys = tls_keys_ref(keys);
	post(worker, mail);
	return 0;
}

void worker_post_connected(struct worker *worker, bool connected)
{
	struct worker_mail *mail = worker_mail_new(WORKER_CONNECTED, NULL, 0);

	if (!mail)
		return;
	mail->connected = connected;
	post(worker, mail);
}

void worker_post_drain(struct worker *worker, uint64_t time_ms, uint64_t seed)
{
	struct worker_mail *mail = worker_mail_new(WORKER_DRAIN, NULL, 0);

	if (!mail)
		return; /* its clients go with the process */
	mail->drain_ms = time_ms;
	mail->seed = seed;
	post(worker, mail);
}

int worker_prepare(
	struct worker *worker, const struct config *config, struct verifier *verifier, struct buf *error)
{
	struct worker_mail *mail = worker_mail_new(WORKER_CONFIGURE, NULL, 0);
	int r = mail ? worker_settings_new(config, verifier, &mail->settings, error) : -ENOMEM;

	if (r < 0)
		goto fail;
	worker_mail_free(worker->prepared);
	worker->prepared = mail;
	return 0;

fail:
	worker_mail_free(mail);
	return r;
}

void worker_configure(struct worker *worker, bool go)
{
	if (go)
		post(worker, worker->prepared);
	else
		worker_mail_free(worker->prepared);
	worker->prepared = NULL;
}

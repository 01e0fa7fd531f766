#ifndef TIDEGATE_WORKER_WORKER_MAIL_H
#define TIDEGATE_WORKER_WORKER_MAIL_H

/* Worker mail: the messages in a worker's inbox. Made by the posting thread, freed by the worker. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/mailbox.h"
#include "core/slice.h"
#include "mail/action.h"
#include "mail/confirmation.h"
#include "worker/worker.h"

struct join;
struct message;
struct order_part;
struct roll_call;
struct worker_settings;
struct revocations;
struct survey_part;
struct ticket;
struct tls_keys;
struct verifier;

enum worker_mail_kind {
	WORKER_EVENTS,
	WORKER_CONFIRM,
	WORKER_CHANNEL_LOST,
	WORKER_TOLD,
	WORKER_CONNECTED,
	WORKER_JOINED,
	WORKER_RESYNC,
	WORKER_LATE,
	WORKER_SURVEY,
	WORKER_ORDER,
	WORKER_ANSWER,
	WORKER_TICKET,
	WORKER_ROLL,
	WORKER_KEYS,
	WORKER_REVOCATIONS,
	WORKER_CONFIGURE,
	WORKER_TLS_KEYS,
	WORKER_DRAIN,
	WORKER_STOP,
};

struct worker_mail {
	struct mail mail; /* first: a mail is cast back */
	enum worker_mail_kind kind;
	bool close_others; /* WORKER_RESYNC; events[0] is the message for clients that know recovery */
	struct join *join; /* WORKER_JOINED; the mail is its carrier and goes with it */
	struct survey_part *survey;      /* WORKER_SURVEY; likewise */
	struct ticket *ticket;           /* WORKER_TICKET; likewise */
	struct order_part *order;        /* WORKER_ORDER; likewise, once it is carried out */
	struct roll_call *roll_call;     /* WORKER_ROLL; likewise */
	enum worker_keys_news keys_news; /* WORKER_KEYS */
	struct verifier *verifier;       /* likewise; one reference, or NULL */
	struct revocations *revocations; /* WORKER_REVOCATIONS; one reference */
	bool connected;                  /* WORKER_CONNECTED */
	uint64_t hash; /* WORKER_CONFIRM, WORKER_CHANNEL_LOST, WORKER_TOLD, WORKER_RESYNC, WORKER_LATE */
	struct confirmation confirmation; /* WORKER_CONFIRM; its message is events[0], if there is one */
	uint16_t era;                     /* WORKER_LATE; events[0] is the event */
	struct worker_settings *settings; /* WORKER_CONFIGURE */
	struct tls_keys *tls_keys;        /* WORKER_TLS_KEYS; one reference */
	struct action_answer answer;      /* WORKER_ANSWER; its event is events[0], if there is one */
	uint64_t drain_ms;                /* WORKER_DRAIN */
	uint64_t seed;                    /* likewise */
	size_t channel_len;               /* of channel */
	uint32_t n_events;                /* WORKER_EVENTS; a reference each */
	uint32_t n_taken;                 /* of them; the worker has given these references away */
	uint32_t capacity;
	uint64_t bytes; /* of WORKER_EVENTS, WORKER_RESYNC, WORKER_LATE: their memory, for the backlog */
	struct message **events;
	char channel[]; /* WORKER_CONFIRM, WORKER_CHANNEL_LOST, WORKER_TOLD, WORKER_RESYNC, WORKER_LATE */
};

/* NULL when out of memory. */
struct worker_mail *worker_mail_new(enum worker_mail_kind kind, const char *channel, size_t channel_len);

/* Makes a mail with one message about a channel, in its place among the events. NULL when out of memory. */
struct worker_mail *worker_mail_about(
	enum worker_mail_kind kind, struct slice channel, uint64_t hash, struct message *message);

/* Adds an event, taking its own reference. 0 or -ENOMEM. */
int worker_mail_add(struct worker_mail *mail, struct message *event);

/* With the references it still has. Accepts NULL. */
void worker_mail_free(struct worker_mail *mail);

#endif

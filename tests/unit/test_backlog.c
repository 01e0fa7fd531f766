/* Backlog: what worker/backlog.h promises. */

#include "worker/backlog.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/key_path.h"
#include "protocol/message.h"
#include "worker/worker_mail.h"

/* Adds an event of a channel to the mail, with a key if there is one. */
static void add(struct worker_mail *mail, const char *channel, const char *key)
{
	struct message *message;
	struct key_path path;
	char payload[100];
	const char *why;
	int len;

	assert_int_equal(key_path_parse(&path, "data.id", &why), 0);
	len = snprintf(payload, sizeof(payload), "{\"type\":\"e\",\"data\":{\"%s\":\"%s\"}}",
		key ? "id" : "no", key ? key : "");
	assert_int_equal(message_from_event(message_channel(slice_of(channel)),
				 (struct slice){payload, (size_t)len}, (struct slice){0}, 0, 1, &message),
		0);
	message_set_key(message, &path);
	assert_int_equal(worker_mail_add(mail, message), 0);
	message_unref(message);
}

static struct worker_mail *mail_new(enum worker_mail_kind kind)
{
	struct worker_mail *mail = worker_mail_new(kind, NULL, 0);

	assert_non_null(mail);
	return mail;
}

static void counts_what_has_mail_of_its_own(void **state)
{
	struct worker_mail *events = mail_new(WORKER_EVENTS), *mail;
	struct message *event;

	(void)state;
	add(events, "cards", NULL);
	event = events->events[0];
	mail = worker_mail_about(WORKER_LATE, slice_of("cards"), 7, event);
	assert_non_null(mail);
	assert_true(mail->bytes > backlog_event_bytes(event));
	assert_ptr_equal(mail->events[0], event);
	assert_int_equal(mail->n_events, 1);
	worker_mail_free(mail);
	worker_mail_free(events);
}

static void gives_way_above_the_bound_until_half_of_it_waits(void **state)
{
	struct backlog backlog;

	(void)state;
	backlog_init(&backlog, 1000);
	backlog_posted(&backlog, 1000);
	assert_false(backlog_passes(&backlog));
	backlog_posted(&backlog, 1);
	assert_true(backlog_passes(&backlog));
	backlog_taken(&backlog, 500);
	assert_true(backlog_passes(&backlog));
	backlog_taken(&backlog, 1);
	assert_false(backlog_passes(&backlog));
	backlog_posted(&backlog, 500);
	assert_false(backlog_passes(&backlog));
	assert_int_equal(backlog_bytes(&backlog), 1000);
	backlog_deinit(&backlog);
}

/* Two mails with one of another kind in between, the first of them begun. */
static void keeps_the_last_word_of_each_key_and_channel(void **state)
{
	struct worker_mail *first = mail_new(WORKER_EVENTS), *other = mail_new(WORKER_CONFIRM);
	struct worker_mail *second = mail_new(WORKER_EVENTS);
	struct backlog backlog;

	(void)state;
	add(first, "x", "taken");
	add(first, "x", "a");
	add(first, "x", "b");
	add(first, "y", "a");
	add(first, "x", NULL);
	add(first, "z", NULL);
	add(second, "x", NULL);
	add(second, "x", "a");
	first->mail.next = &other->mail;
	other->mail.next = &second->mail;
	message_unref(first->events[first->n_taken++]);
	backlog_init(&backlog, 1000);
	backlog_learn(&backlog, first);
	assert_false(backlog_keeps(&backlog, first->events[1]));
	assert_true(backlog_keeps(&backlog, first->events[2]));
	assert_true(backlog_keeps(&backlog, first->events[3]));
	assert_false(backlog_keeps(&backlog, first->events[4]));
	assert_true(backlog_keeps(&backlog, first->events[5])); /* a quiet channel */
	assert_true(backlog_keeps(&backlog, second->events[0]));
	assert_true(backlog_keeps(&backlog, second->events[1]));
	backlog_deinit(&backlog);
	worker_mail_free(first);
	worker_mail_free(other);
	worker_mail_free(second);
}

/* What was given away is freed, and not looked at again: address sanitizer looks on. */
static void forgets_what_was_asked_about(void **state)
{
	enum {
		KEYS = 100,
		ROUNDS = 3
	};
	struct worker_mail *mail = mail_new(WORKER_EVENTS);
	struct backlog backlog;
	char key[16];

	(void)state;
	for (int i = 0; i < KEYS * ROUNDS; i++) {
		snprintf(key, sizeof(key), "%d", i % KEYS);
		add(mail, "x", key);
	}
	backlog_init(&backlog, 1000);
	backlog_learn(&backlog, mail);
	while (mail->n_taken < mail->n_events) {
		bool is_last = mail->n_taken >= KEYS * (ROUNDS - 1);

		assert_int_equal(backlog_keeps(&backlog, mail->events[mail->n_taken]), is_last);
		message_unref(mail->events[mail->n_taken++]);
	}
	backlog_deinit(&backlog);
	worker_mail_free(mail);
}

static void keeps_nothing_once_half_as_much_again_waits(void **state)
{
	struct worker_mail *mail = mail_new(WORKER_EVENTS);
	struct backlog backlog;

	(void)state;
	add(mail, "x", "a");
	add(mail, "x", "b");
	backlog_init(&backlog, 1000);
	backlog_learn(&backlog, mail);
	backlog_posted(&backlog, 1501);
	assert_false(backlog_keeps(&backlog, mail->events[0]));
	backlog_taken(&backlog, 1);
	assert_true(backlog_keeps(&backlog, mail->events[1]));
	backlog_deinit(&backlog);
	worker_mail_free(mail);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_what_has_mail_of_its_own),
		cmocka_unit_test(gives_way_above_the_bound_until_half_of_it_waits),
		cmocka_unit_test(keeps_the_last_word_of_each_key_and_channel),
		cmocka_unit_test(forgets_what_was_asked_about),
		cmocka_unit_test(keeps_nothing_once_half_as_much_again_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Mailbox: what core/mailbox.h promises. Run it under ThreadSanitizer too: that is half of the promise. */

#include "core/mailbox.h"

#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

enum {
	N_PUSHERS = 4,
	N_LETTERS = 5000,
};

struct letter {
	struct mail mail; /* first, so that a mail is a letter */
	unsigned int pusher;
	unsigned int number;
};

struct pusher {
	pthread_t thread;
	struct mailbox *box;
	struct letter *letters;
};

static bool readable(const struct mailbox *box, int timeout_ms)
{
	struct pollfd poller = {.fd = mailbox_fd(box), .events = POLLIN};

	return poll(&poller, 1, timeout_ms) == 1;
}

static void hands_out_in_the_order_of_pushing(void **state)
{
	struct mailbox *box = mailbox_new();
	struct letter letters[3] = {0};
	struct mail *mail;

	(void)state;
	for (unsigned int i = 0; i < 3; i++)
		mailbox_push(box, &letters[i].mail);
	mail = mailbox_take(box);
	for (unsigned int i = 0; i < 3; i++, mail = mail->next)
		assert_ptr_equal(mail, &letters[i].mail);
	assert_null(mail);
	assert_null(mailbox_take(box));
	mailbox_free(box);
}

static void wakes_once_per_batch(void **state)
{
	struct mailbox *box = mailbox_new();
	struct letter letters[3] = {0};
	uint64_t wakeups;

	(void)state;
	assert_false(readable(box, 0));
	for (unsigned int i = 0; i < 3; i++)
		mailbox_push(box, &letters[i].mail);
	assert_true(readable(box, 0));
	/* An eventfd counts its writes: one for three. */
	assert_int_equal(read(mailbox_fd(box), &wakeups, sizeof(wakeups)), sizeof(wakeups));
	assert_int_equal(wakeups, 1);
	assert_non_null(mailbox_take(box));
	assert_false(readable(box, 0));
	mailbox_push(box, &letters[0].mail);
	assert_true(readable(box, 0));
	assert_non_null(mailbox_take(box));
	assert_false(readable(box, 0));
	mailbox_free(box);
}

static void count(void *arg)
{
	unsigned int *n = arg;

	++*n;
}

static void wakes_by_a_call_where_the_taker_pushes(void **state)
{
	struct mailbox *box = mailbox_new();
	struct letter letters[3] = {0};
	unsigned int n = 0;

	(void)state;
	mailbox_wake_by(box, count, &n);
	for (unsigned int i = 0; i < 3; i++)
		mailbox_push(box, &letters[i].mail);
	assert_int_equal(n, 1);
	assert_false(readable(box, 0));
	assert_ptr_equal(mailbox_take(box), &letters[0].mail);
	mailbox_push(box, &letters[0].mail);
	assert_int_equal(n, 2);
	assert_non_null(mailbox_take(box));
	mailbox_free(box);
}

static void *push_all(void *userdata)
{
	struct pusher *pusher = userdata;

	for (unsigned int i = 0; i < N_LETTERS; i++)
		mailbox_push(pusher->box, &pusher->letters[i].mail);
	return NULL;
}

static void start(struct pusher *pusher, unsigned int id, struct mailbox *box)
{
	pusher->box = box;
	pusher->letters = calloc(N_LETTERS, sizeof(*pusher->letters));
	assert_non_null(pusher->letters);
	for (unsigned int i = 0; i < N_LETTERS; i++) {
		pusher->letters[i].pusher = id;
		pusher->letters[i].number = i;
	}
	assert_int_equal(pthread_create(&pusher->thread, NULL, push_all, pusher), 0);
}

static void loses_nothing_between_threads_and_keeps_each_pushers_order(void **state)
{
	struct mailbox *box = mailbox_new();
	struct pusher pushers[N_PUSHERS];
	unsigned int next[N_PUSHERS] = {0};
	unsigned int n = 0;

	(void)state;
	for (unsigned int i = 0; i < N_PUSHERS; i++)
		start(&pushers[i], i, box);
	while (n < N_PUSHERS * N_LETTERS) {
		/* Only ever woken by the box: a lost wake-up fails here. */
		assert_true(readable(box, 30000));
		for (struct mail *mail = mailbox_take(box); mail; mail = mail->next, n++) {
			struct letter *letter = (struct letter *)mail;

			assert_int_equal(letter->number, next[letter->pusher]++);
		}
	}
	for (unsigned int i = 0; i < N_PUSHERS; i++) {
		pthread_join(pushers[i].thread, NULL);
		free(pushers[i].letters);
	}
	assert_null(mailbox_take(box));
	mailbox_free(box);
}

static void frees_nothing_when_given_nothing(void **state)
{
	(void)state;
	mailbox_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hands_out_in_the_order_of_pushing),
		cmocka_unit_test(wakes_once_per_batch),
		cmocka_unit_test(wakes_by_a_call_where_the_taker_pushes),
		cmocka_unit_test(loses_nothing_between_threads_and_keeps_each_pushers_order),
		cmocka_unit_test(frees_nothing_when_given_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

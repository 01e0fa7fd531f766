/* Outbox: what client/outbox.h promises. */

#include "client/outbox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/message.h"

#define NO_BOUND SIZE_MAX

/* A message of so many bytes on the wire (3 to 127). */
static struct message *message_of(size_t frame_len)
{
	char text[128];
	struct message *message;

	memset(text, 'x', sizeof(text));
	message = message_from_text(text, frame_len - 2);
	assert_non_null(message);
	assert_int_equal(message->frame_len, frame_len);
	return message;
}

static unsigned int n_refs(struct message *message)
{
	return atomic_load(&message->n_refs);
}

static void push(struct outbox *box, struct message *message)
{
	assert_int_equal(outbox_push(box, message, NO_BOUND), 0);
}

/* Takes out the oldest, which is this one, and gives its reference back. */
static void assert_pops(struct outbox *box, struct message *expected)
{
	struct message *message = outbox_pop(box);

	assert_ptr_equal(message, expected);
	message_unref(message);
}

static void hands_out_the_oldest_first(void **state)
{
	struct outbox box = {0};
	struct message *messages[100];

	(void)state;
	for (uint32_t i = 0; i < 100; i++) {
		messages[i] = message_of(10);
		push(&box, messages[i]);
	}
	assert_int_equal(box.n, 100);
	for (uint32_t i = 0; i < 100; i++)
		assert_ptr_equal(outbox_peek(&box, i), messages[i]);
	for (uint32_t i = 0; i < 100; i++) {
		assert_pops(&box, messages[i]);
		message_unref(messages[i]);
	}
	assert_true(outbox_empty(&box));
	assert_null(outbox_pop(&box));
	outbox_deinit(&box);
}

/* The ring turns many times over, at every fill that it can have while it grows. */
static void keeps_its_order_around_the_end_of_its_memory(void **state)
{
	struct outbox box = {0};
	struct message *messages[64];
	size_t pushed = 0, popped = 0;

	(void)state;
	for (size_t i = 0; i < 64; i++)
		messages[i] = message_of(3 + i);
	for (size_t fill = 1; fill <= 40; fill++) {
		for (size_t i = 0; i < fill + 3; i++)
			push(&box, messages[pushed++ % 64]);
		for (size_t i = 0; i < fill + 2; i++)
			assert_pops(&box, messages[popped++ % 64]);
		assert_int_equal(box.n, pushed - popped);
	}
	while (popped < pushed)
		assert_pops(&box, messages[popped++ % 64]);
	assert_int_equal(box.bytes, 0);
	for (size_t i = 0; i < 64; i++)
		message_unref(messages[i]);
	outbox_deinit(&box);
}

static void refuses_a_message_past_its_bound(void **state)
{
	struct outbox box = {0};
	struct message *ten = message_of(10), *one_more = message_of(3);

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(outbox_push(&box, ten, 32), 0);
	assert_int_equal(box.bytes, 30);
	assert_int_equal(outbox_push(&box, one_more, 32), OUTBOX_FULL);
	assert_int_equal(box.n, 3); /* as it was */
	assert_int_equal(box.bytes, 30);
	assert_int_equal(n_refs(one_more), 1);
	assert_int_equal(outbox_push(&box, one_more, 33), 0); /* exactly the bound is within it */
	assert_int_equal(box.bytes, 33);
	assert_pops(&box, ten);
	assert_int_equal(box.bytes, 23); /* what is read makes room */
	assert_int_equal(outbox_push(&box, ten, 33), 0);
	outbox_deinit(&box);
	message_unref(ten);
	message_unref(one_more);
}

static void refuses_a_message_larger_than_its_bound_even_when_empty(void **state)
{
	struct outbox box = {0};
	struct message *message = message_of(100);

	(void)state;
	assert_int_equal(outbox_push(&box, message, 99), OUTBOX_FULL);
	assert_true(outbox_empty(&box));
	assert_null(box.ring);
	message_unref(message);
}

static void never_refuses_what_goes_to_the_front(void **state)
{
	struct outbox box = {0};
	struct message *event = message_of(10), *ping = message_of(3), *last = message_of(4);

	(void)state;
	for (int i = 0; i < 8; i++) /* one past a power of two: the ring has to grow at its front */
		assert_int_equal(outbox_push(&box, event, 80), 0);
	assert_int_equal(outbox_push_front(&box, ping), 0);
	assert_int_equal(outbox_push_front(&box, last), 0);
	assert_int_equal(box.bytes, 87);
	assert_int_equal(outbox_push(&box, ping, 80), OUTBOX_FULL);
	assert_pops(&box, last);
	assert_pops(&box, ping);
	for (int i = 0; i < 8; i++)
		assert_pops(&box, event);
	assert_true(outbox_empty(&box));
	outbox_deinit(&box);
	message_unref(event);
	message_unref(ping);
	message_unref(last);
}

static void goes_to_the_front_of_an_empty_one(void **state)
{
	struct outbox box = {0};
	struct message *ping = message_of(3), *event = message_of(10);

	(void)state;
	assert_int_equal(outbox_push_front(&box, ping), 0);
	push(&box, event);
	assert_pops(&box, ping);
	assert_pops(&box, event);
	outbox_deinit(&box);
	message_unref(ping);
	message_unref(event);
}

static void takes_references_never_copies(void **state)
{
	struct outbox a = {0}, b = {0};
	struct message *message = message_of(10);

	(void)state;
	push(&a, message);
	push(&b, message);
	push(&b, message);
	assert_int_equal(n_refs(message), 4);
	assert_ptr_equal(outbox_peek(&a, 0), message);
	assert_int_equal(n_refs(message), 4); /* a look is borrowed */
	assert_pops(&b, message);
	assert_int_equal(n_refs(message), 3);
	outbox_deinit(&a);
	outbox_deinit(&b);
	assert_int_equal(n_refs(message), 1); /* what was unread is given back */
	message_unref(message);
}

static void holds_no_memory_when_empty(void **state)
{
	struct outbox box = {0};
	struct message *message = message_of(10);

	(void)state;
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 20; i++)
			push(&box, message);
		assert_non_null(box.ring);
		while (!outbox_empty(&box))
			message_unref(outbox_pop(&box));
		assert_null(box.ring);
		assert_int_equal(box.bytes, 0);
	}
	push(&box, message);
	outbox_deinit(&box);
	assert_null(box.ring);
	outbox_deinit(&box);
	push(&box, message); /* it is an empty one again, not a dead one */
	outbox_deinit(&box);
	message_unref(message);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hands_out_the_oldest_first),
		cmocka_unit_test(keeps_its_order_around_the_end_of_its_memory),
		cmocka_unit_test(refuses_a_message_past_its_bound),
		cmocka_unit_test(refuses_a_message_larger_than_its_bound_even_when_empty),
		cmocka_unit_test(never_refuses_what_goes_to_the_front),
		cmocka_unit_test(goes_to_the_front_of_an_empty_one),
		cmocka_unit_test(takes_references_never_copies),
		cmocka_unit_test(holds_no_memory_when_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
